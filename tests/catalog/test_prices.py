"""Prices are exact, unknown where they are not said, and depend on length and hour as the overrides tell."""

from __future__ import annotations

import decimal
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.openrouter.models import read_model
from orchat.openrouter.prices import RequestSize, cost, parse_price, prices_at, read_prices

MONDAY = datetime(2026, 8, 17, 12, tzinfo=UTC)
BASE = {"prompt": "0.000003", "completion": "0.000015"}


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("0.000003", Decimal("0.000003")),
        ("1e-6", Decimal("0.000001")),
        (3e-06, Decimal("0.000003")),
        (0.1, Decimal("0.1")),
        (0, Decimal(0)),
        ("-0.00", Decimal(0)),
        (7, Decimal(7)),
        ("-1", Decimal(-1)),
        ("", None),
        ("free", None),
        ("NaN", None),
        ("-Infinity", None),
        (float("inf"), None),
        ("1e999999", None),
        ("1e-999999", None),
        (10**400, None),
        ("0." + "1" * 60, None),
        (None, None),
        (True, None),
        ([], None),
        ({}, None),
    ],
)
def test_an_amount_is_a_decimal_or_nothing(value: Any, read: Decimal | None) -> None:
    assert parse_price(value) == read
    assert str(parse_price(value)) == str(read)  # 0.10 is no 0.1000000000000000055


def test_what_is_no_price_is_left_out() -> None:
    pricing = BASE | {"request": "-1", "image": None, "discount": 0.5, "overrides": [], "new_kind": "0.5"}
    assert read_prices(pricing) == {
        "prompt": Decimal("0.000003"),
        "completion": Decimal("0.000015"),
        "new_kind": Decimal("0.5"),
    }
    assert read_prices(None) == read_prices(["prompt"]) == {}


def test_a_cost_is_exact() -> None:
    assert cost({"prompt": "0.1", "completion": "0.2"}, RequestSize(3, 3)) == Decimal("0.9")
    assert cost({"prompt": 1e-7, "completion": "0"}, RequestSize(3, 0)) == Decimal("0.0000003")


def test_a_users_decimal_context_changes_no_cost() -> None:
    with decimal.localcontext(prec=2) as context:
        context.traps[decimal.Inexact] = True
        assert cost({"prompt": "0.000123456", "completion": "0.7"}, RequestSize(123_457, 1)) == Decimal("15.941507392")


@pytest.mark.parametrize("pricing", [None, {}, [], {"prompt": "1"}, {"completion": "1"}, BASE | {"prompt": "-1"}])
def test_a_cost_without_both_prices_is_unknown(pricing: Any) -> None:
    assert cost(pricing, RequestSize(10, 10)) is None


def test_a_price_for_each_request_and_for_images_counts() -> None:
    pricing = BASE | {"request": "0.01", "image": "0.002"}
    assert cost(pricing, RequestSize(0, 0)) == Decimal("0.01")
    assert cost(pricing, RequestSize(0, 0, images=3)) == Decimal("0.016")
    assert cost(BASE, RequestSize(0, 0, images=3)) == 0


def test_a_price_for_each_request_that_varies_makes_the_cost_unknown() -> None:
    assert cost(BASE | {"request": "-1"}, RequestSize(1, 1)) is None
    assert cost(BASE | {"image": "-1"}, RequestSize(1, 1)) is not None
    assert cost(BASE | {"image": "-1"}, RequestSize(1, 1, images=1)) is None


def test_cached_tokens_are_part_of_the_prompt() -> None:
    pricing = {"prompt": "10", "completion": "0", "input_cache_read": "1"}
    assert cost(pricing, RequestSize(100, 0, cached_tokens=40)) == 600 + 40
    assert cost(pricing, RequestSize(100, 0, cached_tokens=1000)) == 100
    assert cost({"prompt": "10", "completion": "0"}, RequestSize(100, 0, cached_tokens=40)) == 1000


def test_a_long_prompt_costs_more_from_the_first_token_beyond() -> None:
    pricing = BASE | {"overrides": [{"min_prompt_tokens": 200_000, "prompt": "0.000006"}]}
    assert cost(pricing, RequestSize(200_000, 1)) == Decimal("0.6") + Decimal("0.000015")
    assert cost(pricing, RequestSize(200_001, 1)) == Decimal("1.200006") + Decimal("0.000015")


def test_later_overrides_win_price_by_price() -> None:
    overrides = [{"prompt": "1", "completion": "2"}, {"prompt": "3"}, {"min_prompt_tokens": 50, "completion": "9"}]
    assert prices_at(BASE | {"overrides": overrides}, 10) == {"prompt": Decimal(3), "completion": Decimal(2)}


def test_an_override_that_varies_makes_its_price_unknown() -> None:
    assert cost(BASE | {"overrides": [{"prompt": "-1"}]}, RequestSize(1, 1)) is None


@pytest.mark.parametrize(
    ("start", "end", "times", "others"),
    [
        (1630, 30, ["16:30", "23:59", "00:00", "00:29"], ["00:30", "12:00", "16:29"]),
        (100, 400, ["01:00", "03:59"], ["00:59", "04:00", "23:00"]),
        ("0830", "1000", ["08:30", "09:59"], ["08:29", "10:00"]),
        (2200, None, ["22:00", "23:59"], ["21:59", "00:00"]),
        (None, 600, ["00:00", "05:59"], ["06:00"]),
        (500, 500, [], ["05:00", "04:59", "00:00"]),
        ("noon", 1300, [], ["12:00", "12:30"]),
        (1200, [], [], ["12:00"]),
    ],
)
def test_prices_by_the_hour(start: Any, end: Any, times: list[str], others: list[str]) -> None:
    window = {name: value for name, value in {"utc_start": start, "utc_end": end}.items() if value is not None}
    pricing = BASE | {"overrides": [window | {"prompt": "7"}]}
    for time in [*times, *others]:
        hour, minute = map(int, time.split(":"))
        price = prices_at(pricing, 1, MONDAY.replace(hour=hour, minute=minute))["prompt"]
        assert (price == 7) is (time in times), time


def test_hours_are_those_of_utc_wherever_one_is() -> None:
    pricing = BASE | {"overrides": [{"utc_start": 1200, "utc_end": 1300, "prompt": "7"}]}
    tokyo = timezone(timedelta(hours=9))
    assert prices_at(pricing, 1, MONDAY.astimezone(tokyo))["prompt"] == 7
    assert prices_at(pricing, 1, MONDAY.replace(tzinfo=tokyo))["prompt"] != 7


@pytest.mark.parametrize(
    ("days", "holds"),
    [(["monday", "friday"], True), (["sunday"], False), ([], False), ("monday", False), ([{}], False)],
)
def test_prices_by_the_day(days: Any, holds: bool) -> None:
    pricing = BASE | {"overrides": [{"utc_days": days, "prompt": "7"}]}
    assert (prices_at(pricing, 1, MONDAY)["prompt"] == 7) is holds


def test_now_is_the_moment_unless_told() -> None:
    now = datetime.now(UTC)
    clock = now.hour * 100 + now.minute
    window = {"utc_start": clock, "utc_end": (now + timedelta(minutes=5)).strftime("%H%M")}
    pricing = BASE | {"overrides": [window | {"prompt": "7"}]}
    assert prices_at(pricing, 1)["prompt"] == 7
    assert cost(pricing, RequestSize(1, 0)) == 7


def test_all_conditions_of_an_override_must_hold() -> None:
    override = {"min_prompt_tokens": 10, "utc_days": ["monday"], "utc_start": 1200, "utc_end": 1300, "prompt": "7"}
    pricing = BASE | {"overrides": [override]}
    assert prices_at(pricing, 11, MONDAY)["prompt"] == 7
    for tokens, moment in [
        (10, MONDAY),
        (11, MONDAY + timedelta(days=1)),
        (11, MONDAY + timedelta(hours=1)),
    ]:
        assert prices_at(pricing, tokens, moment)["prompt"] != 7
    assert prices_at(BASE | {"overrides": [{"min_prompt_tokens": "many", "prompt": "7"}]}, 9)["prompt"] != 7


numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["-1", "0", "0.000003", "NaN", "x"])
odd = st.recursive(
    numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
)
NAMES = "prompt completion request image input_cache_read utc_start utc_end utc_days min_prompt_tokens overrides"
names = st.sampled_from(NAMES.split())
tables = st.dictionaries(names, numbers | odd, max_size=8)


@given(
    pricing=tables | odd,
    overrides=st.lists(tables | odd, max_size=3) | odd,
    tokens=st.tuples(*[st.integers(0, 10**9)] * 4),
    at=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)),
)
def test_whatever_stands_there_a_cost_is_a_finite_sum_or_unknown(
    pricing: Any, overrides: Any, tokens: tuple[int, int, int, int], at: datetime
) -> None:
    pricing = pricing | {"overrides": overrides} if isinstance(pricing, dict) else pricing
    prompt, completion, cached, images = tokens
    found = cost(pricing, RequestSize(prompt, completion, cached_tokens=cached, images=images), at=at)
    assert found is None or (isinstance(found, Decimal) and found.is_finite() and found >= 0)


EACH = {
    "prompt": "0.001",
    "completion": "0.002",
    "request": "0.5",
    "image": "0.25",
    "image_token": "0.003",
    "image_output": "0.03",
    "audio": "0.004",
    "audio_output": "0.05",
    "input_audio_cache": "0.0004",
    "input_cache_read": "0.0001",
    "input_cache_write": "0.00125",
    "input_cache_write_1h": "0.0025",
    "internal_reasoning": "0.0025",
    "web_search": "0.75",
}


@pytest.mark.parametrize(
    ("size", "outputs", "dollars"),
    [
        (RequestSize(0, 0), (), "0.5"),
        (RequestSize(1000, 0), (), "1.5"),
        (RequestSize(1000, 0, cache_write="5m"), (), "1.75"),
        (RequestSize(1000, 0, cache_write="1h"), (), "3"),
        (RequestSize(1000, 0, cached_tokens=1000, cache_write="1h"), (), "0.6"),
        (RequestSize(1000, 0, audio_tokens=400), (), "2.7"),
        (RequestSize(1000, 0, audio_tokens=4000), (), "4.5"),
        (RequestSize(1000, 0, image_tokens=400, images=2), (), "2.8"),
        (RequestSize(1000, 0, audio_tokens=600, image_tokens=600), (), "4.1"),
        (RequestSize(0, 1000), (), "3"),  # reasoning may be dearer than text
        (RequestSize(0, 1000), ("text", "image"), "30.5"),
        (RequestSize(0, 1000), ("text", "audio"), "50.5"),
        (RequestSize(0, 1000), ("image", "audio"), "50.5"),
        (RequestSize(0, 0, searches=2), (), "2"),
    ],
)
def test_each_kind_of_price_counts(size: RequestSize, outputs: Any, dollars: str) -> None:
    assert cost(EACH, size, outputs=outputs) == Decimal(dollars)


@pytest.mark.parametrize(
    ("kind", "size", "outputs"),
    [
        ("audio", RequestSize(10, 0, audio_tokens=10), ()),
        ("image_token", RequestSize(10, 0, image_tokens=10), ()),
        ("input_cache_write_1h", RequestSize(10, 0, cache_write="1h"), ()),
        ("input_cache_write", RequestSize(10, 0, cache_write="5m"), ()),
        ("image_output", RequestSize(0, 10), ("image",)),
        ("audio_output", RequestSize(0, 10), ("audio",)),
        ("internal_reasoning", RequestSize(0, 10), ()),
        ("web_search", RequestSize(0, 0, searches=1), ()),
    ],
)
def test_a_kind_that_varies_is_unknown_only_where_it_is_needed(kind: str, size: RequestSize, outputs: Any) -> None:
    assert cost(EACH | {kind: "-1"}, size, outputs=outputs) is None
    assert cost(EACH | {kind: None}, size, outputs=outputs) is not None
    assert cost({key: price for key, price in EACH.items() if key != kind}, size, outputs=outputs) is not None
    assert cost(EACH | {kind: "-1"}, RequestSize(0, 0)) == Decimal("0.5")


def test_long_prompts_may_change_every_kind_of_price() -> None:
    above = [{"min_prompt_tokens": 100, "audio": "0.008", "image_output": "0.06", "input_cache_write_1h": "0.005"}]
    pricing = EACH | {"overrides": above}
    assert cost(pricing, RequestSize(100, 1, audio_tokens=100), outputs=["image"]) == Decimal("0.93")
    assert cost(pricing, RequestSize(101, 1, audio_tokens=101), outputs=["image"]) == Decimal("1.368")
    assert cost(pricing, RequestSize(101, 0, cache_write="1h")) == Decimal("1.005")


def test_what_a_model_draws_or_speaks_is_estimated_by_its_own_price() -> None:
    pricing = {"prompt": "0.000001", "completion": "0.00001", "image_output": "0.00012"}
    entry = {"id": "v/draws", "pricing": pricing, "architecture": {"output_modalities": ["text", "image"]}}
    model = read_model(entry)
    assert model is not None
    assert model.price(RequestSize(0, 1000)) == Decimal("0.12")
    words_only = read_model({**entry, "architecture": {"output_modalities": ["text"]}})
    assert words_only is not None
    assert words_only.price(RequestSize(0, 1000)) == Decimal("0.01")
