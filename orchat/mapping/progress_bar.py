"""`ProgressBar`: rows a second, what was spent and will be, failures, and the seconds that are left."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from time import monotonic
from typing import Any, Protocol

from orchat.chat.money import Cost
from orchat.mapping.row_outcome import RowOutcome

_INTERVAL = 0.25  # seconds between two texts


class Progress(Protocol):
    """Shows how a run goes on; the rows may be asked in other processes."""

    def advance(self, outcome: RowOutcome) -> None:
        """Take note of a row's outcome."""

    def note(self, text: str) -> None:
        """Show what is waited for."""

    def close(self) -> None:
        """Show the final figures."""


class ProgressBar:
    """A bar of `tqdm`: a widget in a notebook, a line in a terminal.

    Parameters
    ----------
    total
        The number of rows; None where only reading tells.
    is_shown
        Whether to show anything at all.

    Examples
    --------
    >>> bar = ProgressBar(2, is_shown=False)
    >>> bar.advance(RowOutcome("Yes.", cost=Decimal("0.01")))
    >>> bar.text
    '$0.01, about $0.02 in all'
    """

    def __init__(self, total: int | None, *, is_shown: bool = True) -> None:
        self._total = total
        self._rows = self._failures = self._unknown = 0
        self._cost = Decimal(0)
        self._shown_at = 0.0
        self._bar: Any = None
        self._timer: asyncio.TimerHandle | None = None
        if is_shown:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, unit="row", dynamic_ncols=True)

    @property
    def text(self) -> str:
        """What stands behind the bar."""
        parts = [f"${self._cost.normalize():f}" if self._rows > self._unknown else "cost unknown"]
        if self._total and self._rows and self._cost and self._rows < self._total:
            parts.append(f"about ${float(self._cost) / self._rows * self._total:.3g} in all")
        if self._failures:
            parts.append(f"{self._failures:,} failed")
        return ", ".join(parts)

    def advance(self, outcome: RowOutcome) -> None:
        """Take note of a row's outcome, on a running event loop."""
        self._rows += 1
        self._failures += outcome.error is not None
        if outcome.cost is None:
            self._unknown += 1
        else:
            self._cost += outcome.cost
        if self._bar is not None and self._timer is None:
            delay = self._shown_at + _INTERVAL - monotonic()
            if delay <= 0:
                self._draw()
            else:  # where no further answer comes soon, the bar must not stand at an earlier one
                self._timer = asyncio.get_running_loop().call_later(delay, self._draw)

    def _draw(self) -> None:
        self._timer = None
        self._shown_at = monotonic()
        self._bar.set_postfix_str(self.text, refresh=False)
        if not self._bar.update(self._rows - self._bar.n):
            self._bar.refresh()

    def show(self, rows: int, failures: int, cost: Cost, total: int | None) -> None:
        """Show the figures of rows that others count."""
        self._rows, self._failures, self._total = rows, failures, total
        self._cost, self._unknown = cost.known, cost.unknown
        if self._bar is not None:
            self._bar.total = total
            self._draw()

    def note(self, text: str) -> None:
        """Show what is waited for."""
        if self._bar is not None:
            self._bar.set_postfix_str(text)

    def close(self) -> None:
        """Show the final figures."""
        if self._timer is not None:
            self._timer.cancel()
        if self._bar is not None:
            self._draw()
            self._bar.close()
