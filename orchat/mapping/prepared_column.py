"""`ColumnJob`: a column that is checked and ready to run: its rows, its requests, its limits, its store."""

from __future__ import annotations

import asyncio
import copy
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any

from orchat.answer_store import AnswerStore
from orchat.chat.money import Budget
from orchat.chat.request_estimate import Price
from orchat.configuration import setting
from orchat.default_factories import connect, open_store, session_budget
from orchat.errors import APIError, BudgetExceededError, ConfigurationError, StateError
from orchat.mapping.answer_schema import AnswerSchema
from orchat.mapping.batch_run import BatchRun
from orchat.mapping.column_run import ColumnRun, OnError
from orchat.mapping.concurrency_level import MOST_AT_ONCE, ConcurrencyLevel
from orchat.mapping.decision import DecisionExchange, DecisionQuestion, StatePrompt
from orchat.mapping.map_estimate import MapEstimate, estimate_column, estimate_mean_cost
from orchat.mapping.map_result import MapResult
from orchat.mapping.option_checks import check_number, check_type
from orchat.mapping.progress_bar import Progress, ProgressBar
from orchat.mapping.rate_limit import RateLimit
from orchat.mapping.request_admission import LocalRequestAdmission, RequestAdmission
from orchat.mapping.row_exchange import ChatExchange, RowExchange
from orchat.mapping.row_outcome import RowOutcome
from orchat.mapping.row_prompt import RowPrompt
from orchat.mapping.row_question import RowQuestion
from orchat.mapping.row_requester import RowRequester
from orchat.mapping.row_source import RowSource
from orchat.openrouter.batches import BatchEndpoint
from orchat.openrouter.dialect import DEFAULT_BASE_URL, LOCAL_PREFIX
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.openrouter.json_exchange import JsonExchange
from orchat.openrouter.json_query import JsonEndpoint
from orchat.prompt_language.prompt_template import MissingValueError

if TYPE_CHECKING:
    from orchat.openrouter.prices import RequestSize

Store = AnswerStore | str | os.PathLike[str] | bool | None

_LOCAL_AT_ONCE = 4
_CATALOG_TIMEOUT = 15.0  # seconds: prices are worth that, and no more


@dataclass
class ColumnJob:
    """A column to run.

    Parameters
    ----------
    source
        The rows.
    prompt
        Makes their messages.
    schema
        Reads the answers.
    model
        A name, an alias, None for the default model, or a generator.
    generation_kwargs
        For every request.
    max_cost
        The limit in USD, or a budget.
    concurrency
        How many requests at a time, at most; None to find that out.
    rate
        How many a minute.
    store
        Where answers are kept.
    on_error
        ``collect`` or ``raise``.
    is_distinct
        Whether identical rows are asked once.
    timeout
        Of the requests, in seconds.
    shows_progress
        Whether a bar is shown.
    decision
        What decision models are asked, in the place of a question to a chat model.
    is_batch
        Whether the rows go as a batch, which takes up to a day.
    wait
        Seconds to wait for a batch; None for as long as it takes.
    admission
        Admits requests elsewhere, with limits of its own; None for here.
    progress
        Shows elsewhere how it goes on; None for here.
    """

    source: RowSource
    prompt: RowPrompt | StatePrompt
    schema: AnswerSchema
    model: str | OpenRouterChatGenerator | None
    generation_kwargs: Mapping[str, Any]
    max_cost: float | Decimal | Budget | None
    concurrency: int | None
    rate: RateLimit
    store: Store
    on_error: OnError
    is_distinct: bool
    timeout: float | None
    shows_progress: bool
    decision: DecisionQuestion | None = None
    is_batch: bool = False
    wait: float | None = None
    admission: RequestAdmission | None = None
    progress: Progress | None = None
    generator: OpenRouterChatGenerator = field(init=False)
    budget: Budget | None = field(init=False)

    def __post_init__(self) -> None:
        if self.on_error not in {"collect", "raise"}:
            raise ConfigurationError(f"on_error={self.on_error!r} makes no sense.", hint="It is collect or raise.")
        check_number("concurrency", self.concurrency, whole=True)
        check_number("timeout", self.timeout)
        check_number("wait", self.wait, positive=False)
        check_type("model", self.model, (str, OpenRouterChatGenerator), "a name, or a generator")
        check_type("generation_kwargs", self.generation_kwargs, Mapping, "a dictionary")
        self.budget = Budget.of(self.max_cost)
        if isinstance(self.model, OpenRouterChatGenerator):
            self.generator = copy.copy(self.model)  # with connections of its own
        else:
            self.generator = connect(self.model)
        if self.timeout is not None:
            self.generator.timeout = self.timeout
        self.generator.streaming_callback = None
        self.generator.max_retries = 0  # what is sent again is decided for all rows together
        kwargs = {**self.generator.generation_kwargs, **self.generation_kwargs}
        if self.schema.response_format is not None:
            if "response_format" in self.generation_kwargs:
                raise ConfigurationError("Both a schema and a response_format are given.", hint="Give one of them.")
            kwargs["response_format"] = self.schema.response_format
        self.model_name = str(kwargs.get("model", self.generator.model))
        self.is_local = self.model_name.startswith(LOCAL_PREFIX)
        self.exchange: RowExchange = ChatExchange(self.generator, kwargs)
        if self.decision is not None:
            self.exchange = DecisionExchange(self.generator, self.model_name, self.decision, kwargs.get("provider"))
        self.batches = BatchEndpoint(JsonExchange(self.generator))

    # -- running --------------------------------------------------------------------------------------------------

    async def run(self) -> MapResult:
        """Ask for all rows, and return the result.

        Raises
        ------
        BudgetExceededError
            It would cost more than ``confirm_above``, and no ``max_cost`` was given.
        CancelledError
            The task was cancelled; what was answered is its ``partial``, and in the store.
        """
        if self.source.count == 0:
            return MapResult(self.source, self.schema, [])
        price = await self._price()
        budget = self.budget
        has_own_limit = budget is not None or self.admission is not None
        if not has_own_limit and self.source.count is None and not self.is_local:
            # Nobody knows how many rows come: what may be spent unasked is the limit.
            limit = setting("confirm_above")
            budget = None if limit is None else Budget(limit, allow_unknown=True)
        store = self._opened_store()
        try:
            requester = self._requester(price, budget, store)
            if not has_own_limit and budget is None and not self.is_local:
                self._confirm(requester, price)
            return await self._run(requester, self._questions(), [])
        finally:
            await self._close(store)

    async def estimate(self) -> MapEstimate:
        """Estimate what it will take; nothing is asked.

        Raises
        ------
        ConfigurationError
            The data is an iterator, whose rows would be gone (a ValueError).
        """
        if self.source.is_iterator:
            raise ConfigurationError("A dry run would use up the iterator.", hint="Give a list, or a data frame.")
        price = await self._price()
        store = open_store(self.store)
        try:
            return self._estimate(self._requester(price, None, store), price)
        finally:
            await self._close(store)

    async def _run(
        self, requester: RowRequester, questions: Iterator[RowQuestion], earlier: list[RowOutcome | None]
    ) -> MapResult:
        run: ColumnRun | BatchRun
        if self.is_batch:
            assert requester.store is not None
            run = BatchRun(questions, requester, self.batches, requester.store, wait=self.wait, outcomes=earlier)
        else:
            run = ColumnRun(
                questions,
                requester,
                most_at_once=self._level().most,
                is_distinct=self.is_distinct,
                on_error=self.on_error,
                outcomes=earlier,
            )
        progress = self.progress or ProgressBar(self.source.count, is_shown=self.shows_progress)
        try:
            await run.run(progress)
        except asyncio.CancelledError as error:
            error.partial = self._result(run, run.why_not_asked if self.is_batch else "interrupted")  # type: ignore[attr-defined]
            raise
        finally:
            progress.close()
        result = self._result(run, run.why_not_asked)
        if isinstance(run.ended_by, APIError | BudgetExceededError) and self.on_error == "raise":
            raise run.ended_by
        is_part = self.admission is not None and isinstance(run.ended_by, BudgetExceededError)
        if run.ended_by is not None and not is_part and all(each.error is not None for each in result.outcomes):
            raise run.ended_by  # there is nothing to keep
        return result

    def _result(self, run: ColumnRun | BatchRun, why: str) -> MapResult:
        """Make the result of a run; rows that were not asked say why."""
        count = max(self.source.count or 0, len(run.record.outcomes))
        missing = RowOutcome.not_asked(why)
        outcomes = [each if each is not None else missing for each in run.record.outcomes]
        outcomes += [missing] * (count - len(outcomes))

        async def retry(max_cost: float | Decimal | Budget | None) -> MapResult:
            return await self._again(run, max_cost)

        return MapResult(self.source, self.schema, outcomes, ended_by=run.ended_by, retry=retry)

    async def _again(self, run: ColumnRun | BatchRun, max_cost: float | Decimal | Budget | None) -> MapResult:
        """Ask for the rows of a run that have no answer."""
        store = self._opened_store()
        try:
            requester = self._requester(await self._price(), Budget.of(max_cost) or self.budget, store)
            waiting = [run.record.unanswered[position] for position in sorted(run.record.unanswered)]
            return await self._run(requester, chain(waiting, run.questions), run.record.outcomes)
        finally:
            await self._close(store)

    async def _close(self, store: AnswerStore | None) -> None:
        with suppress(RuntimeError):  # the loop is closing
            await self.exchange.close()
            await self.batches.close()
        try:
            if store is not None:
                store.flush() if store is self.store else store.close()
        except StateError as error:  # such as a full disk; the answers are in the result all the same
            warnings.warn(str(error), stacklevel=2)

    # -- its parts ------------------------------------------------------------------------------------------------

    def _questions(self) -> Iterator[RowQuestion]:
        for position, row in enumerate(self.source.rows(self.prompt.columns)):
            try:
                yield RowQuestion(position, self.prompt.messages(row))
            except Exception as error:  # of the user's function or values
                is_skipped = isinstance(error, MissingValueError)
                if position == 0 and self.prompt.is_function and not is_skipped:  # it will be wrong for all rows
                    raise
                yield RowQuestion(position, error)

    def _opened_store(self) -> AnswerStore | None:
        store = open_store(self.store)
        if store is None and self.is_batch:
            raise ConfigurationError(
                "A batch needs a store: its name and its answers are kept there.", hint="Name one."
            )
        return store

    def _level(self) -> ConcurrencyLevel:
        most = self.concurrency or (_LOCAL_AT_ONCE if self.is_local else MOST_AT_ONCE)
        return ConcurrencyLevel(most=most, first=self.concurrency)

    def _requester(self, price: Price, budget: Budget | None, store: AnswerStore | None) -> RowRequester:
        budgets = [each for each in (budget, session_budget()) if each is not None]
        admission = self.admission or LocalRequestAdmission(self._level(), self.rate, budgets)
        return RowRequester(self.exchange, self.model_name, self.schema, admission, price, store)

    async def _price(self) -> Price:
        """Return the prices of the host's catalog."""
        from orchat.openrouter.catalog import load_catalog_async

        if self.is_local:
            return lambda model, size: Decimal(0)
        url = self.generator.api_base_url or DEFAULT_BASE_URL
        endpoint = JsonEndpoint(url, self.generator.api_key, timeout=_CATALOG_TIMEOUT, max_retries=1)
        try:
            price = (await load_catalog_async(endpoint)).price
            return _batch_price(price) if self.is_batch else price
        except APIError:  # no list: a budget refuses, unless it was told not to
            return _unknown

    def _confirm(self, requester: RowRequester, price: Price) -> None:
        """Raise where a column without a limit of its own would cost more than may be spent unasked."""
        limit = setting("confirm_above")
        if limit is None or self.source.count is None:
            return
        sample = []
        for row in self.source.sample(self.prompt.columns):
            with suppress(Exception):  # it is told where the row's turn comes
                sample.append(self.prompt.messages(row))
        mean = estimate_mean_cost(sample, requester, price, self.schema.columns)
        if mean is None or mean * self.source.count <= limit:
            return
        exact = self._estimate(requester, price)
        if exact.cost is not None and exact.cost > limit:
            raise BudgetExceededError(
                f"This column would take {exact}.",
                hint="Give max_cost=, in USD, or raise the setting `confirm_above`, which is "
                f"${limit}; dry_run=True only estimates.",
            )

    def _estimate(self, requester: RowRequester, price: Price) -> MapEstimate:
        columns = self.schema.columns
        return estimate_column(self._questions(), requester, price, columns=columns, is_distinct=self.is_distinct)


def _batch_price(price: Price) -> Price:
    """Return the prices of batch variants, where they are listed; else those of the models, which are no lower."""

    def of_batch(model: str, size: RequestSize) -> Decimal | None:
        cost = price(f"{model}:batch", size)
        return price(model, size) if cost is None else cost

    return of_batch


def _unknown(model: str, size: RequestSize) -> Decimal | None:
    return None
