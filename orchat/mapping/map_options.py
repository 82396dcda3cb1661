"""`MapOptions`: the options of `map`, and the job that they make of a prompt and data."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from decimal import Decimal
from typing import Any, Literal, TypedDict, get_args

from orchat.chat.money import Budget
from orchat.errors import ConfigurationError
from orchat.mapping.answer_schema import answer_schema
from orchat.mapping.column_run import OnError
from orchat.mapping.decision import DecisionQuestion
from orchat.mapping.decision_map import decision_job
from orchat.mapping.option_checks import check_type
from orchat.mapping.prepared_column import ColumnJob, Store
from orchat.mapping.rate_limit import RateLimit
from orchat.mapping.row_prompt import Prompt, RowPrompt
from orchat.mapping.row_source import RowSource, row_source
from orchat.openrouter.generator import OpenRouterChatGenerator

Mode = Literal["chat", "batch", "decide"]


class MapOptions(TypedDict, total=False):
    """The options of `map`."""

    schema: Any
    system: str | None
    model: str | OpenRouterChatGenerator | None
    generation_kwargs: dict[str, Any] | None
    max_cost: float | Decimal | Budget | None
    concurrency: int | None
    on_error: OnError
    store: Store
    progress: bool
    explode: bool
    distinct: bool
    images: str | Collection[str]
    requests_per_minute: float | None
    tokens_per_minute: float | None
    timeout: float | None
    allow_secrets: bool
    mode: Mode
    wait: float | None


def column_job(prompt: Prompt, data: Any, options: MapOptions) -> ColumnJob:
    """Check all that can be checked before anything is sent, and make the job.

    Raises
    ------
    ConfigurationError
        The options make no sense, or not for this data (a ValueError).
    """
    if unknown := options.keys() - MapOptions.__annotations__.keys():
        raise TypeError(f"map has no option {', '.join(sorted(unknown))}.")
    source, mode = row_source(data), options.get("mode", "chat")
    if mode not in get_args(Mode):
        raise ConfigurationError(f"mode={mode!r} makes no sense.", hint=f"It is {', '.join(get_args(Mode))}.")
    if mode == "decide":
        return _decision_job(prompt, source, options)
    check_type("system", options.get("system"), str, "a text")
    row_prompt = RowPrompt(
        prompt,
        source,
        system=options.get("system"),
        images=options.get("images", ()),
        allow_secrets=options.get("allow_secrets", False),
    )
    is_distinct = options.get("distinct", True)
    if row_prompt.is_constant and source.count != 0:
        asked = "it is asked once" if is_distinct else "and each row is asked"
        warnings.warn(f"The prompt names no column, so that it is the same for every row: {asked}.", stacklevel=3)
    return ColumnJob(
        source,
        row_prompt,
        answer_schema(options.get("schema"), explode=options.get("explode", False)),
        model=options.get("model"),
        generation_kwargs=options.get("generation_kwargs") or {},
        max_cost=options.get("max_cost"),
        concurrency=options.get("concurrency"),
        rate=RateLimit(options.get("requests_per_minute"), options.get("tokens_per_minute")),
        store=options.get("store"),
        on_error=options.get("on_error", "collect"),
        is_distinct=is_distinct,
        timeout=options.get("timeout"),
        shows_progress=options.get("progress", True),
        is_batch=mode == "batch",
        wait=options.get("wait"),
    )


def _decision_job(prompt: Prompt, source: RowSource, options: MapOptions) -> ColumnJob:
    (column, *others) = answer_schema(options.get("schema")).columns
    if others or column.kind not in {"label", "boolean"}:
        raise ConfigurationError("Decisions are labels, or true and false.", hint="Give schema=Literal[...] or bool.")
    if not isinstance(prompt, str):
        raise TypeError("The question of a decision is a text.")
    return decision_job(
        source,
        DecisionQuestion(prompt, column.labels or None),
        model=options.get("model"),
        max_cost=options.get("max_cost"),
        concurrency=options.get("concurrency"),
        on_error=options.get("on_error", "collect"),
        store=options.get("store"),
        timeout=options.get("timeout"),
        shows_progress=options.get("progress", True),
        allow_secrets=options.get("allow_secrets", False),
    )
