"""What is wrong is told before any money is spent, with the next step."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

import numpy
import pandas
import pytest
from pydantic import BaseModel

import orchat
from orchat.errors import BudgetExceededError, ConfigurationError, MissingKeyError
from orchat.mapping.option_checks import check_number
from tests.mapping.conftest import questions
from tests.openrouter_server import ScriptedOpenRouter

DATA = {"text": ["a", "b"], "api_key": ["x", "y"]}


class Letter(NamedTuple):
    head: str
    body: str


class Note(BaseModel):
    body: str


TABLE = pandas.DataFrame({"text": ["a"], "my note": ["b"], 0: ["c"]})


async def numbered(row: str) -> str:
    return f"1. {row}"


@pytest.mark.parametrize(
    ("prompt", "data", "options", "says"),
    [
        ("What of {txet}?", DATA, {}, r"\{txet\} names no column; did you mean text\?"),
        ("What of {body}?", DATA, {}, r"names no column; there are api_key, row, text"),
        ("What of {text}?", ["a"], {}, r"names no column; there is value"),
        ("{text} {my note}", TABLE, {}, r"\{my note\} is no name in Python.* Write \{row\['my note'\]\}"),
        ("{my note}", [{"my note": "a"}], {}, r"Write \{row\['my note'\]\}"),
        ("{row['mynote']}", TABLE, {}, r"no column 'mynote'; did you mean my note\?"),
        ("{row['0']}", TABLE, {}, r"no column '0'; there are 'text', 'my note', 0\."),
        ("{row.text}", TABLE, {}, r"an item of row is written \{row\['text'\]\}"),
        ("{text}", TABLE, {"system": "Mind {row['nte']}."}, r"no column 'nte'"),
        ("What of {body}?", [Letter("a", "b")], {}, r"\{body\} names no column; did you mean \{value\.body\}\?"),
        ("What of {body}?", [Note(body="a")], {}, r"did you mean \{value\.body\}\?"),
        ("What of {body}?", [SimpleNamespace(body="a")], {}, r"did you mean \{value\.body\}\?"),
        ("What of {body}?", numpy.array([("a",)], [("body", "U9")]), {}, r"did you mean \{value\['body'\]\}\?"),
        ("What of {bodies}?", [Letter("a", "b")], {}, r"names no column; there is value"),
        ("What of {text.upper()}?", DATA, {}, r"is more than a variable"),
        ("What of `{text}`?", DATA, {}, r"stands in code"),
        ("What of {api_key}?", DATA, {}, r"`api_key` is a secret.*allow_secrets"),
        ("", DATA, {}, r"prompt is empty"),
        ("{text}", DATA, {"images": ["photo"]}, r"no column 'photo'"),
        ("{text}", {"text": ["a"], "n": []}, {}, r"not of the same length: text 1, n 0"),
        ("{row}", {1: ["a"], "1": ["b"]}, {}, r"Several columns have the same name"),
        ("{text}", DATA, {"schema": 5}, r"has no JSON Schema"),
        ("{text}", DATA, {"schema": lambda text: text}, r"is no schema"),
        ("{text}", DATA, {"schema": {"type": "nonsense"}}, r"no valid JSON Schema"),
        ("{text}", DATA, {"schema": {"tone": "str", "n": "int"}}, r"'n': 'int'\} is no JSON Schema.*\"properties\""),
        ("{text}", DATA, {"schema": {"tone": str}}, r"is no JSON Schema"),
        ("{text}", DATA, {"system": "Answer in {text}, as {persona}."}, r"\{persona\} names no column"),
        ("{text}", DATA, {"schema": int, "explode": True}, r"explode=True needs a list"),
        ("{text}", DATA, {"schema": int, "generation_kwargs": {"response_format": {}}}, r"Both a schema"),
        ("{text}", DATA, {"concurrency": 0}, r"concurrency=0"),
        ("{text}", DATA, {"on_error": "ignore"}, r"on_error='ignore'"),
        ("{text}", DATA, {"concurrency": "two"}, r"concurrency='two'.*Give 1 or more"),
        ("{text}", DATA, {"concurrency": True}, r"concurrency=True"),
        ("{text}", DATA, {"concurrency": -(10**400)}, r"concurrency=-10*.*Give 1 or more"),
        ("{text}", DATA, {"requests_per_minute": -1}, r"requests_per_minute=-1"),
        ("{text}", DATA, {"tokens_per_minute": "5k"}, r"tokens_per_minute='5k'.*a number above 0"),
        ("{text}", DATA, {"timeout": 0}, r"timeout=0 makes"),
        ("{text}", DATA, {"timeout": "1 min"}, r"timeout='1 min'"),
        ("{text}", DATA, {"wait": float("nan")}, r"wait=nan.*Give 0 or more"),
        ("{text}", DATA, {"model": 5}, r"model=5.*a name, or a generator"),
        ("{text}", DATA, {"generation_kwargs": ["temperature"]}, r"generation_kwargs=\['temperature'\].*a dictionary"),
        ("{text}", DATA, {"system": 5}, r"system=5"),
        ("{text}", DATA, {"max_cost": "two"}, r"'two' is no limit"),
        ("{value}", iter(["a"]), {"dry_run": True}, r"use up the iterator"),
    ],
)
def test_a_mistake_is_told(
    service: ScriptedOpenRouter, prompt: Any, data: Any, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        orchat.map(prompt, data, progress=False, **options)
    assert questions(service) == []


@pytest.mark.parametrize(
    ("prompt", "data", "options", "says"),
    [
        ("{value}", "a text", {}, "single text"),
        ("{value}", 7, {}, "not int"),
        ("{value}", numpy.array(3), {}, "not ndarray"),
        ("{value}", {"a": "text"}, {}, "'a' is a str, not a list"),
        (7, ["a"], {}, "prompt is a text or a function"),
        (numbered, ["a"], {}, "an async function"),
        ("{value}", ["a"], {"shcema": int}, "shcema"),
    ],
)
def test_a_wrong_type_is_told(
    service: ScriptedOpenRouter, prompt: Any, data: Any, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(TypeError, match=says):
        orchat.map(prompt, data, progress=False, **options)
    assert questions(service) == []


def test_an_unknown_price_is_refused_where_there_is_a_limit(service: ScriptedOpenRouter) -> None:
    with pytest.raises(BudgetExceededError, match="What `vendor/unlisted-facts` costs is not known"):
        orchat.map("{value}", ["a"], model="vendor/unlisted-facts", max_cost=1, progress=False)
    assert questions(service) == []
    budget = orchat.chat.money.Budget(1, allow_unknown=True)
    assert not orchat.map("{value}", ["a"], model="vendor/unlisted-facts", max_cost=budget, progress=False).failures


def test_without_a_key_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    monkeypatch.delenv("OPENROUTER_BASE_URL", raising=False)
    with pytest.raises(MissingKeyError):
        orchat.map("{value}", ["a"], progress=False)


def test_a_schema_of_a_type_that_pydantic_refuses_is_told(service: ScriptedOpenRouter) -> None:
    class Mine:
        pass

    with pytest.raises(ConfigurationError, match="has no JSON Schema"):
        orchat.map("{value}", ["a"], schema=Mine, progress=False)
    assert orchat.map("{value}", ["a"], schema=Literal["a"], progress=False, dry_run=True).requests == 1


def test_numbers_of_numpy_are_numbers() -> None:
    check_number("concurrency", numpy.int64(4), whole=True)
    check_number("timeout", numpy.float32(0.5))
    with pytest.raises(ConfigurationError, match="Give 1 or more"):
        check_number("concurrency", numpy.int64(0), whole=True)
