"""Where a key is kept when the environment has none: in the keyring, if we put it there, and in Colab's secrets.

What is kept in a keyring is kept for the host that it was typed for, and is found for no other. Nothing here raises for
what a keyring does: one that is locked or broken holds no key.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from orchat.configuration import KEY_VARIABLE
from orchat.jupyter.kernel.output.text_escaping import single_line
from orchat.openrouter.dialect import DEFAULT_BASE_URL, is_openrouter
from orchat.secret import Secret

_SERVICE = "orchat"  # under this name keys are kept


class FoundKey(NamedTuple):
    """A key, and in words where it comes from."""

    key: Secret
    source: str


def find_key(api_base_url: str = DEFAULT_BASE_URL) -> str | None:
    """Look for a key where the environment has none.

    Parameters
    ----------
    api_base_url
        The host that it is for.
    """
    return next((found.key.resolve_value() for found in _elsewhere(api_base_url)), None)


def key_for_endpoint(api_base_url: str) -> FoundKey | None:
    """Return the key that would be used, wherever it is."""
    if os.environ.get(KEY_VARIABLE):  # an empty one is how people switch one off
        return FoundKey(Secret.from_env_var(KEY_VARIABLE), f"the environment variable {KEY_VARIABLE}")
    return next(_elsewhere(api_base_url), None)


def _elsewhere(api_base_url: str) -> Iterator[FoundKey]:
    if (keyring := Keyring.installed()) is not None and (kept := keyring.key(api_base_url)) is not None:
        yield FoundKey(kept, keyring.name)
    if is_openrouter(api_base_url) and "google.colab" in sys.modules:
        with suppress(Exception):  # no such secret, or the notebook may not read it
            from google.colab import userdata  # type: ignore[import-not-found,unused-ignore]

            if kept_there := userdata.get(KEY_VARIABLE):
                yield FoundKey(Secret.from_token(kept_there), f"Colab's secret {KEY_VARIABLE}")


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
        """Return the keyring; None where the package is not installed or has no place to keep anything."""
        try:
            import keyring

            return cls(keyring) if keyring.get_keyring().priority > 0 else None
        except Exception:  # noqa: BLE001 - any backend's
            return None

    def key(self, api_base_url: str) -> Secret | None:
        """Return the key that is kept for a host."""
        with suppress(Exception):
            if kept := self._package.get_password(_SERVICE, host_and_port(api_base_url)):
                return Secret.from_token(kept)
        return None

    def keep(self, key: Secret, api_base_url: str) -> str:
        """Keep a key for a host, and say in words what came of it."""
        try:
            self._package.set_password(_SERVICE, host_and_port(api_base_url), key.resolve_value() or "")
        except Exception as error:  # noqa: BLE001 - its words may repeat what it was given
            return f"{self.name} did not take it ({type(error).__name__})"
        return f"kept in {self.name}"

    def delete(self, api_base_url: str) -> str:
        """Take the key of a host out, and say in words what came of it."""
        try:
            self._package.delete_password(_SERVICE, host_and_port(api_base_url))
        except Exception as error:  # noqa: BLE001 - any backend's
            return f"{self.name} did not let go of it ({type(error).__name__})"
        return f"taken out of {self.name}"


def host_and_port(url: str) -> str:
    """Return what is asked at an address.

    Examples
    --------
    >>> host_and_port("https://OpenRouter.ai/api/v1"), host_and_port("http://127.0.0.1:8080/v1")
    ('openrouter.ai', '127.0.0.1:8080')
    """
    address = urlsplit(url)
    return f"{(address.hostname or '').lower()}{f':{address.port}' if address.port else ''}"
