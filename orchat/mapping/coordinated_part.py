"""`CoordinatedPart`: a part of a column that a coordinator elsewhere admits, keeps and counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Protocol

from orchat.answer_store import MakeAnswer, StoredAnswer, StoredJob
from orchat.chat.money import Cost
from orchat.errors import StateError
from orchat.mapping.coordinator_messages import (
    Ask,
    Begin,
    Count,
    End,
    Keep,
    Message,
    Reply,
    RunTerms,
    Settle,
    Stop,
    Verdict,
    Withdraw,
)
from orchat.mapping.request_admission import RequestDemand, Signal
from orchat.mapping.row_outcome import RowOutcome

_COUNT_INTERVAL = 0.25  # seconds
_LOOK_INTERVAL = 5.0  # seconds between two looks whether the coordinator is still there


class CoordinatorLink(Protocol):
    """The way to a coordinator; any thread may use it."""

    @property
    def is_alive(self) -> bool:
        """Whether a reply can still come."""

    def send(self, message: Message) -> None:
        """Send a message, soon; messages keep their order."""

    def attach(self, part: str, receive: Callable[[Reply], None]) -> None:
        """Say who gets the replies to a part, in a thread of the link's."""

    def detach(self, part: str) -> None:
        """Drop further replies to a part."""


class CoordinatedPart:
    """The admission, the store and the progress of one part of a column; used inside its event loop.

    Parameters
    ----------
    name
        The part's own name.
    task
        The same when the part is done again.
    terms
        Of the run.
    rows
        How many rows the part has.
    link
        To the coordinator.
    """

    def __init__(self, name: str, task: str, terms: RunTerms, rows: int, link: CoordinatorLink) -> None:
        self.congestions = 0
        """How often in a row the host was too busy, as the coordinator said last."""
        self.needs_estimate = terms.needs_estimate
        self._name = name
        self._begin = Begin(name, terms, task, rows)
        self._link = link
        self._waiting: dict[int, asyncio.Future[StoredAnswer | None]] = {}
        self._numbers: dict[RequestDemand, int] = {}
        self._next = 0
        self._rows = self._failures = 0
        self._counted_at = 0.0

    async def __aenter__(self) -> CoordinatedPart:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def receive(reply: Reply) -> None:
            with suppress(RuntimeError):  # the loop was closed in this very moment
                loop.call_soon_threadsafe(
                    task.cancel if isinstance(reply, Stop) else self._settle_waiting,
                    *(() if isinstance(reply, Stop) else (reply,)),
                )

        self._link.attach(self._name, receive)
        self._link.send(self._begin)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._link.detach(self._name)
        self._count()
        self._link.send(End(self._name))

    def _settle_waiting(self, verdict: Verdict) -> None:
        self.congestions = verdict.congestions
        turn = self._waiting.get(verdict.number)
        if turn is None or turn.done():
            return
        if verdict.refusal is not None:
            turn.set_exception(verdict.refusal)
        else:
            turn.set_result(verdict.answer)

    # -- as an admission ------------------------------------------------------------------------------------------

    async def admit(self, demand: RequestDemand) -> StoredAnswer | None:
        """Wait until a request may be sent, or was answered elsewhere."""
        self._next += 1
        number = self._next
        turn = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._link.send(Ask(self._name, number, demand.key, demand.model, demand.tokens, demand.estimate))
        try:
            while not turn.done():
                await asyncio.wait([turn], timeout=_LOOK_INTERVAL)
                if not turn.done() and not self._link.is_alive:
                    raise StateError("The scheduler of the cluster is gone.", hint="Start it, and compute again.")
        except BaseException:
            self._link.send(Withdraw(self._name, number))
            raise
        finally:
            del self._waiting[number]
        answer: StoredAnswer | None = turn.result()
        if answer is None:
            self._numbers[demand] = number
        return answer

    def settle(self, demand: RequestDemand, cost: Cost, signal: Signal, hold: float | None = None) -> None:
        """Tell of a request's end."""
        self._link.send(Settle(self._name, self._numbers.pop(demand), cost, signal, hold))

    def charge(self, cost: Cost) -> None:
        """Refuse bills that come later: those of batches, which no part of a column has."""
        raise NotImplementedError

    # -- as a store: the coordinator looks for an answer when a request is to be admitted -------------------------

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, StoredAnswer]:
        """Return nothing: see `admit`."""
        return {}

    def put(self, key: bytes, answer: StoredAnswer | MakeAnswer) -> None:
        """Send an answer to the store."""
        made = answer if isinstance(answer, StoredAnswer) else answer()
        if made is not None:
            self._link.send(Keep(self._name, key, made))

    def jobs(self, host: str) -> list[StoredJob]:
        """Return no batches."""
        return []

    def put_job(self, job: StoredJob) -> None:
        """Refuse a batch: parts have none."""
        raise NotImplementedError

    def remove_job(self, job: StoredJob) -> None:
        """Refuse a batch: parts have none."""
        raise NotImplementedError

    def flush(self) -> None:
        """Do nothing: the coordinator commits soon."""

    # -- as a progress --------------------------------------------------------------------------------------------

    def advance(self, outcome: RowOutcome) -> None:
        """Count a row."""
        self._rows += 1
        self._failures += outcome.error is not None
        if monotonic() - self._counted_at >= _COUNT_INTERVAL:
            self._count()

    def _count(self) -> None:
        self._counted_at = monotonic()
        self._link.send(Count(self._name, self._rows, self._failures))

    def note(self, text: str) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Do nothing: the part ends with its context."""
