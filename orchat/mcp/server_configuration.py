"""Read the configuration files in which other programs name their MCP servers."""

from __future__ import annotations

import getpass
import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from orchat.errors import ConfigurationError
from orchat.files import read_regular_file
from orchat.mcp.server_parameters import ServerParameters, Setting
from orchat.secret import Secret

_MOST_BYTES = 1_000_000
_VARIABLE = re.compile(r"\$\{(?:(env|input):)?([A-Za-z_][\w.-]*)(?::-([^{}]*))?\}")
_KEYS = ("mcpServers", "servers")
_KINDS = frozenset({None, "stdio", "http", "streamable-http", "streamableHttp", "sse"})

Ask = Callable[[str], str]


def read_configuration(
    path: str | os.PathLike[str], wanted: Collection[str] | None = None, ask: Ask = getpass.getpass
) -> dict[str, ServerParameters]:
    """Return the servers of a file by name, in its order, without those that are ``disabled``.

    Parameters
    ----------
    path
        A JSON file with ``mcpServers`` (Claude, Cursor) or ``servers`` (VS Code); comments as VS Code takes them.
    wanted
        The names of the servers to read; otherwise all.
    ask
        Asks the person for an ``${input:...}``; each is asked for once.

    Raises
    ------
    ConfigurationError
        The file cannot be read, has no servers or not the wanted ones, or a variable is not set (a ValueError).
    """
    shown = Path(path).expanduser()
    try:
        data = json.loads(_without_comments(read_regular_file(shown, _MOST_BYTES).decode("utf-8-sig")))
    except OSError as error:
        raise ConfigurationError(f"{shown} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ConfigurationError(f"{shown} is no JSON: {error}.") from None
    servers = next((data[key] for key in _KEYS if isinstance(data, dict) and isinstance(data.get(key), dict)), None)
    if servers is None:
        raise ConfigurationError(f"{shown} names no MCP servers.", hint="It needs `mcpServers` or `servers`.")
    if isinstance(wanted, str):
        raise ConfigurationError(f"servers={wanted!r} must be a list of names.", hint=f"Give [{wanted!r}].")
    if missing := [name for name in wanted or () if name not in servers]:
        raise ConfigurationError(f"{shown} has no server {', '.join(missing)}.", hint=f"It has {', '.join(servers)}.")
    variables = _Variables(shown, _prompts(data.get("inputs")), ask)
    chosen = servers if wanted is None else {name: servers[name] for name in wanted}
    return {
        name: _parameters(name, entry, variables)
        for name, entry in chosen.items()
        if not (isinstance(entry, dict) and entry.get("disabled") is True)
    }


def _parameters(name: str, entry: object, variables: _Variables) -> ServerParameters:
    if not isinstance(entry, dict) or entry.get("type") not in _KINDS:
        kind = entry.get("type") if isinstance(entry, dict) else entry
        raise ConfigurationError(f"The MCP server `{name}` is of an unknown kind: {kind!r:.100}.")
    env = {key: variables.setting(value) for key, value in _texts(name, entry, "env").items()}
    headers = {key: variables.setting(value) for key, value in _texts(name, entry, "headers").items()}
    url, command, arguments = entry.get("url") or entry.get("serverUrl"), entry.get("command"), entry.get("args", [])
    if isinstance(url, str):
        return ServerParameters.of(variables.expand(url), headers=headers)
    if not isinstance(command, str) or not isinstance(arguments, list):
        raise ConfigurationError(f"The MCP server `{name}` has neither a `command` nor a `url`.")
    cwd = entry.get("cwd")
    words = [variables.expand(str(word)) for word in (command, *arguments)]
    return ServerParameters.of(words, env=env, cwd=variables.expand(cwd) if isinstance(cwd, str) else None)


def _texts(name: str, entry: Mapping[str, Any], key: str) -> dict[str, str]:
    values = entry.get(key) or {}
    if not isinstance(values, dict):
        raise ConfigurationError(f"`{key}` of the MCP server `{name}` must be an object.")
    return {each: value if isinstance(value, str) else json.dumps(value) for each, value in values.items()}


def _prompts(inputs: object) -> dict[str, str]:
    found = inputs if isinstance(inputs, list) else []
    return {
        str(each["id"]): str(each.get("description") or each["id"])
        for each in found
        if isinstance(each, dict) and "id" in each
    }


class _Variables:
    """The variables of a file: environment, folders, and what the person is asked for."""

    def __init__(self, path: Path, prompts: Mapping[str, str], ask: Ask) -> None:
        self._path = path
        self._prompts = prompts
        self._ask = ask
        self._answers: dict[str, str] = {}
        folder = str(path.resolve().parent)
        self._folders = {
            "workspaceFolder": folder,
            "userHome": str(Path.home()),
            "HOME": str(Path.home()),
            "pathSeparator": os.sep,
        }

    def expand(self, text: str) -> str:
        """Replace the variables in a text."""
        return _VARIABLE.sub(lambda found: self._value(found[1], found[2], found[3]), text)

    def setting(self, text: str) -> Setting:
        """Replace the variables in a value of ``env`` or ``headers``: what comes from elsewhere is a secret."""
        if (only := _VARIABLE.fullmatch(text)) is not None and only[1] != "input" and only[2] in os.environ:
            return Secret.from_env_var(only[2])
        expanded = self.expand(text)
        return Secret.from_token(expanded) if expanded and expanded != text else expanded

    def _value(self, kind: str | None, name: str, default: str | None) -> str:
        if kind == "input":
            if name not in self._answers:
                self._answers[name] = self._ask(f"{self._prompts.get(name, name)}: ")
            return self._answers[name]
        if (value := os.environ.get(name)) is not None:
            return value
        if kind is None and name in self._folders:
            return self._folders[name]
        if default is not None:
            return default
        raise ConfigurationError(
            f"{self._path} needs the environment variable {name}, which is not set.", hint="Set it, and try again."
        )


def _without_comments(text: str) -> str:
    """Remove ``//`` and ``/* */`` outside of texts, and commas before a closing bracket."""
    pieces: list[str] = []
    last = -1  # of the pieces that are not blank
    at = 0
    while at < len(text):
        if text.startswith("//", at):
            at = len(text) if (end := text.find("\n", at)) < 0 else end
            continue
        if text.startswith("/*", at):
            at = len(text) if (end := text.find("*/", at + 2)) < 0 else end + 2
            continue
        end = at + 1
        if text[at] == '"':
            while end < len(text) and text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            end += 1
        elif text[at] in "}]" and last >= 0 and pieces[last] == ",":
            pieces[last] = ""
        if not text[at].isspace():
            last = len(pieces)
        pieces.append(text[at:end])
        at = end
    return "".join(pieces)
