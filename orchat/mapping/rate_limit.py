"""`RateLimit`: so many requests and tokens a minute, evenly spread. Pure."""

from __future__ import annotations

from orchat.mapping.option_checks import check_number

_MINUTE = 60.0
_BURST = 1.0  # seconds' worth that may go out at once


class RateLimit:
    """Paces requests.

    Parameters
    ----------
    requests_per_minute, tokens_per_minute
        The limits; None for none.

    Raises
    ------
    ConfigurationError
        A limit is not positive (a ValueError).

    Examples
    --------
    >>> limit = RateLimit(requests_per_minute=60)
    >>> limit.delay(tokens=0, now=0.0), limit.delay(tokens=0, now=0.0)
    (0.0, 0.0)
    >>> limit.take(tokens=0, now=0.0)
    >>> limit.delay(tokens=0, now=0.25)
    0.75
    """

    def __init__(self, requests_per_minute: float | None = None, tokens_per_minute: float | None = None) -> None:
        limits = {"requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute}
        for name, value in limits.items():
            check_number(name, value)
        self._rates = tuple(None if limit is None else limit / _MINUTE for limit in limits.values())
        self._is_limited = any(rate is not None for rate in self._rates)
        self._free_at = [float("-inf"), float("-inf")]  # when what was taken so far has been paid off

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens are limited."""
        return self._rates[1] is not None

    def delay(self, tokens: int, now: float) -> float:
        """Return the seconds until a request of so many tokens may be sent."""
        if not self._is_limited:
            return 0.0
        dues = [
            free_at + (amount / rate - max(_BURST, amount / rate))
            for rate, free_at, amount in zip(self._rates, self._free_at, (1, tokens), strict=True)
            if rate is not None
        ]
        return max([0.0, *(due - now for due in dues)])

    def take(self, tokens: int, now: float) -> None:
        """Take note of a request that is sent."""
        if not self._is_limited:
            return
        for position, (rate, amount) in enumerate(zip(self._rates, (1, tokens), strict=True)):
            if rate is not None:
                self._free_at[position] = max(self._free_at[position], now) + amount / rate
