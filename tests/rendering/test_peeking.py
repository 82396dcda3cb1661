"""What may follow a value is found without running any code of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import polars as pl
import pytest

from orchat.rendering.peeking import NOTHING, attribute, attributes, item, keys


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
    names = attributes(trap)
    assert names[:2] == ["own", "kept"]
    assert {"read", "method"} <= set(names)
    assert not any(name.startswith("__") for name in names)
    assert attribute(trap, "own") == [7]
    assert attribute(trap, "kept") == 1
    assert attribute(trap, "read") is NOTHING
    assert attribute(trap, "method") is NOTHING
    assert keys(trap) == []
    assert item(trap, "own") is NOTHING


@pytest.mark.parametrize(
    "table", [pd.DataFrame({"city": [1], "sold by": [2]}), pl.DataFrame({"city": [1], "sold by": [2]})]
)
def test_tables_tell_their_columns(table: object) -> None:
    assert keys(table) == ["city", "sold by"]
    assert "city" in attributes(table)
    assert "sold by" not in attributes(table)


def test_containers_tell_what_can_be_written() -> None:
    assert keys({"a": 1, 2: 3, (4,): 5, True: 6}) == ["a", 2]
    assert keys([5, 6, 7]) == [0, 1, 2]
    assert len(keys(list(range(1000)))) == 20
    assert item({"a": [1]}, "a") == [1]
    assert item([5, 6], 1) == 6
    assert item([5, 6], 2) is NOTHING
    assert item({}, "a") is NOTHING


def test_classes_modules_slots_and_namespaces() -> None:
    assert "method" in attributes(Trap)
    assert attribute(Trap, "kept") == 1
    assert "NOTHING" in attributes(__import__("orchat.rendering.peeking").rendering.peeking)
    assert "port" in attributes(Slots())
    assert attributes(SimpleNamespace(port=1))[0] == "port"
    assert attribute(5, "numerator") is NOTHING


def test_what_a_class_would_answer_for_is_not_asked() -> None:
    class Asked:
        def __get__(self, instance: object, owner: type) -> Any:
            raise AssertionError("a descriptor was asked")

        def __set__(self, instance: object, value: object) -> None: ...

    class Boat:
        tons = Asked()

    boat = Boat()
    vars(boat)["tons"] = 40
    assert attribute(boat, "tons") is NOTHING
    assert attribute(Boat, "tons") is NOTHING
    assert {"tons"} == set(attributes(boat)) == set(attributes(Boat))


def test_a_table_with_reading_of_its_own_is_left_alone() -> None:
    class Table(pd.DataFrame):
        pass

    table = Table({"city": [1]})
    assert keys(table) == ["city"]
    Table.__getattribute__ = lambda self, name: pytest.fail("code of the table ran")  # type: ignore[assignment,method-assign]
    assert keys(table) == []


def test_dictionaries_of_a_kind_of_their_own() -> None:
    class Record(dict[str, int]):
        def keys(self) -> Any:
            raise AssertionError("a method of the value ran")

        def __getitem__(self, key: str) -> int:
            raise AssertionError("a method of the value ran")

    record = Record(a=1)
    assert keys(record) == ["a"]
    assert item(record, "a") is NOTHING
