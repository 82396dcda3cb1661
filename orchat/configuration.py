"""Settings of a notebook, session or hub: the default model, cost limits, what is sent to it and what is displayed.

One source for the magics, the panel, `orchat.Chat` and the command line. A value comes from configuration (IPython's
files and ``%config``, read by `orchat.jupyter`), else from an environment variable, else it is the default. An argument
takes precedence over all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

from orchat.errors import ConfigurationError
from orchat.openrouter.dialect import DEFAULT_BASE_URL, DEFAULT_MODEL
from orchat.openrouter.response_limits import ResponseLimits

KEY_VARIABLE = "OPENROUTER_API_KEY"
MODEL_VARIABLE = "ORCHAT_MODEL"
BASE_URL_VARIABLE = "OPENROUTER_BASE_URL"

Footer = Literal["full", "model", "none"]


class Setting(NamedTuple):
    """The definition of one setting.

    Parameters
    ----------
    variable
        The environment variable that sets it.
    default
        The default value.
    read
        Validates and converts a text or another value; a ValueError says what it must be.
    help
        A one-line description.
    """

    variable: str
    default: Any
    read: Callable[[Any], Any]
    help: str


class EffectiveSetting(NamedTuple):
    """The effective value of a setting, and its source."""

    value: Any
    source: str


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    return value.strip()


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            raise ValueError("one of " + ", ".join(words))
        return str(value)

    return read


def _flag(value: Any) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    found = known.get(str(value).strip().lower())
    if found is None:
        raise ValueError("true or false")
    return found


def _count(value: Any) -> int:
    try:
        count = int(value)
    except (TypeError, ValueError, OverflowError):
        count = -1
    if count < 0 or isinstance(value, bool):
        raise ValueError("a whole number, 0 or more")
    return count


def _positive(value: Any) -> int:
    with suppress(ValueError):
        if count := _count(value):
            return count
    raise ValueError("a whole number, 1 or more")


def _usd(value: Any) -> Decimal:
    try:
        amount = Decimal(str(value).removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0 or isinstance(value, bool):
        raise ValueError("an amount of USD, such as 0.50")
    return amount


def _names(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for pair in value.items() for each in pair):
        raise ValueError('a dict of names, such as {"fast": "openai/gpt-4o-mini"}')
    return dict(value)


def _limits(value: Any) -> dict[str, int]:
    try:
        return ResponseLimits.of(value).changed()
    except (TypeError, ConfigurationError) as error:
        raise ValueError(f'a dict such as {{"event_bytes": 33554432}}: {str(error).rstrip(".")}') from None


SETTINGS: Mapping[str, Setting] = {
    "model": Setting(MODEL_VARIABLE, DEFAULT_MODEL, _text, "who answers where no model is named"),
    "base_url": Setting(BASE_URL_VARIABLE, DEFAULT_BASE_URL, _text, "where the API is"),
    "aliases": Setting("", {}, _names, "short names of models"),
    "max_cost": Setting("ORCHAT_MAX_COST", None, _usd, "USD that this session may spend, by list prices; 0 for free"),
    "max_tokens": Setting("ORCHAT_MAX_TOKENS", None, _positive, "where an answer ends, unless a cell says otherwise"),
    "zdr": Setting("ORCHAT_ZDR", None, _flag, "whether to use only providers that keep nothing (OpenRouter)"),
    "data_collection": Setting(
        "ORCHAT_DATA_COLLECTION", None, _one_of("allow", "deny"), "may providers learn from prompts? (OpenRouter)"
    ),
    "history_tokens": Setting(
        "ORCHAT_HISTORY_TOKENS", 32_000, _count, "how much of a conversation goes along, about; older turns stay behind"
    ),
    "footer": Setting("ORCHAT_FOOTER", "full", _one_of("full", "model", "none"), "the line below an answer"),
    "privacy": Setting(
        "ORCHAT_PRIVACY", "head", _one_of("schema", "head", "sample"), "what of a table in a prompt is sent"
    ),
    "state": Setting(
        "ORCHAT_STATE",
        "cell",
        _one_of("cell", "file", "none"),
        "where conversations are kept: in the notebook's cells, in a file beside it, or nowhere",
    ),
    "restore": Setting(
        "ORCHAT_RESTORE",
        "ask",
        _one_of("ask", "auto", "never"),
        "a cell after a restart of the kernel tells of earlier turns, brings them back, or does neither",
    ),
    "state_limit": Setting("ORCHAT_STATE_LIMIT", 256_000, _positive, "how many bytes of a conversation a cell keeps"),
    "store": Setting(
        "ORCHAT_STORE", None, _text, "the file that keeps the answers of columns, or none; default: in the user's data"
    ),
    "store_limit": Setting(
        "ORCHAT_STORE_LIMIT", 2_000_000_000, _positive, "how many bytes of answers are kept; the oldest make room"
    ),
    "confirm_above": Setting(
        "ORCHAT_CONFIRM_ABOVE", Decimal(1), _usd, "USD that a column may cost, about, without a max_cost of its own"
    ),
    "limits": Setting("", {}, _limits, 'how much of a response is read, such as {"event_bytes": 33554432}'),
}
"""All settings, by name."""


@dataclass(frozen=True)
class _Override:
    value: Any
    source: str


_overrides: dict[str, _Override] = {}


def configure(name: str, value: Any, source: str = "configuration") -> None:
    """Set a setting for this process; None returns it to the environment.

    Raises
    ------
    ConfigurationError
        There is no such setting, or the value makes no sense (a ValueError).

    Examples
    --------
    >>> configure("footer", "short")
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: footer='short' makes no sense. It is one of full, model, none.
    """
    if name not in SETTINGS:
        raise ConfigurationError(f"There is no setting {name!r}.", hint=f"There are {', '.join(SETTINGS)}.")
    if value is None:
        _overrides.pop(name, None)
    else:
        _overrides[name] = _Override(_read(name, value, name), source)


def effective_setting(name: str) -> EffectiveSetting:
    """Return the effective value of a setting, and its source.

    Raises
    ------
    ConfigurationError
        The environment variable's value makes no sense (a ValueError).

    Examples
    --------
    >>> effective_setting("history_tokens")
    EffectiveSetting(value=32000, source='default')
    """
    setting = SETTINGS[name]
    if (given := _overrides.get(name)) is not None:
        return EffectiveSetting(given.value, given.source)
    if setting.variable and (text := os.environ.get(setting.variable)):  # an empty one is how people switch one off
        return EffectiveSetting(_read(name, text, setting.variable), setting.variable)
    return EffectiveSetting(setting.default, "default")


def setting(name: str) -> Any:
    """Return the effective value of a setting; see `effective_setting`.

    Examples
    --------
    >>> setting("footer")
    'full'
    """
    return effective_setting(name).value


def resolve_model_alias(name: str | None) -> str:
    """Resolve a model's name: an alias to its model, None to the default model, any other name to itself.

    Examples
    --------
    >>> configure("aliases", {"fast": "vendor/small"})
    >>> resolve_model_alias("fast"), resolve_model_alias("vendor/large")
    ('vendor/small', 'vendor/large')
    >>> configure("aliases", None)
    """
    name = name or str(setting("model"))
    aliases: dict[str, str] = setting("aliases")
    return aliases.get(name, name)


def provider_policy() -> dict[str, Any]:
    """Return the provider preferences of every request to OpenRouter (API section 2.3).

    Examples
    --------
    >>> configure("zdr", True)
    >>> provider_policy()
    {'zdr': True}
    >>> configure("zdr", None)
    """
    policy = {name: setting(name) for name in ("zdr", "data_collection")}
    return {name: value for name, value in policy.items() if value is not None}


def _read(name: str, value: Any, source: str) -> Any:
    try:
        return SETTINGS[name].read(value)
    except ValueError as error:
        raise ConfigurationError(f"{source}={value!r:.100} makes no sense.", hint=f"It is {error}.") from None


_key_lookups: list[Callable[[str], str | None]] = []


def set_key_lookup(lookup: Callable[[str], str | None] | None) -> None:
    """Register the function that finds the key of a base URL outside the environment, such as in a keyring."""
    _key_lookups[:] = [] if lookup is None else [lookup]


def look_up_key(api_base_url: str) -> str | None:
    """Return the stored key of a base URL by the registered lookup; None without one.

    Examples
    --------
    >>> look_up_key("https://nobody.invalid/v1") is None
    True
    """
    return next(filter(None, (find(api_base_url) for find in _key_lookups)), None)
