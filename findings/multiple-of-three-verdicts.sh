#!/usr/bin/env bash
# pydantic 2.14.4, jsonschema-rs 0.61.2, jsonschema 4.26.0: whether a price is a whole number of cents.
#
# One schema, `multipleOf: 0.01`, exported by pydantic from `Field(multiple_of=0.01)`. For 19.99, 4.35 and 0.07 pydantic
# and jsonschema-rs say yes, and jsonschema, which divides binary floats, says no: a form that is checked by one of them
# and a server that checks with another disagree about ordinary prices. All three refuse half a cent.
#
# Seen: price pydantic jsonschema-rs jsonschema
#       19.99 True True False
#       4.35 True True False
#       0.07 True True False
#       0.25 True True True
#       19.995 False False False
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q pydantic==2.14.4 jsonschema-rs==0.61.2 jsonschema==4.26.0
cat > "$dir/show.py" <<'PYTHON'
import jsonschema
import jsonschema_rs
from pydantic import BaseModel, Field, ValidationError


class Order(BaseModel):
    price: float = Field(multiple_of=0.01)


def by_pydantic(order):
    try:
        Order.model_validate(order)
    except ValidationError:
        return False
    return True


schema = Order.model_json_schema()
python = jsonschema.Draft202012Validator(schema)
expected = {
    19.99: (True, True, False),
    4.35: (True, True, False),
    0.07: (True, True, False),
    0.25: (True, True, True),
    19.995: (False, False, False),
}
print("price pydantic jsonschema-rs jsonschema")
for price, verdicts in expected.items():
    order = {"price": price}
    seen = (by_pydantic(order), jsonschema_rs.is_valid(schema, order), python.is_valid(order))
    print(price, *seen)
    assert seen == verdicts, f"the verdicts on {price} have changed"
PYTHON
"$dir/venv/bin/python" "$dir/show.py"
