"""`RunRecord`: what has become of a run's rows, by their positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from orchat.mapping.progress_bar import Progress
from orchat.mapping.row_outcome import RowOutcome
from orchat.mapping.row_question import RowQuestion


class RunRecord:
    """The outcomes of a run's rows, and the rows that have no answer.

    Parameters
    ----------
    outcomes
        Those of an earlier run; their failures are replaced, and what they cost is added.

    Examples
    --------
    >>> record = RunRecord()
    >>> record.await_answer(RowQuestion(1, []))
    >>> record.outcomes, sorted(record.unanswered)
    ([None, None], [1])
    """

    def __init__(self, outcomes: Sequence[RowOutcome | None] | None = None) -> None:
        self.outcomes: list[RowOutcome | None] = list(outcomes or ())
        """By position; None for rows without an outcome."""
        self.unanswered: dict[int, RowQuestion] = {}
        """The rows that were read and have no answer, by position."""

    def await_answer(self, question: RowQuestion) -> None:
        """Take note of a row whose outcome comes later."""
        self._make_room(question.position)
        self.unanswered[question.position] = question

    def settle(self, question: RowQuestion, outcome: RowOutcome, progress: Progress) -> None:
        """Take note of a row's outcome; of a failure its text stays, for its exception may hold an answer."""
        position = question.position
        self._make_room(position)
        if (earlier := self.outcomes[position]) is not None:  # it failed, and may have cost something
            is_unknown = earlier.cost is None or outcome.cost is None
            outcome.cost = None if is_unknown else (earlier.cost or Decimal(0)) + (outcome.cost or Decimal(0))
        self.outcomes[position] = outcome
        if outcome.error is None:
            self.unanswered.pop(position, None)
        else:
            self.unanswered[position] = replace(question, asks_anew=True)
            outcome.exception = None
        progress.advance(outcome)

    def _make_room(self, position: int) -> None:
        if (missing := position + 1 - len(self.outcomes)) > 0:
            self.outcomes += [None] * missing
