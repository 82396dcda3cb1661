"""Models and parameters for a panel's page: search the catalog, and validate the parameters that people set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from orchat.errors import ConfigurationError
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.openrouter.prices import dearer_above, price_per_million

if TYPE_CHECKING:
    from orchat.openrouter.models import Catalog, Model

_MAX_ROWS = 40
_MAX_APART = 8
_MAX_QUERY = 100  # characters of a query that names near it are looked for
_PAUSE = 0.05  # seconds: what is typed, or sent, at once is one query
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")


class ModelSearch:
    """Answers a page's queries for models: one at a time, and of those that come meanwhile only the last.

    Parameters
    ----------
    start_task
        Run a coroutine as a task; None where that is not possible.
    show
        Show the result of a query.
    """

    def __init__(
        self, start_task: Callable[[Coroutine[Any, Any, None]], object], show: Callable[[dict[str, Any]], object]
    ) -> None:
        self._start_task = start_task
        self._show = show
        self._query: tuple[str, int] | None = None
        self._is_running = False

    def search(self, query: str, number: int) -> None:
        """Answer a query soon, unless another follows it.

        Parameters
        ----------
        query
            Words of a model's name.
        number
            The page's number of the query.
        """
        self._query = query, number
        if not self._is_running:
            self._is_running = True
            self._is_running = self._start_task(self._answer()) is not None

    async def _answer(self) -> None:
        try:
            while self._query is not None:
                await asyncio.sleep(_PAUSE)
                (query, number), self._query = self._query, None
                self._show({**await find_models(query), "query": query, "n": number})
        finally:
            self._is_running = False


async def find_models(query: str) -> dict[str, Any]:
    """Search the catalog, which is fetched again when it is old.

    Parameters
    ----------
    query
        Words of a model's name.

    Returns
    -------
    dict
        ``list`` (rows with context and prices), ``total``, and a ``note`` where the catalog is old or missing.
    """
    from orchat.default_factories import catalog_endpoint
    from orchat.errors import APIError
    from orchat.openrouter.catalog import load_catalog_async

    try:
        catalog = await load_catalog_async(catalog_endpoint())
    except (APIError, ConfigurationError) as error:
        return {"list": [], "total": 0, "note": f"No list of models: {single_line(error.message)}"}
    return model_rows(catalog, query)


def model_rows(catalog: Catalog, query: str) -> dict[str, Any]:
    """Return the rows of the chat models that match a query, 40 at most, and their total.

    What a query names and no chat can use (embeddings, speech, video, batches) comes ``apart``, with its modalities.
    Where it names nothing, the models of near names are listed.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from orchat.openrouter.models import Catalog, read_models
    >>> pricing = {"prompt": "0.00000015", "completion": "0.0000006"}
    >>> models = read_models([{"id": "a/mini", "name": "A: Mini", "context_length": 128000, "pricing": pricing}])
    >>> model_rows(Catalog(models, datetime.now(UTC)), "mini")["list"]
    [{'id': 'a/mini', 'name': 'A: Mini', 'facts': '128k · $0.15 in, $0.60 out per million', 'badges': []}]
    """
    matching = catalog.matching(query)
    found = [model for model in matching if model.is_chat_model]
    others = [model for model in matching if not model.is_chat_model] if query.strip() else []
    note = "" if catalog.failure is None else f"The list is {catalog.age_text}: asking again failed."
    total = len(found)
    if not matching and (found := _near_models(catalog, query)):
        note, total = f"No such model. Near that name: {note}".strip(), len(found)
    rows = [
        {
            "id": single_line(m.id, 120),
            "name": single_line(m.name, 80),
            "facts": model_summary(m),
            "badges": model_badges(m),
        }
        for m in found[:_MAX_ROWS]
    ]
    apart = [
        {"id": single_line(m.id, 120), "name": single_line(m.name, 80), "facts": single_line(_purpose(m), 120)}
        for m in others[:_MAX_APART]
    ]
    return {"list": rows, "total": total, "note": note, **({"apart": apart} if apart else {})}


def _near_models(catalog: Catalog, query: str) -> list[Model]:
    """Return the chat models of names near one that is mistyped."""
    names = catalog.near(query[:_MAX_QUERY]) if query.strip() else []
    return [model for name in names if (model := catalog.get(name)) is not None]


def _purpose(model: Model) -> str:
    """Return what a model that answers in no chat is for."""
    return f"{model.modalities}, in batches only" if model.is_batch else model.modalities


def model_summary(model: Model) -> str:
    """Return context length and prices of a model as a short text."""
    parts = []
    if model.context_length:
        parts.append(_short_length(model.context_length))
    prices = [model.prices.get(name) for name in ("prompt", "completion")]
    if not model.is_free and prices[0] is not None and prices[1] is not None:  # of a free one a badge says so
        parts.append(f"${price_per_million(prices[0])} in, ${price_per_million(prices[1])} out per million")
        if (above := dearer_above(model.raw.get("pricing"))) is not None:
            parts.append(f"dearer above {round(above / 1000)}k")
    return " · ".join(parts)


def model_badges(model: Model) -> list[str]:
    """Return what a model can do, and whether it is free, a word each.

    Examples
    --------
    >>> from orchat.openrouter.models import read_models
    >>> entry = {"id": "a/b", "architecture": {"input_modalities": ["image"]}, "supported_parameters": ["tools"]}
    >>> model_badges(read_models([entry])[0])
    ['vision', 'tools']
    """
    accepted, supported = model.input_modalities, model.supported_parameters
    marks = {
        "vision": "image" in accepted,
        "files": "file" in accepted,
        "audio": "audio" in accepted,
        "images out": "image" in model.output_modalities,
        "tools": "tools" in supported,
        "reasoning": "reasoning" in supported,
        "free": model.is_free,
    }
    return [mark for mark, applies in marks.items() if applies]


def _short_length(tokens: int) -> str:
    """Return a context length as people say it: 128k, 1M."""
    return f"{round(tokens / 1000)}k" if tokens < 999_500 else f"{tokens / 1_000_000:.2g}M"


def shown_parameters(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the generation parameters that the page can edit.

    Examples
    --------
    >>> shown_parameters({"temperature": 0.2, "reasoning": {"effort": "low"}, "user": "x"})
    {'temperature': 0.2, 'max_tokens': None, 'effort': 'low'}
    """
    reasoning = kwargs.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, Mapping) else None
    return {
        "temperature": kwargs.get("temperature"),
        "max_tokens": kwargs.get("max_tokens"),
        "effort": effort if effort in EFFORTS else None,
    }


def parameter_errors(wanted: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with a person's parameters, by field; an empty dictionary where all is right.

    Examples
    --------
    >>> parameter_errors({"temperature": 7, "max_tokens": 10})
    {'temperature': 'A number from 0 to 2.'}
    """
    temperature, max_tokens, effort = (wanted.get(name) for name in ("temperature", "max_tokens", "effort"))
    errors = {}
    if temperature is not None and not (_is_number(temperature) and 0 <= temperature <= 2):
        errors["temperature"] = "A number from 0 to 2."
    if max_tokens is not None and not (
        isinstance(max_tokens, int) and not isinstance(max_tokens, bool) and max_tokens > 0
    ):
        errors["max_tokens"] = "A whole number above 0."
    if effort is not None and effort not in EFFORTS:
        errors["effort"] = f"One of {', '.join(EFFORTS)}."
    return errors


def merge_parameters(kwargs: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return generation kwargs updated with a person's parameters; None removes a parameter.

    Parameters
    ----------
    kwargs
        The present ones.
    wanted
        Parameters without `parameter_errors`.

    Examples
    --------
    >>> merge_parameters({"top_p": 0.5, "max_tokens": 10}, {"temperature": 0, "max_tokens": None, "effort": "high"})
    {'top_p': 0.5, 'temperature': 0, 'reasoning': {'effort': 'high'}}
    """
    changed = dict(kwargs)
    temperature, max_tokens, effort = (wanted.get(name) for name in ("temperature", "max_tokens", "effort"))
    reasoning = None if effort is None else {"effort": effort}
    for name, value in (("temperature", temperature), ("max_tokens", max_tokens), ("reasoning", reasoning)):
        changed.pop(name, None)
        if value is not None:
            changed[name] = value
    return changed


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
