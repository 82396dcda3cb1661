"""When a request may be sent: the level of concurrency, the host's holds, the rate limit and the budgets in one place.

`RequestAdmission` is what a run of a column knows of it; its requests may be admitted in another process. Here they are
admitted in this one, on one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from time import monotonic
from typing import Literal, Protocol

from orchat.answer_store import StoredAnswer
from orchat.chat.money import Budget, Cost
from orchat.errors import BudgetExceededError
from orchat.mapping.concurrency_level import ConcurrencyLevel
from orchat.mapping.rate_limit import RateLimit

Signal = Literal["answered", "failed", "congested"]
"""What a request tells of its host: that it works, nothing, or that it is busy or broken."""


@dataclass(eq=False)
class RequestDemand:
    """What a request will take, estimated before it is sent.

    Parameters
    ----------
    model
        The model.
    tokens
        At most so many, in and out.
    estimate
        At most so much, in USD; None where that is unknown.
    key
        The request's key; empty where nobody needs it.
    """

    model: str
    tokens: int = 0
    estimate: Decimal | None = None
    key: bytes = b""
    sent_at: float = field(default=0.0, init=False)


class RequestAdmission(Protocol):
    """Says when requests may be sent, and is told how they end."""

    @property
    def needs_estimate(self) -> bool:
        """Whether tokens and costs count, so that somebody must estimate them."""

    @property
    def congestions(self) -> int:
        """How often in a row the host was too busy, with no answer in between."""

    async def admit(self, demand: RequestDemand) -> StoredAnswer | None:
        """Wait until a request may be sent; the answer of another process to it is returned in its place.

        Raises
        ------
        BudgetExceededError
            Its cost is more than a budget has left, and nothing is open that could cost less than was reserved.
        """

    def settle(self, demand: RequestDemand, cost: Cost, signal: Signal, hold: float | None = None) -> None:
        """Take note of an admitted request's end: its cost, what it tells of the host, and seconds to send nothing."""

    def charge(self, cost: Cost) -> None:
        """Take note of a bill that comes later than its request."""


class LocalRequestAdmission:
    """Admits the requests of one process to one host.

    Parameters
    ----------
    level
        How many may be open at a time.
    rate
        How many a minute.
    budgets
        Each of them reserves a request's estimated cost before it is sent.

    Examples
    --------
    >>> async def two_requests():
    ...     budget = Budget(0.10)
    ...     admission = LocalRequestAdmission(ConcurrencyLevel(), RateLimit(), [budget])
    ...     for cost in ("0.02", "0.03"):
    ...         await admission.admit(demand := RequestDemand("vendor/m", estimate=Decimal("0.09")))
    ...         admission.settle(demand, Cost(Decimal(cost)), "answered")
    ...     return budget.left
    >>> asyncio.run(two_requests())
    Traceback (most recent call last):
    ...
    orchat.errors.BudgetExceededError: The next request to `vendor/m` may cost $0.09, and $0.08 of $0.1 is left. Raise \
max_cost, lower max_tokens, or ask a cheaper model.
    """

    def __init__(self, level: ConcurrencyLevel, rate: RateLimit, budgets: Sequence[Budget] = ()) -> None:
        self._level = level
        self._rate = rate
        self._budgets = budgets
        self._open = 0
        self._held_until = 0.0
        self._waiting: deque[tuple[RequestDemand, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def needs_estimate(self) -> bool:
        """Whether a budget has a limit, or tokens a minute have."""
        for budget in self._budgets:  # whose limit may change meanwhile; `any` of an expression takes twice as long
            if budget.limit is not None:
                return True
        return self._rate.counts_tokens

    @property
    def congestions(self) -> int:
        """How often in a row the host was too busy, with no answer in between."""
        return self._level.congestions

    async def admit(self, demand: RequestDemand) -> None:
        """Wait until a request may be sent; those that wait go in their order."""
        if not self._waiting and self._try(demand):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((demand, turn))
        self._admit_waiting()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:  # admitted in this very moment
                self.settle(demand, Cost(), "failed")
            raise

    def settle(self, demand: RequestDemand, cost: Cost, signal: Signal, hold: float | None = None) -> None:
        """Take note of a request's end, and admit those that have waited for it."""
        self._open -= 1
        for budget in self._budgets:
            budget.settle(demand.estimate, cost)
        now = monotonic()
        if signal == "answered":
            self._level.answered()
        elif signal == "congested":
            pause = self._level.congested(demand.sent_at, now)
            self._held_until = max(self._held_until, now + (pause if hold is None else hold))
        self._admit_waiting()

    def charge(self, cost: Cost) -> None:
        """Take note of a bill that comes later than its request."""
        for budget in self._budgets:
            budget.settle(Decimal(0), cost)

    def _admit_waiting(self) -> None:
        while self._waiting:
            demand, turn = self._waiting[0]
            if turn.done():  # cancelled
                self._waiting.popleft()
                continue
            try:
                if not self._try(demand):
                    return
            except BudgetExceededError as error:
                turn.set_exception(error)
            else:
                turn.set_result(None)
            self._waiting.popleft()

    def _try(self, demand: RequestDemand) -> bool:
        """Admit a request if that is possible now; else see to it that it is tried again."""
        if self._open >= self._level.limit:
            return False
        now = monotonic()
        delay = max(self._held_until - now, self._rate.delay(demand.tokens, now))
        if delay > 0:
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(delay, self._after_delay)
            return False
        reserved: list[Budget] = []
        try:
            for budget in self._budgets:
                budget.reserve(demand.estimate, demand.model)
                reserved.append(budget)
        except BudgetExceededError:
            for budget in reserved:
                budget.settle(demand.estimate, Cost())
            if self._open:  # what is open mostly costs less than was reserved for it
                return False
            raise
        self._rate.take(demand.tokens, now)
        self._open += 1
        demand.sent_at = now
        return True

    def _after_delay(self) -> None:
        self._timer = None
        self._admit_waiting()
