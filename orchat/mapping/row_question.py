"""`RowQuestion`: a row to ask for; `RowPreparation`: what is known of rows before they are asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from time import monotonic
from typing import NamedTuple

from orchat.errors import OrchatError
from orchat.mapping.row_outcome import RowOutcome
from orchat.mapping.row_requester import RowRequester
from orchat.messages import ChatMessage
from orchat.prompt_language.prompt_template import MissingValueError

MOST_AHEAD = 64
_SECONDS_AHEAD = 0.005


@dataclass(slots=True)
class RowQuestion:
    """A row to ask for.

    Parameters
    ----------
    position
        Counted from 0.
    messages
        What is sent; an error where they could not be made.
    asks_anew
        Whether the store's answer does not count.
    """

    position: int
    messages: list[ChatMessage] | Exception
    asks_anew: bool = False


class PreparedRow(NamedTuple):
    """A row and what is known of it.

    Parameters
    ----------
    question
        The row.
    key
        The key of its request; empty where keys are not needed, None where there is no request to send.
    outcome
        Its outcome, where that needs no request.
    """

    question: RowQuestion
    key: bytes | None
    outcome: RowOutcome | None


class RowPreparation:
    """An iterator over rows with their keys and the answers that the store has for them.

    It reads a few rows ahead, but does not wait for them: between two requests, prompts and keys that are made together
    take a third of the time of those that are made one by one.

    Parameters
    ----------
    questions
        The rows, read as they are needed.
    requester
        Makes the keys, and knows the store.
    most_ahead
        How many rows are read at a time, at most.
    needs_keys
        Whether rows need keys.
    """

    def __init__(
        self,
        questions: Iterator[RowQuestion],
        requester: RowRequester,
        *,
        most_ahead: int = MOST_AHEAD,
        needs_keys: bool = True,
    ) -> None:
        self._questions = questions
        self._requester = requester
        self._most_ahead = min(most_ahead, MOST_AHEAD)
        self._needs_keys = needs_keys
        self._ahead: deque[PreparedRow] = deque()
        self._failure: Exception | None = None

    def __iter__(self) -> RowPreparation:
        return self

    def __next__(self) -> PreparedRow:
        if not self._ahead:
            self._read_ahead()
        if self._ahead:
            return self._ahead.popleft()
        raise StopIteration

    @property
    def rest(self) -> Iterator[RowQuestion]:
        """The rows that were not taken, and the error that comes after them."""
        return chain((row.question for row in self._ahead), self._failing(), self._questions)

    def _failing(self) -> Iterator[RowQuestion]:
        if self._failure is not None:
            raise self._failure
        yield from ()

    def _read_ahead(self) -> None:
        """Read the next rows; an error of the rows' source comes after those that were read before it."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        deadline = monotonic() + _SECONDS_AHEAD
        rows: list[PreparedRow] = []
        try:
            for question in self._questions:
                rows.append(self._prepare(question))
                if len(rows) >= self._most_ahead or monotonic() > deadline:
                    break
        except Exception as error:
            if not rows:
                raise
            self._failure = error
        stored = self._requester.stored([row.key for row in rows if row.key and not row.question.asks_anew])
        for row in rows:
            outcome = None if row.key is None or row.question.asks_anew else stored.get(row.key)
            self._ahead.append(row if outcome is None else row._replace(outcome=outcome))

    def _prepare(self, question: RowQuestion) -> PreparedRow:
        messages = question.messages
        if isinstance(messages, MissingValueError):
            return PreparedRow(question, None, RowOutcome.not_asked(str(messages)))
        if isinstance(messages, Exception):
            return PreparedRow(question, None, RowOutcome.failure(messages))
        if not self._needs_keys:
            return PreparedRow(question, b"", None)
        try:
            key = self._requester.key(messages)
        except (OrchatError, TypeError, ValueError) as error:  # it cannot be sent as it is
            return PreparedRow(question, None, RowOutcome.failure(error))
        return PreparedRow(question, key, None)
