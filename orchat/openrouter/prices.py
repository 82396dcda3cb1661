"""Parse list prices as exact decimals, and compute the cost of a request by them. Pure.

A catalog is untrusted and changes without notice: invalid prices are left out, and what is left out is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation, localcontext
from typing import Any

# A user's own decimal context is not for money: here nothing is rounded.
_EXACT = Context(prec=100)
_CONDITIONS = frozenset({"min_prompt_tokens", "utc_start", "utc_end", "utc_days"})
_NOT_PRICES = _CONDITIONS | {"overrides", "discount"}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


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


def cost(
    pricing: Any,
    prompt_tokens: int,
    completion_tokens: int,
    *,
    cached_tokens: int = 0,
    images: int = 0,
    at: datetime | None = None,
) -> Decimal | None:
    """Compute the cost of a request in USD; None where a needed price is unknown.

    Parameters
    ----------
    pricing
        A model's ``pricing`` as received.
    prompt_tokens, completion_tokens
        The tokens in and out; reasoning counts as out.
    cached_tokens
        The number of prompt tokens that are read from a cache.
    images
        The number of images in the prompt.
    at
        The time; by default now.

    Examples
    --------
    >>> cost({"prompt": "0.000003", "completion": "0.000015"}, 1000, 100)
    Decimal('0.004500')
    """
    prices = prices_at(pricing, prompt_tokens, at)
    needed = {"prompt", "completion"}
    if prices.keys() & needed != needed:
        return None
    # These may be missing, which is nothing; but given and not understood is unknown.
    extras = {"request": 1, "image": images}
    if any(count and name in pricing and name not in prices for name, count in extras.items()):
        return None
    cached = min(cached_tokens, prompt_tokens)
    with localcontext(_EXACT):
        total = (prompt_tokens - cached) * prices["prompt"] + completion_tokens * prices["completion"]
        total += cached * prices.get("input_cache_read", prices["prompt"])
        return total + sum((count * prices[name] for name, count in extras.items() if name in prices), Decimal(0))
