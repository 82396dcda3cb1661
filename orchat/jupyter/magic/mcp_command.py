"""``%openrouter mcp``: the MCP servers of this session, whose tools ``-T NAME`` gives to a model."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchat.errors import ConfigurationError, OrchatError
from orchat.jupyter.kernel.coroutine_runner import CellError
from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters, single_line
from orchat.jupyter.magic.option_parser import MAGIC, closest_match
from orchat.tools.tool_search import schema_tokens

if TYPE_CHECKING:
    from orchat.jupyter.magic.magic_session import MagicSession
    from orchat.mcp import McpToolset

USAGE = "[list | add | tools | remove]"
_USAGE = "list | add [NAME] COMMAND|URL|FILE | tools [SERVER] | remove SERVER"
_HOW_TO_ADD = f"%{MAGIC} mcp add [NAME] COMMAND, such as: %{MAGIC} mcp add uvx mcp-server-time"
_MOST_DESCRIPTION = 80


def mcp_command(session: MagicSession, words: Sequence[str]) -> str | Callable[[], Coroutine[Any, Any, str]]:
    """List, add and remove the servers of a session, and list their tools.

    Raises
    ------
    ConfigurationError
        The words make no sense (a ValueError).
    """
    verb, *rest = words or ["list"]
    match verb, rest:
        case "list", []:
            return _list_servers(session.mcp_toolsets)
        case "add", [_, *_]:
            toolsets = _new_toolsets(rest)
            return lambda: _told(_connect(session, toolsets))
        case "add", []:
            raise ConfigurationError("Which server?", hint=_HOW_TO_ADD)
        case "tools", _ if len(rest) <= 1:
            chosen = [_server(session.mcp_toolsets, name) for name in rest] or [*session.mcp_toolsets.values()]
            return lambda: _told(_list_tools(chosen))
        case "remove", [name]:
            toolset = _server(session.mcp_toolsets, name)
            return lambda: _told(_remove(session, toolset))
    raise ConfigurationError(f"%{MAGIC} mcp {' '.join(words)} makes no sense.", hint=f"%{MAGIC} mcp {_USAGE}")


async def _told(coroutine: Coroutine[Any, Any, str]) -> str:
    """Await a command's text; what goes wrong is a line."""
    try:
        return escape_control_characters(await coroutine)
    except OrchatError as error:
        raise CellError(single_line(str(error), 2_000)) from None


def _new_toolsets(words: Sequence[str]) -> list[McpToolset]:
    """Make the toolsets of ``add``: of a file, an address or a command line, which a name may precede."""
    from orchat.mcp import McpToolset
    from orchat.mcp.server_parameters import ServerParameters, is_runner

    if len(words) == 1 and words[0].endswith(".json"):
        return [*McpToolset.from_config(words[0]).servers.values()]
    is_nameless = len(words) == 1 or is_runner(words[0]) or words[1].startswith("-")
    name, server = (None, list(words)) if is_nameless else (words[0], list(words[1:]))
    if name is not None and not name.replace("-", "_").isidentifier():
        raise ConfigurationError(f"{name!r:.60} is no name for a server: letters, digits, - and _.", hint=_HOW_TO_ADD)
    return [McpToolset(ServerParameters.of(server[0] if len(server) == 1 else server), name=name)]


async def _connect(session: MagicSession, toolsets: Sequence[McpToolset]) -> str:
    lines = []
    for toolset in toolsets:
        if toolset.name in session.mcp_toolsets:
            raise ConfigurationError(
                f"There is a server `{toolset.name}` already.",
                hint=f"%{MAGIC} mcp remove {toolset.name}, or give this one another name.",
            )
        await toolset.warm_up_async()
        session.mcp_toolsets[toolset.name] = toolset
        names = ", ".join(tool.name for tool in toolset.tools[:8]) + (", ..." if len(toolset.tools) > 8 else "")
        lines += [f"{toolset.name}: {toolset.summary}", f"  {names}", *_skipped(toolset)]
        lines.append(f"Give them to a model with -T {toolset.name}.")
    return "\n".join(lines) or "The file names no server that is not disabled."


def _skipped(toolset: McpToolset) -> list[str]:
    return [f"  {name} cannot be used: {single_line(why, 200)}" for name, why in toolset.skipped.items()]


def _list_servers(toolsets: Mapping[str, McpToolset]) -> str:
    lines = []
    for name, toolset in toolsets.items():
        state = "" if toolset.is_connected else ", not connected: the next call connects"
        lines.append(f"{name}: {toolset.summary}{state} ({toolset.parameters})")
    return "\n".join(lines) or f"There is no MCP server yet. {_HOW_TO_ADD}"


async def _list_tools(toolsets: Sequence[McpToolset]) -> str:
    lines = []
    for toolset in toolsets:
        await toolset.warm_up_async()
        lines.append(f"{toolset.name}: {toolset.summary}")
        width = max((len(tool.name) for tool in toolset.tools), default=0)
        for tool in toolset.tools:
            about = single_line(tool.description or tool.title or "", _MOST_DESCRIPTION)
            left_out = " [left out]" if tool.is_deferred else ""
            lines.append(f"  {tool.name.ljust(width)} {schema_tokens(tool):>6,} tokens{left_out}  {about}".rstrip())
        lines += _skipped(toolset)
    return "\n".join(lines) or f"There is no MCP server yet. {_HOW_TO_ADD}"


async def _remove(session: MagicSession, toolset: McpToolset) -> str:
    session.mcp_toolsets.pop(toolset.name, None)
    await toolset.close_async()
    return f"{toolset.name} is gone."


def _server(toolsets: Mapping[str, McpToolset], name: str) -> McpToolset:
    if (toolset := toolsets.get(name)) is None:
        hint = closest_match(name, toolsets) or (f"There are {', '.join(toolsets)}." if toolsets else _HOW_TO_ADD)
        raise ConfigurationError(f"There is no MCP server {name}.", hint=hint)
    return toolset
