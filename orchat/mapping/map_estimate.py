"""`MapEstimate`: how many requests a column takes, how many tokens, and what it will cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

from orchat.chat.request_estimate import Price, estimate_size
from orchat.mapping.answer_schema import AnswerColumn
from orchat.mapping.row_question import RowQuestion
from orchat.mapping.row_requester import RowRequester
from orchat.messages import ChatMessage
from orchat.openrouter.prices import RequestSize

# How long answers are, about, where only a cap is known, or none.
_TEXT_TOKENS = 150
_TOKENS_OF_KIND = {"text": 40, "any": 40}
_OTHER_TOKENS, _FRAME_TOKENS = 4, 8
_PRICED = 500  # requests: the others cost as much in the mean


@dataclass(frozen=True)
class MapEstimate:
    """What a column will take.

    Parameters
    ----------
    rows
        The number of rows.
    requests
        How many will be asked: different ones, without those that the store has answers to.
    stored
        How many rows the store has answers to.
    prompt_tokens, completion_tokens
        In all, about.
    cost
        In USD by list prices, about; None where prices are unknown.
    most
        In USD, if every answer were as long as it may be.

    Examples
    --------
    >>> print(MapEstimate(1000, 900, 50, 72_000, 18_000, Decimal("0.0216"), Decimal("2.2")))
    1,000 rows: 900 requests, and 50 answers from the store; about 72,000 tokens in and 18,000 out; about $0.022, \
at most $2.2
    """

    rows: int
    requests: int
    stored: int
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal | None
    most: Decimal | None

    def __str__(self) -> str:
        stored = f", and {self.stored:,} answers from the store" if self.stored else ""
        price = "the price is unknown"
        if self.cost is not None and self.most is not None:
            price = f"about ${float(self.cost):.2g}, at most ${float(self.most):.2g}"
        return (
            f"{self.rows:,} rows: {self.requests:,} requests{stored}; about {self.prompt_tokens:,} tokens in and "
            f"{self.completion_tokens:,} out; {price}"
        )


def estimate_column(
    questions: Iterable[RowQuestion],
    requester: RowRequester,
    price: Price,
    *,
    columns: Sequence[AnswerColumn],
    is_distinct: bool,
) -> MapEstimate:
    """Estimate what rows will take; a row whose messages cannot be made counts as no request."""
    rows = stored = requests = 0
    seen: set[bytes] = set()
    priced: list[list[ChatMessage]] = []
    for question in questions:
        rows += 1
        if isinstance(question.messages, Exception):
            continue
        key = requester.key(question.messages)
        if is_distinct and key in seen:
            continue
        seen.add(key)
        if requester.store is not None and requester.store.get_many([key]):
            stored += 1
            continue
        requests += 1
        if len(priced) < _PRICED:
            priced.append(question.messages)
    scale = requests / len(priced) if priced else 0.0
    sizes = [estimate_size(messages, (), requester.exchange.options) for messages in priced]
    likely = [_likely(size, columns) for size in sizes]
    return MapEstimate(
        rows=rows,
        requests=requests,
        stored=stored,
        prompt_tokens=ceil(sum(size.prompt_tokens for size in likely) * scale),
        completion_tokens=ceil(sum(size.completion_tokens for size in likely) * scale),
        cost=_total(price, requester.model, likely, scale),
        most=_total(price, requester.model, sizes, scale),
    )


def estimate_mean_cost(
    sample: Sequence[list[ChatMessage]], requester: RowRequester, price: Price, columns: Sequence[AnswerColumn]
) -> Decimal | None:
    """Estimate what a row costs in the mean of a sample, in USD; None where prices are unknown or there is none."""
    sizes = [_likely(estimate_size(messages, (), requester.exchange.options), columns) for messages in sample]
    return _total(price, requester.model, sizes, 1 / len(sizes)) if sizes else None


def _likely(size: RequestSize, columns: Sequence[AnswerColumn]) -> RequestSize:
    """Return the size of a request whose answer is of the usual length."""
    return RequestSize(size.prompt_tokens, min(size.completion_tokens, _expected_tokens(columns)))


def _expected_tokens(columns: Sequence[AnswerColumn]) -> int:
    if len(columns) == 1 and columns[0].kind == "text":
        return _TEXT_TOKENS
    return _FRAME_TOKENS + sum(_TOKENS_OF_KIND.get(each.kind, _OTHER_TOKENS) + _FRAME_TOKENS for each in columns)


def _total(price: Price, model: str, sizes: Sequence[RequestSize], scale: float) -> Decimal | None:
    total = Decimal(0)
    for size in sizes:
        cost = price(model, size)
        if cost is None:
            return None
        total += cost
    return total * Decimal(str(scale))
