"""Format a catalog as a text table of models, context lengths, prices and modalities."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from orchat.errors import ConfigurationError
from orchat.openrouter.models import Catalog, Model
from orchat.openrouter.prices import dearer_above, price_per_million

_PRICES = ("prompt", "completion")
_MOST_NEAR = 3
_APART = "-- these answer in no chat --"
_HEADINGS = ("model", "context", "$/M in", "$/M out", "modalities")


def list_models(catalog: Catalog, query: str = "", *, free: bool = False) -> str:
    r"""Format the matching models as a text table: those that answer in a chat, then the others, apart.

    Parameters
    ----------
    catalog
        The models.
    query
        Words that the id or the name must contain.
    free
        Whether to list free models only.

    Raises
    ------
    ConfigurationError
        None matches; the hint names near ones (a ValueError).

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from orchat.openrouter.models import read_models
    >>> prices = {"prompt": "0.000001", "completion": "0.000002"}
    >>> models = read_models([{"id": "vendor/m", "name": "M", "context_length": 8192, "pricing": prices}])
    >>> print(list_models(Catalog(models, datetime.now(UTC))), end="")
    model     context  $/M in  $/M out  modalities
    vendor/m    8,192    1.00     2.00  ? -> ?
    """
    found = catalog.matching(query, free=free)
    if not found:
        what = f"{'free ' if free else ''}model{f' matches `{query}`' if query else ''}"
        priced = [model.id for model in catalog.matching(query)][:_MOST_NEAR] if free and query else []
        near = [name for name in catalog.near(query, len(catalog.models)) if not free or _is_free(catalog, name)]
        hint = (
            f"Without --free there is {_quoted(priced)}."
            if priced
            else f"Near are {_quoted(near[:_MOST_NEAR])}."
            if near
            else None
        )
        raise ConfigurationError(f"No {what}." if query else f"There is no {what}.", hint=hint)
    chat_models = [model for model in found if model.is_chat_model]
    others = [model for model in found if not model.is_chat_model]
    lines = _align_columns([_HEADINGS, *map(_model_row, [*chat_models, *others])]).splitlines(keepends=True)
    if others:
        lines.insert(len(chat_models) + 1, f"{_APART}\n")
    return "".join(lines)


def _is_free(catalog: Catalog, name: str) -> bool:
    model = catalog.get(name)
    return model is not None and model.is_free


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"`{_single_line(name)}`" for name in names)


def _model_row(model: Model) -> tuple[str, ...]:
    return (
        _single_line(model.id),
        f"{model.context_length:,}" if model.context_length else "?",
        *("?" if (price := model.prices.get(name)) is None else price_per_million(price) for name in _PRICES),
        _single_line(f"{model.modalities}{_dearer(model)}"),
    )


def _dearer(model: Model) -> str:
    above = dearer_above(model.raw.get("pricing"))
    return "" if above is None else f" (dearer above {above:,} tokens)"


def _single_line(text: str) -> str:
    # Nothing that could steer a terminal, or turn its line around.
    return "".join(each for each in " ".join(text.split()) if unicodedata.category(each) not in ("Cc", "Cf"))


def _align_columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Align rows in columns: the first and the last to the left, those between to the right."""
    first, *numbers, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    return "".join(
        "  ".join([row[0].ljust(first), *map(str.rjust, row[1:-1], numbers), row[-1]]).rstrip() + "\n" for row in rows
    )
