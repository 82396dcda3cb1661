"""`Model` and `Catalog`: an endpoint's list of models, parsed from its JSON. Pure; `catalog` loads it.

The list is untrusted: invalid values of an entry count as missing, and an entry without an id is left out. It does not
list everything that can be requested: routing suffixes such as ``:nitro``, presets and private models are not in it.
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
from orchat.openrouter.prices import RequestSize, cost, read_prices

FRESH = timedelta(days=1)
"""The age up to which a list is used without another request."""

# There prices are per second, character or piece, whatever they are called.
_OTHER_UNITS = frozenset({"speech", "transcription", "video"})
_CHAT_OUTPUTS = frozenset({"text", "image", "audio"})
_MAX_ID_LENGTH = 200
# OpenRouter's, vLLM's, LiteLLM's, Groq's, Mistral's and llama.cpp's (in ``meta``).
_CONTEXT_NAMES = (
    "context_length",
    "max_model_len",
    "max_input_tokens",
    "context_window",
    "max_context_length",
    "n_ctx",
)


@dataclass(frozen=True)
class Model:
    """One model of a catalog; a missing value is None or empty.

    Parameters
    ----------
    id
        The value to send as ``model``.
    name
        The display name.
    context_length, max_completion_tokens
        The largest number of tokens in all, and of output.
    prices
        USD per token (``prompt``, ``completion``, ``input_cache_read`` ...) or unit (``request``, ``image`` ...); a
        variable price is missing.
    input_modalities, output_modalities
        ``text``, ``image``, ``file``, ``audio`` ...
    supported_parameters
        The parameters that at least one of its endpoints supports.
    reasoning
        ``mandatory``, ``supported_efforts`` ... as received; None for a model without reasoning.
    expiration_date
        When it is removed.
    description
        The vendor's description.
    raw
        The entry as received.
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
        """Whether it is a free model: by its suffix, not by a price of 0."""
        return "free" in self.id.split(":")[1:] or self.id == "openrouter/free"

    @property
    def is_batch(self) -> bool:
        """Whether it is the batch variant of a model, which answers within a day and not in a chat."""
        return "batch" in self.id.split(":")[1:]

    @property
    def is_chat_model(self) -> bool:
        """Whether it answers in a chat: it is no batch variant, and makes text, images or audio, as far as is known."""
        return not self.is_batch and not (self.output_modalities and _CHAT_OUTPUTS.isdisjoint(self.output_modalities))

    @property
    def modalities(self) -> str:
        """What goes in and comes out, as a text: ``text,image -> text``, with ``?`` for what is not known."""
        return f"{','.join(self.input_modalities) or '?'} -> {','.join(self.output_modalities) or '?'}"

    def price(self, size: RequestSize, *, at: datetime | None = None) -> Decimal | None:
        """Compute the cost of a request in USD by list prices; None where that is unknown.

        It is an upper bound where a token may have several prices (`orchat.openrouter.prices.cost`). The costs of
        variants such as ``:online``, plugins and server tools are included only as far as the model has a price for web
        searches.

        Parameters
        ----------
        size
            What is sent and what comes back.
        at
            The time, for prices that depend on the hour; by default now.

        Examples
        --------
        >>> model = read_model({"id": "vendor/m", "pricing": {"prompt": "0.000003", "completion": "0.000015"}})
        >>> model.price(RequestSize(1000, 100))
        Decimal('0.004500')
        """
        if not _OTHER_UNITS.isdisjoint(self.output_modalities):
            return None
        if not self.is_free and not any(self.prices.get(name) for name in ("prompt", "completion", "request")):
            return None  # routers and odd units show 0 as well
        return cost(self.raw.get("pricing"), size, outputs=self.output_modalities, at=at)


@dataclass(frozen=True, repr=False)
class Catalog:
    """The models of an endpoint, as fetched at one moment.

    Parameters
    ----------
    models
        The models in the endpoint's order.
    fetched_at
        When they were fetched.
    failure
        The error of the last attempt to refresh it; None without one.

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
        """The time since it was fetched; never negative."""
        return max(datetime.now(UTC) - self.fetched_at, timedelta(0))

    @property
    def age_text(self) -> str:
        """The age as text, such as ``3 days old``."""
        seconds = self.age.total_seconds()
        for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
            if (count := int(seconds // length)) > 0:
                return f"{count} {unit}{'s' if count > 1 else ''} old"
        return "less than a minute old"

    @property
    def is_fresh(self) -> bool:
        """Whether it is younger than `FRESH`; False for a time in the future."""
        return self.age < FRESH and self.fetched_at <= datetime.now(UTC)

    def get(self, id: str) -> Model | None:  # noqa: A002 - the API's word
        """Find a model by the name that would be sent; a name with a routing suffix or preset leads to its base model.

        None only means that it is not listed: private models are not.
        """
        for name in base_models(id):
            if (model := self._by_name.get(name)) is not None:
                return model
        return None

    def price(self, id: str, size: RequestSize, *, at: datetime | None = None) -> Decimal | None:  # noqa: A002
        """Compute the cost of a request in USD by list prices (see `Model.price`); None where that is unknown."""
        model = self.get(id)
        return None if model is None else model.price(size, at=at)

    def near(self, name: str, count: int = 3) -> list[str]:
        """Return the ids most similar to a name that may be mistyped, lack its vendor, or be colloquial.

        Only chat models are among them.

        Examples
        --------
        >>> Catalog(read_models([{"id": "meta-llama/llama-3.3-70b-instruct"}]), datetime.now(UTC)).near("Llama 3.3 70b")
        ['meta-llama/llama-3.3-70b-instruct']
        """
        return similar_names(name, (model.id for model in self.models if model.is_chat_model), count)

    def matching(self, query: str = "", *, free: bool = False) -> list[Model]:
        """Return the models whose id or name contains every word of a query, ignoring case.

        Parameters
        ----------
        query
            Words; an empty query matches all models. Batch variants are found only by a word that asks for them.
        free
            Whether to return free models only.
        """
        words = query.lower().split()
        batch = any("batch" in word for word in words)
        return [
            model
            for model in self.models
            if (model.is_free or not free)
            and (batch or not model.is_batch)
            and all(word in f"{model.id} {model.name}".lower() for word in words)
        ]

    @cached_property
    def _by_name(self) -> dict[str, Model]:
        """The models by id, and by the permanent name that replies may contain, where no id is the same."""
        found: dict[str, Model] = {}
        for model in self.models:
            found.setdefault(model.id, model)
        for model in self.models:
            if isinstance(slug := model.raw.get("canonical_slug"), str):
                found.setdefault(slug, model)
        return found


def read_models(data: list[Any]) -> tuple[Model, ...]:
    """Parse a list of models; invalid entries are left out.

    Examples
    --------
    >>> [model.id for model in read_models([{"id": "vendor/m"}, {"id": 7}, None])]
    ['vendor/m']
    """
    return tuple(model for model in map(read_model, data) if model is not None)


def read_model(entry: Any) -> Model | None:
    """Parse an entry of a list of models; None where it has no id."""
    if not isinstance(entry, dict):
        return None
    id = entry.get("id")  # noqa: A001
    if not isinstance(id, str) or not id.strip() or len(id) > _MAX_ID_LENGTH:
        return None
    architecture, provider = _object(entry.get("architecture")), _object(entry.get("top_provider"))
    reasoning = entry.get("reasoning")
    return Model(
        id=id,
        name=_text(entry.get("name")) or id,
        context_length=_context_length(entry, provider, _object(entry.get("meta"))),
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


def _context_length(*places: Mapping[str, Any]) -> int | None:
    """Return the first context length that is told, in any server's spelling."""
    return next((count for name in _CONTEXT_NAMES for place in places if (count := _count(place.get(name)))), None)


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
