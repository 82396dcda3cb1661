"""The variables that a conversation has set or inspected: in another kernel they may be missing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchat.messages import ToolCall

_LONGEST_NAME = 60  # characters of a name


def used_variables(calls: Iterable[ToolCall]) -> set[str]:
    r"""Return the variables that calls of the kernel's tools set or inspected.

    The calls may come from a file: their code is read, never run.

    Parameters
    ----------
    calls
        Calls of any tools; those of other tools are ignored.

    Examples
    --------
    >>> from orchat.messages import ToolCall
    >>> code = {"code": "import math\ntides = [math.tau for tide in range(3)]"}
    >>> looked = {"name": "ship['tons']"}
    >>> sorted(used_variables([ToolCall("run_python", code), ToolCall("inspect_variable", looked)]))
    ['math', 'ship', 'tides']
    """
    found: set[str] = set()
    for call in calls:
        if call.tool_name == "run_python":
            found.update(_assigned_names(str(call.arguments.get("code"))))
        elif call.tool_name == "inspect_variable":
            found.update(re.findall(r"^\s*(\w+)", str(call.arguments.get("name"))))
    return {name for name in found if name.isidentifier() and len(name) <= _LONGEST_NAME}


def _assigned_names(code: str) -> Iterator[str]:
    """Yield the names that a cell's code assigns, as far as its syntax tree shows."""
    try:
        nodes: list[ast.AST] = list(ast.parse(code).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    while nodes:
        match node := nodes.pop():
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from ((each.asname or each.name).partition(".")[0] for each in names)
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                pass  # their names are their own
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case _:
                nodes.extend(ast.iter_child_nodes(node))
