"""One request, ready to be sent, and the key that joins it at the last moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from orchat.errors import ConfigurationError


@dataclass(repr=False)
class Call:
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
    """

    url: str
    content: bytes
    headers: Mapping[str, str]
    key: str | None
    max_retries: int
    fresh: bool = field(default=False, init=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown: the key, and header values that may be one."""
        return tuple(value for value in (self.key, *self.headers.values()) if value and len(value) > 7)


class BearerAuth(httpx.Auth):
    """Adds the key at the last moment, so that no object with a repr of its own holds it."""

    def __init__(self, call: Call) -> None:
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
        right = parsed.scheme in {"http", "https"} and bool(parsed.host)
    except (httpx.InvalidURL, TypeError):
        right = False
    if not right:
        raise ConfigurationError(f"{url!r} is no base URL.", hint="It looks like https://openrouter.ai/api/v1.")
    return url.rstrip("/")


def check_header(name: str, value: object) -> str:
    """Return a header's value, white space around it stripped.

    Raises
    ------
    TypeError
        It is no str.
    ConfigurationError
        It holds what no header can carry; the value is not shown, for it may be a key.
    """
    if not isinstance(value, str):
        raise TypeError(f"The header {name} must be a str or a Secret, not {type(value).__name__}.")
    value = value.strip()
    if not (value.isascii() and value.isprintable()):
        raise ConfigurationError(
            f"The value for {name} holds a character that no header can carry.", hint="Was something else pasted?"
        )
    return value
