"""The ``%openrouter key`` sub-command: check a key's source and limits, set a key, forget it.

A key is typed at a prompt without echo. From then on it is a `Secret`: no message, variable of a frame or output here
holds it.
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
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.jupyter.magic.key_lookup import Keyring, host_and_port, key_for_endpoint
from orchat.jupyter.magic.option_parser import MAGIC, closest_match
from orchat.openrouter.dialect import is_openrouter
from orchat.secret import Secret

if TYPE_CHECKING:
    from orchat.openrouter.account import KeyStatus
    from orchat.openrouter.json_query import JsonEndpoint

Prompter = Callable[[str], str]

_MIN_KEY_LENGTH = 8
_ACTIONS = ("check", "set", "forget")
_FREE_TIER = "yes: 50 requests a day to free models, until credits are bought"


def key_command(words: Sequence[str], ask: Prompter | None = None, read: Prompter | None = None) -> str:
    """Run ``%openrouter key [check|set|forget]``, and return the text to print.

    Parameters
    ----------
    words
        The words behind ``key``; none means ``check``.
    ask
        Reads a line without echo. Default: `getpass.getpass`, looked up at the call, since a kernel replaces it.
    read
        Reads a line. Default: `input`, likewise.

    Raises
    ------
    ConfigurationError
        The action is unknown, or the typed key is malformed or was refused; then nothing has changed.
    APIError
        The endpoint's account query for the current key failed.

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
            f"%{MAGIC} key {name if name in _ACTIONS else '...'} takes nothing more.",
            hint="Never write a key in a cell, where it stays: `key set` asks for it. One that was is best replaced.",
        )
    if name not in _ACTIONS:
        is_short = len(name) < _MIN_KEY_LENGTH
        hint = (closest_match(name, _ACTIONS) if is_short else "") or f"There are {', '.join(_ACTIONS)}."
        raise ConfigurationError(f"There is no `key {name if is_short else '...'}`.", hint=hint)
    if name == "set":
        return _set_key(ask or getpass.getpass, read or builtins.input)
    return _forget_key() if name == "forget" else _check_key()


# -- check ----------------------------------------------------------------------------------------------------------


def _check_key() -> str:
    from orchat.openrouter.account import key_status

    api_base_url = str(setting("base_url"))
    if (found := key_for_endpoint(api_base_url)) is None:
        return _missing_key_text(api_base_url)
    try:
        status = key_status(_json_endpoint(api_base_url, found.key))
    except AuthenticationError as error:
        raise _refused_key_error(f"The key from {found.source} was refused", error) from None
    except NotFoundError:
        return f"key: from {found.source}\n{host_and_port(api_base_url)} keeps no account of its keys."
    return "\n".join(_status_lines(status, _json_endpoint(api_base_url, found.key), found.source))


def _missing_key_text(api_base_url: str) -> str:
    from orchat.default_factories import THREE_WAYS

    host_clause = "" if is_openrouter(api_base_url) else f" for {host_and_port(api_base_url)}, which may need none"
    _, local, host = THREE_WAYS
    solutions = (f"%{MAGIC} key set asks for one; they are made at openrouter.ai/settings/keys", local, host)
    return "\n".join(
        [
            f"There is no API key{host_clause}. Three ways on:",
            *(f"  {n}. {solution}" for n, solution in enumerate(solutions, 1)),
        ]
    )


def _status_lines(status: KeyStatus, endpoint: JsonEndpoint, source: str) -> list[str]:
    """Return lines about a key's limits and spending; unknown facts are left out."""
    lines = [f"key: {single_line(status.label, 60)}, from {source}" if status.label else f"key: from {source}"]
    if status.limit is None:
        lines.append("limit: none of its own")
    else:
        left = "" if status.limit_remaining is None else f"{_format_usd(status.limit_remaining)} left of "
        lines.append(f"limit: {left}{_format_usd(status.limit)}{_reset_text(status)}")
    if status.usage is not None:
        lines.append(f"spent: {_format_usd(status.usage)} in all")
    if (balance := _account_balance(endpoint)) is not None:
        lines.append(f"credits: {_format_usd(balance)} left in the account")
    if status.is_free_tier is not None:
        lines.append(f"free tier: {_FREE_TIER if status.is_free_tier else 'no'}")
    if status.expires_at is not None:
        lines.append(f"expires: {status.expires_at:%Y-%m-%d %H:%M %Z}")
    return lines


def _reset_text(status: KeyStatus) -> str:
    next_reset = status.next_reset()
    if next_reset is not None:
        return f", starts anew {status.resets}, next on {next_reset:%Y-%m-%d %H:%M %Z}"
    return f", starts anew: {single_line(status.resets, 20)}" if status.resets else ", never starts anew"


def _account_balance(endpoint: JsonEndpoint) -> Decimal | None:
    """Return the account's balance in USD; None where the key may not read it, as is usual."""
    from orchat.openrouter.account import credits  # noqa: A004 - the API's word

    try:
        return credits(endpoint).balance
    except APIError:
        return None


def _format_usd(amount: Decimal) -> str:
    size = abs(amount)
    # Two places are enough, and more where there would be nothing else to see.
    text = f"{size:,.2f}" if size >= 1 or not size else f"{Decimal(f'{size:.3g}'):f}"
    return f"{'-' if amount < 0 else ''}${text}"


# -- set and forget -------------------------------------------------------------------------------------------------


def _set_key(ask: Prompter, read: Prompter) -> str:
    from orchat.openrouter.account import key_status

    api_base_url = str(setting("base_url"))
    key = _read_key(ask, f"Key for {host_and_port(api_base_url)} (it is not shown): ")
    if key is None:
        return "Nothing was typed, and nothing has changed."
    if reason := _invalid_key_reason(key, api_base_url):
        raise ConfigurationError(reason, hint="Nothing has changed.")
    endpoint = _json_endpoint(api_base_url, key)
    lines: list[str] = []
    try:
        lines = ["The key works.", *_status_lines(key_status(endpoint), endpoint, "you")]
    except AuthenticationError as error:
        raise _refused_key_error("The key was refused, and nothing has changed", error) from None
    except NotFoundError:
        lines = [f"{host_and_port(api_base_url)} keeps no account of its keys, so that this one was not tried."]
    except APIError as error:
        lines = [f"The key could not be tried: {single_line(error.message)}"]
    os.environ[KEY_VARIABLE] = key.resolve_value() or ""
    return "\n".join([*lines, f"{KEY_VARIABLE} is set in this kernel{_offer_keyring(key, api_base_url, read)}."])


def _read_key(ask: Prompter, question: str) -> Secret | None:
    """Read a key without echo; None where nothing is typed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # it would be shown after all
            typed = ask(question).strip().strip("'\"")
    except (EOFError, NotImplementedError, getpass.GetPassWarning):
        raise ConfigurationError(
            "Nobody can be asked for a key here.", hint=f"Set {KEY_VARIABLE} where the kernel is started."
        ) from None
    return Secret.from_token(typed) if typed else None


def _invalid_key_reason(key: Secret, api_base_url: str) -> str | None:
    """Return why a text is no key, without repeating it; None for a plausible key."""
    text = key.resolve_value() or ""
    if len(text) < _MIN_KEY_LENGTH or not text.isascii() or not text.isprintable() or " " in text:
        return "That does not look like a key."
    if is_openrouter(api_base_url) and not text.startswith("sk-or-"):
        return "That is no key of OpenRouter's, which begin with sk-or-."
    return None


def _offer_keyring(key: Secret, api_base_url: str, read: Prompter) -> str:
    """Store a key in the keyring, if there is one and the user agrees."""
    if (keyring := Keyring.installed()) is None:
        return ""
    try:
        answer = read(f"Keep it in {keyring.name} for later sessions as well? [y/N] ")
    except (EOFError, NotImplementedError):
        return ""
    return f", and {keyring.store(key, api_base_url)}" if answer.strip().lower() in ("y", "yes") else ""


def _forget_key() -> str:
    api_base_url = str(setting("base_url"))
    lines: list[str] = []
    if os.environ.pop(KEY_VARIABLE, None):
        lines.append(f"{KEY_VARIABLE} is taken out of this kernel; what sets it elsewhere will set it again.")
    if (keyring := Keyring.installed()) is not None and keyring.key(api_base_url) is not None:
        lines.append(f"The key is {keyring.delete(api_base_url)}.")
    if (left := key_for_endpoint(api_base_url)) is not None:
        lines.append(f"There is still a key: {left.source}.")
    return "\n".join(lines) or "There was no key to forget."


def _json_endpoint(api_base_url: str, key: Secret) -> JsonEndpoint:
    from orchat.openrouter.json_query import JsonEndpoint

    return JsonEndpoint(api_base_url, key)


def _refused_key_error(what: str, error: AuthenticationError) -> ConfigurationError:
    return ConfigurationError(f"{what}: {single_line(error.message)}", hint=f"%{MAGIC} key set asks for another.")
