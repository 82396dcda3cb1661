"""The one bar of a run whose parts are answered in several threads or processes, and what is charged for it here."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from orchat.chat.money import Budget, Cost
from orchat.mapping.coordinator_messages import RunFigures
from orchat.mapping.progress_bar import ProgressBar

_runs: dict[str, RunProgress] = {}


class RunProgress:
    """Shows how far a run is, in the process that asked for it.

    Parameters
    ----------
    is_shown
        Whether there is a bar.
    budgets
        Those of this process that its costs are charged to.

    Examples
    --------
    >>> progress = RunProgress(is_shown=False, budgets=[budget := Budget(1)])
    >>> progress.show(RunFigures(2, 0, None, Cost(Decimal("0.2")), is_done=False))
    >>> progress.show(RunFigures(4, 1, 4, Cost(Decimal("0.5")), is_done=True))
    >>> budget.left
    Decimal('0.5')
    """

    def __init__(self, *, is_shown: bool, budgets: Sequence[Budget] = ()) -> None:
        self._is_shown = is_shown
        self._budgets = budgets
        self._charged = Cost()
        self._bar: ProgressBar | None = None

    def show(self, figures: RunFigures) -> None:
        """Show the figures of this moment."""
        due = Cost(figures.cost.known - self._charged.known, figures.cost.unknown - self._charged.unknown)
        self._charged = figures.cost
        for budget in self._budgets:
            budget.settle(Decimal(0), due)
        if self._bar is None:
            self._bar = ProgressBar(figures.total, is_shown=self._is_shown)
        self._bar.show(figures.rows, figures.failures, figures.cost, figures.total)
        if figures.is_done:
            self._bar.close()
            self._bar = None


def follow_run(run: str, progress: RunProgress) -> None:
    """Show a run that this process answers."""
    _runs[run] = progress


def show_run(run: str, figures: RunFigures) -> None:
    """Show the figures of a run, where it was asked for in this process."""
    if (progress := _runs.get(run)) is not None:
        progress.show(figures)
