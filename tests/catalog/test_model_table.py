"""The table of models: what it says, and that no name can harm it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from orchat.errors import ConfigurationError
from orchat.openrouter.model_table import list_models
from orchat.openrouter.models import Catalog, read_models
from tests.openrouter_server import MODELS, model


def catalog(*entries: dict[str, Any]) -> Catalog:
    return Catalog(read_models(list(entries)), datetime.now(UTC))


def rows(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()[1:]]


def test_every_model_has_a_line_and_columns_stand_under_each_other() -> None:
    table = list_models(catalog(*MODELS))
    lines = table.splitlines()
    assert len(lines) == len(MODELS) + 2
    # What answers in no chat stands apart, with what it is for.
    apart = lines.index("-- these answer in no chat --")
    lines.pop(apart)
    assert all(re.search(r" -> .*(text|image|audio|\?)", line) for line in lines[1:apart])
    assert {line.rpartition(" -> ")[2] for line in lines[apart:]} == {"speech"}
    assert lines[0].split() == ["model", "context", "$/M", "in", "$/M", "out", "modalities"]
    assert {line.index(" -> ") > 0 for line in lines[1:]} == {True}
    ends = {line.index("  ", lines[0].index("$/M in") + 6) for line in lines[:1]}
    assert len(ends) == 1
    assert not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize(
    ("price", "shown"),
    [
        ("0", "0.00"),
        ("0.000001", "1.00"),
        ("0.0000000012", "0.0012"),
        ("0.0000000375", "0.0375"),
        ("0.000000035", "0.035"),
        ("0.00000125", "1.25"),
        ("0.0000021875", "2.1875"),
        ("0.00000008333333333333334", "0.0833333"),
        ("0.00000001", "0.01"),
        ("0.0012345", "1,234.50"),
        ("-1", "?"),
        (None, "?"),
        ("much", "?"),
    ],
)
def test_prices_are_for_a_million_tokens(price: Any, shown: str) -> None:
    table = list_models(catalog(model("v/m", "M", {"prompt": price, "completion": "0.000002"})))
    assert rows(table)[0][2:4] == [shown, "2.00"]


def test_prices_that_rise_with_the_prompt_are_marked() -> None:
    base = {"prompt": "0.00000125", "completion": "0.00001"}
    above = {"min_prompt_tokens": 200_000, "prompt": "0.0000025"}
    by_night = {"utc_start": 100, "utc_end": 400, "prompt": "0.00001"}
    cheaper = {"min_prompt_tokens": 32_000, "prompt": "0.000001"}
    table = list_models(
        catalog(
            model("v/a", "A", base | {"overrides": [{**above, "min_prompt_tokens": 272_000}, above]}),
            model("v/b", "B", base | {"overrides": [by_night, cheaper, {"min_prompt_tokens": "x", "prompt": "9"}, 7]}),
            model("v/c", "C", base),
        )
    )
    assert [line.split("text -> text")[1] for line in table.splitlines()[1:]] == [
        " (dearer above 200,000 tokens)",
        "",
        "",
    ]


def test_batch_variants_are_listed_only_for_those_who_ask() -> None:
    listed = catalog(model("v/mini", "Mini", {}), model("v/mini:batch", "Mini", {}))
    assert [row[0] for row in rows(list_models(listed, "mini"))] == ["v/mini"]
    assert [row[0] for row in rows(list_models(listed, "mini:batch"))] == ["--", "v/mini:batch"]


def test_what_is_not_known_is_a_question_mark() -> None:
    entry = model("v/m", "M", {})
    for field in ("context_length", "architecture", "pricing", "top_provider"):
        entry[field] = None
    assert rows(list_models(catalog(entry))) == [["v/m", "?", "?", "?", "?", "->", "?"]]


def test_words_and_free_ones_are_found() -> None:
    found = catalog(
        model("v/big", "Big Tide", {"prompt": "0.1", "completion": "0.1"}),
        model("v/small:free", "Small Tide", {"prompt": "0", "completion": "0"}),
        model("v/other:free", "Other", {"prompt": "0", "completion": "0"}),
    )
    assert [row[0] for row in rows(list_models(found, "TIDE"))] == ["v/big", "v/small:free"]
    assert [row[0] for row in rows(list_models(found, "tide", free=True))] == ["v/small:free"]
    assert len(rows(list_models(found, free=True))) == 2


def test_none_is_an_error_that_names_near_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"No model matches `cluade-sonnet`. Near are `anthropic/claude"):
        list_models(catalog(*MODELS), "cluade-sonnet")
    with pytest.raises(ConfigurationError, match=r"No free model matches `claude`"):
        list_models(catalog(*MODELS), "claude", free=True)
    with pytest.raises(ConfigurationError, match=r"There is no free model\."):
        list_models(catalog(model("v/m", "M", {"prompt": "1", "completion": "1"})), free=True)
    with pytest.raises(ConfigurationError, match=r"There is no model\."):
        list_models(catalog())


def test_free_ones_are_near_only_where_free_ones_are_asked_for() -> None:
    found = catalog(*({"id": name} for name in ("smol", "smol-2", "tide:free")))
    with pytest.raises(
        ConfigurationError, match=r"No free model matches `smol`. Without --free there is `smol`, `smol-2`.$"
    ):
        list_models(found, "smol", free=True)
    with pytest.raises(ConfigurationError, match=r"No free model matches `tide-free`. Near are `tide:free`.$"):
        list_models(found, "tide-free", free=True)
    with pytest.raises(ConfigurationError, match=r"No free model matches `smole`.$"):
        list_models(found, "smole", free=True)
    with pytest.raises(ConfigurationError, match=r"No model matches `smole`. Near are `smol`, `smol-2`.$"):
        list_models(found, "smole")


def test_no_name_steers_a_terminal_or_breaks_its_line() -> None:
    hostile = model("evil/\x1b]0;t\x07\u202e\n\nmodel", "x", {"prompt": "0", "completion": "0"}, inputs=["te\x1bxt\r"])
    table = list_models(catalog(hostile, model("v/m", "M", {"prompt": "0", "completion": "0"})))
    assert len(table.splitlines()) == 3
    assert not any(each in table for each in "\x1b\x07\x9b\u202e\r")
