"""What the parts of a column that are answered in several processes and their coordinator tell each other. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from orchat.answer_store import StoredAnswer
from orchat.chat.money import Cost
from orchat.errors import OrchatError

if TYPE_CHECKING:
    from orchat.mapping.request_admission import Signal


@dataclass(frozen=True)
class RunTerms:
    """What holds for all parts of a column together.

    Parameters
    ----------
    id
        The run's own name.
    partitions
        How many parts there are.
    limits
        What may be spent in USD, and whether unknown prices are allowed: each of them holds.
    requests_per_minute, tokens_per_minute, concurrency
        As of `orchat.map`.
    store
        The file of answers where the coordinator is; None for the one configured there, False for none.
    is_distinct
        Whether identical rows are asked once.

    Examples
    --------
    >>> RunTerms("r", 4, ((Decimal(2), False), (None, False))).needs_estimate
    True
    """

    id: str
    partitions: int
    limits: tuple[tuple[Decimal | None, bool], ...] = ()
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    concurrency: int | None = None
    store: str | bool | None = None
    is_distinct: bool = True

    @property
    def needs_estimate(self) -> bool:
        """Whether tokens or costs count."""
        return self.tokens_per_minute is not None or any(limit is not None for limit, _ in self.limits)


@dataclass(frozen=True, slots=True)
class Begin:
    """A part begins, under a name of its own; its task is the same when it is done again."""

    part: str
    terms: RunTerms
    task: str
    rows: int


@dataclass(frozen=True, slots=True)
class Ask:
    """The question whether a request may be sent; `Verdict` is the reply."""

    part: str
    number: int
    key: bytes
    model: str
    tokens: int
    estimate: Decimal | None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The request will not be sent."""

    part: str
    number: int


@dataclass(frozen=True, slots=True)
class Keep:
    """An answer for the store."""

    part: str
    key: bytes
    answer: StoredAnswer


@dataclass(frozen=True, slots=True)
class Settle:
    """A request ended."""

    part: str
    number: int
    cost: Cost
    signal: Signal
    hold: float | None


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows of a part have an outcome, and how many failed."""

    part: str
    rows: int
    failures: int


@dataclass(frozen=True, slots=True)
class End:
    """A part ended."""

    part: str


Message = Begin | Ask | Withdraw | Keep | Settle | Count | End


@dataclass(frozen=True, slots=True)
class Verdict:
    """The reply to `Ask`: send it, or here is its answer, or why nothing can be sent."""

    part: str
    number: int
    answer: StoredAnswer | None = None
    refusal: OrchatError | None = None
    congestions: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """Nobody wants the part any more."""

    part: str


Reply = Verdict | Stop


@dataclass(frozen=True, slots=True)
class RunFigures:
    """How far a run is, for its bar: ``total`` is None until all parts have begun."""

    rows: int
    failures: int
    total: int | None
    cost: Cost
    is_done: bool
