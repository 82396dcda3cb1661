"""``%openrouter key``: where the key comes from and what it may spend; put one in place; take it away.

A key is typed at a prompt that shows nothing. From then on it is a `Secret`: no message, variable of a frame or output
here holds it.
"""

from __future__ import annotations

import builtins
import getpass
import os
import warnings
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from orchat.configuration import KEY_VARIABLE, setting
from orchat.errors import APIError, AuthenticationError, ConfigurationError, NotFoundError
from orchat.jupyter.kernel.output.text_escaping import single_line
from orchat.jupyter.magic.key_lookup import Keyring, host_and_port, key_for_endpoint
from orchat.jupyter.magic.option_parser import MAGIC, closest_match
from orchat.openrouter.dialect import is_openrouter
from orchat.secret import Secret

if TYPE_CHECKING:
    from orchat.openrouter.account import KeyStatus
    from orchat.openrouter.json_query import JsonEndpoint

Ask = Callable[[str], str]

_SHORTEST = 8
_WORDS = ("check", "set", "forget")
_FREE_TIER = "yes: 50 requests a day to free models, until credits are bought"


def key_command(words: Sequence[str], ask: Ask | None = None, read: Ask | None = None) -> str:
    """Do ``%openrouter key [check|set|forget]``, and return what is printed.

    Parameters
    ----------
    words
        What stands behind ``key``; nothing means ``check``.
    ask
        Asks for a text that nobody sees. Default: `getpass.getpass` as it is at that time, for a kernel brings its own.
    read
        Asks for any other text. Default: `input`, likewise.

    Raises
    ------
    ConfigurationError
        There is no such word, or the key that was typed is none or was refused; then nothing has changed.
    APIError
        The endpoint could not be asked about the key there is.

    Examples
    --------
    >>> key_command(["sett"])
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: There is no `key sett`. Did you mean set?
    """
    name, *more = words or ["check"]
    if more:
        # A key may be among them, so they are not repeated.
        raise ConfigurationError(
            f"%{MAGIC} key {name if name in _WORDS else '...'} takes nothing more.",
            hint="Never write a key in a cell, where it stays: `key set` asks for it. One that was is best replaced.",
        )
    if name not in _WORDS:
        is_short = len(name) < _SHORTEST
        hint = (closest_match(name, _WORDS) if is_short else "") or f"There are {', '.join(_WORDS)}."
        raise ConfigurationError(f"There is no `key {name if is_short else '...'}`.", hint=hint)
    if name == "set":
        return _set(ask or getpass.getpass, read or builtins.input)
    return _forget() if name == "forget" else _check()


# -- check ----------------------------------------------------------------------------------------------------------


def _check() -> str:
    from orchat.openrouter.account import key_status

    api_base_url = str(setting("base_url"))
    if (found := key_for_endpoint(api_base_url)) is None:
        return _no_key(api_base_url)
    try:
        status = key_status(_endpoint(api_base_url, found.key))
    except AuthenticationError as error:
        raise _refused(f"The key from {found.source} was refused", error) from None
    except NotFoundError:
        return f"key: from {found.source}\n{host_and_port(api_base_url)} keeps no account of its keys."
    return "\n".join(_lines(status, _endpoint(api_base_url, found.key), found.source))


def _no_key(api_base_url: str) -> str:
    from orchat.generator_factory import THREE_WAYS

    where = "" if is_openrouter(api_base_url) else f" for {host_and_port(api_base_url)}, which may need none"
    _, local, host = THREE_WAYS
    ways = (f"%{MAGIC} key set asks for one; they are made at openrouter.ai/settings/keys", local, host)
    return "\n".join(
        [f"There is no API key{where}. Three ways on:", *(f"  {n}. {way}" for n, way in enumerate(ways, 1))]
    )


def _lines(status: KeyStatus, endpoint: JsonEndpoint, source: str) -> list[str]:
    """Say what a key may spend; what is not known is left out."""
    told = [f"key: {single_line(status.label, 60)}, from {source}" if status.label else f"key: from {source}"]
    if status.limit is None:
        told.append("limit: none of its own")
    else:
        left = "" if status.limit_remaining is None else f"{_usd(status.limit_remaining)} left of "
        told.append(f"limit: {left}{_usd(status.limit)}{_resets(status)}")
    if status.usage is not None:
        told.append(f"spent: {_usd(status.usage)} in all")
    if (balance := _balance(endpoint)) is not None:
        told.append(f"credits: {_usd(balance)} left in the account")
    if status.is_free_tier is not None:
        told.append(f"free tier: {_FREE_TIER if status.is_free_tier else 'no'}")
    if status.expires_at is not None:
        told.append(f"expires: {status.expires_at:%Y-%m-%d %H:%M %Z}")
    return told


def _resets(status: KeyStatus) -> str:
    again = status.next_reset()
    if again is not None:
        return f", starts anew {status.resets}, next on {again:%Y-%m-%d %H:%M %Z}"
    return f", starts anew: {single_line(status.resets, 20)}" if status.resets else ", never starts anew"


def _balance(endpoint: JsonEndpoint) -> Decimal | None:
    """Return what the account has left; ordinary keys are often not told."""
    from orchat.openrouter.account import credits  # noqa: A004 - the API's word

    try:
        return credits(endpoint).balance
    except APIError:
        return None


def _usd(amount: Decimal) -> str:
    size = abs(amount)
    # Two places are enough, and more where there would be nothing else to see.
    text = f"{size:,.2f}" if size >= 1 or not size else f"{Decimal(f'{size:.3g}'):f}"
    return f"{'-' if amount < 0 else ''}${text}"


# -- set and forget -------------------------------------------------------------------------------------------------


def _set(ask: Ask, read: Ask) -> str:
    from orchat.openrouter.account import key_status

    api_base_url = str(setting("base_url"))
    key = _typed(ask, f"Key for {host_and_port(api_base_url)} (it is not shown): ")
    if key is None:
        return "Nothing was typed, and nothing has changed."
    if why := _problem(key, api_base_url):
        raise ConfigurationError(why, hint="Nothing has changed.")
    endpoint = _endpoint(api_base_url, key)
    told: list[str] = []
    try:
        told = ["The key works.", *_lines(key_status(endpoint), endpoint, "you")]
    except AuthenticationError as error:
        raise _refused("The key was refused, and nothing has changed", error) from None
    except NotFoundError:
        told = [f"{host_and_port(api_base_url)} keeps no account of its keys, so that this one was not tried."]
    except APIError as error:
        told = [f"The key could not be tried: {single_line(error.message)}"]
    os.environ[KEY_VARIABLE] = key.resolve_value() or ""
    return "\n".join([*told, f"{KEY_VARIABLE} is set in this kernel{_kept(key, api_base_url, read)}."])


def _typed(ask: Ask, question: str) -> Secret | None:
    """Ask for a key without showing it; None where nothing is typed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # it would be shown after all
            typed = ask(question).strip().strip("'\"")
    except (EOFError, NotImplementedError, getpass.GetPassWarning):
        raise ConfigurationError(
            "Nobody can be asked for a key here.", hint=f"Set {KEY_VARIABLE} where the kernel is started."
        ) from None
    return Secret.from_token(typed) if typed else None


def _problem(key: Secret, api_base_url: str) -> str | None:
    """Say why this is no key, without repeating it."""
    text = key.resolve_value() or ""
    if len(text) < _SHORTEST or not text.isascii() or not text.isprintable() or " " in text:
        return "That does not look like a key."
    if is_openrouter(api_base_url) and not text.startswith("sk-or-"):
        return "That is no key of OpenRouter's, which begin with sk-or-."
    return None


def _kept(key: Secret, api_base_url: str, read: Ask) -> str:
    """Keep a key in the keyring, if there is one and the user wants that."""
    if (keyring := Keyring.installed()) is None:
        return ""
    try:
        answer = read(f"Keep it in {keyring.name} for later sessions as well? [y/N] ")
    except (EOFError, NotImplementedError):
        return ""
    return f", and {keyring.keep(key, api_base_url)}" if answer.strip().lower() in ("y", "yes") else ""


def _forget() -> str:
    api_base_url = str(setting("base_url"))
    told: list[str] = []
    if os.environ.pop(KEY_VARIABLE, None):
        told.append(f"{KEY_VARIABLE} is taken out of this kernel; what sets it elsewhere will set it again.")
    if (keyring := Keyring.installed()) is not None and keyring.key(api_base_url) is not None:
        told.append(f"The key is {keyring.delete(api_base_url)}.")
    if (left := key_for_endpoint(api_base_url)) is not None:
        told.append(f"There is still a key: {left.source}.")
    return "\n".join(told) or "There was no key to forget."


def _endpoint(api_base_url: str, key: Secret) -> JsonEndpoint:
    from orchat.openrouter.json_query import JsonEndpoint

    return JsonEndpoint(api_base_url, key)


def _refused(what: str, error: AuthenticationError) -> ConfigurationError:
    return ConfigurationError(f"{what}: {single_line(error.message)}", hint=f"%{MAGIC} key set asks for another.")
