"""`ConcurrencyLevel`: how many requests a host takes at a time, found by trying. Pure.

The level grows by one for each answer until the host first says that it is too much, then by one for each round of
answers; it is halved whenever the host says so: additive increase, multiplicative decrease.
"""

from __future__ import annotations

FIRST_LEVEL = 16
MOST_AT_ONCE = 64

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # seconds


class ConcurrencyLevel:
    """The number of requests that may be open at a time.

    Parameters
    ----------
    most
        The highest level.
    first
        The level at the beginning.

    Examples
    --------
    >>> level = ConcurrencyLevel(most=64, first=8)
    >>> level.congested(sent_at=1.0, now=2.0), level.limit
    (0.5, 4)
    >>> level.congested(sent_at=1.5, now=2.1), level.limit  # sent before the level was lowered: it tells nothing new
    (0.0, 4)
    >>> for _ in range(4):
    ...     level.answered()
    >>> level.limit
    5
    """

    def __init__(self, *, most: int = MOST_AT_ONCE, first: int | None = None) -> None:
        self.most = most
        self._level = float(min(first or FIRST_LEVEL, most))
        self._threshold = float(most)  # up to which the level grows fast
        self._lowered_at = float("-inf")
        self.congestions = 0
        """How often in a row the level was lowered, with no answer in between."""

    @property
    def limit(self) -> int:
        """The number of requests, at least 1."""
        return int(self._level)

    def answered(self) -> None:
        """Take note of an answer."""
        self.congestions = 0
        self._level = min(self.most, self._level + (1.0 if self._level < self._threshold else 1.0 / self.limit))

    def congested(self, sent_at: float, now: float) -> float:
        """Take note of a 429 or 5xx for a request that was sent at some time; return how long to send nothing.

        Of the requests that were open together only the first one counts.
        """
        if sent_at < self._lowered_at:
            return 0.0
        self._level = self._threshold = max(1.0, self._level / 2)
        self._lowered_at = now
        self.congestions += 1
        return float(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (self.congestions - 1)))
