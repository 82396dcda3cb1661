"""`ColumnRun`: ask for all rows of a column, identical ones once, until they are answered or nothing can be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from orchat.errors import OrchatError
from orchat.mapping.progress_bar import Progress
from orchat.mapping.row_outcome import RowOutcome
from orchat.mapping.row_question import PreparedRow, RowPreparation, RowQuestion
from orchat.mapping.row_requester import RowRequester, RunEndedError
from orchat.mapping.run_outcomes import RunRecord

OnError = Literal["collect", "raise"]

_ROWS_BETWEEN_LOOKS = 100  # at other tasks of the loop, and at interrupts, where rows need no request
_MOST_FAILURES_AT_FIRST = 20
_GRACE = 10.0  # seconds for what is on its way when the run ends: it is paid


class ColumnRun:
    """One pass over the rows of a column; it may be followed by another one for those that failed.

    Parameters
    ----------
    questions
        The rows, read as they are needed.
    requester
        Asks for one of them.
    most_at_once
        How many rows are open at a time, at most.
    is_distinct
        Whether identical rows are asked once.
    on_error
        ``raise`` ends the run at the first row that fails.
    outcomes
        Those of an earlier run; their failures are replaced.
    """

    def __init__(
        self,
        questions: Iterator[RowQuestion],
        requester: RowRequester,
        *,
        most_at_once: int,
        is_distinct: bool = True,
        on_error: OnError = "collect",
        outcomes: list[RowOutcome | None] | None = None,
    ) -> None:
        self.record = RunRecord(outcomes)
        self.ended_by: OrchatError | None = None
        """Why the run ended before all rows were asked."""
        self.questions = questions
        """The rows that were not read."""
        self._requester = requester
        self._most_at_once = most_at_once
        self._is_distinct = is_distinct
        self._on_error = on_error
        self._failure: BaseException | None = None  # which ends the run
        self._first: dict[bytes, int] = {}
        self._followers: dict[int, list[int]] = {}  # of the rows on their way: those that are identical with them
        self._workers: set[asyncio.Task[None]] = set()  # each asks for one row after another
        self._taken = 0
        self._failures_at_first = 0
        self._needs_keys = is_distinct or requester.store is not None

    async def run(self, progress: Progress) -> None:
        """Ask for the rows; what was answered stays, however this ends.

        Raises
        ------
        Exception
            The error of the rows' source, or that of the first row that failed, where ``on_error`` says so.
        """
        self._progress = progress
        self._requester.on_hold = lambda seconds: progress.note(f"the host asks to wait {seconds:.3g} s")
        self._rows = RowPreparation(
            self.questions, self._requester, most_ahead=self._most_at_once, needs_keys=self._needs_keys
        )
        try:
            self._start_worker()
            while self._workers and not self._is_over:
                ended, _ = await asyncio.wait(self._workers, return_when=asyncio.FIRST_COMPLETED)
                self._workers -= ended
                for worker in ended:
                    worker.result()  # it has none; an error that is no row's must not get lost
            if self._workers:
                await self._finish_in_flight()
        finally:
            self.questions = self._rows.rest
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
        if self._failure is not None:
            raise self._failure

    @property
    def why_not_asked(self) -> str:
        """What is said of rows that have no outcome."""
        return "the run ended early" if self.ended_by is None else self.ended_by.message

    @property
    def _is_over(self) -> bool:
        return self.ended_by is not None or self._failure is not None

    def _start_worker(self) -> None:
        self._workers.add(asyncio.get_running_loop().create_task(self._work()))

    async def _work(self) -> None:
        """Ask for rows until there are no more; the next worker begins while this one waits for its first answer."""
        row = await self._next_to_ask()
        if row is not None and len(self._workers) < self._most_at_once:
            self._start_worker()
        while row is not None:
            await self._ask(*row)
            row = await self._next_to_ask()

    async def _next_to_ask(self) -> tuple[RowQuestion, bytes] | None:
        """Take rows up to one that must be asked for, and return it with its key; None where the run is over."""
        while True:
            self._taken += 1
            if self._taken % _ROWS_BETWEEN_LOOKS == 0:  # before a row is taken: this may end here
                await asyncio.sleep(0)
            if self._is_over:
                return None
            try:
                row = next(self._rows, None)
            except BaseException as error:  # noqa: BLE001 - of the rows' source, SystemExit included; `run` raises it
                self._failure = error  # what is on its way is paid, and kept
                return None
            if row is None:
                return None
            if (key := self._key_if_new(row)) is not None:
                return row.question, key

    def _key_if_new(self, row: PreparedRow) -> bytes | None:
        """Return the key of a row that must be asked for; None for one whose outcome is known, or on its way."""
        question, key, outcome = row
        position = question.position
        if self._is_distinct and key is not None and (first := self._first.setdefault(key, position)) != position:
            if (followers := self._followers.get(first)) is not None:
                followers.append(position)
                self.record.await_answer(question)
            elif (found := self.record.outcomes[first]) is not None:
                self._settle(question, _echo(found))
            return None
        if outcome is not None:
            self._settle(question, outcome)
            return None
        if key is not None:
            self._followers[position] = []
            self.record.await_answer(question)
        return key

    async def _ask(self, question: RowQuestion, key: bytes) -> None:
        assert not isinstance(question.messages, Exception)
        try:
            outcome = await self._requester.ask(question.messages, key)
        except RunEndedError as ending:
            self.ended_by = self.ended_by or ending.cause
            if ending.was_asked:
                self._settle(question, RowOutcome.failure(ending.cause))
            return
        except Exception as error:  # noqa: BLE001 - of the user's own objects, such as an auth; it fails alone
            outcome = RowOutcome.failure(error)
        self._end_if_hopeless(outcome)
        self._settle(question, outcome)
        for position in self._followers.pop(question.position, ()):
            self._settle(replace(question, position=position), _echo(outcome))

    def _end_if_hopeless(self, outcome: RowOutcome) -> None:
        """End the run where many rows failed and none was answered: the request itself will be wrong."""
        if outcome.error is None:
            self._failures_at_first = -1
        elif self._failures_at_first >= 0:
            self._failures_at_first += 1
            if self._failures_at_first >= _MOST_FAILURES_AT_FIRST and isinstance(outcome.exception, OrchatError):
                self.ended_by = self.ended_by or outcome.exception

    def _settle(self, question: RowQuestion, outcome: RowOutcome) -> None:
        if self._on_error == "raise" and self._failure is None and outcome.error is not None:
            self._failure = outcome.exception
        self.record.settle(question, outcome, self._progress)

    async def _finish_in_flight(self) -> None:
        """Wait a moment for the requests that are on their way; the others are not sent any more."""
        sent = self._workers & self._requester.in_flight
        for worker in self._workers - sent:
            worker.cancel()
        if sent:
            await asyncio.wait(sent, timeout=_GRACE)


def _echo(outcome: RowOutcome) -> RowOutcome:
    """Return the outcome of a row that is identical with one that paid."""
    return replace(outcome, cost=Decimal(0))
