"""The body of a request as JSON bytes, and what is said of a value that is no JSON."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from orchat.errors import ConfigurationError
from orchat.openrouter.wire.canonical_json import canonical_json


def test_a_body_is_written_compactly_in_its_own_order_and_the_same_each_time() -> None:
    assert canonical_json({"b": "ü\u2028", "a": [1, None]}) == '{"b":"ü\u2028","a":[1,null]}'.encode()
    assert json.loads(canonical_json({"a": "half \ud83d"})) == {"a": "half ?"}


def test_scalars_of_numpy_are_written_as_plain_ones() -> None:
    body = {"max_tokens": np.int64(50), "logprobs": np.bool_(True), "bias": [np.float32(0.5), np.array(3)]}
    assert canonical_json(body) == b'{"max_tokens":50,"logprobs":true,"bias":[0.5,3]}'


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "`a` of the request is nan"),
        (np.float64("inf"), "`a` of the request is inf"),
        ({1}, "`a` of the request is a set"),
        (np.arange(2), "`a` of the request is a ndarray"),
        ({"b": [0, {"c": date(2026, 5, 1)}]}, "`a.b.1.c` of the request is a date"),
        ([Decimal(1)], "`a.0` of the request is a Decimal"),
        ({(1, 2): 3}, "`a` of the request is a dictionary with a key of the type tuple"),
    ],
)
def test_what_is_no_json_is_named_by_its_place(value: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        canonical_json({"z": 1, "a": value})
    assert str(caught.value).startswith(f"{said}, which is no JSON. Give plain numbers, ")


def test_what_holds_itself_is_told_as_well() -> None:
    body: dict[str, Any] = {}
    body["a"] = body
    with pytest.raises(ConfigurationError, match="of the request is nested too deeply"):
        canonical_json(body)
