"""The certificates that are trusted: the machine's, those that the environment names, or those of a client's arguments.

Reading them takes longer than the rest of making a client, so that each TLS context is made once in a process. Errors
say which variable is wrong. The loopback needs no certificates of others.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Hashable
from contextlib import suppress
from typing import Any

import httpx2

from orchat.errors import ConfigurationError
from orchat.openrouter.transport.network_environment import NetworkRoute

_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_contexts: dict[Hashable, ssl.SSLContext] = {}


def certificate_state(route: NetworkRoute, verify: Any, *, trust_env: bool) -> Hashable:
    """Return what the environment says of certificates for a route; it changes when a file that it names does.

    Examples
    --------
    >>> certificate_state(NetworkRoute(uses_tls=False), True, trust_env=True)
    """
    if not (route.uses_tls and verify is True and trust_env):
        return None
    if (variable := _certificate_variable()) is None:
        return None
    path, changed = os.environ[variable], 0
    with suppress(OSError):
        changed = os.stat(path).st_mtime_ns
    return variable, path, changed


def ssl_context(route: NetworkRoute, verify: Any, cert: Any, *, trust_env: bool) -> ssl.SSLContext:
    """Return the TLS context for a route, made on first use; see `make_ssl_context`."""
    if isinstance(verify, ssl.SSLContext):
        return verify
    state = certificate_state(route, verify, trust_env=trust_env)
    key = route.uses_tls, route.is_loopback, verify, cert, trust_env, state
    if (context := _contexts.get(key)) is None:
        context = _contexts[key] = make_ssl_context(route, verify, cert, trust_env=trust_env)
    return context


def make_ssl_context(route: NetworkRoute, verify: Any, cert: Any, *, trust_env: bool) -> ssl.SSLContext:
    """Make a TLS context; ``verify`` and ``cert`` are those of an HTTP client.

    On the loopback, certificates that cannot be read are passed over.

    Raises
    ------
    ConfigurationError
        The certificates that ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` names cannot be read (a ValueError).
    """
    if not route.uses_tls and isinstance(verify, bool) and cert is None:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and takes no time
    variable = _certificate_variable() if verify is True and trust_env else None
    if variable is None or (error := _certificate_error(variable)) is None:
        return httpx2.create_ssl_context(verify, cert, trust_env)
    if route.is_loopback:
        return httpx2.create_ssl_context(verify, cert, False)
    raise error


def _certificate_error(variable: str) -> ConfigurationError | None:
    """Return what is wrong with the certificates that a variable names."""
    path = os.environ[variable]
    what = "a file of certificates (PEM)" if variable == "SSL_CERT_FILE" else "a folder of certificates"
    try:
        if variable == "SSL_CERT_FILE":
            ssl.create_default_context(cafile=path)
            return None
        if any(map(os.path.isdir, path.split(os.pathsep))):  # of another one, OpenSSL would just trust nobody
            return None
        reason = "which is no folder"
    except ssl.SSLError:
        reason = "in which there are no certificates"
    except OSError as error:
        reason = f"which cannot be read ({error.strerror})"
    hint = f"Let it name {what}, or unset it: then the usual ones count."
    return ConfigurationError(f"{variable} is {path!r:.200}, {reason}.", hint=hint)


def certificate_hint() -> str:
    """Return what to do where a host's certificate is not trusted.

    Examples
    --------
    >>> certificate_hint().startswith("The host's certificate is not trusted")
    True
    """
    if (variable := _certificate_variable()) is None:
        return (
            "The host's certificate is not trusted here; is a proxy in between? SSL_CERT_FILE can name its authority."
        )
    return (
        f"The host's certificate is not trusted here: {variable} alone counts; let it name its authority, or unset it."
    )


def _certificate_variable() -> str | None:
    return next((name for name in _VARIABLES if os.environ.get(name)), None)
