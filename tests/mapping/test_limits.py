"""What is sent, and when: the level of concurrency, holds, rates and budgets."""

from __future__ import annotations

import asyncio
import threading
import time
from decimal import Decimal
from typing import Any

import pytest

import orchat
from orchat.chat.money import Budget, Cost
from orchat.errors import APITimeoutError, BudgetExceededError, InsufficientCreditsError, ProviderError, RateLimitError
from orchat.mapping.concurrency_level import ConcurrencyLevel
from orchat.mapping.rate_limit import RateLimit
from orchat.mapping.request_admission import LocalRequestAdmission, RequestDemand
from tests.mapping.conftest import question_of, questions
from tests.openrouter_server import (
    Answer,
    Request,
    ScriptedOpenRouter,
    completion,
    error,
    reply_json,
    text,
    usage_object,
)
from tests.patience import PATIENCE, stretched, wait_until

MODEL = "openai/gpt-4o-mini"


def run(data: Any, **options: Any) -> Any:
    return orchat.map("{value}", data, progress=False, **options)


class Crowd:
    """Counts how many requests are open at a time; each stays open for a moment, and until so many have been."""

    def __init__(self, at_least: int = 1) -> None:
        self.at_least = at_least
        self.most = 0
        self.open = 0
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Answer:
        with self.lock:
            self.open += 1
            self.most = max(self.most, self.open)
        time.sleep(0.02)
        wait_until(lambda: self.most >= self.at_least)
        with self.lock:
            self.open -= 1
        return text("Yes.")


def test_concurrency_is_never_above_what_was_given(service: ScriptedOpenRouter) -> None:
    crowd = Crowd(at_least=5)
    service.always(crowd)
    assert run(range(40), concurrency=5).values == ["Yes."] * 40
    assert crowd.most == 5


def test_the_level_is_found_additively_up_and_by_half_down() -> None:
    level = ConcurrencyLevel(most=64, first=4)
    for _ in range(12):
        level.answered()
    assert level.limit == 16  # fast at first
    assert level.congested(sent_at=0.0, now=1.0) == 0.5
    assert level.limit == 8
    for _ in range(7):
        level.answered()
    assert level.limit == 8
    level.answered()
    assert level.limit == 9  # by one for a round
    pauses = [level.congested(sent_at=now, now=now) for now in (2.0, 3.0, 4.0, 5.0, 6.0, 7.0)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert level.limit == 1
    assert level.congestions == 6
    level.answered()
    assert level.congestions == 0


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "2"}, {"X-RateLimit-Reset": "RESET"}], ids=["Retry-After", "X-RateLimit-Reset"]
)
def test_a_429_holds_all_rows_of_the_host_and_none_fails(service: ScriptedOpenRouter, headers: dict[str, str]) -> None:
    until = 0.0
    refuses, beside, has_been_read = threading.Event(), threading.Semaphore(0), threading.Event()

    def reply(request: Request) -> Answer:
        nonlocal until
        if question_of(request) == "20" and not refuses.is_set():
            refuses.set()
            for _ in range(3):  # what is open beside it has come, too
                assert beside.acquire(timeout=PATIENCE)
            until = time.monotonic() + 1.95
            reset = str(int((time.time() + 2) * 1000))
            threading.Timer(1, has_been_read.set).start()
            return error(
                429, "Slow down.", headers={name: value.replace("RESET", reset) for name, value in headers.items()}
            )
        if refuses.is_set() and not has_been_read.is_set():
            beside.release()
            return text("Yes.").held(has_been_read)
        return text("Yes.").delayed(0.01)

    service.always(reply)
    result = run(range(60), concurrency=4)
    assert result.values == ["Yes."] * 60
    assert len(questions(service)) == 61
    sent = [request.arrived_at for request in service.requests if request.json]
    told = next(request.answered for request in service.requests if request.json and question_of(request) == "20")
    assert told.is_set()
    assert not [at for at in sent if until - 1.95 < at < until - 0.05]
    assert [at for at in sent if at >= until - 0.05]


def test_429s_and_5xx_are_asked_again_and_the_bill_counts_once(service: ScriptedOpenRouter) -> None:
    service.answers(error(429, "Slow."), error(503, "Down."), error(502, "Bad."))
    result = run(range(10), concurrency=2)
    assert result.values == [str(number) for number in range(10)]
    assert result.spent.known == Decimal("0.0004")
    assert len(questions(service)) == 13


def test_a_host_that_is_down_ends_the_run(service: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchat.mapping.concurrency_level._FIRST_PAUSE", 0.001)
    monkeypatch.setattr("orchat.mapping.row_requester._FIRST_PAUSE", 0.001)
    monkeypatch.setattr("orchat.mapping.row_requester._LONGEST_PAUSE", 0.01)
    monkeypatch.setattr("orchat.mapping.concurrency_level._LONGEST_PAUSE", 0.01)
    service.answers(*[text("Yes.")] * 5)
    service.always(error(503, "Down for maintenance."))
    result = run(range(1000), concurrency=4)
    assert isinstance(result.ended_by, ProviderError)
    assert result.values.count("Yes.") == 5
    assert len(questions(service)) < 100


def test_the_limit_of_a_day_ends_the_run(service: ScriptedOpenRouter) -> None:
    service.answers(text("Yes."))
    service.always(error(429, "Rate limit exceeded: free-models-per-day."))
    result = run(range(100), concurrency=1)
    assert isinstance(result.ended_by, RateLimitError)
    assert len(questions(service)) == 2


def test_a_402_for_what_is_in_flight_is_waited_for(service: ScriptedOpenRouter) -> None:
    metadata = {"limit_source": "in_flight", "retry_after_seconds": 0.1}
    service.answers(error(402, "Too many in flight.", metadata=metadata))
    assert not run(range(5), concurrency=2).failures
    service.answers(error(402, "Insufficient credits."))
    with pytest.raises(InsufficientCreditsError):
        run(["x"])


def test_a_stalled_row_fails_alone_and_counts_as_spent(service: ScriptedOpenRouter) -> None:
    service.always(stall)
    budget = Budget(1)
    result = run(range(6), model=MODEL, timeout=stretched(0.5), concurrency=6, max_cost=budget)
    assert [row["row"] for row in result.failures] == [3]
    assert result.failures[0]["reason"] == APITimeoutError.__name__
    assert result.cost is None
    assert result.frame[3]["cost"] is None
    assert budget.spent.known > Decimal("0.002")  # what it may have cost is counted
    assert budget.left is not None


def stall(request: Request) -> Answer:
    if question_of(request) == "3":
        return reply_json(completion("never")).first(20).ending("stall")
    return text("Yes.")


@pytest.mark.parametrize("ending", ["eof", "reset"])
def test_a_cut_answer_is_not_paid_twice_by_itself(service: ScriptedOpenRouter, ending: Any) -> None:
    service.always(
        lambda request: (
            reply_json(completion("never")).first(20).ending(ending) if question_of(request) == "3" else text("Yes.")
        )
    )
    result = run(range(6))
    assert [row["row"] for row in result.failures] == [3]
    assert questions(service).count("3") == 1
    service.always(text("Yes."))
    assert result.retry().values == ["Yes."] * 6
    assert questions(service).count("3") == 2
    assert len(questions(service)) == 7


def test_what_is_spent_exceeds_the_limit_by_no_more_than_was_in_flight(service: ScriptedOpenRouter) -> None:
    """The server bills ten times what the catalogue says: only what was open when that was seen is spent above."""
    limit, bill, at_once = Decimal("0.02"), 0.004, 4
    lock, billed = threading.Lock(), []

    def reply(request: Request) -> Answer:
        with lock:
            billed.append(bill)
        return text("Yes.", usage=usage_object(cost=bill)).delayed(0.01)

    service.always(reply)
    result = run(range(200), model=MODEL, max_cost=limit, concurrency=at_once, generation_kwargs={"max_tokens": 600})
    assert isinstance(result.ended_by, BudgetExceededError)
    assert result.spent.known == sum(map(Decimal, map(str, billed)))
    assert limit - Decimal("0.005") <= result.spent.known <= limit + at_once * Decimal(str(bill))
    assert result.failures[-1]["error"].startswith("not asked: The next request to `openai/gpt-4o-mini` may cost")
    more = result.retry(max_cost=10)
    assert not more.failures
    assert len(billed) == 200


def test_a_reservation_waits_for_what_is_open_rather_than_end_the_run(service: ScriptedOpenRouter) -> None:
    """A request may cost 0.0025 and costs 0.00004: one at a time is all that 0.003 allows, but all of them go."""
    crowd = Crowd()
    service.always(crowd)
    result = run(range(12), model=MODEL, max_cost=0.003)
    assert result.values == ["Yes."] * 12
    assert crowd.most == 1


def test_the_limit_of_the_session_holds_for_columns(
    service: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHAT_MAX_COST", "0.00261")
    result = run(range(12), model=MODEL, concurrency=1)
    assert isinstance(result.ended_by, BudgetExceededError)
    assert 1 <= len(questions(service)) <= 5


def test_requests_and_tokens_per_minute(service: ScriptedOpenRouter) -> None:
    started = time.monotonic()  # not when the first one has come: that may take as long as the next ones wait
    run(range(16), requests_per_minute=600, concurrency=16)
    last = max(request.arrived_at for request in service.requests if request.json)
    assert last - started > 0.5  # ten of them at once, then ten a second
    limit = RateLimit(tokens_per_minute=600)
    assert limit.counts_tokens
    assert limit.delay(tokens=50, now=0.0) == 0.0
    limit.take(tokens=50, now=0.0)
    assert limit.delay(tokens=50, now=0.0) == pytest.approx(5.0)  # ten a second
    assert limit.delay(tokens=50, now=5.0) == 0.0


def test_waiting_requests_go_in_their_order_and_a_cancelled_one_frees_its_place() -> None:
    async def main() -> list[int]:
        admission = LocalRequestAdmission(ConcurrencyLevel(most=1), RateLimit())
        order: list[int] = []

        async def one(number: int) -> None:
            demand = RequestDemand("vendor/m")
            await admission.admit(demand)
            order.append(number)
            await asyncio.sleep(0)
            admission.settle(demand, Cost(), "answered")

        tasks = [asyncio.create_task(one(number)) for number in range(6)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), PATIENCE)
        return order

    assert asyncio.run(main()) == [0, 1, 2, 4, 5]
