"""The JSON Schema of a pydantic class, without the defaults that JSON cannot hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel


def schema_of_class(model: type[BaseModel]) -> dict[str, Any]:
    """Return a class's schema; of a default that is no JSON, an infinity among them, it tells nothing.

    Raises
    ------
    Exception
        As pydantic raises it: a field's type has no schema.

    Examples
    --------
    >>> from pydantic import BaseModel
    >>> class Band(BaseModel):
    ...     top: float = float("inf")
    >>> schema_of_class(Band)["properties"]
    {'top': {'title': 'Top', 'type': 'number'}}
    """
    from pydantic.json_schema import GenerateJsonSchema
    from pydantic_core import PydanticSerializationError

    class WithoutOddDefaults(GenerateJsonSchema):
        # Pydantic leaves such a default out, and warns of it; the class still has it.
        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

        def encode_default(self, dft: Any) -> Any:
            encoded = super().encode_default(dft)
            try:  # an infinity in a list has become null in what is encoded
                json.dumps([encoded, dft], allow_nan=False, default=lambda other: None, skipkeys=True)
            except ValueError as error:
                raise PydanticSerializationError(str(error)) from None
            return encoded

    return model.model_json_schema(schema_generator=WithoutOddDefaults)
