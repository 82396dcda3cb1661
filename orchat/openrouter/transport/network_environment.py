"""The proxy that the environment names for a host, and errors that say which variable is wrong.

A client talks to one host, so that only what applies to that host is read: a variable that is wrong for other hosts
harms nobody. The loopback needs no proxy.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx2

from orchat.errors import ConfigurationError
from orchat.openrouter.dialect import host_of, is_loopback
from orchat.openrouter.transport.prepared_request import HiddenValue

_KINDS = frozenset({"http", "https", "socks5", "socks5h"})
_NO_PROXY_HINT = "A host that needs none belongs into NO_PROXY."
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class NetworkRoute:
    """The way to a host: directly, or by a proxy.

    Parameters
    ----------
    uses_tls
        Whether certificates are needed on it.
    is_loopback
        Whether the host is this machine.
    proxy
        The proxy's URL, hidden because a password may be in it; None for the direct way.
    variable
        Where the proxy is named.
    """

    uses_tls: bool
    is_loopback: bool = False
    proxy: str | None = field(default=None, repr=False)
    variable: str | None = None


def network_route(url: str) -> NetworkRoute:
    """Return the way to a URL's host, as the environment says.

    Raises
    ------
    ConfigurationError
        The proxy that applies cannot be used (a ValueError).

    Examples
    --------
    >>> network_route("http://127.0.0.1:8000/v1")
    NetworkRoute(uses_tls=False, is_loopback=True, variable=None)
    """
    scheme = urlsplit(url).scheme.lower()
    uses_tls = scheme == "https"
    if is_loopback(url):
        return NetworkRoute(uses_tls, is_loopback=True)
    named = {name: HiddenValue(value) for name, value in getproxies().items()}
    kind = next((kind for kind in (scheme, "all") if named.get(kind)), None)
    if kind is None or is_excluded(url, named.get("no", "")):
        return NetworkRoute(uses_tls)
    variable = _variable_of(f"{kind}_proxy") or "The system's proxy setting"
    proxy = check_proxy(named[kind], variable)
    return NetworkRoute(uses_tls or proxy.startswith("https:"), proxy=proxy, variable=variable)


def is_excluded(url: str, no_proxy: str) -> bool:
    """Whether ``NO_PROXY`` excludes a URL's host: by its name or one it ends in, by its address, or by a network.

    An entry may have a port; an IPv6 address may stand in brackets or not.

    Examples
    --------
    >>> is_excluded("https://api.example.org/v1", "localhost, .example.org")
    True
    >>> [is_excluded("http://[fd00::5]:8080/v1", entry) for entry in ("fd00::5", "[fd00::5]", "fd00::/8", "::1")]
    [True, True, True, False]
    """
    parts = urlsplit(url)
    host, port = host_of(url).rstrip("."), parts.port or _PORTS.get(parts.scheme.lower())
    address = _address(host)
    for entry in filter(None, (each.strip().lower() for each in no_proxy.split(","))):
        if entry == "*":
            return True
        name, at = _split_port(entry.partition("://")[2] or entry)
        if at is not None and at != port:
            continue
        if address is not None:
            if (network := _network(name)) is not None and address in network:
                return True
        elif (name := name.lstrip("*").strip(".")) and (host == name or host.endswith(f".{name}")):
            return True
    return False


def check_proxy(value: str, where: str) -> str:
    """Validate a proxy's URL, and return it with its scheme.

    Parameters
    ----------
    value
        The URL; without a scheme it is ``http``.
    where
        The name of the variable, for errors, which do not show the value: it may hold a password.

    Raises
    ------
    ConfigurationError
        It is no URL, of a kind that is not supported, or needs a package that is not there (a ValueError).

    Examples
    --------
    >>> check_proxy("socks4://127.0.0.1:1080", "ALL_PROXY")
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: ALL_PROXY names a proxy of the kind `socks4`, which is not supported. Use \
http://, https:// or socks5://. A host that needs none belongs into NO_PROXY.
    """
    text = HiddenValue(value.strip())
    full = HiddenValue(text if "://" in text else f"http://{text}")
    try:
        kind, named = str(httpx2.URL(full).scheme), bool(httpx2.URL(full).host)
    except (httpx2.InvalidURL, ValueError):
        kind, named = "", False
    if kind and kind not in _KINDS:
        raise ConfigurationError(
            f"{where} names a proxy of the kind `{kind[:40]}`, which is not supported.",
            hint=f"Use http://, https:// or socks5://. {_NO_PROXY_HINT}",
        )
    if not named:
        raise ConfigurationError(
            f"{where} is no address of a proxy.", hint=f"It looks like http://proxy.example.org:3128. {_NO_PROXY_HINT}"
        )
    if kind.startswith("socks") and find_spec("socksio") is None:
        raise ConfigurationError(
            f"{where} names a SOCKS proxy, and the package `socksio` is not installed.",
            hint=f"Run `pip install socksio`, or name an http:// proxy. {_NO_PROXY_HINT}",
        )
    return full


def _variable_of(name: str) -> str | None:
    """Return a variable's name as it is written in the environment; lower case wins, as in `getproxies`."""
    written = [each for each, value in os.environ.items() if each.lower() == name and value]
    return max(written, default=None)


def _split_port(entry: str) -> tuple[str, int | None]:
    """Split an entry of ``NO_PROXY`` into its host or network, and its port."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return (name + rest if rest.startswith("/") else name), _port(rest.removeprefix(":"))
    name, _, port = entry.rpartition(":")
    return (name, _port(port)) if name and ":" not in name and _port(port) is not None else (entry, None)


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


@lru_cache(maxsize=64)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
