"""`RunCoordinator`: one budget, one rate and one store for a column whose parts are answered in several processes.

It is where it cannot die alone: on the scheduler of a cluster (`dask_coordinator`), or in a thread of the only process
(`coordinator_thread`). It asks its store when a part wants to send a request, so that a part that is done again pays
only for what was in flight, and identical rows of all parts are asked once.

Measured with 10,000 rows in 40 partitions on 3 processes, with answers of 20 characters: 3.1 messages a row
to the coordinator in 0.7 batches of 1.5 kB, and one reply of 110 bytes; 870 bytes a row in the store; 210 MB in each
worker. 1e7 rows are thus 31 million messages, 11 GB through the scheduler, and a store of 9 GB: more than the
2 GB that a store does not outgrow, so that the oldest answers are gone when such a run is repeated. What it
keeps in memory grows with the partitions and the open requests, not with the rows.
"""

from __future__ import annotations

import asyncio
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from orchat.answer_store import AnswerStore, StoredAnswer
from orchat.chat.money import Budget, Cost
from orchat.default_factories import open_store
from orchat.errors import BudgetExceededError, StateError
from orchat.mapping.concurrency_level import ConcurrencyLevel
from orchat.mapping.coordinator_messages import (
    Ask,
    Begin,
    Count,
    End,
    Keep,
    Message,
    Reply,
    RunFigures,
    RunTerms,
    Settle,
    Stop,
    Verdict,
    Withdraw,
)
from orchat.mapping.rate_limit import RateLimit
from orchat.mapping.request_admission import LocalRequestAdmission, RequestDemand

MOST_ON_CLUSTER = 1024
"""How many requests a cluster has open, at most, where nobody says; each part has no more than one process has."""

_REPORT_INTERVAL = 0.25  # seconds

SendReply = Callable[[str, Reply], None]
Report = Callable[[str, RunFigures], None]


@dataclass
class _Part:
    """A part that a process answers now."""

    process: str
    run: _Run
    task: str
    waiting: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    open: dict[int, tuple[RequestDemand, bytes]] = field(default_factory=dict)


class _Run:
    """What all parts of a run share."""

    def __init__(self, terms: RunTerms) -> None:
        budgets = [Budget(limit, allow_unknown=allow_unknown) for limit, allow_unknown in terms.limits]
        level = ConcurrencyLevel(most=terms.concurrency or MOST_ON_CLUSTER, first=terms.concurrency)
        rate = RateLimit(terms.requests_per_minute, terms.tokens_per_minute)
        self.terms = terms
        self.admission = LocalRequestAdmission(level, rate, budgets)
        self.store: AnswerStore | None = None
        self.failure: StateError | None = None  # of opening the store
        self.claims: dict[bytes, deque[Ask]] = {}
        """Requests that wait or are open, and the identical ones that wait for their answers."""
        self.recent: dict[bytes, StoredAnswer] = {}
        """Answers to open requests, for identical ones, where there is no store."""
        self.cost = Cost()
        self.sizes: dict[str, int] = {}
        self.counts: dict[str, tuple[int, int]] = {}
        self.ended: set[str] = set()
        self.reported_at = 0.0

    def figures(self) -> RunFigures:
        """How far the run is."""
        is_whole = len(self.sizes) >= self.terms.partitions
        return RunFigures(
            rows=sum(rows for rows, _ in self.counts.values()),
            failures=sum(failures for _, failures in self.counts.values()),
            total=sum(self.sizes.values()) if is_whole else None,
            cost=self.cost,
            is_done=len(self.ended) >= self.terms.partitions,
        )


class RunCoordinator:
    """Coordinates runs; all of it happens on one event loop.

    Parameters
    ----------
    send
        Sends a reply to a process.
    report
        Is told how far a run is.
    """

    def __init__(self, send: SendReply, report: Report) -> None:
        self._send = send
        self._report = report
        self._runs: dict[str, _Run] = {}
        self._parts: dict[str, _Part] = {}
        self._stores: dict[str | bool | None, AnswerStore | None] = {}

    def receive(self, process: str, messages: Sequence[Message]) -> None:
        """Do what a process wants."""
        for message in messages:
            if isinstance(message, Begin):
                self._begin(process, message)
            elif (part := self._parts.get(message.part)) is not None:  # else it was lost meanwhile
                self._do(part, message)

    def _do(self, part: _Part, message: Message) -> None:
        run = part.run
        match message:
            case Ask():
                self._ask(part, message)
            case Keep(key=key, answer=answer):
                if run.store is not None:
                    run.store.put(key, answer)
                elif run.claims.get(key):
                    run.recent[key] = answer
            case Settle(number=number, cost=cost, signal=signal, hold=hold):
                if (opened := part.open.pop(number, None)) is not None:
                    demand, key = opened
                    run.cost += cost
                    run.admission.settle(demand, cost, signal, hold)
                    self._release(run, key)
            case Withdraw(number=number):
                self._withdraw(part, number)
            case Count(rows=rows, failures=failures):
                run.counts[part.task] = (rows, failures)
                if monotonic() - run.reported_at >= _REPORT_INTERVAL:
                    self._tell(run)
            case End():
                self._drop(message.part)
                run.ended.add(part.task)
                self._tell(run)

    def lose(self, process: str) -> None:
        """Take note of a process that died: what it had in flight counts as spent, as it was estimated."""
        for name in [name for name, part in self._parts.items() if part.process == process]:
            part = self._drop(name)
            part.run.counts.pop(part.task, None)

    def stop(self, task: str) -> None:
        """Stop the parts of a task that nobody wants any more."""
        for name, part in self._parts.items():
            if part.task == task:
                self._send(part.process, Stop(name))

    def close(self) -> None:
        """Give up all parts, and close the stores.

        Raises
        ------
        StateError
            A store could not be written.
        """
        for name in list(self._parts):
            self._drop(name)
        stores = [store for store in self._stores.values() if store is not None]
        self._stores.clear()
        self._runs.clear()
        for store in stores:
            store.close()

    # -- parts ----------------------------------------------------------------------------------------------------

    def _begin(self, process: str, message: Begin) -> None:
        terms = message.terms
        run = self._runs.get(terms.id)
        if run is None:
            run = self._runs[terms.id] = _Run(terms)
        self._open_store(run)
        run.sizes[message.task] = message.rows
        run.counts[message.task] = (0, 0)
        run.ended.discard(message.task)
        self._parts[message.part] = _Part(process, run, message.task)

    def _open_store(self, run: _Run) -> None:
        name = run.terms.store
        try:
            if name not in self._stores:
                self._stores[name] = open_store(name)
            run.store, run.failure = self._stores[name], None
        except StateError as error:  # each request is refused with it
            run.failure = error

    def _close_store(self, run: _Run) -> None:
        """Close the store of a run that is done, unless another one uses it."""
        name, run.store = run.terms.store, None
        if name in self._stores and not any(part.run.terms.store == name for part in self._parts.values()):
            store = self._stores.pop(name)
            try:
                if store is not None:
                    store.close()
            except StateError as error:  # such as a full disk; the answers are in the result all the same
                warnings.warn(str(error), stacklevel=2)

    def _drop(self, name: str) -> _Part:
        part = self._parts[name]
        for number in [*part.waiting]:
            self._withdraw(part, number)
        del self._parts[name]
        for demand, key in part.open.values():
            lost = Cost(unknown=1)
            part.run.cost += lost
            part.run.admission.settle(demand, lost, "failed")
            self._release(part.run, key)
        part.open.clear()
        for waiting in part.run.claims.values():
            for ask in [ask for ask in waiting if ask.part == name]:
                waiting.remove(ask)
        return part

    def _tell(self, run: _Run) -> None:
        figures = run.figures()
        run.reported_at = monotonic()
        self._report(run.terms.id, figures)
        if figures.is_done:  # it may be computed again
            run.sizes.clear()
            run.counts.clear()
            run.ended.clear()
            self._close_store(run)

    # -- requests -------------------------------------------------------------------------------------------------

    def _ask(self, part: _Part, ask: Ask) -> None:
        run = part.run
        if run.failure is not None:
            self._send(part.process, Verdict(ask.part, ask.number, refusal=run.failure))
        elif (answer := self._stored(run, ask.key)) is not None:
            self._send(part.process, Verdict(ask.part, ask.number, answer))
        elif run.terms.is_distinct and ask.key in run.claims:
            run.claims[ask.key].append(ask)
        else:
            run.claims.setdefault(ask.key, deque())
            demand = RequestDemand(ask.model, ask.tokens, ask.estimate)
            part.waiting[ask.number] = asyncio.get_running_loop().create_task(self._admit(part, ask, demand))

    async def _admit(self, part: _Part, ask: Ask, demand: RequestDemand) -> None:
        admission = part.run.admission
        refusal: BudgetExceededError | None = None
        try:
            await admission.admit(demand)
        except BudgetExceededError as error:
            refusal = error
        except asyncio.CancelledError:  # it was withdrawn: an identical one, of the part done again, goes in its place
            self._release(part.run, ask.key)
            raise
        del part.waiting[ask.number]
        if refusal is None:
            part.open[ask.number] = (demand, ask.key)
        self._send(part.process, Verdict(ask.part, ask.number, refusal=refusal, congestions=admission.congestions))
        if refusal is not None:
            self._release(part.run, ask.key)

    def _withdraw(self, part: _Part, number: int) -> None:
        if (task := part.waiting.pop(number, None)) is not None:
            task.cancel()
        elif number in part.open:
            demand, key = part.open.pop(number)
            part.run.admission.settle(demand, Cost(), "failed")
            self._release(part.run, key)

    def _release(self, run: _Run, key: bytes) -> None:
        """Let the requests go on that waited for an identical one: with its answer, or in its place."""
        waiting = run.claims.pop(key, None) or ()
        for ask in waiting:  # the first one asks, where there is no answer, and the others wait for it
            if (part := self._parts.get(ask.part)) is not None:
                self._ask(part, ask)
        run.recent.pop(key, None)

    @staticmethod
    def _stored(run: _Run, key: bytes) -> StoredAnswer | None:
        if run.store is None:
            return run.recent.get(key)
        try:
            return run.store.get_many([key]).get(key)
        except StateError:  # it is told when the store closes
            return None
