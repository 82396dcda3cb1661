"""`McpTool`: a tool of an MCP server, as a `orchat.tools.Tool`."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from orchat.errors import SerializationError, ToolInvocationError, ToolServerError
from orchat.tools import Tool

_HINTS = (
    ("readOnlyHint", "changes nothing", "may change something"),
    ("destructiveHint", "may destroy something", "destroys nothing"),
    ("idempotentHint", "does the same when it is called again", ""),
    ("openWorldHint", "deals with the outside world", "stays in its own world"),
)


class ToolServer(Protocol):
    """What a tool uses of its toolset; ``str`` names the server for people."""

    def call(self, tool: McpTool, arguments: dict[str, Any]) -> tuple[Any, str]:
        """Call a tool while this thread waits; return the result, and the server's words about a failure."""

    async def call_async(self, tool: McpTool, arguments: dict[str, Any]) -> tuple[Any, str]:
        """Call a tool on the running loop."""

    def defers(self, tool: McpTool) -> bool:
        """Whether requests leave a tool out."""


class McpTool(Tool):
    """A tool that runs on an MCP server; `orchat.mcp.McpToolset` makes it.

    `invoke` and `invoke_async` return the SDK's ``CallToolResult``. An interrupt or a cancellation cancels the call on
    the server.

    Parameters
    ----------
    server
        The server.
    definition
        The server's description of the tool, as JSON.
    name
        The name that models are told.

    Raises
    ------
    ConfigurationError
        The schema of its arguments is none.
    """

    def __init__(self, server: ToolServer, definition: Mapping[str, Any], name: str) -> None:
        self.definition = copy.deepcopy(dict(definition))
        self.server = server
        self.server_tool = str(definition["name"])
        annotations = definition.get("annotations") or {}
        self.annotations: dict[str, Any] = dict(annotations)
        schema = {key: value for key, value in self.definition["inputSchema"].items() if key != "title"}
        title = definition.get("title") or annotations.get("title") or self.server_tool
        super().__init__(
            name,
            definition.get("description") or "",
            schema,
            function=self._run_on_server,
            async_function=self._run_on_server_async,
            title=str(title),
            preview=self._preview,
        )

    @property
    def is_bound_to_loop(self) -> bool:
        """Whether it needs a certain loop: the connection has one of its own."""
        return False

    @property
    def is_deferred(self) -> bool:
        """Whether requests leave the tool out until a search has found it."""
        return self.server.defers(self)

    def _run_on_server(self, /, **arguments: Any) -> Any:
        with self._told_errors():
            return self._checked(*self.server.call(self, arguments))

    async def _run_on_server_async(self, /, **arguments: Any) -> Any:
        with self._told_errors():
            return self._checked(*await self.server.call_async(self, arguments))

    @contextmanager
    def _told_errors(self) -> Iterator[None]:
        """Raise what is wrong with the server as an error of this tool."""
        try:
            yield
        except ToolServerError as error:
            raise ToolInvocationError(error.message, self.name, hint=error.hint, details=error.details) from error

    def _checked(self, result: Any, details: str) -> Any:
        if not result.is_error:
            return result
        said = "\n".join(part.text for part in result.content if part.type == "text")
        raise ToolInvocationError(
            said or f"The tool `{self.name}` failed, and said nothing.", self.name, result=result, details=details
        )

    def _preview(self, /, **arguments: Any) -> str:
        """Say where a call goes, and what the server claims about the tool: it is shown, and trusted by nobody."""
        said = [(self.annotations.get(key), yes, no) for key, yes, no in _HINTS]
        claims = [claim for value, yes, no in said if isinstance(value, bool) and (claim := yes if value else no)]
        says = f" The server says, and nobody has checked, that the tool {', '.join(claims)}." if claims else ""
        return f"Calls `{_as_code(self.server_tool)}` on the MCP server `{_as_code(str(self.server))}`.{says}"

    def has_definition(self, definition: Mapping[str, Any]) -> bool:
        """Whether a description is that of this tool: then a person's grant still holds."""
        return json.dumps(self.definition, sort_keys=True) == json.dumps(dict(definition), sort_keys=True)

    def to_dict(self) -> dict[str, Any]:
        """Refuse: a tool of a server is saved by its toolset only."""
        raise SerializationError(
            f"The tool `{self.name}` runs on a server, and cannot be saved alone.", hint="Give the whole McpToolset."
        )

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __getstate__(self) -> dict[str, Any]:
        raise SerializationError(f"The tool `{self.name}` runs on a server, and cannot be pickled.")

    def __deepcopy__(self, memo: object) -> McpTool:
        return self


def _as_code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())[:200]
