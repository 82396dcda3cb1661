"""A person's "always" for tools: grants in the memory of this kernel only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchat.tools import Tool


class ToolGrants:
    """The tools that run without approval. A grant is for one object, not its name: a redefined tool asks again.

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
        """Grant a tool from now on."""
        self._tools[tool.name] = tool

    def covers(self, tool: Tool) -> bool:
        """Return whether a tool has a grant."""
        return self._tools.get(tool.name) is tool

    def revoke(self, name: str) -> None:
        """Revoke the grant of a name, if there is one."""
        self._tools.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._tools))


KERNEL_GRANTS = ToolGrants()
"""The grants of this kernel."""
