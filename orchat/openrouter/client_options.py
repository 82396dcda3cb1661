"""A generator's client options (timeout, retries, headers): environment defaults, validation, dictionary form."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from orchat.errors import ConfigurationError
from orchat.secret import Secret
from orchat.secrets import is_secret_header, redact

DEFAULT_RETRIES = 5


def default_timeout(given: Any) -> float | None:
    """Return the validated timeout in seconds: the one given, else ``OPENAI_TIMEOUT``, else None.

    Raises
    ------
    TypeError
        It is not a number.
    ConfigurationError
        It is not more than 0.

    Examples
    --------
    >>> default_timeout(2.5)
    2.5
    """
    timeout = given if given is not None else _environment_number("OPENAI_TIMEOUT", float)
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be a number of seconds, not {timeout!r}.")
    if not timeout > 0:
        raise ConfigurationError(f"timeout must be more than 0 s, not {timeout!r}.")
    return timeout


def chosen_retries(given: Any) -> int | None:
    """Return the validated number of retries that was chosen: the one given, else ``OPENAI_MAX_RETRIES``, else None.

    Raises
    ------
    ConfigurationError
        It is not a whole number from 0 on.

    Examples
    --------
    >>> chosen_retries(0)
    0
    """
    retries = given if given is not None else _environment_number("OPENAI_MAX_RETRIES", int)
    if retries is not None and (not isinstance(retries, int) or retries < 0):
        raise ConfigurationError(f"max_retries must be a whole number from 0 on, not {retries!r}.")
    return retries


def headers_to_dict(headers: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Serialize headers: Secrets by name, plain texts unless they may be keys.

    Raises
    ------
    ConfigurationError
        A header is a key given as text, or a Secret that is a token.

    Examples
    --------
    >>> headers_to_dict({"X-Title": "tides", "X-Api-Key": Secret.from_env_var("HUB_KEY")})["X-Api-Key"]["env_vars"]
    ['HUB_KEY']
    """
    if headers is None:
        return None
    for name, value in headers.items():
        if isinstance(value, str) and (is_secret_header(name) or redact(value) != value):
            raise ConfigurationError(
                f"The header {name} may hold a key, which is never saved.", hint="Give it as Secret.from_env_var(...)."
            )
    return {name: value.to_dict() if isinstance(value, Secret) else value for name, value in headers.items()}


def client_kwargs_to_dict(kwargs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Serialize the HTTP client's arguments unchanged, unless their headers hold a key: that raises."""
    if kwargs is not None and isinstance(kwargs.get("headers"), Mapping):
        headers_to_dict(kwargs["headers"])
    return None if kwargs is None else dict(kwargs)


def secrets_from_dict(value: Any) -> Any:
    """Restore the Secrets in nested dictionaries; the rest is copied, so that the input is not modified."""
    if isinstance(value, dict):
        if value.get("type") == "env_var" and "env_vars" in value:
            return Secret.from_dict(value)
        return {key: secrets_from_dict(item) for key, item in value.items()}
    return value


def _environment_number(name: str, kind: type[float] | type[int]) -> Any:
    text = os.environ.get(name)
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise ConfigurationError(f"The environment variable {name} must be a number, not {text!r}.") from None
