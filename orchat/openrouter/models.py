"""`Model` and `Catalog`: what an endpoint's list of models says. Pure; where lists come from is `catalog`'s business.

The list is untrusted: an entry's odd values are as good as missing, and an entry without an id is left out. It is no
list of all that may be asked for either: rules such as ``:nitro``, presets and private models are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from orchat.errors import APIError
from orchat.openrouter.model_names import base_models, similar_names
from orchat.openrouter.prices import cost, read_prices

FRESH = timedelta(days=1)
"""How long a list is used without asking again."""

# There prices are per second, character or piece, whatever they are called.
_OTHER_UNITS = frozenset({"speech", "transcription", "video"})
_LONGEST_ID = 200


@dataclass(frozen=True)
class Model:
    """One model of a catalogue; what is not said is None or empty.

    Parameters
    ----------
    id
        What to send as ``model``.
    name
        What people call it.
    context_length, max_completion_tokens
        How many tokens fit in, and come out at most.
    prices
        USD per token (``prompt``, ``completion``, ``input_cache_read`` ...) or unit (``request``, ``image`` ...); what
        varies is missing.
    input_modalities, output_modalities
        ``text``, ``image``, ``file``, ``audio`` ...
    supported_parameters
        What at least one of its endpoints understands.
    reasoning
        ``mandatory``, ``supported_efforts`` ... as they came; None for a model that does not reason.
    expiration_date
        When it goes.
    description
        What its vendor says of it.
    raw
        The entry as it came.
    """

    id: str
    name: str
    context_length: int | None = None
    max_completion_tokens: int | None = None
    prices: Mapping[str, Decimal] = field(default_factory=dict, hash=False)
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    supported_parameters: tuple[str, ...] = field(default=(), repr=False)
    reasoning: Mapping[str, Any] | None = field(default=None, repr=False, hash=False)
    expiration_date: date | None = None
    description: str = field(default="", repr=False)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_free(self) -> bool:
        """Whether it is one of the free ones: the suffix says so, not a price of 0."""
        return "free" in self.id.split(":")[1:] or self.id == "openrouter/free"

    def price(
        self,
        prompt_tokens: int,
        completion_tokens: int,
        *,
        cached_tokens: int = 0,
        images: int = 0,
        at: datetime | None = None,
    ) -> Decimal | None:
        """Return what a request costs in USD by list prices; None where that is unknown.

        What variants such as ``:online``, plugins and server tools cost is not in it.

        Parameters
        ----------
        prompt_tokens, completion_tokens
            The tokens in and out; reasoning counts as out.
        cached_tokens
            How many of the prompt's tokens are read from a cache.
        images
            How many images go in.
        at
            When, for prices that depend on the hour; by default now.

        Examples
        --------
        >>> model = read_model({"id": "vendor/m", "pricing": {"prompt": "0.000003", "completion": "0.000015"}})
        >>> model.price(1000, 100)
        Decimal('0.004500')
        """
        if not _OTHER_UNITS.isdisjoint(self.output_modalities):
            return None
        if not self.is_free and not any(self.prices.get(name) for name in ("prompt", "completion", "request")):
            return None  # routers and odd units show 0 as well
        return cost(
            self.raw.get("pricing"),
            prompt_tokens,
            completion_tokens,
            cached_tokens=cached_tokens,
            images=images,
            at=at,
        )


@dataclass(frozen=True, repr=False)
class Catalog:
    """An endpoint's models, as told at one moment.

    Parameters
    ----------
    models
        In the endpoint's order.
    fetched_at
        When they were asked for.
    failure
        Why this is not newer: the error that asking again ended in; None where nothing went wrong.

    Examples
    --------
    >>> catalog = Catalog(read_models([{"id": "openai/gpt-4o-mini"}, {"id": "vendor/m:free"}]), datetime.now(UTC))
    >>> catalog.get("openai/gpt-4o-mini:nitro").id
    'openai/gpt-4o-mini'
    >>> catalog.near("gpt4o-mini")
    ['openai/gpt-4o-mini']
    """

    models: tuple[Model, ...]
    fetched_at: datetime
    failure: APIError | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"Catalog({len(self.models)} models, {self.age_text})"

    @property
    def age(self) -> timedelta:
        """How long ago it was fetched; never less than nothing."""
        return max(datetime.now(UTC) - self.fetched_at, timedelta(0))

    @property
    def age_text(self) -> str:
        """Its age in words, such as ``3 days old``."""
        seconds = self.age.total_seconds()
        for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
            if (count := int(seconds // length)) > 0:
                return f"{count} {unit}{'s' if count > 1 else ''} old"
        return "less than a minute old"

    @property
    def is_fresh(self) -> bool:
        """Whether there is no need to ask again; one from the future is of no known age."""
        return self.age < FRESH and self.fetched_at <= datetime.now(UTC)

    def get(self, id: str) -> Model | None:  # noqa: A002 - the API's word
        """Return a model by what would be sent; variants that are rules, and presets, lead to their base.

        None means only that it is not listed: private models are not.
        """
        for name in base_models(id):
            if (model := self._by_name.get(name)) is not None:
                return model
        return None

    def price(
        self,
        id: str,  # noqa: A002
        prompt_tokens: int,
        completion_tokens: int,
        *,
        cached_tokens: int = 0,
        images: int = 0,
        at: datetime | None = None,
    ) -> Decimal | None:
        """Return what a request costs in USD by list prices (see `Model.price`); None where that is unknown."""
        model = self.get(id)
        if model is None:
            return None
        return model.price(prompt_tokens, completion_tokens, cached_tokens=cached_tokens, images=images, at=at)

    def near(self, name: str, count: int = 3) -> list[str]:
        """Return the ids most like a name that may be mistyped, lack its vendor, or be what people say.

        Examples
        --------
        >>> Catalog(read_models([{"id": "meta-llama/llama-3.3-70b-instruct"}]), datetime.now(UTC)).near("Llama 3.3 70b")
        ['meta-llama/llama-3.3-70b-instruct']
        """
        return similar_names(name, (model.id for model in self.models), count)

    def matching(self, query: str = "", *, free: bool = False) -> list[Model]:
        """Return the models whose id or name holds every word of a query, whatever the case.

        Parameters
        ----------
        query
            Words; none matches all models.
        free
            Only the free ones.
        """
        words = query.lower().split()
        return [
            model
            for model in self.models
            if (model.is_free or not free) and all(word in f"{model.id} {model.name}".lower() for word in words)
        ]

    @cached_property
    def _by_name(self) -> dict[str, Model]:
        """By id; by the permanent name, which replies may give, where no id is the same."""
        found: dict[str, Model] = {}
        for model in self.models:
            found.setdefault(model.id, model)
        for model in self.models:
            if isinstance(slug := model.raw.get("canonical_slug"), str):
                found.setdefault(slug, model)
        return found


def read_models(data: list[Any]) -> tuple[Model, ...]:
    """Read a list of models; what is none is left out.

    Examples
    --------
    >>> [model.id for model in read_models([{"id": "vendor/m"}, {"id": 7}, None])]
    ['vendor/m']
    """
    return tuple(model for model in map(read_model, data) if model is not None)


def read_model(entry: Any) -> Model | None:
    """Read an entry of a list of models; None where it has no id."""
    if not isinstance(entry, dict):
        return None
    id = entry.get("id")  # noqa: A001
    if not isinstance(id, str) or not id.strip() or len(id) > _LONGEST_ID:
        return None
    architecture, provider = _object(entry.get("architecture")), _object(entry.get("top_provider"))
    reasoning = entry.get("reasoning")
    return Model(
        id=id,
        name=_text(entry.get("name")) or id,
        context_length=_count(entry.get("context_length")) or _count(provider.get("context_length")),
        max_completion_tokens=_count(provider.get("max_completion_tokens")),
        prices=read_prices(entry.get("pricing")),
        input_modalities=_texts(architecture.get("input_modalities")),
        output_modalities=_texts(architecture.get("output_modalities")),
        supported_parameters=_texts(entry.get("supported_parameters")),
        reasoning=reasoning if isinstance(reasoning, dict) else None,
        expiration_date=_date(entry.get("expiration_date")),
        description=_text(entry.get("description")),
        raw=entry,
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53 else None


def _date(value: Any) -> date | None:
    try:
        return date.fromisoformat(_text(value)[:10])
    except ValueError:
        return None
