"""Costs in USD, and budgets that refuse a request which may exceed them.

The cost of a reply is the endpoint's figure, never own arithmetic: list prices know nothing of caches, discounts and
tools. Prices serve only to estimate the *next* request (`orchat.chat.request_estimate`), which a `Budget` may then
refuse. Pure, but for the lock that lets several chats share a budget.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from orchat.errors import BudgetExceededError, ConfigurationError

_NUMBERS = (int, float, Decimal)


@dataclass(frozen=True)
class Cost:
    """The cost of some responses in USD, and the number of responses of unknown cost.

    Parameters
    ----------
    known
        The sum of the known costs.
    unknown
        The number of responses without a cost: from another host, or cut off.

    Examples
    --------
    >>> print(Cost(Decimal("0.00034")) + Cost(unknown=1))
    $0.00034 + 1 unknown
    >>> print(Cost(unknown=2), Cost(), sep=", ")
    unknown, $0
    """

    known: Decimal = Decimal(0)
    unknown: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.known + other.known, self.unknown + other.unknown)

    def __str__(self) -> str:
        if not self.unknown:
            return _dollars(self.known)
        return f"{_dollars(self.known)} + {self.unknown} unknown" if self.known else "unknown"

    @property
    def total(self) -> float | None:
        """The sum in USD; None where a part of it is unknown."""
        return None if self.unknown else float(self.known)

    @classmethod
    def of(cls, usage: object) -> Cost:
        """Read the cost from an endpoint's ``usage`` (API section 3.5), charges to own provider keys included.

        Examples
        --------
        >>> Cost.of({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.25}}).total
        0.25
        """
        if not isinstance(usage, Mapping):
            return cls(unknown=1)
        cost = usage.get("cost")
        charged = parse_amount(cost)
        if cost is not None and charged is None:
            return cls(unknown=1)
        if usage.get("is_byok") and isinstance(details := usage.get("cost_details"), Mapping):
            extra = parse_amount(details.get("upstream_inference_cost"))
            if extra is not None:
                return cls((charged or Decimal(0)) + extra)
        return cls(unknown=1) if charged is None else cls(charged)

    def to_dict(self) -> dict[str, Any]:
        """Serialize to the JSON form; the sum is a string, so that it stays exact."""
        return {"known": str(self.known), "unknown": self.unknown}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Cost:
        """Read `to_dict`'s form.

        Raises
        ------
        ConfigurationError
            It holds no amount, or a negative one (a ValueError).
        """
        try:
            known = Decimal(str(data["known"]))
        except (KeyError, TypeError, InvalidOperation):
            known = Decimal(-1)
        unknown = data.get("unknown", 0) if isinstance(data, Mapping) else 0
        if not known.is_finite() or known < 0 or not isinstance(unknown, int) or unknown < 0:
            raise ConfigurationError(f"{data!r:.100} is no cost.")
        return cls(known, int(unknown))


def parse_amount(value: object) -> Decimal | None:
    """Parse a JSON number as an exact amount of USD; None for anything else, negative and infinite numbers included.

    Examples
    --------
    >>> parse_amount(0.00034), parse_amount("0.5"), parse_amount(True)
    (Decimal('0.00034'), None, None)
    """
    if not isinstance(value, _NUMBERS) or isinstance(value, bool):
        return None
    exact = Decimal(str(value))
    return exact if exact.is_finite() and exact >= 0 else None


def _dollars(value: Decimal) -> str:
    return f"${value.normalize():f}"


class Budget:
    """A spending limit that requests are checked against before they are sent; chats may share one.

    It is a guard, not an account limit: it works with estimates, and a response may cost more. For a hard limit, set
    one at the endpoint.

    Parameters
    ----------
    limit
        In USD; None for a budget that only counts.
    spent
        The cost so far; for a response of unknown cost its estimate counts.
    allow_unknown
        Whether to allow requests of unknown price, and further requests after a response of unknown cost.

    Raises
    ------
    ConfigurationError
        The limit is no amount of money (a ValueError).

    Examples
    --------
    >>> budget = Budget(0.01)
    >>> budget.reserve(Decimal("0.004"), "vendor/m")
    >>> budget.settle(Decimal("0.004"), Cost(Decimal("0.003")))
    >>> budget.left
    Decimal('0.007')
    >>> budget.reserve(Decimal("0.02"), "vendor/m")
    Traceback (most recent call last):
    ...
    orchat.errors.BudgetExceededError: The next request to `vendor/m` may cost $0.02, and $0.007 of $0.01 is left. \
Raise max_cost, lower max_tokens, or ask a cheaper model.
    """

    def __init__(
        self, limit: float | Decimal | None, *, spent: Cost | None = None, allow_unknown: bool = False
    ) -> None:
        if (exact := parse_amount(limit)) is None and limit is not None:
            raise ConfigurationError(f"{limit!r} is no limit.", hint="max_cost is a number of USD, such as 0.05.")
        self.limit = exact
        self.spent = spent or Cost()
        self.allow_unknown = allow_unknown
        self._reserved = Decimal(0)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, limit: float | Decimal | Budget | None, spent: Cost | None = None) -> Budget | None:
        """Make a budget of a limit in USD; a budget and None are returned as they are."""
        return limit if limit is None or isinstance(limit, Budget) else cls(limit, spent=spent)

    def __repr__(self) -> str:
        limit = None if self.limit is None else _dollars(self.limit)
        return f"Budget({limit}, spent={self.spent!s})"

    def __deepcopy__(self, memo: object) -> Budget:
        return self  # a copy of a chat shares the budget

    @property
    def left(self) -> Decimal | None:
        """The amount in USD that is neither spent nor reserved; None without a limit."""
        return None if self.limit is None else self.limit - self.spent.known - self._reserved

    def reserve(self, estimate: Decimal | None, model: str) -> None:
        """Reserve the estimated cost of a request that is about to be sent.

        Raises
        ------
        BudgetExceededError
            The estimate exceeds what is left, or is unknown.
        """
        if estimate is None and self.limit is None:
            return
        with self._lock:
            if (left := self.left) is None or self.limit is None:
                self._reserved += estimate or Decimal(0)
                return
            if not self.allow_unknown and (estimate is None or self.spent.unknown):
                what = (
                    f"What `{model}` costs is not known" if estimate is None else "What was spent is not wholly known"
                )
                raise BudgetExceededError(
                    f"{what}, so that {_dollars(self.limit)} cannot be kept.",
                    hint="To go on without: max_cost=Budget(limit, allow_unknown=True), or `--allow-unknown-cost`.",
                )
            estimate = estimate or Decimal(0)
            if estimate > left or left <= 0 < self.spent.known:
                raise BudgetExceededError(
                    f"The next request to `{model}` may cost {_dollars(estimate)}, and "
                    f"{_dollars(max(left, Decimal(0)))} of {_dollars(self.limit)} is left.",
                    hint="Raise max_cost, lower max_tokens, or ask a cheaper model.",
                )
            self._reserved += estimate

    def settle(self, estimate: Decimal | None, cost: Cost) -> None:
        """Replace a request's reserved estimate by its cost; the estimate counts where the cost is unknown."""
        if cost.unknown and estimate is not None and self.limit is not None:
            cost = Cost(cost.known + estimate)
        with self._lock:
            if estimate is not None:
                self._reserved -= estimate
            self.spent += cost
