"""Models and catalogues: facts of odd lists, names that lead to models, and names that are near."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.jupyter.panel.model_picker import model_rows
from orchat.openrouter.models import Catalog, Model, read_model, read_models
from orchat.openrouter.prices import RequestSize
from tests.openrouter_server import MODELS, model

NOW = datetime.now(UTC)
CATALOG = Catalog(read_models(MODELS), NOW)
PRICES = {"prompt": "0.000001", "completion": "0.000002"}


def catalog_of(*ids: str) -> Catalog:
    return Catalog(read_models([{"id": name} for name in ids]), NOW)


def test_every_model_is_read_with_its_facts() -> None:
    assert [found.id for found in CATALOG.models] == [entry["id"] for entry in MODELS]
    found = CATALOG.get("openai/gpt-5-mini")
    assert found is not None
    assert (found.name, found.context_length, found.max_completion_tokens) == ("OpenAI: GPT-5 Mini", 400_000, 128_000)
    assert found.prices["prompt"] == Decimal("0.00000025")
    assert (found.input_modalities, found.output_modalities) == (("text", "image", "file"), ("text",))
    assert "tools" in found.supported_parameters
    assert found.reasoning is not None
    assert found.reasoning["mandatory"] is True
    assert found.description == "OpenAI: GPT-5 Mini is a model for tests."
    assert found.raw in MODELS
    expiring = CATALOG.get("deepseek/deepseek-chat")
    assert expiring is not None
    assert expiring.expiration_date == date(2026, 12, 31)


def test_what_is_not_said_is_none_or_empty() -> None:
    assert read_model({"id": "vendor/m"}) == Model("vendor/m", "vendor/m")


def test_a_model_is_immutable_hashable_and_travels() -> None:
    found = CATALOG.models[0]
    with pytest.raises(FrozenInstanceError):
        found.id = "other"  # type: ignore[misc]
    assert len({found, copy.deepcopy(found)}) == 1
    assert pickle.loads(pickle.dumps(CATALOG)) == CATALOG


def test_representations_are_short() -> None:
    fresh = Catalog(CATALOG.models, datetime.now(UTC))  # not as old as this run
    assert repr(fresh) == f"Catalog({len(MODELS)} models, less than a minute old)"
    assert max(len(repr(found)) for found in CATALOG.models) < 600


@pytest.mark.parametrize(
    "entry", [None, 7, "vendor/m", [], {}, {"id": None}, {"id": " "}, {"id": 7}, {"id": "x" * 500}]
)
def test_an_entry_without_an_id_is_left_out(entry: Any) -> None:
    assert read_model(entry) is None
    assert [found.id for found in read_models([entry, {"id": "vendor/m"}])] == ["vendor/m"]


ODD: list[Any] = [None, True, -1, 1.5, 10**400, "", "x", [], [None, 7, "text"], {}, {"mandatory": 1}]


@pytest.mark.parametrize("odd", ODD, ids=lambda value: str(value)[:12])
def test_odd_values_are_as_good_as_missing(odd: Any) -> None:
    entry = model("vendor/m", "M", PRICES)
    for name in [name for name in entry if name != "id"]:
        found = read_model(entry | {name: odd})
        assert found is not None
        assert found.id == "vendor/m"
        assert found.context_length is None or found.context_length > 0
        assert all(isinstance(text, str) for text in found.supported_parameters)
        catalog = Catalog((found,), NOW)
        assert catalog.matching("vendor") == [found]
        assert catalog.get("vendor/m") == found
        price = catalog.price("vendor/m", RequestSize(1, 1))
        assert price is None or price == Decimal("0.000003")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
fields = st.sampled_from(
    [*model("vendor/m", "M", {}), "reasoning", "alias_target", "input_modalities", "output_modalities", "prompt"]
)
entries = st.recursive(
    json_values, lambda inner: st.dictionaries(fields, inner | json_values, max_size=6), max_leaves=8
)


@given(
    st.lists(
        entries | entries.map(lambda value: {"id": "vendor/m"} | (value if isinstance(value, dict) else {})), max_size=5
    )
)
def test_any_list_makes_a_catalogue(data: list[Any]) -> None:
    catalog = Catalog(read_models(data), NOW)
    for found in catalog.models:
        assert catalog.get(found.id) is not None
        assert catalog.price(found.id, RequestSize(10, 10)) is None or catalog.price(found.id, RequestSize(10, 10)) >= 0
        assert repr(found)
        hash(found)
    catalog.near("vendor/m")
    catalog.matching("m", free=True)


@given(st.text(max_size=40))
def test_any_name_may_be_asked_for(name: str) -> None:
    assert CATALOG.get(name) is None or isinstance(CATALOG.get(name), Model)
    assert len(CATALOG.near(name)) <= 3


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ("openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        ("openai/gpt-4o-mini:nitro", "openai/gpt-4o-mini"),
        ("openai/gpt-4o-mini:online", "openai/gpt-4o-mini"),
        ("openai/gpt-4o-mini:floor", "openai/gpt-4o-mini"),
        ("openai/gpt-4o-mini@preset/brief", "openai/gpt-4o-mini"),
        ("openai/gpt-4o-mini:nitro@preset/brief", "openai/gpt-4o-mini"),
        ("meta-llama/llama-3.3-70b-instruct:free", "meta-llama/llama-3.3-70b-instruct:free"),
        ("meta-llama/llama-3.3-70b-instruct:free:online", "meta-llama/llama-3.3-70b-instruct:free"),
        ("meta-llama/llama-3.3-70b-instruct:floor", "meta-llama/llama-3.3-70b-instruct"),
        ("openai/gpt-4o-mini-20260301", "openai/gpt-4o-mini"),
        ("~anthropic/claude-sonnet-latest", "~anthropic/claude-sonnet-latest"),
        ("@preset/brief", None),
        ("private/model", None),
        ("private/model:nitro", None),
        (":nitro", None),
        ("", None),
    ],
)
def test_variants_lead_to_their_base_and_unknown_ids_are_no_error(sent: str, found: str | None) -> None:
    model = CATALOG.get(sent)
    assert (model.id if model else None) == found


def test_an_id_comes_before_a_permanent_name() -> None:
    entries = [{"id": "vendor/old", "canonical_slug": "vendor/m"}, {"id": "vendor/m", "name": "the real one"}]
    found = Catalog(read_models(entries), NOW).get("vendor/m")
    assert found is not None
    assert found.name == "the real one"


def test_free_is_a_suffix_not_a_price() -> None:
    free = [found.id for found in CATALOG.models if found.is_free]
    assert free == ["meta-llama/llama-3.3-70b-instruct:free", "openrouter/free"]
    router = read_model(model("openrouter/fusion", "Fusion", {"prompt": "0", "completion": "0"}))
    assert router is not None
    assert not router.is_free


@pytest.mark.parametrize(
    ("sent", "price"),
    [
        ("openai/gpt-4o-mini", "0.00021"),
        ("openai/gpt-4o-mini:nitro", "0.00021"),
        ("anthropic/claude-sonnet-4.5", "0.0045"),
        ("meta-llama/llama-3.3-70b-instruct:free", "0"),
        ("openrouter/free", "0"),
        ("google/gemini-2.5-flash-image", "0.0033"),  # its images are dearer than its words
        ("openrouter/auto", None),
        ("openai/gpt-4o-mini-tts", None),
        ("vendor/unlisted-facts", None),
        ("private/model", None),
        ("@preset/brief", None),
    ],
)
def test_what_a_request_costs(sent: str, price: str | None) -> None:
    assert CATALOG.price(sent, RequestSize(1000, 100)) == (None if price is None else Decimal(price))


def test_a_price_of_nothing_without_the_suffix_is_unknown() -> None:
    free = Catalog(read_models([model("a/b", "B", {"prompt": "0", "completion": "0"})]), NOW)
    assert free.price("a/b", RequestSize(1, 1)) is None
    paid = Catalog(read_models([model("a/b", "B", {"prompt": "0", "completion": "0", "request": "0.01"})]), NOW)
    assert paid.price("a/b", RequestSize(1, 1)) == Decimal("0.01")


def test_prices_depend_on_length_hour_cache_and_images() -> None:
    assert CATALOG.price("anthropic/claude-sonnet-4.5", RequestSize(200_001, 0)) == Decimal("1.200006")
    assert CATALOG.price("anthropic/claude-sonnet-4.5", RequestSize(1000, 0, cached_tokens=1000)) == Decimal("0.0003")
    night, noon = datetime(2026, 8, 17, 23, tzinfo=UTC), datetime(2026, 8, 17, 12, tzinfo=UTC)
    assert CATALOG.price("deepseek/deepseek-chat", RequestSize(1000, 0), at=noon) == Decimal("0.00056")
    assert CATALOG.price("deepseek/deepseek-chat", RequestSize(1000, 0), at=night) == Decimal("0.00028")
    assert CATALOG.price("google/gemini-2.5-flash-image", RequestSize(0, 0, images=2)) == Decimal("0.002476")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("openai/gpt-5-mni", "openai/gpt-5-mini"),
        ("gpt-5-mini", "openai/gpt-5-mini"),
        ("gpt5-mini", "openai/gpt-5-mini"),
        ("OpenAI/GPT-4o-Mini", "openai/gpt-4o-mini"),
        ("gpt 4o mini", "openai/gpt-4o-mini"),
        ("claude-sonnet", "anthropic/claude-sonnet-4.5"),
        ("anthropic/claude-sonet-4.5:nitro", "anthropic/claude-sonnet-4.5"),
        ("claude-sonet-4.5@preset/brief", "anthropic/claude-sonnet-4.5"),
        ("llama-3.3-70b-instruct:free", "meta-llama/llama-3.3-70b-instruct:free"),
        ("llama", "meta-llama/llama-3.3-70b-instruct"),
    ],
)
def test_a_wrong_name_has_near_ones(typed: str, meant: str) -> None:
    assert CATALOG.near(typed)[0] == meant


def test_near_names_are_few_and_none_where_nothing_is_alike() -> None:
    assert CATALOG.near("zzzzzzzz") == []
    assert CATALOG.near("") == []
    assert len(CATALOG.near("gpt", 2)) == 2
    assert catalog_of().near("gpt") == []


def test_words_are_looked_for_in_ids_and_names() -> None:
    def ids(query: str = "", **options: Any) -> list[str]:
        return [found.id for found in CATALOG.matching(query, **options)]

    assert ids() == [entry["id"] for entry in MODELS]
    assert ids("LLAMA free") == ids("llama", free=True) == ["meta-llama/llama-3.3-70b-instruct:free"]
    assert ids("Mini OpenAI: tts") == ["openai/gpt-4o-mini-tts"]
    assert ids("no-such") == []


def test_a_panels_list_tells_prices_that_rise_with_the_prompt() -> None:
    pricing = PRICES | {"overrides": [{"min_prompt_tokens": 272_000, "prompt": "0.000002"}]}
    [row] = model_rows(Catalog(read_models([model("v/m", "M", pricing)]), NOW), "")["list"]
    assert row["facts"] == "128k · $1.00 in, $2.00 out per million · dearer above 272k"


def test_batch_variants_are_apart_and_never_suggested() -> None:
    prices = {"prompt": "0.000002", "completion": "0.000002"}
    half = {"prompt": "0.000001", "completion": "0.000001"}
    catalog = Catalog(read_models([model("v/mini", "Mini", prices), model("v/mini:batch", "Mini (batch)", half)]), NOW)
    whole, batch = catalog.models
    assert ([each.is_batch for each in catalog.models], whole.is_chat_model, batch.is_chat_model) == (
        [False, True],
        True,
        False,
    )
    assert catalog.matching() == catalog.matching("mini") == [whole]
    assert catalog.matching("mini batch") == catalog.matching(":batch") == [batch]
    assert [row["id"] for row in model_rows(catalog, "batch")["list"] + model_rows(catalog, "")["list"]] == ["v/mini"]
    assert catalog.near("mini") == catalog.near("mni:batch") == catalog.near("v/mini:batc") == ["v/mini"]
    assert catalog.get("v/mini:batch") is batch  # by its name it is found, and has its own price
    assert catalog.price("v/mini:batch", RequestSize(1_000_000, 0)) == 1


@pytest.mark.parametrize(
    ("outputs", "chats"),
    [
        ([], True),
        (["text"], True),
        (["text", "image"], True),
        (["audio"], True),
        (["embeddings"], False),
        (["rerank"], False),
        (["speech"], False),
        (["video"], False),
    ],
)
def test_what_makes_no_answer_is_no_chat_model(outputs: list[str], chats: bool) -> None:
    catalog = Catalog(read_models([model("v/mini", "Mini", {}, outputs=outputs)]), NOW)
    assert catalog.models[0].is_chat_model is chats
    assert catalog.near("mini") == (["v/mini"] if chats else [])
    assert len(catalog.matching("mini")) == 1
    assert [row["id"] for row in model_rows(catalog, "")["list"]] == (["v/mini"] if chats else [])
    apart = [] if chats else [{"id": "v/mini", "name": "Mini", "facts": f"text -> {outputs[0]}"}]
    assert model_rows(catalog, "mini").get("apart", []) == apart
    assert "apart" not in model_rows(catalog, "")  # none is suggested
    near = model_rows(catalog, "v/mnii")
    assert [row["id"] for row in near["list"]] == (["v/mini"] if chats else [])
    assert near["note"] == ("No such model. Near that name:" if chats else "")


@pytest.mark.parametrize(
    ("age", "words", "fresh"),
    [
        (timedelta(seconds=3), "less than a minute old", True),
        (timedelta(minutes=1, seconds=5), "1 minute old", True),
        (timedelta(hours=5, minutes=50), "5 hours old", True),
        (timedelta(hours=23, minutes=59), "23 hours old", True),
        (timedelta(days=1), "1 day old", False),
        (timedelta(days=400), "400 days old", False),
        (timedelta(days=-2), "less than a minute old", False),
    ],
)
def test_a_catalogue_knows_its_age(age: timedelta, words: str, fresh: bool) -> None:
    catalog = Catalog((), datetime.now(UTC) - age)
    assert (catalog.age_text, catalog.is_fresh) == (words, fresh)


def test_a_large_catalogue_is_quick_enough_for_a_hint() -> None:
    """Six hundred and fifty models, as many as there are: a hint is worth a moment, not a second."""
    import time

    many = Catalog(
        read_models([json.loads(json.dumps(e)) | {"id": f"v{n}/{e['id']}"} for n in range(55) for e in MODELS]), NOW
    )
    started = time.process_time()
    assert many.near("v7/openai/gpt-5-mni")[0] == "v7/openai/gpt-5-mini"
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("entry", "length"),
    [
        ({"meta": {"n_ctx": 4096, "n_ctx_train": 8192}}, 4096),  # llama.cpp
        ({"max_model_len": 2048}, 2048),  # vLLM
        ({"max_input_tokens": 128_000, "mode": "chat"}, 128_000),  # LiteLLM
        ({"context_window": 8192}, 8192),  # Groq
        ({"max_context_length": 32_768}, 32_768),  # Mistral
        ({"context_length": 1000, "max_model_len": 2000, "meta": {"n_ctx": 3000}}, 1000),
        ({"context_length": 0, "top_provider": {"context_length": 500}, "meta": {"n_ctx": 3000}}, 500),
        ({"meta": {"n_ctx_train": 8192}}, None),
        ({"meta": [4096], "max_model_len": "2048", "max_input_tokens": True}, None),
    ],
)
def test_the_context_length_of_other_servers_is_read(entry: dict[str, Any], length: int | None) -> None:
    [found] = read_models([{"id": "smol"} | entry])
    assert found.context_length == length
