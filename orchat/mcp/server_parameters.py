"""`ServerParameters`: how an MCP server is started or reached, with its secrets hidden."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from orchat.errors import ConfigurationError, SerializationError
from orchat.secret import Secret
from orchat.secrets import is_secret_name, redact

Setting = str | Secret

_URL = re.compile(r"https?://", re.IGNORECASE)
# Programs that run another one, which is then what a server is called after.
_RUNNERS = frozenset({"bun", "bunx", "deno", "docker", "node", "npx", "pipx", "podman", "pnpm", "python", "uv", "uvx"})
_RUNNERS_WORDS = frozenset({"dlx", "exec", "run", "tool", "x"})
_NOT_TELLING = frozenset({"api", "mcp", "www", "server", "com", "org", "net", "io", "dev", "ai", "app", "localhost"})


@dataclass(frozen=True)
class ServerParameters:
    """A server that is started as a program and spoken to by its standard streams, or one at an http(s) address.

    Parameters
    ----------
    command
        The program and its arguments; empty for a server at an address.
    url
        The address; empty for a program.
    env
        Environment variables of the program, beside PATH, HOME and the like; nothing else of this process's goes to it.
    cwd
        The program's working folder.
    headers
        HTTP headers of every request to the address.

    Examples
    --------
    >>> ServerParameters.of("uvx mcp-server-time --local-timezone UTC").command
    ('uvx', 'mcp-server-time', '--local-timezone', 'UTC')
    >>> str(ServerParameters.of("https://example.org/mcp?api_key=hunter2hunter2"))
    'https://example.org/mcp?api_key=[redacted]'
    """

    command: tuple[str, ...] = ()
    url: str = field(default="", repr=False)
    env: Mapping[str, Setting] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    headers: Mapping[str, Setting] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        server: str | Sequence[str],
        *,
        env: Mapping[str, Setting] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        headers: Mapping[str, Setting] | None = None,
    ) -> ServerParameters:
        """Read a command line, a list of its words, or an http(s) address.

        Raises
        ------
        ConfigurationError
            It is empty or no command line, or an option is for the other kind of server (a ValueError).
        """
        for what, values in (("env", env), ("headers", headers)):
            for name, value in (values or {}).items():
                if not isinstance(value, str | Secret):
                    raise ConfigurationError(
                        f"{what}[{name!r}] must be a text or a Secret, not {type(value).__name__}."
                    )
        if isinstance(server, str) and _URL.match(server.strip()):
            if env or cwd:
                raise ConfigurationError("A server at an address takes neither `env` nor `cwd`.", hint="Give headers.")
            if not _host_of(server):
                raise ConfigurationError(f"{redact(server)!r:.100} is no address of a server.")
            return cls(url=server.strip(), headers=dict(headers or {}))
        if headers:
            raise ConfigurationError("A server that is a program takes no `headers`.", hint="Give env.")
        try:
            words = shlex.split(server, posix=os.name == "posix") if isinstance(server, str) else list(server)
        except ValueError as error:
            raise ConfigurationError(f"{redact(str(server))!r:.100} is no command line: {error}.") from None
        if not words or not all(isinstance(word, str) and word for word in words):
            raise ConfigurationError(
                "An MCP server is a command line or an address.",
                hint='Such as McpToolset("uvx mcp-server-time") or McpToolset("https://example.org/mcp").',
            )
        return cls(tuple(words), env=dict(env or {}), cwd=os.fspath(cwd) if cwd is not None else None)

    def __str__(self) -> str:
        return redact(self.url or shlex.join(self.command), *self.secret_values)

    @property
    def secret_values(self) -> tuple[str, ...]:
        """The values of its secrets, as far as they are there now: what a server says of itself may repeat them."""
        found = []
        for each in (*self.env.values(), *self.headers.values()):
            try:
                found.append(each.resolve_value() if isinstance(each, Secret) else None)
            except ConfigurationError:
                continue
        return tuple(filter(None, found))

    @property
    def environment(self) -> dict[str, str]:
        """The program's own environment variables, secrets resolved."""
        return _resolved(self.env)

    @property
    def http_headers(self) -> dict[str, str]:
        """The headers, secrets resolved."""
        return _resolved(self.headers)

    @property
    def is_local(self) -> bool:
        """Whether the address is one of this machine's own."""
        host = _host_of(self.url)
        return host in ("localhost", "::1") or re.fullmatch(r"127(?:\.\d+){3}", host) is not None

    @property
    def default_name(self) -> str:
        """A short name for people and for the prefix of tools.

        Examples
        --------
        >>> [ServerParameters.of(each).default_name for each in ("uvx mcp-server-time --local-timezone UTC",
        ...     "npx -y @modelcontextprotocol/server-everything", "python -m mcp_server_git", "./tools/tide.py",
        ...     "docker run -i --rm mcp/fetch", "https://mcp.example.org/mcp")]
        ['time', 'everything', 'git', 'tide', 'fetch', 'example']
        """
        if self.url:
            words = [word for word in _host_of(self.url).split(".") if word not in _NOT_TELLING and not word.isdigit()]
            return _as_name(words[-1]) if words else "mcp"
        program = PurePath(self.command[0]).stem
        told = [word for word in self.command[1:] if not word.startswith("-") and word not in _RUNNERS_WORDS]
        if not is_runner(program) or not told:
            return _as_name(program)
        return _as_name(told[-1] if program in ("docker", "podman") else told[0])

    def to_dict(self) -> dict[str, Any]:
        """Serialize the parameters; secrets go by the names of their environment variables.

        Raises
        ------
        SerializationError
            A secret stands in them as text.
        """
        data: dict[str, Any] = {"url": self.url} if self.url else {"command": list(self.command)}
        if str(self) != (self.url or shlex.join(self.command)):
            raise SerializationError(f"`{self}` has a secret in it.", hint="Give it by `env` or `headers`.")
        for name in ("env", "headers"):
            if values := getattr(self, name):
                data[name] = {key: _saved(f"{name}[{key!r}]", key, value) for key, value in values.items()}
        return {**data, **({} if self.cwd is None else {"cwd": self.cwd})}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ServerParameters:
        """Read `to_dict`'s form."""
        settings = {
            name: {
                key: Secret.from_dict(value) if isinstance(value, Mapping) else value
                for key, value in data.get(name, {}).items()
            }
            for name in ("env", "headers")
        }
        return cls.of(data.get("url") or data["command"], cwd=data.get("cwd"), **settings)


def is_runner(word: str) -> bool:
    """Whether a word is a program that runs another one, such as ``uvx``, so that it is no name of a server.

    Examples
    --------
    >>> is_runner("npx"), is_runner("/usr/bin/python3.12"), is_runner("time")
    (True, True, False)
    """
    return PurePath(word).stem.rstrip("0123456789.") in _RUNNERS


def _resolved(settings: Mapping[str, Setting]) -> dict[str, str]:
    found = {name: value.resolve_value() if isinstance(value, Secret) else value for name, value in settings.items()}
    return {name: value for name, value in found.items() if value is not None}


def _saved(where: str, name: str, value: Setting) -> str | dict[str, Any]:
    if isinstance(value, Secret):
        try:
            return value.to_dict()
        except ConfigurationError as error:
            raise SerializationError(f"{where}: {error.message}", hint=error.hint) from None
    if is_secret_name(name) or redact(value) != value:
        raise SerializationError(f"{where} looks like a secret.", hint="Give it as Secret.from_env_var(NAME).")
    return value


def _host_of(url: str) -> str:
    try:
        return urlsplit(url.strip()).hostname or ""
    except ValueError:
        return ""


def _as_name(word: str) -> str:
    """Return the telling part of a package, module, file or host."""
    word = re.split(r"[@=<>:\[]", word.lstrip("@").rpartition("/")[2])[0] or word.strip("@")
    word = word.removesuffix(".py").removesuffix(".js").replace("-", "_")
    for start in ("mcp_server_", "server_mcp_", "mcp_", "server_"):
        word = word.removeprefix(start)
    for end in ("_mcp_server", "_server_mcp", "_mcp", "_server"):
        word = word.removesuffix(end)
    return re.sub(r"[^A-Za-z0-9_]", "_", word).strip("_")[:24] or "mcp"
