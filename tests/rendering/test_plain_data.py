"""Plain data becomes JSON, bounded, with nothing consumed and no secret in it."""

from __future__ import annotations

import array
import datetime
import decimal
import enum
import itertools
import json
import pathlib
import time
import types
import uuid
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.rendering import estimate_tokens, render_text, render_value
from orchat.secrets import is_secret_name


class Port(enum.Enum):
    HULL = "hull"


@dataclass
class Tide:
    port: str
    level: float
    pin: str = field(default="1234", repr=False)


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    port: str
    tide: Tide
    inner: str = pydantic.Field(default="x", exclude=True)
    password: pydantic.SecretStr = pydantic.SecretStr("hunter2")


Point = namedtuple("Point", "x y")

SAME = [
    (None, "null"),
    (True, "true"),
    (7, "7"),
    (7.25, "7.25"),
    (float("nan"), "nan"),
    (float("-inf"), "-inf"),
    (Port.HULL, "hull"),
    ("é", "é"),
    ({"a": "é満"}, '{"a": "é満"}'),
    ({1: "a", Port.HULL: "b", (1, 2): "c", None: "d"}, '{"1": "a", "hull": "b", "(1, 2)": "c", "null": "d"}'),
    ([1, (2, 3)], "[1, [2, 3]]"),
    ({"b", "a"}, '["a", "b"]'),
    (frozenset({2, 1}), "[1, 2]"),
    (range(3), "[0, 1, 2]"),
    (deque([1]), "[1]"),
    (array.array("i", [1, 2]), "[1, 2]"),
    ({"a": 1}.keys(), '["a"]'),
    ({"a": 1}.items(), '[["a", 1]]'),
    (Counter("aab"), '{"a": 2, "b": 1}'),
    (defaultdict(list, a=[1]), '{"a": [1]}'),
    (OrderedDict(a=1), '{"a": 1}'),
    (types.MappingProxyType({"a": 1}), '{"a": 1}'),
    (types.SimpleNamespace(a=1), '{"a": 1}'),
    (Point(1, 2), '{"x": 1, "y": 2}'),
    (datetime.date(2026, 1, 2), "2026-01-02"),
    (datetime.datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),
    (datetime.timedelta(hours=1), "1:00:00"),
    (decimal.Decimal("1.10"), "1.10"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (pathlib.PurePosixPath("a/b"), "a/b"),
    (b"secret", "bytes, 6 of them"),
    (memoryview(bytearray(2000)), "memoryview, 2,000 of them"),
    (Tide("Hull", 7.1), '{"port": "Hull", "level": 7.1}'),
]


@pytest.mark.parametrize(("value", "text"), SAME, ids=[type(value).__name__ for value, _ in SAME])
def test_each_kind_of_plain_data_has_its_text(value: Any, text: str) -> None:
    assert render_text(value) == text
    if not isinstance(value, str | bytes | memoryview):
        nested = json.loads(render_text([value]))[0]
        assert nested == (text if isinstance(nested, str) else json.loads(text))


def test_a_pydantic_model_is_its_fields_but_for_excluded_and_secret_ones() -> None:
    value = Model(port="Hull", tide=Tide("Hull", 7.1), more=1)  # type: ignore[call-arg]
    assert json.loads(render_text(value)) == {
        "port": "Hull",
        "tide": {"port": "Hull", "level": 7.1},
        "password": "[redacted]",
        "more": 1,
    }


def test_iterators_are_named_and_not_consumed() -> None:
    numbers = iter([1, 2, 3])
    read = (number for number in numbers)
    for value, text in [
        (read, ".<genexpr>, not read"),
        (numbers, "list_iterator, not read"),
        (map(str, numbers), "map, not read"),
        (itertools.count(), "itertools.count, not read"),
    ]:
        assert render_text(value).endswith(text)
        assert render_text({"a": value}).endswith(f'{text}"}}')
    assert list(read) == [1, 2, 3]


def test_cycles_end() -> None:
    loop: dict[str, Any] = {"a": [1]}
    loop["a"].append(loop)
    assert render_text(loop) == '{"a": [1, "the same dict again"]}'
    shared = [1]
    assert render_text([shared, shared]) == "[[1], [1]]"


def test_depth_ends() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert render_text(deep) == "[" * 12 + '"list of 1"' + "]" * 12


class Endless(Mapping[str, int]):
    """As long as a database: every look at an item is counted."""

    def __init__(self) -> None:
        self.looks = 0

    def __getitem__(self, key: str) -> int:
        self.looks += 1
        return 1

    def __iter__(self) -> Iterator[str]:
        return map(str, itertools.count())

    def __len__(self) -> int:
        return 10**12


def test_a_huge_container_is_never_walked() -> None:
    endless = Endless()
    rendered = render_value(endless, budget=100)
    assert endless.looks < 5_000
    assert json.loads(rendered.text)["..."].endswith(" more")
    assert rendered.what == "Endless, part of 1,000,000,000,000 items"
    started = time.process_time()
    text = render_text([list(range(1_000_000))] * 1_000, budget=200)
    assert time.process_time() - started < 1
    assert estimate_tokens(text) <= 200


def test_every_branch_of_a_large_dictionary_gets_its_share() -> None:
    text = render_text({"first": list(range(10_000)), "second": "x" * 10_000, "third": 3}, budget=200)
    found = json.loads(text)
    assert found["first"][:3] == [0, 1, 2]
    assert found["first"][-1].endswith(" more")
    assert found["second"].endswith("... (10,000 characters)")
    assert found["third"] == 3
    assert estimate_tokens(text) > 50


def test_a_long_integer_is_said_by_its_size() -> None:
    assert render_text(10**5000) == "int of 16,610 bits"


KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA\n" * 20 + "-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "secret",
    [KEY, PEM, "AKIAIOSFODNN7EXAMPLE", "glpat-abcdefgh12345ijklmno", "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKKF2QT4"],
)
def test_key_like_text_is_hidden_in_data(secret: str) -> None:
    for value in ({"note": f"use {secret} now"}, [secret], {secret: 1}, Tide(secret, 1.0), {"a": {"b": [secret]}}):
        rendered = render_value(value)
        assert secret not in rendered.text
        assert secret[12:24] not in rendered.text
        assert "secrets redacted" in rendered.summary("x")


def test_the_environment_hides_what_its_names_say(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in {"HF_TOKEN": "a b", "DB_PASSWORD": "hunter2", "DB": "pg://me:hunter2@db/x", "LANG": "C"}.items():
        monkeypatch.setenv(name, value)
    assert json.loads(render_text(os.environ)) == {
        "HF_TOKEN": "[redacted]",
        "DB_PASSWORD": "[redacted]",
        "DB": "pg://[redacted]@db/x",
        "LANG": "C",
    }


def test_words_of_everyday_data_are_not_hidden() -> None:
    value = {"token": "the", "key": "A minor", "author": "Ada", "tokens": 7, "keyboard": "qwerty", "api_key": None}
    assert json.loads(render_text(value)) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80) | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=12)
        | st.dictionaries(st.text(max_size=12) | st.integers(), inner, max_size=12)
        | st.sets(st.text(max_size=8), max_size=8)
    ),
    max_leaves=60,
)


@given(JSON, st.integers(1, 200))
def test_any_data_fits_any_budget(value: Any, budget: int) -> None:
    rendered = render_value(value, budget=budget)
    assert rendered.tokens <= budget
    assert rendered.tokens == estimate_tokens(rendered.text)


def is_ordinary(name: str) -> bool:
    return not is_secret_name(name)


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii"), max_size=5).filter(is_ordinary), st.integers() | st.booleans(), max_size=9
    )
)
def test_what_fits_is_whole(value: dict[str, Any]) -> None:
    assert json.loads(render_text(value)) == value
