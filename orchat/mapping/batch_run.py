"""`BatchRun`: ask for the rows of a column as a batch, which takes up to a day, and pick its answers up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from time import monotonic, time

from orchat.answer_store import AnswerStore, StoredJob
from orchat.chat.money import Cost
from orchat.errors import APIError, NotFoundError, OrchatError
from orchat.mapping.progress_bar import Progress
from orchat.mapping.request_admission import RequestDemand
from orchat.mapping.row_outcome import RowOutcome
from orchat.mapping.row_question import PreparedRow, RowPreparation, RowQuestion
from orchat.mapping.row_requester import RowRequester
from orchat.mapping.run_outcomes import RunRecord
from orchat.messages import ChatMessage
from orchat.openrouter.batches import Batch, BatchEndpoint
from orchat.openrouter.dialect import host_of

MOST_REQUESTS = 10_000
"""How many requests one batch holds; more become several."""

_FIRST_POLL, _LONGEST_POLL = 2.0, 60.0  # seconds
_MOST_FAILED_POLLS = 20


class BatchRun:
    """One pass over the rows of a column by batches; the same pass later picks up what was not ready.

    The name of each batch is in the store from the moment on in which it was submitted, with the keys of its requests.

    Parameters
    ----------
    questions
        The rows.
    requester
        Knows keys, stored answers and what requests may cost.
    batches
        Where batches are submitted.
    store
        Keeps batches and answers.
    wait
        Seconds to wait for the answers; None for as long as it takes.
    outcomes
        Those of an earlier run; their failures are replaced.
    """

    def __init__(
        self,
        questions: Iterator[RowQuestion],
        requester: RowRequester,
        batches: BatchEndpoint,
        store: AnswerStore,
        *,
        wait: float | None = None,
        outcomes: Sequence[RowOutcome | None] | None = None,
    ) -> None:
        self.record = RunRecord(outcomes)
        self.ended_by: OrchatError | None = None
        self.questions = questions
        self._requester = requester
        self._batches = batches
        self._store = store
        self._wait = wait
        self._host = host_of(requester.exchange.base_url)
        self._waiting: dict[bytes, list[RowQuestion]] = {}
        self._jobs: dict[str, StoredJob] = {}

    @property
    def why_not_asked(self) -> str:
        """What is said of rows that have no outcome."""
        if self._jobs:
            return f"batch {', '.join(self._jobs)} is in progress; the same call picks its answers up"
        return "the run ended early"

    async def run(self, progress: Progress) -> None:
        """Submit what is neither answered nor on its way, wait, and pick the answers up."""
        self._progress = progress
        for row in RowPreparation(self.questions, self._requester):
            self._sort(row)
        if not self._waiting:
            return
        flying = [job for job in self._store.jobs(self._host) if not self._waiting.keys().isdisjoint(job.keys)]
        self._jobs = {job.id: job for job in flying}
        try:
            known = {key for job in flying for key in job.keys}
            await self._submit([key for key in self._waiting if key not in known])
            await self._collect()
        except OrchatError as error:
            self.ended_by = error

    def _sort(self, row: PreparedRow) -> None:
        """Record a row whose outcome is known; let any other wait."""
        question, key, outcome = row
        if outcome is not None:
            self.record.settle(question, outcome, self._progress)
        elif key is not None:
            self._waiting.setdefault(key, []).append(question)
            self.record.await_answer(question)

    async def _submit(self, keys: Sequence[bytes]) -> None:
        for start in range(0, len(keys), MOST_REQUESTS):
            part = keys[start : start + MOST_REQUESTS]
            messages = {key: self._messages(key) for key in part}
            demand = self._demand(messages.values())
            await self._requester.admission.admit(demand)
            try:
                bodies = {key.hex(): self._requester.exchange.body(each) for key, each in messages.items()}
                batch = await self._batches.submit(self._requester.model, bodies)
            finally:  # the bill comes with the answers, perhaps tomorrow
                self._requester.admission.settle(demand, Cost(), "failed")
            job = StoredJob(batch.id, self._host, tuple(part), time())
            self._jobs[batch.id] = job
            self._store.put_job(job)

    def _demand(self, rows: Iterable[list[ChatMessage]]) -> RequestDemand:
        """Return what the requests of a batch may take together."""
        demands = [self._requester.demand(messages) for messages in rows]
        known = [each.estimate for each in demands if each.estimate is not None]
        estimate = sum(known, Decimal(0)) if len(known) == len(demands) else None
        return RequestDemand(self._requester.model, sum(each.tokens for each in demands), estimate)

    def _messages(self, key: bytes) -> list[ChatMessage]:
        messages = self._waiting[key][0].messages
        assert not isinstance(messages, Exception)
        return messages

    async def _collect(self) -> None:
        """Ask for the batches until all have ended, or the time is over."""
        deadline = None if self._wait is None else monotonic() + self._wait
        pause, failed = _FIRST_POLL, 0
        while self._jobs:
            for name in list(self._jobs):
                try:
                    batch = await self._batches.get(name)
                    failed = 0
                except NotFoundError:
                    gone = Batch(name, "expired", error="its host does not have it any more")
                    self._take(gone, self._jobs.pop(name))
                    continue
                except APIError as error:
                    failed += 1
                    if not error.retryable or failed >= _MOST_FAILED_POLLS:
                        raise
                    continue
                self._progress.note(f"batch {batch.status}, {batch.done:,} of {batch.total:,} done")
                if batch.is_ended:
                    self._take(batch, self._jobs.pop(name))
            if not self._jobs or (deadline is not None and monotonic() + pause > deadline):
                return
            await asyncio.sleep(pause)
            pause = min(_LONGEST_POLL, pause * 1.5)

    def _take(self, batch: Batch, job: StoredJob) -> None:
        """Keep the answers of a batch that has ended; its other rows fail, and are asked anew by the next run."""
        left = dict.fromkeys(job.keys)
        for name, reply in batch.replies():
            key = _key_of(name)
            if key not in left:
                continue
            del left[key]
            self._settle(key, reply)
        what = f"batch {batch.id} {'ended without an answer' if batch.status == 'completed' else batch.status}"
        self._store.flush()  # before it is forgotten where the answers are
        self._store.remove_job(job)
        for key in left:
            for question in self._waiting.pop(key, ()):
                outcome = RowOutcome.not_answered(what, batch.error, f"batch {batch.status}")
                self.record.settle(question, outcome, self._progress)

    def _settle(self, key: bytes, reply: ChatMessage | APIError) -> None:
        if isinstance(reply, APIError):
            outcome = RowOutcome.failure(reply)
        else:
            cost = self._requester.keep(key, reply)
            self._requester.admission.charge(cost)
            outcome = self._requester.outcome(reply, cost)
        for number, question in enumerate(self._waiting.pop(key, ())):
            settled = outcome if number == 0 else replace(outcome, cost=Decimal(0))
            self.record.settle(question, settled, self._progress)


def _key_of(name: str) -> bytes:
    try:
        return bytes.fromhex(name)
    except ValueError:
        return b""
