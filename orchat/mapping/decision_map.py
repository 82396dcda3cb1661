"""`decide`: a question with few answers, about one value or a column, answered with probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Any

from orchat.chat.money import Budget
from orchat.default_factories import catalog_endpoint
from orchat.errors import APIError, ConfigurationError
from orchat.mapping.column_run import OnError
from orchat.mapping.decision import DecisionQuestion, StatePrompt
from orchat.mapping.map_result import MapResult, run_column
from orchat.mapping.prepared_column import ColumnJob, Store
from orchat.mapping.rate_limit import RateLimit
from orchat.mapping.result_summary import draw_bars
from orchat.mapping.row_source import RowSource, row_source
from orchat.openrouter.generator import OpenRouterChatGenerator


@dataclass(frozen=True)
class Decision:
    """A decision about one value; as a cell's last line it shows itself as bars.

    Parameters
    ----------
    question
        What was asked.
    answer
        The label that was chosen, True or False, or a score.
    probability
        How likely that is; None where the model does not say.
    probabilities
        The probability of each answer.
    cost
        The bill in USD; None where it is unknown.
    model
        The model that decided.

    Examples
    --------
    >>> Decision("Is it about the sea?", True, 0.75, {"yes": 0.75, "no": 0.25})
    Decision(True, probability=0.75)
    """

    question: str
    answer: Any
    probability: float | None
    probabilities: Mapping[str, float]
    cost: float | None = None
    model: str | None = None

    def __repr__(self) -> str:
        return f"Decision({self.answer!r}, probability={self.probability})"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        bars = [(label, share, f"{share:.0%}") for label, share in self.probabilities.items()]
        chart = draw_bars(self.question, bars) if bars else ""
        return {"text/plain": repr(self), "text/html": f"<div><p>{escape(str(self.answer))}</p>{chart}</div>"}


def decide(
    question: str,
    data: Any,
    *,
    options: Sequence[str] | Mapping[str, str | None] | None = None,
    scale: Sequence[str] = (),
    model: str | OpenRouterChatGenerator | None = None,
    max_cost: float | Decimal | Budget | None = None,
    concurrency: int | None = None,
    on_error: OnError = "collect",
    store: Store = None,
    progress: bool = True,
    timeout: float | None = None,
    allow_secrets: bool = False,
) -> Decision | MapResult:
    """Let a decision model of OpenRouter answer a question about a value, or about each row of some data.

    Only the input is paid, and each answer comes with its probability.

    Parameters
    ----------
    question
        What is asked.
    data
        A text or a dictionary, for one decision; a list, an iterator, a series or a data frame, for a column.
    options
        The labels to choose from; a dictionary describes them. Default: yes or no.
    scale
        What each step of a score means, from the lowest to the highest.
    model
        A decision model, or a generator; default: the first one that is listed.
    max_cost, concurrency, on_error, store, progress, timeout, allow_secrets
        As of `orchat.map`.

    Returns
    -------
    Decision or MapResult
        Of a column: a table with ``answer``, ``probability`` and ``probabilities``.

    Raises
    ------
    ConfigurationError
        There is nothing to decide, or no decision model is listed (a ValueError).
    APIError
        The endpoint refused.

    Examples
    --------
    >>> decide("What is the tone?", "Bright, and light as a feather.", options=["good"])
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: There is nothing to decide: give two options or more.
    """
    asked = DecisionQuestion(question, options, scale)
    is_single = isinstance(data, str | Mapping)
    job = decision_job(
        row_source([data] if is_single else data),
        asked,
        model=model,
        max_cost=max_cost,
        concurrency=concurrency,
        on_error="raise" if is_single else on_error,
        store=store,
        timeout=timeout,
        shows_progress=progress and not is_single,
        allow_secrets=allow_secrets,
    )
    result = run_column(job.run)
    if not is_single:
        return result
    (outcome,) = result.outcomes
    return Decision(question, **outcome.value, cost=result.cost, model=outcome.model)


def decision_job(
    source: RowSource,
    question: DecisionQuestion,
    *,
    model: str | OpenRouterChatGenerator | None,
    max_cost: float | Decimal | Budget | None,
    concurrency: int | None,
    on_error: OnError,
    store: Store,
    timeout: float | None,
    shows_progress: bool,
    allow_secrets: bool,
) -> ColumnJob:
    """Make the job that decides a question for each row."""
    return ColumnJob(
        source,
        StatePrompt(allow_secrets=allow_secrets),
        question.schema,
        model=_listed_model() if model is None else model,
        generation_kwargs={},
        max_cost=max_cost,
        concurrency=concurrency,
        rate=RateLimit(),
        store=store,
        on_error=on_error,
        is_distinct=True,
        timeout=timeout,
        shows_progress=shows_progress,
        decision=question,
    )


def _listed_model() -> str:
    from orchat.openrouter.catalog import load_catalog

    try:
        models = load_catalog(catalog_endpoint()).models
    except APIError:
        models = ()
    found = next((each.id for each in models if "decisions" in each.output_modalities), None)
    if found is None:
        raise ConfigurationError("No decision model is listed.", hint="Name one with model=.")
    return found
