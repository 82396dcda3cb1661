"""The cost is the endpoint's own, unknown is not nothing, and a budget refuses before anything is sent."""

from __future__ import annotations

import copy
import threading
from decimal import Decimal
from typing import Any

import pytest

from orchat.chat import Budget, Chat, Cost
from orchat.chat.chat_dependencies import price_lookup, set_price_lookup
from orchat.chat.money import parse_amount
from orchat.chat.request_estimate import estimate_request, estimate_size
from orchat.errors import APIConnectionError, APIError, BudgetExceededError, ConfigurationError, ProviderError
from orchat.messages import AudioContent, ChatMessage, ImageContent, TextContent, ToolCall
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.openrouter.prices import RequestSize
from tests.chat.conftest import Make
from tests.chat.test_tools import HULL
from tests.chat.tools import Log
from tests.chat.ways import Way
from tests.openrouter_server import (
    PNG,
    ScriptedOpenRouter,
    calls,
    comment,
    done,
    error,
    event,
    finish,
    hold,
    raw,
    stream,
    text,
    usage_object,
)


def per_token(model: str, size: RequestSize) -> Decimal | None:
    """A dollar for a thousand tokens; nobody knows what the model `vendor/odd` costs."""
    return None if model == "vendor/odd" else Decimal(size.prompt_tokens + size.completion_tokens) / 1000


@pytest.mark.parametrize(
    ("cost", "written"),
    [
        (Cost(), "$0"),
        (Cost(Decimal("0.00034")), "$0.00034"),
        (Cost(Decimal(10)), "$10"),
        (Cost(unknown=3), "unknown"),
        (Cost(Decimal("0.5"), 1), "$0.5 + 1 unknown"),
    ],
)
def test_a_cost_in_words(cost: Cost, written: str) -> None:
    assert str(cost) == written
    assert Cost.from_dict(cost.to_dict()) == cost
    assert (cost.total is None) == bool(cost.unknown)


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        {"known": "-1"},
        {"known": "NaN"},
        {"known": "1", "unknown": -1},
        {"known": "1", "unknown": "x"},
        {"known": []},
    ],
)
def test_a_damaged_cost_is_refused(damaged: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no cost"):
        Cost.from_dict(damaged)


@pytest.mark.parametrize("value", [None, "1", True, float("nan"), float("inf"), -1, -0.5])
def test_what_is_no_amount(value: Any) -> None:
    assert parse_amount(value) is None


def test_sums_are_exact() -> None:
    assert str(sum((Cost.of({"cost": 0.1}) for _ in range(10)), Cost())) == "$1"


def test_an_unknown_cost_is_never_nothing(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make()
    openrouter.answers(text("One.", usage=usage_object(cost=None)), stream(event("Two."), finish("stop"), done()))
    first = way.ask(chat)
    assert (first.cost, str(first.spent)) == (None, "unknown")
    way.ask(chat)
    way.ask(chat)
    assert (str(chat.cost), chat.cost.total) == ("$0.00004 + 2 unknown", None)


@pytest.mark.parametrize("whole", [False, True])
def test_the_embedded_model_is_free_however_an_answer_ends(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, whole: bool
) -> None:
    chat = make(generation_kwargs={"model": "local/m"}, max_cost=0.01, price=lambda model, size: Decimal(0))
    openrouter.answers(text("One.", usage=usage_object(cost=None)))  # its server sends no bill
    reply = way.ask(chat, whole=whole)
    assert (reply.cost, reply.usage["prompt_tokens"]) == (0, 14)
    openrouter.answers(raw(b"no JSON") if whole else stream(event("Cut")))
    with pytest.raises(APIError):
        way.ask(chat, whole=whole)
    held = threading.Event()
    openrouter.answers(stream(comment(), hold(held)))
    stopping = threading.Thread(target=lambda: (openrouter.wait_for_requests(3), chat.stop(), held.set()))
    stopping.start()
    way.ask(chat, whole=whole)
    stopping.join()
    assert (chat.cost, chat.budget.left) == (Cost(), Decimal("0.01"))  # type: ignore[union-attr]
    assert Chat.from_dict(chat.to_dict(), generator=chat.generator).cost == Cost()


def test_own_provider_keys_count(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make()
    openrouter.answers(text("One.", usage=usage_object(cost=0.5, is_byok=True, upstream_cost=0.25)))
    assert way.ask(chat).cost == chat.cost.total == 0.75


# -- budgets --------------------------------------------------------------------------------------------------------


def test_a_request_that_may_cost_too_much_is_not_sent(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make(max_cost=0.1, price=per_token)
    with pytest.raises(BudgetExceededError, match=r"`vendor/m` may cost \$4\..*, and \$0\.1 of \$0\.1 is left"):
        way.ask(chat)
    assert (openrouter.requests, chat.messages, chat.cost) == ([], [], Cost())
    assert way.ask(chat, generation_kwargs={"max_tokens": 50}).text
    assert chat.budget.left == Decimal("0.09996")  # type: ignore[union-attr]


def test_a_limit_for_one_turn(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make(price=per_token)
    with pytest.raises(BudgetExceededError):
        way.ask(chat, max_cost=0.1)
    assert way.ask(chat).text
    chat = make(price=per_token, max_cost=Budget(100))
    with pytest.raises(BudgetExceededError):
        way.ask(chat, max_cost=0.1)
    assert chat.budget.left == 100  # type: ignore[union-attr]  # what was reserved is free again


def test_a_tool_loop_ends_where_the_money_does(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    spent = usage_object(cost=0.06)
    openrouter.always(calls(HULL, usage=spent))
    log = Log()
    chat = make(tools=[log.tide()], approve="always", price=per_token, generation_kwargs={"max_tokens": 1})
    with pytest.raises(BudgetExceededError):
        way.ask(chat, max_cost=0.2)
    assert 1 <= len(openrouter.requests) <= 3
    assert chat.cost.known == Decimal("0.06") * len(openrouter.requests)
    assert chat.messages[-1].tool_call_result.result == "Hull: 14:10"  # type: ignore[union-attr]
    openrouter.always(text("There."))
    assert way.ask(chat, "Go on.").text == "There."


def test_an_unknown_price_is_refused_unless_allowed(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    for chat in (make(max_cost=1, price=per_token, generation_kwargs={"model": "vendor/odd"}), make(max_cost=1)):
        with pytest.raises(BudgetExceededError, match="costs is not known, so that"):
            way.ask(chat)
    assert openrouter.requests == []
    assert way.ask(make(max_cost=Budget(1, allow_unknown=True))).text


def test_where_nobody_tells_the_cost_the_estimate_counts(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make(max_cost=1, price=per_token, generation_kwargs={"max_tokens": 395})
    openrouter.answers(text("One.", usage=usage_object(cost=None)), stream(event("Two.")).ending("reset"))
    way.ask(chat)
    assert chat.budget.left == Decimal("0.6")  # type: ignore[union-attr]
    with pytest.raises(APIConnectionError):
        way.ask(chat)
    assert Decimal("0.1") < chat.budget.left < Decimal("0.2")  # type: ignore[union-attr]
    assert str(chat.cost) == "unknown"


def test_what_was_spent_before_and_is_not_known_is_refused(make: Make, way: Way) -> None:
    with pytest.raises(BudgetExceededError, match="What was spent is not wholly known"):
        way.ask(make(max_cost=Budget(100, spent=Cost(unknown=1)), price=per_token))


def test_what_is_used_up_is_used_up(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    budget = Budget(0.01)
    free = make(max_cost=budget, price=lambda *_: Decimal(0))
    openrouter.answers(text("One.", usage=usage_object(cost=0.02)), text("Two."))
    way.ask(free)
    assert budget.left == Decimal("-0.01")
    with pytest.raises(BudgetExceededError, match=r"may cost \$0, and \$0 of \$0.01 is left"):
        way.ask(free)


def test_chats_share_a_budget_and_parallel_requests_reserve(make: Make, way: Way) -> None:
    budget = Budget(10)
    first, second = make(max_cost=budget, price=per_token), make(max_cost=budget, price=per_token)
    with first.stream("Hi") as one:
        next(one)
        assert budget.left < 6
        with second.stream("Hi") as two:
            next(two)
            with pytest.raises(BudgetExceededError):
                way.ask(first.fork())
    assert Decimal(1) < budget.left < Decimal(2)  # both were left before their usage came
    assert copy.deepcopy(budget) is budget
    assert repr(budget) == f"Budget($10, spent={budget.spent})"


def test_a_refused_request_gives_its_reserve_back(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make(max_cost=10, price=per_token)
    openrouter.answers(error(503))
    with pytest.raises(ProviderError):
        way.ask(chat)
    with pytest.raises(ConfigurationError):
        way.ask(chat, generation_kwargs={"n": 2})
    assert (chat.budget.left, chat.cost) == (10, Cost())  # type: ignore[union-attr]


def test_prices_may_come_from_above(make: Make, way: Way) -> None:
    before = price_lookup()
    set_price_lookup(per_token)
    try:
        assert way.ask(make(max_cost=10)).text
    finally:
        set_price_lookup(before)


@pytest.mark.parametrize("limit", [-1, float("nan"), "1", True])
def test_a_limit_is_an_amount(make: Make, limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no limit"):
        make(max_cost=limit)


SIZES: list[tuple[list[ChatMessage], dict[str, Any], RequestSize]] = [
    ([ChatMessage.from_user("a" * 400)], {}, RequestSize(104, 4096, cache_write="5m")),
    ([], {"max_tokens": 7, "max_completion_tokens": 9}, RequestSize(0, 9, cache_write="5m")),
    (
        [ChatMessage.from_user(content_parts=["a" * 4, ImageContent.from_url(PNG), ImageContent.from_url(PNG)])],
        {},
        RequestSize(3005, 4096, image_tokens=3000, images=2, cache_write="5m"),
    ),
    (
        [ChatMessage.from_user(content_parts=[AudioContent("AAAA" * 4_000_000, "wav")])],
        {},
        RequestSize(24_004, 4096, audio_tokens=24_000, cache_write="5m"),
    ),
    (
        [ChatMessage.from_user(content_parts=[AudioContent("AAAA" * 1_000_000, "mp3")])],
        {},
        RequestSize(48_004, 4096, audio_tokens=48_000, cache_write="5m"),
    ),
    (
        [ChatMessage.from_user(content_parts=[TextContent("a", cache_control={"type": "ephemeral", "ttl": "1h"})])],
        {},
        RequestSize(5, 4096, cache_write="1h"),
    ),
    (
        [ChatMessage.from_user(content_parts=[TextContent("a", cache_control={"type": "ephemeral"})])],
        {},
        RequestSize(5, 4096, cache_write="5m"),
    ),
    ([], {"cache_control": {"type": "ephemeral", "ttl": "1h"}}, RequestSize(0, 4096, cache_write="1h")),
    ([], {"plugins": [{"id": "web"}, {"id": "file-parser"}]}, RequestSize(0, 4096, cache_write="5m", searches=1)),
    ([], {"web_search_options": {}}, RequestSize(0, 4096, cache_write="5m", searches=1)),
    ([], {"server_tools": [{"type": "openrouter:web_search"}]}, RequestSize(0, 4096, cache_write="5m", searches=5)),
    (
        [],
        {"tools": [{"type": "openrouter:web_search", "parameters": {"max_uses": 2}}]},
        RequestSize(0, 4096, cache_write="5m", searches=2),
    ),
]


@pytest.mark.parametrize(("messages", "kwargs", "size"), SIZES)
def test_the_estimate_tells_what_has_prices_of_its_own(
    messages: list[ChatMessage], kwargs: dict[str, Any], size: RequestSize
) -> None:
    assert estimate_size(messages, (), kwargs) == size


def test_the_dearest_model_that_may_answer_counts() -> None:
    prices = {"v/cheap": Decimal(1), "v/dear": Decimal(9)}

    def estimate(*models: str, first: str = "v/cheap") -> Decimal | None:
        return estimate_request(lambda name, _: prices.get(name), first, [], (), {"models": list(models)})

    assert (estimate("v/dear"), estimate("v/cheap"), estimate(first="v/dear")) == (9, 1, 9)
    assert estimate("v/dear", "v/unknown") is None
    searches = estimate_request(lambda _, size: Decimal(size.searches), "v/cheap:online", [])
    assert searches == 1


def test_what_the_generator_was_made_with_counts(
    generator: OpenRouterChatGenerator, make: Make, way: Way, openrouter: ScriptedOpenRouter
) -> None:
    generator.generation_kwargs["max_tokens"] = 50
    chat = make(max_cost=0.1, price=per_token)
    assert way.ask(chat).text
    with pytest.raises(BudgetExceededError, match=r"may cost \$100\.\d"):
        way.ask(chat, generation_kwargs={"max_tokens": 100_000})
    generator.generation_kwargs["max_tokens"] = 100_000
    with pytest.raises(BudgetExceededError, match=r"may cost \$100\.\d"):
        way.ask(chat)
    assert len(openrouter.requests) == 1


def test_the_estimate_counts_all_that_is_sent() -> None:
    def prompt(*messages: ChatMessage, tools: Any = ()) -> Decimal:
        estimate = estimate_request(lambda _, size: Decimal(size.prompt_tokens), "vendor/m", messages, tools)
        assert estimate is not None
        return estimate

    one = prompt(ChatMessage.from_user("a" * 400))
    assert one == 104
    assert prompt(ChatMessage.from_user("水" * 400)) == 404
    assert prompt(ChatMessage.from_user(content_parts=["a", ImageContent.from_url(PNG)])) > 1000
    origin = ToolCall("tide", {"port": "Hull" * 100}, "call_1")
    assert prompt(ChatMessage.from_assistant(None, tool_calls=[origin], reasoning="hm" * 100)) > 100
    assert prompt(ChatMessage.from_tool("x" * 400, origin)) == 104
    assert prompt(ChatMessage.from_tool([TextContent("x" * 400), ImageContent.from_url(PNG)], origin)) > 1000
    assert prompt(ChatMessage.from_assistant(audio=AudioContent("UklGRg=="))) > 1000
    assert prompt(tools=[Log().tide()]) > 10
    assert estimate_request(None, "vendor/m", []) is None
