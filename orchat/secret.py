"""`Secret`: an API key whose value is hidden: in reprs, dictionaries, pickles and tracebacks.

A key reaches orchat as the name of an environment variable or as a token. It is resolved at the moment a request is
made, and shows up in no repr, dictionary, pickle or traceback.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NoReturn

from orchat.errors import ConfigurationError, MissingKeyError


class SecretType(Enum):
    """The source of a secret's value."""

    TOKEN = "token"  # noqa: S105 - the name of the kind, not a token
    ENV_VAR = "env_var"

    def __str__(self) -> str:
        return self.value


class Secret:
    """A secret value: a token, or the names of environment variables that contain one.

    Make one with `from_env_var` or `from_token`. Secrets are immutable, comparable and hashable. Their dictionary
    form (``{"type": "env_var", "env_vars": [...], "strict": ...}``) is Haystack's.

    Examples
    --------
    >>> key = Secret.from_env_var("OPENROUTER_API_KEY")
    >>> key.to_dict()
    {'type': 'env_var', 'env_vars': ['OPENROUTER_API_KEY'], 'strict': True}
    >>> Secret.from_token("sk-or-v1-0123456789abcdef")
    Secret.from_token(<hidden>)
    """

    __slots__ = ("_env_vars", "_strict", "_token")

    _env_vars: tuple[str, ...]
    _strict: bool
    _token: str | None

    def __init__(self) -> None:
        raise ConfigurationError("A Secret is not constructed directly.", hint="Use Secret.from_env_var or from_token.")

    @classmethod
    def _new(cls, token: str | None, env_vars: tuple[str, ...], strict: bool) -> Secret:
        self = object.__new__(cls)
        object.__setattr__(self, "_token", token)
        object.__setattr__(self, "_env_vars", env_vars)
        object.__setattr__(self, "_strict", strict)
        return self

    @classmethod
    def from_token(cls, token: str) -> Secret:
        """Wrap a key given as text; it can be neither serialised nor pickled.

        Raises
        ------
        ConfigurationError
            The token is empty or no str.
        """
        if not isinstance(token, str) or not token:
            raise ConfigurationError("A token must be a text that is not empty.")
        return cls._new(token, (), True)

    @classmethod
    def from_env_var(cls, env_vars: str | Sequence[str], *, strict: bool = True) -> Secret:
        """Name the environment variables to look in, in order; the first that is set counts.

        Parameters
        ----------
        env_vars
            One name or several.
        strict
            Whether a missing value is an error; otherwise it resolves to None.

        Raises
        ------
        ConfigurationError
            No name is given.
        """
        names = tuple(env_vars) if isinstance(env_vars, Iterable) and not isinstance(env_vars, str) else (env_vars,)
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ConfigurationError("At least one environment variable must be named, such as 'OPENROUTER_API_KEY'.")
        return cls._new(None, names, strict)

    @property
    def type(self) -> SecretType:
        """Whether this is a token or names environment variables."""
        return SecretType.TOKEN if self._token is not None else SecretType.ENV_VAR

    def resolve_value(self) -> str | None:
        """Return the key, or None when nothing is set and the secret is not strict.

        Raises
        ------
        MissingKeyError
            None of the environment variables is set and the secret is strict.
        """
        if self._token is not None:
            return self._token
        for name in self._env_vars:
            if (value := os.environ.get(name)) is not None:
                return value
        if self._strict:
            names = ", ".join(self._env_vars)
            raise MissingKeyError(
                f"None of the following environment variables are set: {names}.",
                hint="Set one, or pass api_key=Secret.from_token(...).",
            )
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return Haystack's dictionary form; a token refuses.

        Raises
        ------
        ConfigurationError
            The secret is a token.
        """
        if self._token is not None:
            raise ConfigurationError(
                "Cannot serialize a token-based secret.", hint="Use Secret.from_env_var, which is saved by name."
            )
        return {"type": "env_var", "env_vars": list(self._env_vars), "strict": self._strict}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Secret:
        """Read `to_dict`'s form.

        Raises
        ------
        ConfigurationError
            The type is not ``env_var``.
        KeyError
            A key is missing.
        """
        if data["type"] != "env_var":
            raise ConfigurationError(
                f"A secret of type {data['type']!r} cannot be loaded.", hint="Only `env_var` secrets are ever saved."
            )
        return cls.from_env_var(data["env_vars"], strict=data["strict"])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._token, self._env_vars, self._strict) == (other._token, other._env_vars, other._strict)

    def __hash__(self) -> int:
        return hash((self._token, self._env_vars, self._strict))

    def __repr__(self) -> str:
        if self._token is not None:
            return "Secret.from_token(<hidden>)"
        return f"Secret.from_env_var({list(self._env_vars)!r}, strict={self._strict})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"A Secret is immutable; `{name}` cannot be set.")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._token is not None:
            raise ConfigurationError(
                "A token-based secret refuses to be pickled.", hint="Use Secret.from_env_var, which travels by name."
            )
        return (Secret.from_dict, (self.to_dict(),))


def bare_key(text: str) -> str:
    """Return a key without what is pasted around it: white space, quotation marks, ``Bearer``.

    Examples
    --------
    >>> bare_key(' "Bearer sk-1234"')
    'sk-1234'
    """
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1].strip()
    return text[7:].strip() if text[:7].lower() == "bearer " else text
