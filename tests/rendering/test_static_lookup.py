"""What may follow a value is found without running any code of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import polars as pl
import pytest

from orchat.rendering.static_lookup import (
    NOTHING,
    get_attribute_static,
    get_item_static,
    static_attributes,
    static_keys,
)


class Trap:
    """Whatever it is asked, it complains."""

    kept = 1

    def __init__(self) -> None:
        object.__setattr__(self, "own", [7])

    def _complain(self, *arguments: Any) -> Any:
        raise AssertionError("code of the value ran")

    __getattribute__ = __getattr__ = __dir__ = __eq__ = __len__ = __iter__ = __getitem__ = keys = _complain  # type: ignore[assignment]
    __hash__ = _complain  # type: ignore[assignment]
    read = property(_complain)

    def method(self) -> None: ...


class Slots:
    __slots__ = ("port",)

    def __init__(self) -> None:
        self.port = "Hull"


def test_nothing_of_a_value_runs() -> None:
    trap = Trap()
    names = static_attributes(trap)
    assert names[:2] == ["own", "kept"]
    assert {"read", "method"} <= set(names)
    assert not any(name.startswith("__") for name in names)
    assert get_attribute_static(trap, "own") == [7]
    assert get_attribute_static(trap, "kept") == 1
    assert get_attribute_static(trap, "read") is NOTHING
    assert get_attribute_static(trap, "method") is NOTHING
    assert static_keys(trap) == []
    assert get_item_static(trap, "own") is NOTHING


@pytest.mark.parametrize(
    "table", [pd.DataFrame({"city": [1], "sold by": [2]}), pl.DataFrame({"city": [1], "sold by": [2]})]
)
def test_tables_tell_their_columns(table: object) -> None:
    assert static_keys(table) == ["city", "sold by"]
    assert "city" in static_attributes(table)
    assert "sold by" not in static_attributes(table)


def test_containers_tell_what_can_be_written() -> None:
    assert static_keys({"a": 1, 2: 3, (4,): 5, True: 6}) == ["a", 2]
    assert static_keys([5, 6, 7]) == [0, 1, 2]
    assert len(static_keys(list(range(1000)))) == 20
    assert get_item_static({"a": [1]}, "a") == [1]
    assert get_item_static([5, 6], 1) == 6
    assert get_item_static([5, 6], 2) is NOTHING
    assert get_item_static({}, "a") is NOTHING


def test_classes_modules_slots_and_namespaces() -> None:
    assert "method" in static_attributes(Trap)
    assert get_attribute_static(Trap, "kept") == 1
    assert "NOTHING" in static_attributes(__import__("orchat.rendering.static_lookup").rendering.static_lookup)
    assert "port" in static_attributes(Slots())
    assert static_attributes(SimpleNamespace(port=1))[0] == "port"
    assert get_attribute_static(5, "numerator") is NOTHING


def test_what_a_class_would_answer_for_is_not_asked() -> None:
    class Asked:
        def __get__(self, instance: object, owner: type) -> Any:
            raise AssertionError("a descriptor was asked")

        def __set__(self, instance: object, value: object) -> None: ...

    class Boat:
        tons = Asked()

    boat = Boat()
    vars(boat)["tons"] = 40
    assert get_attribute_static(boat, "tons") is NOTHING
    assert get_attribute_static(Boat, "tons") is NOTHING
    assert {"tons"} == set(static_attributes(boat)) == set(static_attributes(Boat))


def test_a_table_with_reading_of_its_own_is_left_alone() -> None:
    class Table(pd.DataFrame):
        pass

    table = Table({"city": [1]})
    assert static_keys(table) == ["city"]
    Table.__getattribute__ = lambda self, name: pytest.fail("code of the table ran")  # type: ignore[assignment,method-assign]
    assert static_keys(table) == []


def test_dictionaries_of_a_kind_of_their_own() -> None:
    class Record(dict[str, int]):
        def keys(self) -> Any:
            raise AssertionError("a method of the value ran")

        def __getitem__(self, key: str) -> int:
            raise AssertionError("a method of the value ran")

    record = Record(a=1)
    assert static_keys(record) == ["a"]
    assert get_item_static(record, "a") is NOTHING
