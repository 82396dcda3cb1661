"""`DeferredTools`: leave tools out of requests until a search has found them, where their schemas are too many tokens.

The search runs here, over names and descriptions, for the chat completions API has none of its own. The model calls it
as a tool, and the next request names what was found.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from orchat.tools.decorator import create_tool_from_function
from orchat.tools.definition import Tool
from orchat.tools.tool_search import ToolIndex, schema_tokens

_MOST_FOUND = 20
_MOST_DESCRIPTION = 300


class DeferredTools:
    """Decides which tools of a set requests name: all, or if they cost more than a limit those that were found.

    Parameters
    ----------
    label
        The name of the set, for the model and for people.
    search_name
        The name of the tool that searches.
    max_tokens
        How many tokens the schemas may cost in each request.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def tide(port: str) -> str:
    ...     "Say when the tide is high."
    ...     return "14:10"
    >>> deferred = DeferredTools("harbour", "search_harbour", max_tokens=10)
    >>> deferred.set_tools([tide])
    >>> deferred.is_over_limit, deferred.defers(tide)
    (True, True)
    >>> deferred.search_tool.invoke(query="high tides")
    [{'name': 'tide', 'description': 'Say when the tide is high.'}]
    >>> deferred.defers(tide)
    False
    """

    def __init__(self, label: str, search_name: str, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self._label = label
        self._lock = threading.Lock()
        self._tokens: dict[str, int] = {}
        self._found: dict[str, None] = {}  # by name, the last ones last
        self._index: ToolIndex | None = None
        self._tools: tuple[Tool, ...] = ()
        self.search_tool = create_tool_from_function(
            self._search,
            name=search_name,
            title=f"Search the tools of {label}",
            description="",
            preview=lambda query, limit=5: f"Looks for **{limit}** tools of {label} here, by name and description.",
        )

    def set_tools(self, tools: Sequence[Tool]) -> None:
        """Replace the tools; those of the same name stay found."""
        with self._lock:
            self._tools, self._index = tuple(tools), None
            self._tokens = {tool.name: schema_tokens(tool) for tool in tools}
            self._found = {name: None for name in self._found if name in self._tokens}
            self.search_tool.description = (
                f"{self._label} has {len(tools)} tools, of which you are told only those that you have looked for. "
                "Find them by words of what they do; then call them by their names."
            )

    @property
    def tokens(self) -> int:
        """What the schemas of all tools cost in each request that names them."""
        return sum(self._tokens.values())

    @property
    def is_over_limit(self) -> bool:
        """Whether they cost more than they may, so that tools are left out until they are found."""
        return self.tokens > self.max_tokens

    @property
    def found(self) -> tuple[str, ...]:
        """The names of the tools that were found."""
        return tuple(self._found)

    def defers(self, tool: Tool) -> bool:
        """Whether requests leave a tool out for now."""
        return self.is_over_limit and tool.name not in self._found

    def _search(
        self,
        query: Annotated[str, Field(description="words of what the tool does, such as `list open invoices`")],
        limit: Annotated[int, Field(ge=1, le=_MOST_FOUND, description="how many tools at most")] = 5,
    ) -> list[dict[str, Any]]:
        with self._lock:
            if self._index is None:
                self._index = ToolIndex(self._tools)
            tools = self._index.search(query, limit)
            for tool in tools:
                self._found.pop(tool.name, None)
                self._found[tool.name] = None
            while len(self._found) > len(tools) and sum(map(self._tokens.__getitem__, self._found)) > self.max_tokens:
                del self._found[next(iter(self._found))]
        return [{"name": tool.name, "description": tool.description[:_MOST_DESCRIPTION]} for tool in tools]
