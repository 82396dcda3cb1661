"""`RowRequester`: ask for one row, again where the host was busy, and keep the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from orchat.answer_store import AnswerStore, RequestKeys, StoredAnswer
from orchat.chat.money import Cost
from orchat.chat.request_estimate import Price, estimate_request, estimate_size
from orchat.errors import (
    APIConnectionError,
    APIError,
    AuthenticationError,
    BudgetExceededError,
    InsufficientCreditsError,
    ModerationError,
    OrchatError,
    OutputValidationError,
    PermissionDeniedError,
    RateLimitError,
    StateError,
)
from orchat.mapping.answer_schema import AnswerSchema
from orchat.mapping.request_admission import RequestAdmission, RequestDemand, Signal
from orchat.mapping.row_exchange import RowExchange
from orchat.mapping.row_outcome import RowOutcome, shared_text
from orchat.messages import ChatMessage
from orchat.openrouter.dialect import dialect_of, host_of
from orchat.secrets import redact

LONGEST_HOLD = 600.0
"""Seconds that a host may ask to wait; the run ends where it asks for more."""

_MOST_ATTEMPTS = 8
_MOST_CONGESTIONS = 10  # in a row, without an answer in between: the host is down
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # seconds
_NOTHING, _UNKNOWN = Cost(), Cost(unknown=1)


class RunEndedError(Exception):
    """No further row can be asked; the cause is why, and it may be the answer to a request."""

    def __init__(self, cause: OrchatError, *, was_asked: bool = True) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.was_asked = was_asked


@dataclass
class RowRequester:
    """Asks for rows.

    Parameters
    ----------
    exchange
        Sends each request once; what is sent again is decided here.
    model
        The model's name.
    schema
        Reads the answers.
    admission
        Says when a request may be sent.
    price
        Estimates costs, where they count.
    store
        Keeps the answers; None for none.
    on_hold
        Called with the seconds for which the host asks that nothing is sent.
    """

    exchange: RowExchange
    model: str
    schema: AnswerSchema
    admission: RequestAdmission
    price: Price | None = None
    store: AnswerStore | None = None
    on_hold: Callable[[float], object] | None = None
    in_flight: set[asyncio.Task[Any] | None] = field(default_factory=set, init=False)
    _keys: RequestKeys | None = field(default=None, init=False)

    def key(self, messages: Sequence[ChatMessage]) -> bytes:
        """Return the key of a row's request."""
        if self._keys is None:
            self._keys = RequestKeys(self.exchange.base_url, self.exchange.body(list(messages)))
        return self._keys.key(messages)

    def stored(self, keys: Sequence[bytes]) -> dict[bytes, RowOutcome]:
        """Return the outcomes of those requests that were answered before."""
        outcomes: dict[bytes, RowOutcome] = {}
        if self.store is None or not keys:
            return outcomes
        with suppress(StateError):  # of the file: it is told when the store closes
            for key, answer in self.store.get_many(keys).items():
                with suppress(StateError):  # of this answer: it is asked again
                    outcomes[key] = self._of_stored(answer.message)
        return outcomes

    def _of_stored(self, message: ChatMessage) -> RowOutcome:
        outcome = self.outcome(message, _NOTHING)
        outcome.is_stored = True
        return outcome

    async def ask(self, messages: list[ChatMessage], key: bytes) -> RowOutcome:
        """Ask for a row, as often as its host is busy, and return the outcome.

        Raises
        ------
        RunEndedError
            No row can be asked any more.
        """
        demand, task = self.demand(messages), asyncio.current_task()
        demand.key = key
        attempt = 0
        spent = _NOTHING
        while True:
            attempt += 1
            try:
                found = await self.admission.admit(demand)
            except (BudgetExceededError, StateError) as error:
                raise RunEndedError(error, was_asked=False) from None
            if found is not None:
                try:
                    return self._of_stored(found.message)
                except StateError as error:
                    return RowOutcome.failure(error)
            started = monotonic()
            cost, hold, again = _UNKNOWN, None, None
            signal: Signal = "failed"
            try:
                self.in_flight.add(task)  # it may be paid from now on
                try:
                    message = await self.exchange.send(messages)
                finally:
                    self.in_flight.discard(task)
                cost, signal = _cost(message), "answered"
                self._keep(key, message, cost, monotonic() - started)
                return self.outcome(message, cost if attempt == 1 else spent + cost)
            except OutputValidationError as error:
                if error.partial is not None:
                    cost, signal = _cost(error.partial), "answered"
                    self._keep(key, error.partial, cost, monotonic() - started)
                return RowOutcome.failure(error, _bill(spent + cost))
            except APIError as error:
                cost = self._cost_of_failure(error)
                spent += cost
                signal, hold, again = self._judge(error, attempt)
                if again is None:
                    return RowOutcome.failure(error, _bill(spent))
            except OrchatError as error:  # it cannot be sent as it is
                cost = _NOTHING
                return RowOutcome.failure(error)
            finally:
                self.admission.settle(demand, cost, signal, hold)
            await asyncio.sleep(again)

    def _judge(self, error: APIError, attempt: int) -> tuple[Signal, float | None, float | None]:
        """Say what a failure tells of the host, how long to hold, and when to ask again: None for never.

        Raises
        ------
        RunEndedError
            It would be the same for every row.
        """
        if not error.retryable:
            if isinstance(error, AuthenticationError | InsufficientCreditsError | PermissionDeniedError):
                if not isinstance(error, ModerationError):
                    raise RunEndedError(error)
            elif isinstance(error, RateLimitError) and error.status_code is not None:  # such as that of a whole day
                raise RunEndedError(error)
            return "failed", None, None
        if isinstance(error, APIConnectionError) and attempt == 1:  # most often a connection that was idle too long
            return "failed", None, 0.0
        if (error.retry_after or 0) > LONGEST_HOLD or self.admission.congestions >= _MOST_CONGESTIONS:
            raise RunEndedError(error)
        hold = error.retry_after or (None if isinstance(error, RateLimitError) else 0.0)
        if hold and self.on_hold is not None:
            self.on_hold(hold)
        if isinstance(error, RateLimitError):
            return "congested", hold, 0.0
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (attempt - 1))
        return "congested", hold, pause if attempt < _MOST_ATTEMPTS else None

    def demand(self, messages: list[ChatMessage]) -> RequestDemand:
        """Estimate what a row's request will take, where that counts."""
        if not self.admission.needs_estimate:
            return RequestDemand(self.model)
        size = estimate_size(messages, (), self.exchange.options)
        estimate = estimate_request(self.price, self.model, messages, (), self.exchange.options)
        return RequestDemand(self.model, size.prompt_tokens + size.completion_tokens, estimate)

    def _keep(self, key: bytes, message: ChatMessage, cost: Cost, seconds: float) -> None:
        if self.store is None:
            return

        def make() -> StoredAnswer | None:
            text = message.text or ""
            if redact(text) != text:  # an answer that holds a secret goes into no file
                return None
            host = host_of(self.exchange.base_url)
            return StoredAnswer.of(message, host=host, model=self.model, cost=_bill(cost), seconds=seconds)

        self.store.put(key, make)  # many are made together in half the time of one by one

    def keep(self, key: bytes, message: ChatMessage) -> Cost:
        """Keep an answer that came in another way, and return its bill."""
        cost = _cost(message)
        self._keep(key, message, cost, 0.0)
        return cost

    def _cost_of_failure(self, error: APIError) -> Cost:
        """Return what a failed request cost: nothing where it was refused, else what is known of it."""
        if error.partial is not None and error.partial.meta.get("usage") is not None:
            return _cost(error.partial)
        if error.retryable or (error.status_code is not None and error.partial is None):
            return _NOTHING
        return _NOTHING if dialect_of(self.exchange.base_url, self.model).is_free else _UNKNOWN

    def outcome(self, message: ChatMessage, cost: Cost) -> RowOutcome:
        """Return the outcome of an answer that cost so much; a failure where it does not fit the schema."""
        try:
            value = self.schema.read(message)
        except OutputValidationError as error:
            return RowOutcome.failure(error, _bill(cost))
        meta = message.meta
        return RowOutcome(
            value,
            cost=_bill(cost),
            model=shared_text(meta.get("model")),
            finish_reason=shared_text(meta.get("finish_reason")),
        )


def _cost(message: ChatMessage) -> Cost:
    return Cost.of(message.meta.get("usage"))


def _bill(cost: Cost) -> Any:
    return None if cost.unknown else cost.known
