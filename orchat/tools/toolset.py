"""`Toolset`, a list of related tools; conversion and serialization of ``tools`` arguments.

A ``tools`` argument is None, a list of tools and toolsets, or one toolset; Haystack's own objects count as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, overload

from orchat.errors import ConfigurationError, SerializationError
from orchat.tools.definition import Tool
from orchat.tools.import_path import resolve_import_path


@dataclass
class Toolset:
    """A list of related tools: iterate, index, ``len``, ``in`` by name or tool, ``+``.

    A subclass may override `to_dict` and `from_dict` to save how its tools are reached instead of the tools.

    Raises
    ------
    ConfigurationError
        Two tools have the same name.
    TypeError
        ``tools`` is a single tool, or holds something else.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def now() -> str: return "noon"
    >>> clock = Toolset([now])
    >>> len(clock), "now" in clock, now in clock, bool(Toolset())
    (1, True, True, False)
    """

    tools: list[Tool] = field(default_factory=list)

    def __post_init__(self) -> None:
        if isinstance(self.tools, Tool) or not isinstance(self.tools, Iterable):
            raise TypeError(f"A Toolset takes a list of tools, not a {type(self.tools).__name__}: Toolset([tool]).")
        self.tools = [Tool.adopt(tool) for tool in self.tools]
        _refuse_duplicates(self.tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self.tools)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, item: object) -> bool:
        return any(tool.name == item if isinstance(item, str) else tool == item for tool in self)

    @overload
    def __getitem__(self, index: int) -> Tool: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tool]: ...
    def __getitem__(self, index: int | slice) -> Tool | list[Tool]:
        return list(self)[index]

    def __add__(self, other: Any) -> Toolset:
        """Return a new toolset with the tools of both; ``other`` is a tool, a list or a toolset."""
        more = [other] if _is_tool(other) else other
        return Toolset([*self, *flatten(more)])

    def add(self, tool: Tool) -> None:
        """Add one tool.

        Raises
        ------
        TypeError
            It is not a tool.
        ConfigurationError
            Its name is taken.
        """
        tool = Tool.adopt(tool)
        _refuse_duplicates([*self.tools, tool])
        self.tools.append(tool)

    def to_dict(self) -> dict[str, Any]:
        """Serialize the toolset to Haystack's dictionary form with our types."""
        cls = type(self)
        type_name = "orchat.tools.Toolset" if cls is Toolset else f"{cls.__module__}.{cls.__qualname__}"
        return {"type": type_name, "data": {"tools": [tool.to_dict() for tool in self.tools]}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Toolset:
        """Restore a toolset from `to_dict`'s form, ours or Haystack's; ``data`` is not modified.

        Raises
        ------
        SerializationError
            There is no ``data`` dictionary, or a type or path in it may not be loaded.
        TypeError
            An entry is no tool.
        """
        if not isinstance(inner := data.get("data"), Mapping):
            raise SerializationError("The dictionary of a toolset needs a dictionary under `data`.")
        tools = tools_from_dict(inner.get("tools", []))
        if not isinstance(tools, list) or not all(isinstance(tool, Tool) for tool in tools):
            raise TypeError("The `tools` of a toolset must be a list of tools.")
        return cls(tools=tools)  # type: ignore[arg-type]

    @staticmethod
    def adopt(other: object) -> Toolset:
        """Convert an object with the interface of a toolset, such as Haystack's; a Toolset is returned as it is.

        Raises
        ------
        TypeError
            It has not that interface.
        """
        if isinstance(other, Toolset):
            return other
        if not _is_toolset(other):
            raise TypeError(f"A Toolset is needed, not {type(other).__name__}.")
        return Toolset(list(other))  # type: ignore[call-overload]


Tools: TypeAlias = "list[Tool | Toolset] | list[Tool] | list[Toolset] | Toolset"

_TYPES: dict[str, type[Tool | Toolset]] = {
    "orchat.tools.Tool": Tool,
    "orchat.tools.Toolset": Toolset,
    "haystack.tools.tool.Tool": Tool,
    "haystack.tools.Tool": Tool,
    "haystack.dataclasses.tool.Tool": Tool,
    "haystack.tools.toolset.Toolset": Toolset,
    "haystack.tools.Toolset": Toolset,
}


def flatten(tools: Any) -> list[Tool]:
    """Flatten a ``tools`` argument to a list of all its tools.

    Raises
    ------
    TypeError
        It is neither None, a list of tools and toolsets, nor a toolset.
    ConfigurationError
        Two tools have the same name.

    Examples
    --------
    >>> flatten(None)
    []
    >>> from orchat.tools import tool
    >>> @tool
    ... def now() -> str: return "noon"
    >>> [each.name for each in flatten([Toolset([now])])]
    ['now']
    >>> flatten([now, Toolset([now])])
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: Several tools are called: now.
    """
    flat = [tool for item in _as_list(tools) for tool in (item if isinstance(item, Toolset) else [item])]
    if len(flat) > 1:
        _refuse_duplicates(flat)
    return flat


def tools_to_dict(tools: Any) -> dict[str, Any] | list[dict[str, Any]] | None:
    """Serialize a ``tools`` argument: None, a list of dictionaries, or the dictionary of a single toolset.

    Examples
    --------
    >>> tools_to_dict(Toolset())
    {'type': 'orchat.tools.Toolset', 'data': {'tools': []}}
    >>> tools_to_dict([])
    []
    """
    if tools is None:
        return None
    dictionaries = [item.to_dict() for item in _as_list(tools)]
    return dictionaries if isinstance(tools, list) else dictionaries[0]


def tools_from_dict(data: Any) -> Tools | None:
    """Restore a ``tools`` argument from the form of `tools_to_dict` or Haystack; ``data`` is not modified.

    Raises
    ------
    TypeError
        It is neither None, a list of dictionaries nor the dictionary of a toolset, or a class in it is no tool.
    SerializationError
        A type or function in it may not be loaded (`orchat.tools.allow_modules`).

    Examples
    --------
    >>> tools_from_dict([{"type": "haystack.tools.toolset.Toolset", "data": {"tools": []}}])
    [Toolset(tools=[])]
    """
    if data is None:
        return None
    if isinstance(data, Mapping):
        toolset = _load(data)
        if not isinstance(toolset, Toolset):
            raise TypeError("A dictionary of tools must be that of a toolset; give a single tool in a list.")
        return toolset
    if not isinstance(data, list):
        raise TypeError(f"Saved tools are a list or a dictionary, not a {type(data).__name__}.")
    return [_load(item) for item in data]


def _load(data: Any) -> Tool | Toolset:
    if not isinstance(data, Mapping):
        raise TypeError(f"A saved tool is a dictionary, not a {type(data).__name__}.")
    type_name = data.get("type")
    if not isinstance(type_name, str):
        raise SerializationError("The dictionary of a tool or toolset needs a text under `type`.")
    cls: Any = _TYPES.get(type_name) or resolve_import_path(type_name)
    if not isinstance(cls, type) or not issubclass(cls, Tool | Toolset):
        raise TypeError(f"`{type_name}` is neither a Tool nor a Toolset.")
    return cls.from_dict(data)


def _as_list(tools: Any) -> list[Tool | Toolset]:
    if tools is None:
        return []
    if _is_toolset(tools):
        return [Toolset.adopt(tools)]
    if not isinstance(tools, list):
        hint = " Put it in a list." if _is_tool(tools) or callable(tools) else ""
        raise TypeError(
            f"tools must be a list of tools and toolsets, a Toolset or None, not {type(tools).__name__}.{hint}"
        )
    return [Toolset.adopt(item) if _is_toolset(item) else Tool.adopt(item) for item in tools]


def _is_tool(item: object) -> bool:
    return hasattr(item, "tool_spec") and not isinstance(item, type)


def _is_toolset(item: object) -> bool:
    """Whether an object is a Toolset or has the interface of Haystack's."""
    return isinstance(item, Toolset) or (
        isinstance(item, Iterable) and isinstance(getattr(item, "tools", None), list) and hasattr(item, "to_dict")
    )


def _refuse_duplicates(tools: Iterable[Tool]) -> None:
    if repeated := sorted(name for name, count in Counter(tool.name for tool in tools).items() if count > 1):
        raise ConfigurationError(f"Several tools are called: {', '.join(repeated)}.")
