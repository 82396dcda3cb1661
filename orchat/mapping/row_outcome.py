"""`RowOutcome`: what a row was answered, what it cost, and why it failed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from orchat.errors import APIError
from orchat.secrets import redact


@dataclass(slots=True)
class RowOutcome:
    """The outcome of one row.

    Parameters
    ----------
    value
        The answer: a text, or the object that the schema makes of it; None for a row that failed.
    error
        Why the row failed, in one line; None where it was answered.
    reason
        The kind of the failure: the name of its exception, or ``not asked``.
    cost
        The bill in USD, of this row only: 0 where another row or an earlier run paid; None where it is unknown.
    model
        The model that answered, as the endpoint names it.
    finish_reason
        Why the answer ended.
    is_stored
        Whether the answer came from the store.
    exception
        The exception of a row that failed.
    """

    value: Any = None
    error: str | None = None
    reason: str | None = None
    cost: Decimal | None = Decimal(0)
    model: str | None = None
    finish_reason: str | None = None
    is_stored: bool = False
    exception: BaseException | None = None

    @classmethod
    def failure(cls, error: BaseException, cost: Decimal | None = Decimal(0)) -> RowOutcome:
        r"""Make the outcome of a row that failed.

        Examples
        --------
        >>> RowOutcome.failure(ValueError("No.\nNever.")).error
        'No. Never.'
        """
        partial = getattr(error, "partial", None)
        meta = partial.meta if isinstance(error, APIError) and partial is not None else {}
        return cls(
            error=" ".join(redact(str(error)).split())[:1000] or type(error).__name__,
            reason=type(error).__name__,
            cost=cost,
            model=shared_text(meta.get("model")),
            finish_reason=shared_text(meta.get("finish_reason")),
            exception=error.with_traceback(None),
        )

    @classmethod
    def not_asked(cls, why: str) -> RowOutcome:
        """Make the outcome of a row that was not asked."""
        return cls(error=f"not asked: {why}", reason="not asked")

    @classmethod
    def not_answered(cls, what: str, why: str | None, reason: str) -> RowOutcome:
        """Make the outcome of a row whose batch ended without an answer to it.

        Examples
        --------
        >>> RowOutcome.not_answered("batch b1 failed", "No credits.", "batch failed").error
        'batch b1 failed: No credits.'
        """
        return cls(error=redact(f"{what}: {why}" if why else what), reason=reason)


def shared_text(value: Any) -> str | None:
    """Return a text of which there may be a million, as one object; None for anything else.

    Examples
    --------
    >>> shared_text("stop") is shared_text("".join(["st", "op"])), shared_text(7)
    (True, None)
    """
    return sys.intern(str(value)) if isinstance(value, str) else None
