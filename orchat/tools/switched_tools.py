"""`SwitchedTools`: a ``tools`` argument of which a person has switched some off."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from orchat.errors import ConfigurationError
from orchat.tools.definition import Tool
from orchat.tools.toolset import Toolset, flatten


class SwitchedTools(Toolset):
    """The tools of a ``tools`` argument without those that are switched off; they may be switched on again.

    Parameters
    ----------
    given
        The argument, or another `SwitchedTools`, of which only the argument counts.
    off
        The names of the tools that are off.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def tide(port: str) -> str: return "high"
    >>> @tool
    ... def launch(boat: str) -> str: return "launched"
    >>> [each.name for each in SwitchedTools([tide, launch], {"launch"})]
    ['tide']
    """

    def __init__(self, given: Any, off: Collection[str] = ()) -> None:
        super().__init__()
        self.given: Any = given.given if isinstance(given, SwitchedTools) else given
        self.off = frozenset(off)

    def __iter__(self) -> Iterator[Tool]:
        return iter([tool for tool in flatten(self.given) if tool.name not in self.off])

    def groups(self) -> list[tuple[str, list[Tool]]]:
        """Return all tools, those of a toolset that has a name together under it, and the others first, under none."""
        found: dict[str, list[Tool]] = {"": []}
        for item in [self.given] if isinstance(self.given, Toolset) else list(self.given or ()):
            servers = getattr(item, "servers", None)
            for each in servers.values() if isinstance(servers, dict) else [item]:
                name = getattr(each, "name", "") if isinstance(each, Toolset) else ""
                found.setdefault(name, []).extend(flatten([each]))
        return [(name, tools) for name, tools in found.items() if tools]

    def add(self, tool: Tool) -> None:
        """Refuse: tools are added where these come from."""
        raise ConfigurationError("Tools are added to the list that was given, not to its switches.")

    def to_dict(self) -> dict[str, Any]:
        """Serialize the tools that are on, as a plain toolset."""
        return Toolset(list(self)).to_dict()
