"""`PreparedRequest`: one HTTP request and its key, which is added when it is sent; validation of URL and headers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import httpx2

from orchat.errors import ConfigurationError
from orchat.openrouter.dialect import host_of, is_openrouter
from orchat.openrouter.response_limits import DEFAULT_LIMITS, ResponseLimits
from orchat.secret import Secret, bare_key
from orchat.secrets import is_secret_header, redact

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class HiddenValue(str):
    """A string with a hidden repr, for keys in frames that a verbose traceback may show.

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
    """One HTTP request, ready to be sent.

    Parameters
    ----------
    url
        The URL.
    content
        The body.
    headers
        All headers but that of the key.
    key
        The key, or None to send none.
    max_retries
        The number of retries.
    method
        POST or GET.
    retry_statuses
        Further statuses that are retried: 404 for a resource that is not there yet.
    gives_up_early
        Whether a server that is not there, or that fails, is tried twice only: one on this machine.
    on_retry
        Called with a text before the wait for each retry; without it the text is logged as a warning.
    limits
        The limits of its response.
    """

    url: str
    content: bytes
    headers: Mapping[str, str]
    key: str | None
    max_retries: int
    method: str = "POST"
    retry_statuses: frozenset[int] = frozenset()
    gives_up_early: bool = False
    on_retry: Callable[[str], object] | None = None
    limits: ResponseLimits = DEFAULT_LIMITS
    # Whether its connection was opened for it; a custom transport does not tell, then nothing is taken for granted.
    opened_connection: bool = field(default=True, init=False)
    # Where the proxy on its way is named, if the environment names one.
    proxy_variable: str | None = field(default=None, init=False)

    @property
    def other_url(self) -> str | None:
        """The URL, where its host is not OpenRouter's."""
        return None if is_openrouter(self.url) else self.url

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values to redact: the key, and header values that may be one, without a word such as Bearer."""
        values = [value for value in (self.key, *self.headers.values()) if isinstance(value, HiddenValue)]
        return tuple(HiddenValue(word) for value in values for word in value.split()[-1:] if len(word) > 7)


class BearerAuth:
    """The authorization that adds the key when a request is sent, so that no object with a repr holds it.

    A callable, which both HTTP packages take.
    """

    def __init__(self, request: PreparedRequest) -> None:
        self._prepared = request

    def __call__(self, request: Any) -> Any:
        """Return the request of an HTTP package with its key."""
        if self._prepared.key is not None and "authorization" not in request.headers:
            request.headers["Authorization"] = f"Bearer {self._prepared.key}"
        return request


def check_base_url(url: str) -> str:
    """Validate a base URL, and return it without its last slash.

    Raises
    ------
    ConfigurationError
        It is not an http(s) URL.

    Examples
    --------
    >>> check_base_url("https://openrouter.ai/api/v1/")
    'https://openrouter.ai/api/v1'
    """
    if not isinstance(url, str) or not _is_base_url(url):
        raise ConfigurationError(f"{redact(repr(url))} is no base URL.", hint=_base_url_hint(url))
    address, mark, query = url.partition("?" if "?" in url else "#")
    if mark:  # the path of the API would become a part of it
        params = dict(parse_qsl(query)) if mark == "?" else {}
        raise ConfigurationError(
            f"The base URL {redact(url)} holds a {mark!r}, and /chat/completions is put behind it.",
            hint=f"Give {redact(_without_endpoint(address))}"
            + (f", and http_client_kwargs={redact(repr({'params': params}))}." if params else "."),
        )
    base = url.rstrip("/")
    if (shorter := _without_endpoint(base)) != base:
        raise ConfigurationError(
            f"The base URL {redact(base)} ends in {base[len(shorter) :]}, and /chat/completions is put behind it.",
            hint=f"Give {redact(shorter)}.",
        )
    return base


def _without_endpoint(url: str) -> str:
    base = url.rstrip("/")
    for ending in ("/chat/completions", "/completions"):
        if base.lower().endswith(ending):
            return base[: -len(ending)]
    return base


def _base_url_hint(url: object) -> str:
    text = url.strip() if isinstance(url, str) else ""
    if re.fullmatch(r"[^\s/:@]+[.:][^\s@]*|\[[^\s@]+|localhost[^\s@]*", text) and "://" not in text:
        whole = f"{'http' if text.startswith(('localhost', '127.', '[')) else 'https'}://{text}"
        if _is_base_url(whole):
            return f"Write it with its scheme: {redact(whole)}."
    return "It looks like https://openrouter.ai/api/v1."


@lru_cache(maxsize=64)  # asked for each request
def _is_base_url(url: str) -> bool:
    try:
        parsed = httpx2.URL(url)
        # A socket takes a port of more than 16 bits for another one.
        right = parsed.port is None or 0 < parsed.port < 2**16
        right = right and not any(map(str.isspace, url))
        return right and parsed.scheme in {"http", "https"} and bool(parsed.host) and bool(host_of(url))
    except (httpx2.InvalidURL, ValueError):
        return False


def merge_headers(*layers: Mapping[str, object] | None) -> dict[str, str]:
    """Merge layers of headers, later ones winning, ignoring the case of their names.

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
        if layer is not None and not isinstance(layer, Mapping):
            raise TypeError(f"Headers must be a dict of names and values, not {layer!r:.100}.")
        merged |= {name.lower(): (name, value) for name, value in (layer or {}).items()}
    for name, _ in merged.values():
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} is no header's name.", hint="Letters, digits and hyphens make one.")
    values = ((name, header_value(name, value)) for name, value in merged.values())
    return {name: value for name, value in values if value is not None}


def header_value(name: str, value: object) -> str | None:
    """Resolve and validate a header's value; it is a `HiddenValue` if from a Secret, or if its name suggests a key.

    White space around it is stripped. None for an unset Secret that may be missing.

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
        text: str | None = _resolve(value)
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


def key_value(api_key: Secret | None) -> str | None:
    """Resolve an API key; quotation marks around it, which Windows' ``set`` keeps, and ``Bearer`` are no part of it.

    Raises
    ------
    ConfigurationError
        It holds what no header can carry, or is missing.

    Examples
    --------
    >>> key_value(Secret.from_token('"Bearer sk-1234"')) == "sk-1234"
    True
    """
    value = None if api_key is None else header_value("the API key", api_key)
    return None if value is None else HiddenValue(bare_key(value))


def _resolve(secret: Secret) -> HiddenValue | None:
    # A frame of its own, so that the bare value is in none that may raise.
    value = secret.resolve_value()
    return None if value is None else HiddenValue(value.strip())
