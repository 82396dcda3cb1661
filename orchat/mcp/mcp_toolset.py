"""`McpToolset` and `McpServers`: the tools of one MCP server, and of several, as a `orchat.tools.Toolset`."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from orchat.errors import ConfigurationError, OrchatError, SerializationError, ToolServerError
from orchat.mcp.connection_loop import MCP_LOOP
from orchat.mcp.mcp_tool import McpTool
from orchat.mcp.server_configuration import read_configuration
from orchat.mcp.server_connection import ServerConnection
from orchat.mcp.server_parameters import ServerParameters, Setting
from orchat.mcp.tool_names import model_names
from orchat.tools import Tool, Toolset
from orchat.tools.deferred_tools import DeferredTools

_INSTALL = 'pip install "orchat-jupyter[mcp]"'


class McpToolset(Toolset):
    """The tools of one MCP server: for ``Chat(tools=...)``, ``ChatPanel(tools=...)``, ``-T NAME`` and generators.

    The server is started or reached when the tools are first needed, again after it was lost, and ends with the
    process, `close`, or when nothing refers to the toolset any more.

    Parameters
    ----------
    server
        A command line such as ``"uvx mcp-server-time"``, a list of its words, or an http(s) address.
    name
        A name for people; otherwise one is derived from ``server``.
    prefix
        What the names of the tools begin with for a model; otherwise ``name``. ``""`` for none.
    env
        Environment variables of the program, texts or Secrets. It gets PATH, HOME and the like, and nothing else.
    cwd
        The program's working folder.
    headers
        HTTP headers for a server at an address, texts or Secrets.
    auth
        An ``Auth`` of httpx2 for a server at an address, such as the SDK's ``OAuthClientProvider``.
    tools
        The server's names of the tools to use; otherwise all.
    max_schema_tokens
        How many tokens the tools' schemas may cost in each request. Where they are more, the model is told of a tool
        that searches them, and requests name what it has found.
    timeout
        Seconds that a call may take; None for no limit.
    connect_timeout
        Seconds that starting the server may take, and then its list of tools; ``uvx`` and ``npx`` download it the
        first time.
    mode
        The SDK's way to negotiate the protocol; by default what lets a server ask back.

    Raises
    ------
    ConfigurationError
        The SDK is not installed, or an argument makes no sense (a ValueError).

    Examples
    --------
    >>> clock = McpToolset("uvx mcp-server-time")
    >>> clock
    McpToolset('time', not connected: `uvx mcp-server-time`)
    """

    def __init__(
        self,
        server: str | Sequence[str] | ServerParameters,
        *,
        name: str | None = None,
        prefix: str | None = None,
        env: Mapping[str, Setting] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        headers: Mapping[str, Setting] | None = None,
        auth: Any = None,
        tools: Collection[str] | None = None,
        max_schema_tokens: int = 10_000,
        timeout: float | None = 300.0,
        connect_timeout: float = 60.0,
        mode: str | None = None,
    ) -> None:
        if not _has_sdk():
            raise ConfigurationError("MCP servers need the package `mcp`, which is not installed.", hint=f"{_INSTALL}.")
        if isinstance(tools, str):
            raise ConfigurationError(f"tools={tools!r} must be a list of names.", hint=f"Give tools=[{tools!r}].")
        super().__init__()
        self.parameters = (
            server
            if isinstance(server, ServerParameters)
            else ServerParameters.of(server, env=env, cwd=cwd, headers=headers)
        )
        self.name = name or self.parameters.default_name
        self.prefix = self.name if prefix is None else prefix
        self.skipped: dict[str, str] = {}
        self._wanted = None if tools is None else tuple(tools)
        self._settings = {
            "max_schema_tokens": max_schema_tokens,
            "timeout": timeout,
            "connect_timeout": connect_timeout,
            "mode": mode,
        }
        search_name = model_names(["search_tools"], self.prefix)["search_tools"]
        self._deferred = DeferredTools(self.name, search_name, max_schema_tokens)
        self._lock = threading.Lock()
        self._was_listed = False
        self._connection = ServerConnection(
            self.parameters, self.name, timeout=timeout, mode=mode, connect_timeout=connect_timeout, auth=auth
        )

    def __repr__(self) -> str:
        if not self._was_listed:
            return f"McpToolset({self.name!r}, not connected: `{self.parameters}`)"
        return f"McpToolset({self.name!r}, {self.summary}: `{self.parameters}`)"

    def __str__(self) -> str:
        return f"{self.name} ({self.parameters})"

    @property
    def summary(self) -> str:
        """How many tools there are, what they cost in each request, and how many of them requests leave out."""
        deferred = self._deferred
        parts = [_count(len(self.tools)), f"{deferred.tokens:,} tokens"]
        if deferred.is_over_limit:
            offered = sum(not tool.is_deferred for tool in self.tools)
            parts.append(f"over the limit of {deferred.max_tokens:,}: {offered} found by search, the others left out")
        if self.skipped:
            parts.append(f"{len(self.skipped)} that cannot be used")
        return ", ".join(parts) if self._was_listed else "not connected"

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    # -- tools --------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Tool]:
        self.warm_up()
        search = [self._deferred.search_tool] if self._deferred.is_over_limit else []
        return iter([*search, *self.tools])

    def warm_up(self) -> None:
        """Connect, and list the tools, unless that was done and the server has not said since that they have changed.

        Raises
        ------
        ToolServerError
            The server cannot be started or reached, or does not list its tools.
        """
        if self._needs_listing:
            MCP_LOOP.run(self.list_tools)

    async def warm_up_async(self) -> None:
        """Connect and list the tools as `warm_up` does, on the running loop."""
        if self._needs_listing:
            await MCP_LOOP.run_async(self.list_tools)

    @property
    def _needs_listing(self) -> bool:
        # A lost server is started again by a call, so that a chat goes on with what it knows.
        return not self._was_listed or (self._connection.is_open and not self._connection.is_listed)

    async def list_tools(self) -> None:
        """List the tools if that is needed; on the loop of the connections only."""
        if self._needs_listing:
            await self._list()

    async def _list(self) -> None:
        listed = await self._connection.list_tools()
        self._take([each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in listed])

    def _take(self, definitions: list[dict[str, Any]]) -> None:
        """Make tools of the server's descriptions; one whose description is the same stays the same object."""
        found = {definition["name"]: definition for definition in definitions}
        if missing := [name for name in self._wanted or () if name not in found]:
            raise ConfigurationError(
                f"The MCP server `{self.name}` has no tool {', '.join(missing)}.",
                hint=f"It has {', '.join(found) or 'none'}.",
            )
        names = model_names(found, self.prefix)
        with self._lock:
            known = {tool.server_tool: tool for tool in self.tools if isinstance(tool, McpTool)}
            tools: list[Tool] = []
            skipped: dict[str, str] = {}
            for name, definition in found.items():
                if self._wanted is not None and name not in self._wanted:
                    continue
                if (tool := known.get(name)) is not None and tool.has_definition(definition):
                    tools.append(tool)
                    continue
                try:
                    tools.append(McpTool(self, definition, names[name]))
                except OrchatError as error:
                    skipped[name] = str(error)
            self.tools[:] = tools
            self.skipped = skipped
            self._deferred.set_tools(tools)
            self._was_listed = True

    def add(self, tool: Tool) -> None:
        """Refuse: the tools are the server's."""
        raise ConfigurationError(
            f"The tools of `{self.name}` are those of its server.", hint="Give both: Chat(tools=[toolset, tool])."
        )

    # -- calls --------------------------------------------------------------------------------------------------

    def call(self, tool: McpTool, arguments: dict[str, Any]) -> tuple[Any, str]:
        """Call a tool while this thread waits; return the SDK's result, and the server's words about a failure."""
        return MCP_LOOP.run(lambda: self._call(tool, arguments))

    async def call_async(self, tool: McpTool, arguments: dict[str, Any]) -> tuple[Any, str]:
        """Call a tool on the running loop."""
        return await MCP_LOOP.run_async(lambda: self._call(tool, arguments))

    async def _call(self, tool: McpTool, arguments: dict[str, Any]) -> tuple[Any, str]:
        async def check() -> None:
            if not self._connection.is_listed:
                await self._list()
            if tool not in self.tools:
                raise ToolServerError(
                    f"The MCP server `{self.name}` has changed its tool `{tool.server_tool}` since it was shown.",
                    hint="Nothing has run: ask again.",
                )

        return await self._connection.call_tool(tool.server_tool, arguments, check)

    def defers(self, tool: McpTool) -> bool:
        """Whether requests leave a tool out until a search has found it."""
        return self._deferred.defers(tool)

    # -- the server ---------------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._connection.is_open

    @property
    def server_log(self) -> str:
        """The last words of the server: its stderr, and what the SDK has logged about it; for people."""
        return self._connection.log.since(0)

    def close(self) -> None:
        """End the connection, and the server if it is a program; the next call begins another one."""
        MCP_LOOP.run(self._connection.close)

    async def close_async(self) -> None:
        """End the connection as `close` does, on the running loop."""
        await MCP_LOOP.run_async(self._connection.close)

    # -- as data ------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Serialize how the server is started or reached; secrets go by the names of their environment variables.

        Raises
        ------
        SerializationError
            A secret stands there as text.
        """
        chosen = {"name": self.name, "prefix": self.prefix, "tools": self._wanted and list(self._wanted)}
        return {
            "type": "orchat.mcp.McpToolset",
            "data": {"server": self.parameters.to_dict(), **chosen, **self._settings},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> McpToolset:
        """Restore a toolset from `to_dict`'s form.

        It says which program is started: no dictionary of a chat or a generator is let do that, only this call.
        """
        values = dict(data["data"])
        return cls(ServerParameters.from_dict(values.pop("server")), **values)

    @staticmethod
    def from_config(path: str | os.PathLike[str], servers: Collection[str] | None = None) -> McpServers:
        """Read the servers of a configuration file: ``mcpServers`` of Claude and Cursor, ``servers`` of VS Code.

        Environment variables (``${NAME}``, ``${env:NAME}``, ``${NAME:-default}``) are expanded, ``${input:ID}`` is
        asked for, and values of ``env`` and ``headers`` that come from either are Secrets.

        Parameters
        ----------
        path
            The file.
        servers
            The names of the servers to use; otherwise all that are not ``disabled``.

        Returns
        -------
        McpServers
            A toolset of all their tools; ``[name]`` is the toolset of one.

        Raises
        ------
        ConfigurationError
            The file cannot be read, has no servers, or a variable is not set (a ValueError).
        """
        return McpServers([McpToolset(each, name=name) for name, each in read_configuration(path, servers).items()])


class McpServers(Toolset):
    """The tools of several MCP servers; `orchat.mcp.McpToolset.from_config` makes it. ``servers[name]`` is one of them.

    Parameters
    ----------
    toolsets
        The toolsets, each of another name.

    Raises
    ------
    ConfigurationError
        Two have the same name (a ValueError).

    Examples
    --------
    >>> servers = McpServers([McpToolset("uvx mcp-server-time"), McpToolset("uvx mcp-server-git")])
    >>> list(servers.servers), servers["git"].prefix
    (['time', 'git'], 'git')
    """

    def __init__(self, toolsets: Iterable[McpToolset]) -> None:
        super().__init__()
        self.servers: dict[str, McpToolset] = {}
        for toolset in toolsets:
            if toolset.name in self.servers:
                raise ConfigurationError(f"Two MCP servers are called `{toolset.name}`.", hint="Give one another name.")
            self.servers[toolset.name] = toolset

    def __repr__(self) -> str:
        return f"McpServers({list(self.servers.values())!r})"

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __iter__(self) -> Iterator[Tool]:
        self.warm_up()
        return iter([tool for toolset in self.servers.values() for tool in toolset])

    @overload
    def __getitem__(self, index: str) -> McpToolset: ...
    @overload
    def __getitem__(self, index: int) -> Tool: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tool]: ...
    def __getitem__(self, index: str | int | slice) -> McpToolset | Tool | list[Tool]:
        return self.servers[index] if isinstance(index, str) else list(self)[index]

    def warm_up(self) -> None:
        """Connect to all servers at once, and list their tools.

        Raises
        ------
        ToolServerError
            One of them cannot be started or reached; the others are connected.
        """
        MCP_LOOP.run(self._list)

    async def warm_up_async(self) -> None:
        """Connect to all servers as `warm_up` does, on the running loop."""
        await MCP_LOOP.run_async(self._list)

    async def _list(self) -> None:
        results = await asyncio.gather(*(each.list_tools() for each in self.servers.values()), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def add(self, tool: Tool) -> None:
        """Refuse: the tools are the servers'."""
        raise ConfigurationError(
            "The tools of MCP servers are their own.", hint="Give both: Chat(tools=[servers, tool])."
        )

    def close(self) -> None:
        """End the connections to all servers."""
        for toolset in self.servers.values():
            toolset.close()

    def to_dict(self) -> dict[str, Any]:
        """Refuse: save the toolsets of the servers."""
        raise SerializationError("McpServers is not saved as a whole.", hint="Save each of `servers.values()`.")


def _has_sdk() -> bool:
    try:
        return importlib.util.find_spec("mcp") is not None
    except ValueError:  # it is blocked
        return False


def _count(number: int) -> str:
    return f"{number} tool{'' if number == 1 else 's'}"
