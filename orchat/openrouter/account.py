"""Query the account: status and limits of a key, credits, and the cost and tokens of a generation (API section 7.2).

Sums are exact decimals in USD. A missing or unreadable value is None; ``raw`` holds the data as received.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from orchat.errors import ConfigurationError, ProviderError
from orchat.openrouter.json_query import JsonEndpoint, JsonQuery
from orchat.openrouter.prices import parse_price

__all__ = [
    "Credits",
    "Generation",
    "KeyStatus",
    "credits",
    "credits_async",
    "generation",
    "generation_async",
    "key_status",
    "key_status_async",
]

# A call's figures come with delay: half a second, doubled each time, makes about 15 s.
_GENERATION_RETRIES = 5
_KEY_QUERY = JsonQuery("/key", not_found_hint="This host keeps no account of its keys.", needs_key=True)
_CREDITS_QUERY = JsonQuery("/credits", not_found_hint="This host keeps no account of credits.", needs_key=True)


@dataclass(frozen=True)
class KeyStatus:
    """The status of an API key: its spending limit, its usage, and when it expires.

    Parameters
    ----------
    label
        The key's name on the account's pages.
    limit
        Its spending limit. None means that this key has no limit of its own, not that there is credit.
    limit_remaining
        The rest of the limit; None without one.
    resets
        How often the limit is reset: ``daily``, ``weekly``, ``monthly``, or None for never.
    usage
        Its spending in all.
    is_free_tier
        Whether the account never bought credits: then free models have 50 requests a day, not 1000.
    expires_at
        When it expires.
    raw
        The data as received.
    """

    label: str | None = None
    limit: Decimal | None = None
    limit_remaining: Decimal | None = None
    resets: str | None = None
    usage: Decimal | None = None
    is_free_tier: bool | None = None
    expires_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def next_reset(self, now: datetime | None = None) -> datetime | None:
        """Return when the limit is reset next: at midnight UTC, weeks on Monday; None if never.

        Examples
        --------
        >>> KeyStatus(resets="weekly").next_reset(datetime(2026, 8, 20, 9, tzinfo=UTC)).isoformat()
        '2026-08-24T00:00:00+00:00'
        """
        midnight = (now or datetime.now(UTC)).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        match self.resets:
            case "daily":
                return midnight + timedelta(days=1)
            case "weekly":
                return midnight + timedelta(days=7 - midnight.weekday())
            case "monthly":
                return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
        return None


@dataclass(frozen=True)
class Credits:
    """The credits that an account bought and used.

    Examples
    --------
    >>> Credits(Decimal("10"), Decimal("2.5")).balance
    Decimal('7.5')
    """

    total_credits: Decimal | None = None
    total_usage: Decimal | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def balance(self) -> Decimal | None:
        """The credits left; a negative balance stops free models too."""
        if self.total_credits is None or self.total_usage is None:
            return None
        return self.total_credits - self.total_usage


@dataclass(frozen=True)
class Generation:
    """The record of one generation, as billed: model, cost and tokens.

    Parameters
    ----------
    id
        The generation's id: a reply's ``meta["id"]`` or an error's ``generation_id``.
    model, provider
        The model, and the provider that ran it.
    cost
        Its cost in USD.
    prompt_tokens, completion_tokens
        The tokens in and out by the model's own count, where known.
    finish_reason
        Why it ended.
    cancelled
        Whether the client disconnected before it ended.
    created_at
        When it began.
    raw
        The data as received.
    """

    id: str | None = None
    model: str | None = None
    provider: str | None = None
    cost: Decimal | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    cancelled: bool | None = None
    created_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def key_status(endpoint: JsonEndpoint) -> KeyStatus:
    """Query the status of the endpoint's key.

    Raises
    ------
    MissingKeyError
        There is no key (a ValueError); nothing was sent.
    APIError
        The endpoint refused, failed, or could not be reached.
    """
    return _read_key(endpoint.get(_KEY_QUERY))


async def key_status_async(endpoint: JsonEndpoint) -> KeyStatus:
    """Query the status of the endpoint's key, on the running event loop."""
    return _read_key(await endpoint.get_async(_KEY_QUERY))


def credits(endpoint: JsonEndpoint) -> Credits:  # noqa: A001 - the API's word
    """Query the account's credits; an ordinary key may be refused. Raises as `key_status`."""
    return _read_credits(endpoint.get(_CREDITS_QUERY))


async def credits_async(endpoint: JsonEndpoint) -> Credits:
    """Query the account's credits, on the running event loop."""
    return _read_credits(await endpoint.get_async(_CREDITS_QUERY))


def generation(endpoint: JsonEndpoint, id: str, *, max_retries: int = _GENERATION_RETRIES) -> Generation:  # noqa: A002
    """Query the record of a generation; since it is available with delay, a 404 is retried.

    Parameters
    ----------
    endpoint
        Where the request was sent.
    id
        The generation's id.
    max_retries
        The number of retries; the default takes about 15 s.

    Raises
    ------
    NotFoundError
        The record is not available yet, or never will be.
    MissingKeyError, APIError
        As `key_status`.
    """
    return _read_generation(endpoint.get(_generation_query(id, max_retries)))


async def generation_async(endpoint: JsonEndpoint, id: str, *, max_retries: int = _GENERATION_RETRIES) -> Generation:  # noqa: A002
    """Query the record of a generation, on the running event loop."""
    return _read_generation(await endpoint.get_async(_generation_query(id, max_retries)))


def _generation_query(id: str, max_retries: int) -> JsonQuery:  # noqa: A002
    if not isinstance(id, str) or not id.strip():
        raise ConfigurationError(f"{id!r} is no generation's id.", hint="It looks like gen-1772000000-abc.")
    not_found_hint = (
        "The figures of a call come with delay, those of free models sometimes never: try again in a minute."
    )
    parameters = {"id": id.strip()}
    return JsonQuery(
        "/generation", parameters, not_found_hint, True, max_retries=max_retries, retry_statuses=frozenset({404})
    )


def _read_key(data: Any) -> KeyStatus:
    data = _require_object(data, "/key")
    return KeyStatus(
        label=_string(data, "label"),
        limit=parse_price(data.get("limit")),
        limit_remaining=parse_price(data.get("limit_remaining")),
        resets=_string(data, "limit_reset"),
        usage=parse_price(data.get("usage")),
        is_free_tier=_boolean(data, "is_free_tier"),
        expires_at=_datetime(data, "expires_at"),
        raw=data,
    )


def _read_credits(data: Any) -> Credits:
    data = _require_object(data, "/credits")
    return Credits(parse_price(data.get("total_credits")), parse_price(data.get("total_usage")), data)


def _read_generation(data: Any) -> Generation:
    data = _require_object(data, "/generation")
    return Generation(
        id=_string(data, "id"),
        model=_string(data, "model"),
        provider=_string(data, "provider_name"),
        cost=parse_price(data.get("total_cost")),
        prompt_tokens=_first_integer(data, "native_tokens_prompt", "tokens_prompt"),
        completion_tokens=_first_integer(data, "native_tokens_completion", "tokens_completion"),
        finish_reason=_string(data, "finish_reason"),
        cancelled=_boolean(data, "cancelled"),
        created_at=_datetime(data, "created_at"),
        raw=data,
    )


def _require_object(data: Any, path: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ProviderError(f"The reply to {path} holds no figures.", hint="Is the base URL right?")
    return data


def _string(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) else None


def _boolean(data: Mapping[str, Any], name: str) -> bool | None:
    value = data.get(name)
    return value if isinstance(value, bool) else None


def _first_integer(data: Mapping[str, Any], *names: str) -> int | None:
    values = (data.get(name) for name in names)
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)


def _datetime(data: Mapping[str, Any], name: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(_string(data, name) or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
