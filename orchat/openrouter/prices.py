"""Parse list prices as exact decimals, and compute the cost of a request by them. Pure.

A catalog is untrusted and changes without notice: invalid prices are left out, and what is left out is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation, localcontext
from typing import Any, Literal

# A user's own decimal context is not for money: here nothing is rounded.
_EXACT = Context(prec=100)
_SHOWN = Context(prec=6)
_CONDITIONS = frozenset({"min_prompt_tokens", "utc_start", "utc_end", "utc_days"})
_NOT_PRICES = _CONDITIONS | {"overrides", "discount"}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class RequestSize:
    """What of a request and its answer costs money, counted or estimated.

    Parameters
    ----------
    prompt_tokens, completion_tokens
        The tokens in and out; reasoning counts as out.
    audio_tokens, image_tokens
        Those of the prompt that are sounds and images.
    images
        The number of images in the prompt.
    cached_tokens
        The number of prompt tokens that are read from a cache.
    cache_write
        Whether all else of the prompt is written to a cache, and for how long it is kept there.
    searches
        The number of web searches.

    Examples
    --------
    >>> RequestSize(1000, 100).audio_tokens
    0
    """

    prompt_tokens: int
    completion_tokens: int
    audio_tokens: int = 0
    image_tokens: int = 0
    images: int = 0
    cached_tokens: int = 0
    cache_write: Literal["5m", "1h"] | None = None
    searches: int = 0


def parse_price(value: Any) -> Decimal | None:
    """Parse a string or JSON number as an exact decimal; None where it is not a number, or not a plausible amount.

    Examples
    --------
    >>> parse_price("0.000003"), parse_price(-0.5), parse_price("much"), parse_price(True)
    (Decimal('0.000003'), Decimal('-0.5'), None, None)
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, int) and abs(value) >= 10**12:  # Python refuses to write very long ones
        return None
    text = str(value)
    if len(text) > 40:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or not (number.is_zero() or -30 <= number.adjusted() < 12):
        return None
    return Decimal(0) if number.is_zero() else number


def read_prices(pricing: Any) -> dict[str, Decimal]:
    """Parse the known prices, in USD per token or unit; "-1" means that a price varies, which is unknown.

    Examples
    --------
    >>> read_prices({"prompt": "0.000003", "completion": "-1", "discount": 0})
    {'prompt': Decimal('0.000003')}
    """
    if not isinstance(pricing, dict):
        return {}
    read = {key: parse_price(value) for key, value in pricing.items() if key not in _NOT_PRICES}
    return {key: price for key, price in read.items() if price is not None and price >= 0}


def prices_at(pricing: Any, prompt_tokens: int, at: datetime | None = None) -> dict[str, Decimal]:
    """Return the prices for a request of that size at that time, by default now.

    Of the overrides whose conditions all hold, later ones win, price by price (API section 7.1).

    Examples
    --------
    >>> pricing = {"prompt": "3", "overrides": [{"min_prompt_tokens": 200000, "prompt": "6"}]}
    >>> prices_at(pricing, 200_000), prices_at(pricing, 200_001)
    ({'prompt': Decimal('3')}, {'prompt': Decimal('6')})
    """
    prices = read_prices(pricing)
    overrides = pricing.get("overrides") if isinstance(pricing, dict) else None
    moment = (at or datetime.now(UTC)).astimezone(UTC)
    for override in overrides if isinstance(overrides, list) else ():
        if isinstance(override, dict) and _override_applies(override, prompt_tokens, moment):
            # What it overrides with something unreadable is unknown from there on, not as before.
            prices = {key: price for key, price in prices.items() if key not in override} | read_prices(override)
    return prices


def dearer_above(pricing: Any) -> int | None:
    """Return the number of prompt tokens above which a token costs more than listed; None where it never does.

    Examples
    --------
    >>> dearer_above({"prompt": "3", "overrides": [{"min_prompt_tokens": 200000, "prompt": "6"}]})
    200000
    """
    prices = read_prices(pricing)
    overrides = pricing.get("overrides") if isinstance(pricing, dict) else None
    found = []
    for override in overrides if isinstance(overrides, list) else ():
        least = parse_price(override.get("min_prompt_tokens")) if isinstance(override, dict) else None
        if least is None or least < 0:
            continue
        if any(price > prices.get(name, Decimal(0)) for name, price in read_prices(override).items()):
            found.append(int(least))
    return min(found, default=None)


def _override_applies(override: Mapping[str, Any], prompt_tokens: int, moment: datetime) -> bool:
    least, days, start, end = (override.get(name) for name in ("min_prompt_tokens", "utc_days", "utc_start", "utc_end"))
    if least is not None and ((threshold := parse_price(least)) is None or prompt_tokens <= threshold):
        return False
    if days is not None and not (isinstance(days, list) and _DAYS[moment.weekday()] in days):
        return False
    if start is None and end is None:
        return True
    # Clock times as HHMM: 830 is half past eight. A window may wrap past midnight.
    opens, closes = parse_price(0 if start is None else start), parse_price(2400 if end is None else end)
    if opens is None or closes is None:
        return False
    clock = moment.hour * 100 + moment.minute
    return opens <= clock < closes if opens <= closes else clock >= opens or clock < closes


def cost(pricing: Any, size: RequestSize, *, outputs: Iterable[str] = (), at: datetime | None = None) -> Decimal | None:
    """Compute the cost of a request in USD; None where a needed price is unknown.

    Where one token may have several prices, the highest counts: images, sounds and reasoning that come out are not told
    apart from text, and a prompt that is written to a cache may cost more than one that is not.

    Parameters
    ----------
    pricing
        A model's ``pricing`` as received.
    size
        What is sent and what comes back.
    outputs
        What comes back besides text: ``image``, ``audio``.
    at
        The time; by default now.

    Examples
    --------
    >>> pricing = {"prompt": "0.000003", "completion": "0.000015", "audio": "0.00003", "audio_output": "0.00006"}
    >>> cost(pricing, RequestSize(1000, 100)), cost(pricing, RequestSize(1000, 100), outputs=["audio"])
    (Decimal('0.004500'), Decimal('0.009000'))
    >>> cost(pricing, RequestSize(1000, 0, audio_tokens=900))
    Decimal('0.027300')
    """
    prices = prices_at(pricing, size.prompt_tokens, at)
    if not {"prompt", "completion"} <= prices.keys():
        return None
    audio = min(size.audio_tokens, size.prompt_tokens)
    images = min(size.image_tokens, size.prompt_tokens - audio)
    cached = min(size.cached_tokens, size.prompt_tokens - audio - images)
    text = size.prompt_tokens - audio - images - cached
    writes = {None: [], "5m": ["input_cache_write"], "1h": ["input_cache_write", "input_cache_write_1h"]}
    written = writes[size.cache_write]
    made = ["internal_reasoning", *(f"{kind}_output" for kind in ("image", "audio") if kind in outputs)]
    parts: list[tuple[int, str | None, list[str]]] = [  # how many, the price, and others that may apply in its place
        (text, "prompt", written),
        (images, "prompt", [*written, "image_token"]),
        (audio, "prompt", [*written, "audio"]),
        (size.completion_tokens, "completion", made),
        (1, None, ["request"]),
        (size.images, None, ["image"]),
        (size.searches, None, ["web_search"]),
    ]
    with localcontext(_EXACT):
        total = cached * prices.get("input_cache_read", prices["prompt"])
        for count, usual, names in parts:
            given = [name for name in names if name in prices or pricing.get(name) is not None]
            # A price that is missing is nothing, or the usual one; but given and not understood is unknown.
            if count and any(name not in prices for name in given):
                return None
            total += count * max((prices[name] for name in [usual, *given] if name in prices), default=Decimal(0))
        return total


def price_per_million(price: Decimal) -> str:
    """Format a price per token as USD per million tokens, with as many digits as it needs, and two at least.

    More than six digits that count are rounded.

    Examples
    --------
    >>> [price_per_million(Decimal(price)) for price in ("0.000001", "0.0000000375", "0.00000008333333333333334")]
    ['1.00', '0.0375', '0.0833333']
    """
    with localcontext(_SHOWN):
        dollars = (price * 1_000_000).normalize()
    with localcontext(_EXACT):
        exponent = dollars.as_tuple().exponent
        digits = max(2, -exponent if isinstance(exponent, int) else 0)
        return f"{dollars:,.{digits}f}"
