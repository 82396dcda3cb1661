"""Look up a stored key when the environment has none: in the keyring, and in Colab's secrets.

A keyring's key is stored under the host that it was typed for, and is returned for no other. Errors of a keyring are
not raised: one that is locked or broken holds no key.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from orchat.configuration import KEY_VARIABLE
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.openrouter.dialect import DEFAULT_BASE_URL, is_openrouter
from orchat.secret import Secret

_SERVICE = "orchat"  # the keyring's name for our entries


class FoundKey(NamedTuple):
    """A key, and the description of its source."""

    key: Secret
    source: str


def find_key(api_base_url: str = DEFAULT_BASE_URL) -> str | None:
    """Return a stored key, for when the environment has none; None where there is none.

    Parameters
    ----------
    api_base_url
        The endpoint that it is for.
    """
    return next((found.key.resolve_value() for found in _stored_keys(api_base_url)), None)


def key_for_endpoint(api_base_url: str) -> FoundKey | None:
    """Return the key in use for an endpoint, from the environment or a store."""
    if os.environ.get(KEY_VARIABLE):  # an empty one is how people switch one off
        return FoundKey(Secret.from_env_var(KEY_VARIABLE), f"the environment variable {KEY_VARIABLE}")
    return next(_stored_keys(api_base_url), None)


def _stored_keys(api_base_url: str) -> Iterator[FoundKey]:
    if (keyring := Keyring.installed()) is not None and (key := keyring.key(api_base_url)) is not None:
        yield FoundKey(key, keyring.name)
    if is_openrouter(api_base_url) and "google.colab" in sys.modules:
        with suppress(Exception):  # no such secret, or the notebook may not read it
            from google.colab import userdata  # type: ignore[import-not-found,unused-ignore]

            if colab_key := userdata.get(KEY_VARIABLE):
                yield FoundKey(Secret.from_token(colab_key), f"Colab's secret {KEY_VARIABLE}")


class Keyring:
    """The keyring of the machine, through the package of that name.

    Parameters
    ----------
    package
        The package.
    """

    def __init__(self, package: Any) -> None:
        self._package = package
        self.name = f"the keyring ({single_line(package.get_keyring().name, 40)})"

    @classmethod
    def installed(cls) -> Keyring | None:
        """Return the keyring; None where the package is not installed or has no usable backend."""
        try:
            import keyring

            return cls(keyring) if keyring.get_keyring().priority > 0 else None
        except Exception:  # noqa: BLE001 - any backend's
            return None

    def key(self, api_base_url: str) -> Secret | None:
        """Return the key that is stored for a host."""
        with suppress(Exception):
            if key := self._package.get_password(_SERVICE, host_and_port(api_base_url)):
                return Secret.from_token(key)
        return None

    def store(self, key: Secret, api_base_url: str) -> str:
        """Store a key for a host, and return a phrase about the result."""
        try:
            self._package.set_password(_SERVICE, host_and_port(api_base_url), key.resolve_value() or "")
        except Exception as error:  # noqa: BLE001 - its words may repeat what it was given
            return f"{self.name} did not take it ({type(error).__name__})"
        return f"kept in {self.name}"

    def delete(self, api_base_url: str) -> str:
        """Delete the key of a host, and return a phrase about the result."""
        try:
            self._package.delete_password(_SERVICE, host_and_port(api_base_url))
        except Exception as error:  # noqa: BLE001 - any backend's
            return f"{self.name} did not let go of it ({type(error).__name__})"
        return f"taken out of {self.name}"


def host_and_port(url: str) -> str:
    """Return host and port of a URL, in lower case.

    Examples
    --------
    >>> host_and_port("https://OpenRouter.ai/api/v1"), host_and_port("http://127.0.0.1:8080/v1")
    ('openrouter.ai', '127.0.0.1:8080')
    """
    address = urlsplit(url)
    return f"{(address.hostname or '').lower()}{f':{address.port}' if address.port else ''}"
