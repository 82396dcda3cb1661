"""One request, ready to be sent, and the key that joins it at the last moment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import httpx

from orchat.errors import ConfigurationError
from orchat.openrouter.dialect import host_of
from orchat.secret import Secret
from orchat.secrets import is_secret_header, redact

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class HiddenValue(str):
    """A text whose repr hides it: a key on its way through frames that a verbose traceback may show.

    Examples
    --------
    >>> [HiddenValue("sk-or-v1-0123456789abcdef")]
    [<hidden>]
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"


@dataclass(repr=False)
class PreparedRequest:
    """One request, ready to be sent.

    Parameters
    ----------
    url
        The address.
    content
        The body.
    headers
        Without the key's.
    key
        The key, or None to send none.
    max_retries
        How many times to send it again.
    method
        POST, or GET for what is only read.
    transient
        Further statuses that are worth another try: 404 for what is not there yet.
    """

    url: str
    content: bytes
    headers: Mapping[str, str]
    key: str | None
    max_retries: int
    method: str = "POST"
    transient: frozenset[int] = frozenset()
    # Whether its connection was opened for it; a custom transport does not tell, then nothing is taken for granted.
    fresh: bool = field(default=True, init=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown: the key, and header values that may be one, without a word such as Bearer."""
        hidden = [value for value in (self.key, *self.headers.values()) if isinstance(value, HiddenValue)]
        return tuple(HiddenValue(word) for value in hidden for word in value.split()[-1:] if len(word) > 7)


class BearerAuth(httpx.Auth):
    """Adds the key at the last moment, so that no object with a repr of its own holds it."""

    def __init__(self, call: PreparedRequest) -> None:
        self._call = call

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        """Give the request with its key."""
        if self._call.key is not None and "authorization" not in request.headers:
            request.headers["Authorization"] = f"Bearer {self._call.key}"
        yield request


def check_base_url(url: str) -> str:
    """Return the base URL without its last slash.

    Raises
    ------
    ConfigurationError
        It is no http(s) address.

    Examples
    --------
    >>> check_base_url("https://openrouter.ai/api/v1/")
    'https://openrouter.ai/api/v1'
    """
    try:
        parsed = httpx.URL(url)
        right = parsed.scheme in {"http", "https"} and bool(parsed.host) and bool(host_of(url))
    except (httpx.InvalidURL, TypeError, ValueError):
        right = False
    if not right:
        raise ConfigurationError(
            f"{redact(repr(url))} is no base URL.", hint="It looks like https://openrouter.ai/api/v1."
        )
    return url.rstrip("/")


def merge_headers(*layers: Mapping[str, object] | None) -> dict[str, str]:
    """Lay headers over each other, whatever the case of their names.

    Raises
    ------
    TypeError
        A value is neither a str nor a Secret.
    ConfigurationError
        A name or value holds what no header can carry, or a Secret is missing.

    Examples
    --------
    >>> merge_headers({"Accept": "text/html", "X-Title": "tides"}, {"accept": "application/json"}, None)
    {'accept': 'application/json', 'X-Title': 'tides'}
    """
    merged: dict[str, tuple[str, object]] = {}
    for layer in layers:
        merged |= {name.lower(): (name, value) for name, value in (layer or {}).items()}
    for name, _ in merged.values():
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} is no header's name.", hint="Letters, digits and hyphens make one.")
    values = ((name, header_value(name, value)) for name, value in merged.values())
    return {name: value for name, value in values if value is not None}


def header_value(name: str, value: object) -> str | None:
    """Return what is sent, white space around it stripped; hidden if it is a Secret's or its name speaks of a key.

    None comes of a Secret that may be missing and is.

    Raises
    ------
    TypeError
        It is neither a str nor a Secret.
    ConfigurationError
        It holds what no header can carry; the value is not shown, for it may be a key.

    Examples
    --------
    >>> header_value("X-Title", " tides "), header_value("X-Api-Key", "0123456789")
    ('tides', <hidden>)
    """
    if isinstance(value, Secret):
        text: str | None = _resolved(value)
        if text is None:
            return None
    elif isinstance(value, str):
        text = HiddenValue(value.strip()) if is_secret_header(name) else value.strip()
    else:
        raise TypeError(f"The header {name} must be a str or a Secret, not {type(value).__name__}.")
    if not (text.isascii() and text.isprintable()):
        raise ConfigurationError(
            f"The value for {name} holds a character that no header can carry.", hint="Was something else pasted?"
        )
    return text


def _resolved(secret: Secret) -> HiddenValue | None:
    # A frame of its own, so that the bare value is in none that may raise.
    value = secret.resolve_value()
    return None if value is None else HiddenValue(value.strip())
