"""Tools that a person lets run without asking again: for the life of this kernel, and in its memory only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchat.tools import Tool


class ToolGrants:
    """What runs without asking. A grant is for one tool, not for its name: a tool that is made anew asks again.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def tide(port: str) -> str: return "high"
    >>> grants = ToolGrants()
    >>> grants.allow(tide)
    >>> grants.covers(tide), list(grants)
    (True, ['tide'])
    >>> grants.revoke("tide")
    >>> grants.covers(tide)
    False
    """

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}

    def allow(self, tool: Tool) -> None:
        """Let a tool run from now on."""
        self._tools[tool.name] = tool

    def covers(self, tool: Tool) -> bool:
        """Say whether a tool may run."""
        return self._tools.get(tool.name) is tool

    def revoke(self, name: str) -> None:
        """Ask again from now on; nothing happens where there is no such grant."""
        self._tools.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._tools))


KERNEL_GRANTS = ToolGrants()
"""Those of this kernel."""
