"""`map_lazily`: a Dask DataFrame or Bag of answers, asked for when it is computed, on one machine or on many.

The same call runs on a cluster: every machine has orchat installed, and each worker has its own key, as the variable
``OPENROUTER_API_KEY`` of its environment: set it where ``dask worker`` is started, or by ``LocalCluster(env=...)``. No
key is in a task or a message. What is set here (model, base URL, providers, ``max_tokens``) goes along with the tasks.

One coordinator on the scheduler (`run_coordinator`) holds ``max_cost``, the rates and the store for all workers. A file
named by ``store=`` is one of the scheduler's machine. Make the ``Client`` before the call, and the bar is shown here.
Dask's scheduler of plain processes has no place for a coordinator: each partition gets an equal share of ``max_cost``.
"""

from __future__ import annotations

import os
import sys
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from orchat.chat.money import Budget
from orchat.configuration import resolve_model_alias, setting
from orchat.default_factories import connect, generation_defaults, session_budget
from orchat.errors import ConfigurationError, MissingKeyError, OrchatError, SerializationError, UnknownColumnError
from orchat.mapping.answer_schema import AnswerSchema, answer_schema
from orchat.mapping.coordinated_part import CoordinatedPart, CoordinatorLink
from orchat.mapping.coordinator_messages import RunTerms
from orchat.mapping.coordinator_thread import thread_link
from orchat.mapping.distributed_progress import RunProgress, follow_run
from orchat.mapping.map_options import MapOptions, column_job
from orchat.mapping.map_result import MapInterruptedError, MapResult, run_column
from orchat.mapping.row_outcome import RowOutcome
from orchat.mapping.row_prompt import Prompt
from orchat.mapping.row_source import row_source
from orchat.openrouter.dialect import LOCAL_PREFIX
from orchat.openrouter.generator import OpenRouterChatGenerator

if TYPE_CHECKING:
    from orchat.mapping.prepared_column import ColumnJob

_TYPES = {"integer": "Int64", "number": "float64", "boolean": "boolean"}


def map_lazily(prompt: Prompt, data: Any, options: MapOptions, *, is_dry_run: bool = False) -> Any:
    """Make the lazy collection of the answers to a Dask collection.

    Raises
    ------
    ConfigurationError
        An option needs all rows at once, a key would have to travel, or a column does not exist (a ValueError).
    TypeError
        The collection is no DataFrame, Series or Bag.
    """
    kind = type(data).__name__
    if kind not in {"DataFrame", "Series", "Bag"}:
        raise TypeError(f"A Dask {kind} has no rows: give a DataFrame, a Series or a Bag.")
    if is_dry_run:
        raise ConfigurationError("A dry run would compute the collection.", hint="Estimate data.head(1000) or a part.")
    if (mode := options.get("mode", "chat")) != "chat":
        raise ConfigurationError(f"mode={mode!r} does not take a Dask collection.", hint="Give data.compute().")
    own = options.get("max_cost")
    budgets = [each for each in (Budget.of(own), session_budget()) if each is not None]
    terms = _terms(options, data.npartitions, budgets, has_own_limit=own is not None)
    schema = answer_schema(options.get("schema"), explode=options.get("explode", False))
    sent: dict[str, Any] = {**options, "model": None, "max_cost": None, "store": None, "progress": False}
    part = PartitionMap(prompt, sent, _ModelOrigin.of(options.get("model")), terms, os.getpid(), kind == "Bag")
    charged = [each for each in budgets if own is None or isinstance(own, Budget) or each is session_budget()]
    _follow(terms.id, RunProgress(is_shown=options.get("progress", True), budgets=charged))
    if kind == "Bag":
        return data.map_partitions(part)
    column_job(prompt, data._meta, cast(MapOptions, {**sent, "model": _UNASKED}))  # a wrong column is told here
    return data.map_partitions(part, meta=_meta(schema, data._meta))


def _terms(options: MapOptions, partitions: int, budgets: list[Budget], *, has_own_limit: bool) -> RunTerms:
    limits = [(budget.left, budget.allow_unknown) for budget in budgets]
    is_local = resolve_model_alias(_name(options.get("model"))).startswith(LOCAL_PREFIX)
    if not has_own_limit and not is_local and (unasked := setting("confirm_above")) is not None:
        limits.append((unasked, True))
    store = options.get("store")
    if store is not None and not isinstance(store, bool | str | os.PathLike):
        raise ConfigurationError("A store that is open here cannot be opened elsewhere.", hint="Name its file.")
    return RunTerms(
        uuid.uuid4().hex,
        partitions,
        tuple(limits),
        options.get("requests_per_minute"),
        options.get("tokens_per_minute"),
        options.get("concurrency"),
        store if store is None or isinstance(store, bool) else os.fspath(store),
        options.get("distinct", True),
    )


def _name(model: str | OpenRouterChatGenerator | None) -> str | None:
    return model.model if isinstance(model, OpenRouterChatGenerator) else model


def _follow(run: str, progress: RunProgress) -> None:
    follow_run(run, progress)
    if "distributed" in sys.modules:
        from orchat.mapping.dask_coordinator import follow_cluster_run

        follow_cluster_run(run, progress)


_UNASKED = OpenRouterChatGenerator(api_key=None, model="none")


@dataclass(frozen=True)
class _ModelOrigin:
    """Where a worker gets its generator: the settings of this process, and the key of the worker's own."""

    name: str | None = None
    base_url: str = ""
    defaults: Mapping[str, Any] | None = None
    generator: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, model: str | OpenRouterChatGenerator | None) -> _ModelOrigin:
        if isinstance(model, OpenRouterChatGenerator):
            try:
                return cls(generator=model.to_dict())
            except (ConfigurationError, SerializationError) as error:
                raise ConfigurationError(
                    f"The generator cannot be sent to workers: {error}",
                    hint="Name a variable of the workers' environment: api_key=Secret.from_env_var(...).",
                ) from None
        name, base_url = resolve_model_alias(model), str(setting("base_url"))
        if name.startswith(LOCAL_PREFIX):
            return cls(name)
        return cls(name, base_url, generation_defaults(base_url, {}))

    def connect(self) -> OpenRouterChatGenerator:
        if self.generator is not None:
            return OpenRouterChatGenerator.from_dict(dict(self.generator))
        if self.defaults is None:
            return connect(self.name)
        return connect(self.name, api_base_url=self.base_url, generation_kwargs=dict(self.defaults))


@dataclass(frozen=True)
class PartitionMap:
    """The function that answers one partition, wherever Dask calls it.

    Parameters
    ----------
    prompt, options
        As of `orchat.map`, without what is in the others.
    model
        Where the generator comes from.
    terms
        What holds for all partitions together.
    process
        The process in which it was made.
    is_bag
        Whether partitions are lists, and their answers dictionaries.
    """

    prompt: Prompt
    options: Mapping[str, Any]
    model: _ModelOrigin
    terms: RunTerms
    process: int
    is_bag: bool

    def __dask_tokenize__(self) -> str:
        return self.terms.id  # each call has limits of its own

    def __call__(self, partition: Any) -> Any:
        """Return the answers to a partition."""
        data = list(partition) if self.is_bag else partition
        if self.is_bag and not data:
            return []
        link, task, terms = self._coordinator()
        name = uuid.uuid4().hex
        options = cast(MapOptions, {**self.options, "model": self._generator(task)})
        part = CoordinatedPart(name, task or name, terms, len(data), link)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # told where the collection was made
                job = column_job(self.prompt, data, options)
        except UnknownColumnError as error:
            # Other partitions of a bag may have rows with that column; and what they were answered shall not be lost.
            if not self.is_bag or options.get("on_error") == "raise":
                raise
            outcomes = [RowOutcome.not_asked(str(error)) for _ in data]
            schema = answer_schema(options.get("schema"), explode=options.get("explode", False))
            run_column(lambda: _count(outcomes, part))
            return MapResult(row_source(data), schema, outcomes).frame
        job.store = job.admission = job.progress = part
        try:
            result = run_column(lambda: _run(job, part))
        except MapInterruptedError:
            failure: Exception = RuntimeError("The column was cancelled; what was answered is in the store.")
        except OrchatError as error:
            failure = error.with_traceback(None)
            failure.__cause__ = failure.__context__ = None  # connections and loops, which cannot be sent
        else:
            return result.frame if self.is_bag else _typed(result, job.schema, data)
        raise failure

    def _coordinator(self) -> tuple[CoordinatorLink, str | None, RunTerms]:
        if "distributed" in sys.modules:
            from orchat.mapping.dask_coordinator import worker_link

            if (found := worker_link()) is not None:
                return (*found, self.terms)
        if os.getpid() == self.process:
            return thread_link(), None, self.terms
        if self.terms.requests_per_minute is not None or self.terms.tokens_per_minute is not None:
            raise ConfigurationError(
                "Requests a minute cannot be counted over the processes of this scheduler.",
                hint="Compute with threads (`scheduler='threads'`), or with a Client of `distributed`.",
            )
        shares = tuple(
            (None if limit is None else limit / Decimal(self.terms.partitions), allow_unknown)
            for limit, allow_unknown in self.terms.limits
        )
        return thread_link(), None, replace(self.terms, id=uuid.uuid4().hex, partitions=1, limits=shares)

    def _generator(self, task: str | None) -> OpenRouterChatGenerator:
        try:
            return self.model.connect()
        except MissingKeyError as error:
            if task is None:
                raise
            raise MissingKeyError(
                "A worker of the cluster has no API key.",
                hint="Set OPENROUTER_API_KEY in the environment of each worker, such as by LocalCluster(env=...), or "
                "before `dask worker` is started; keys are not sent with tasks.",
            ) from error


async def _run(job: ColumnJob, part: CoordinatedPart) -> MapResult:
    async with part:
        return await job.run()


async def _count(outcomes: list[RowOutcome], part: CoordinatedPart) -> None:
    async with part:
        for outcome in outcomes:
            part.advance(outcome)


def _meta(schema: AnswerSchema, like: Any) -> Any:
    """Return the empty frame that says which columns come: integers and booleans may be missing."""
    return _typed(MapResult(row_source(like), schema, []), schema, like)


def _typed(result: MapResult, schema: AnswerSchema, like: Any) -> Any:
    """Return the frame of a result with the types of `_meta`, which do not depend on its values."""
    import pandas

    text_type = pandas.Series([], dtype="str").dtype  # object before pandas 3, whose `str` makes a text of None
    columns = dict(result.frame.items())
    failed: dict[int, str] = {}
    for column in schema.columns:
        values = columns[column.name]
        types = {**_TYPES, "text": text_type, "label": values.dtype}
        columns[column.name] = _cast(values, types.get(column.kind, "object"), failed, column.name)
    frame = pandas.DataFrame(columns)
    error = next(name for name in ("answer_error", "error") if name in columns and name not in _names(schema))
    for name in frame.columns[len(schema.columns) :]:
        is_text = name not in {"cost", "answer_cost", "row", "answer_row"}
        frame[name] = frame[name].astype(text_type if is_text else frame[name].dtype)
    for position, why in failed.items():
        frame.iloc[position, frame.columns.get_loc(error)] = why
    return frame


def _names(schema: AnswerSchema) -> set[str]:
    return {column.name for column in schema.columns}


def _cast(values: Any, wanted: Any, failed: dict[int, str], name: str) -> Any:
    """Return a column with its type; a value that does not fit, such as an integer of 30 digits, is a failure."""
    import pandas

    if values.dtype == wanted:
        return values
    try:
        return values.astype(wanted)
    except (TypeError, ValueError, OverflowError):
        kept: list[Any] = []
        for position, value in enumerate(values):
            try:
                pandas.array([value], dtype=wanted)
            except (TypeError, ValueError, OverflowError):
                failed[position] = f"{name}: {str(value)[:100]} does not fit the column's type {wanted}"
                value = None  # noqa: PLW2901 - it is missing
            kept.append(value)
        return pandas.Series(pandas.array(kept, dtype=wanted), index=values.index)
