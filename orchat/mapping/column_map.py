"""`map` and `map_async`: a column of answers from a model, one for each row of some data."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any, Literal, Unpack, cast, overload

from orchat.chat.money import Budget
from orchat.mapping.column_run import OnError
from orchat.mapping.lazy_collection import is_dask_collection
from orchat.mapping.map_estimate import MapEstimate
from orchat.mapping.map_options import MapOptions, Mode, column_job
from orchat.mapping.map_result import MapResult, run_column
from orchat.mapping.prepared_column import Store
from orchat.mapping.row_prompt import Prompt
from orchat.openrouter.generator import OpenRouterChatGenerator


@overload
def map(prompt: Prompt, data: Any, *, dry_run: Literal[True], **options: Unpack[MapOptions]) -> MapEstimate: ...  # noqa: A001
@overload
def map(prompt: Prompt, data: Any, *, dry_run: Literal[False] = False, **options: Unpack[MapOptions]) -> MapResult: ...  # noqa: A001
def map(  # noqa: A001 - that is what it does
    prompt: Prompt,
    data: Any,
    *,
    schema: Any = None,
    system: str | None = None,
    model: str | OpenRouterChatGenerator | None = None,
    generation_kwargs: dict[str, Any] | None = None,
    max_cost: float | Decimal | Budget | None = None,
    concurrency: int | None = None,
    on_error: OnError = "collect",
    store: Store = None,
    progress: bool = True,
    explode: bool = False,
    distinct: bool = True,
    dry_run: bool = False,
    images: str | Collection[str] = (),
    requests_per_minute: float | None = None,
    tokens_per_minute: float | None = None,
    timeout: float | None = None,
    allow_secrets: bool = False,
    mode: Mode = "chat",
    wait: float | None = None,
) -> MapResult | MapEstimate:
    """Ask a model about each row of some data, and return a column of answers.

    It may be interrupted as any cell: what was answered is kept in the store, and running it again goes on. Many
    requests are open at a time; a host that is busy is waited for.

    Parameters
    ----------
    prompt
        A text in which ``{column}`` stands for a row's value (``{value}`` where rows are no table, ``{row["a b"]}`` for
        a column whose name is none of Python), or a function that takes a row and returns a text, parts or messages
        (dictionaries of the OpenAI format, too); None for a row that is not asked.
    data
        A list or iterator of values or dictionaries, a dictionary of columns, a data frame or series (pandas, polars,
        pyarrow, modin, duckdb and all others that narwhals knows, or a DataFrame, Series or Bag of Dask: its answers
        are asked for when the result is computed, on as many machines as its cluster has (`orchat.mapping.dask_map`).
    schema
        What an answer must be: a pydantic model, dataclass, TypedDict, ``Literal``, ``Enum``, a type such as ``int``, a
        list of one, a list of labels, or a JSON Schema. Default: any text.
    system
        A system message before each prompt; ``{column}`` stands for a row's value here, too.
    model
        A name, an alias, or a generator; default: the configured model.
    generation_kwargs
        For each request: ``temperature``, ``max_tokens``, ``provider`` ...
    max_cost
        The limit in USD. Each request reserves at most what it may cost before it is sent; a model whose price is
        unknown is refused, unless this is ``Budget(limit, allow_unknown=True)``.
    concurrency
        How many requests are open at a time, at most; default: as many as the host takes, up to 64.
    on_error
        ``collect``: a row that fails says so in the table; ``raise``: it ends the run.
    store
        The file that keeps answers; default: the configured one. False for none.
    progress
        Whether to show a bar.
    explode
        Whether each item of an answer that is a list becomes a row; ``row`` says of which row of the data (of Dask's
        collections: of the partition).
    distinct
        Whether identical rows are asked once.
    dry_run
        Whether to ask nothing, and return what it would take.
    images
        Columns whose texts are paths or addresses of images. Bytes, paths and images of PIL are sent as images anyway.
    requests_per_minute, tokens_per_minute
        Limits of your account, where it has some.
    timeout
        Seconds to connect, to the answer and for each gap in it.
    allow_secrets
        Whether what looks like a key or a password in the data is sent.
    mode
        ``chat``: each row is asked now. ``batch``: all rows go as one batch, for half the price, which takes up to a
        day; its name is in the store, and the same call picks the answers up, in another kernel too. ``decide``: as
        `orchat.decide`, with the prompt as the question, each row as what it is about, and the labels of the schema.
    wait
        Seconds to wait for a batch; default: as long as it takes. 0 submits it, and returns.

    Returns
    -------
    MapResult
        With ``.frame``, ``["column"]``, ``.cost``, ``.failures`` and ``.retry()``; a `MapEstimate` of a dry run; of
        Dask's collections a lazy DataFrame or Bag, which is the frame only: computed again, it asks for the rows that
        failed, and takes the others from the store.

    Raises
    ------
    ConfigurationError
        A column does not exist (`UnknownColumnError`), a schema is none: nothing was sent (a ValueError).
    BudgetExceededError
        It would cost more than the setting ``confirm_above``, and no ``max_cost`` was given.
    APIError
        The endpoint refused before any row was answered.
    KeyboardInterrupt
        It was interrupted; its ``partial`` has the answers so far.

    Examples
    --------
    >>> map("Which river flows through {ctiy}?", [{"city": "Hull"}])
    Traceback (most recent call last):
    ...
    orchat.errors.UnknownColumnError: {ctiy} names no column; did you mean city? `{{...}}` sends braces as they stand.
    """
    options = MapOptions(
        schema=schema,
        system=system,
        model=model,
        generation_kwargs=generation_kwargs,
        max_cost=max_cost,
        concurrency=concurrency,
        on_error=on_error,
        store=store,
        progress=progress,
        explode=explode,
        distinct=distinct,
        images=images,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        timeout=timeout,
        allow_secrets=allow_secrets,
        mode=mode,
        wait=wait,
    )
    if is_dask_collection(data):
        return _lazy(prompt, data, options, dry_run=dry_run)
    job = column_job(prompt, data, options)
    return run_column(job.estimate) if dry_run else run_column(job.run)


@overload
async def map_async(
    prompt: Prompt, data: Any, *, dry_run: Literal[True], **options: Unpack[MapOptions]
) -> MapEstimate: ...
@overload
async def map_async(
    prompt: Prompt, data: Any, *, dry_run: Literal[False] = False, **options: Unpack[MapOptions]
) -> MapResult: ...
@overload
async def map_async(
    prompt: Prompt, data: Any, *, dry_run: bool, **options: Unpack[MapOptions]
) -> MapResult | MapEstimate: ...
async def map_async(
    prompt: Prompt, data: Any, *, dry_run: bool = False, **options: Unpack[MapOptions]
) -> MapResult | MapEstimate:
    """Do as `map`, on the running event loop; where it is cancelled, the error has the answers as ``partial``."""
    if is_dask_collection(data):
        return _lazy(prompt, data, options, dry_run=dry_run)
    job = column_job(prompt, data, options)
    return await (job.estimate() if dry_run else job.run())


def _lazy(prompt: Prompt, data: Any, options: MapOptions, *, dry_run: bool) -> MapResult:
    from orchat.mapping.dask_map import map_lazily

    return cast(MapResult, map_lazily(prompt, data, options, is_dry_run=dry_run))  # what has no types of its own
