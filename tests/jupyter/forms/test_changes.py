"""What a person changed: nothing is told where nothing changed, and everything where something did."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given

from orchat.jupyter.forms import difference
from tests.jupyter.forms.test_describing import JSON


def change(path: str, before: str | None, after: str | None) -> dict[str, str | None]:
    return {"path": path, "before": before, "after": after}


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}}, []),
        ({"a": 1}, {"a": True}, [change("a", "1", "true")]),
        ({"a": 1}, {"a": 1.0}, [change("a", "1", "1.0")]),
        ({"a": None}, {}, [change("a", "null", None)]),
        ({}, {"a": None}, [change("a", None, "null")]),
        ({"a": [1, 2]}, {"a": [1, 3]}, [change("a[1]", "2", "3")]),
        ({"a": [1]}, {"a": [1, 2]}, [change("a", "[1]", "[1, 2]")]),
        ({"a": [[1]]}, {"a": [[True]]}, [change("a[0][0]", "1", "true")]),
        ({"n": 2**60}, {"n": 2**60 + 1}, [change("n", str(2**60), str(2**60 + 1))]),
    ],
)
def test_changes(before: Any, after: Any, changes: list[Any]) -> None:
    assert difference(before, after) == changes


@given(before=JSON, after=JSON)
def test_any_two_values(before: Any, after: Any) -> None:
    assert difference(before, copy.deepcopy(before)) == []
    same = json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
    assert same <= (difference(before, after) == [])
    if before != after:
        assert difference(before, after)


def test_many_and_deep_and_long_changes_are_bounded() -> None:
    many = difference({str(number): 1 for number in range(999)}, {})
    assert len(many) == 51
    assert many[-1] == change("", None, "...")
    assert len(json.dumps(difference({"a": "x" * 100_000}, {}))) < 3_000
    deep: Any = 1
    for _ in range(5_000):
        deep = {"a": deep}
    assert len(difference(deep, {"a": 2})) == 1
