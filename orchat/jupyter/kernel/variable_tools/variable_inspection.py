"""Describe one of the user's variables: its type and size, what it holds, its value."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from orchat.errors import ToolInvocationError
from orchat.jupyter.kernel.prompt.interpolation import interpolate
from orchat.jupyter.kernel.prompt.prompt_namespace import PromptNamespace
from orchat.jupyter.kernel.variable_tools.tool_report import ReportSection, build_report
from orchat.messages.parts import ResultContent
from orchat.rendering import Rendered
from orchat.rendering.safe_introspection import type_name
from orchat.rendering.static_lookup import static_attributes, static_keys

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_MOST_NAMES = 40


class VariableInspector:
    """Looks at the variables of one shell.

    Parameters
    ----------
    shell
        The running IPython.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def describe(self, name: str) -> ResultContent:
        """Say what a variable is, as a model is told.

        Parameters
        ----------
        name
            A name, attributes and constant subscripts; nothing is called.

        Raises
        ------
        ToolInvocationError
            There is none of that name, or it is more than a name.
        """
        value = self._find(name.strip())
        described = "\n".join([f"{name.strip()} is of type {type_name(value)}{_size(value)}.", *_held(value)])
        return build_report([ReportSection("", described, is_text=True), ReportSection("", value)])

    def _find(self, name: str) -> Any:
        """Read a name as a field of a prompt is read."""
        found: list[Any] = []

        def keep(value: object) -> Rendered:
            found.append(value)
            return Rendered([], type_name(value))

        prompt = interpolate(f"{{{name}}}", PromptNamespace(self._shell), keep)
        if [sent.name for sent in prompt.sent] == [name]:
            return found[0]
        why = (prompt.warning or "").partition(" is sent as it is: ")[2]
        raise ToolInvocationError(
            f"{name!r:.200} cannot be looked at: {why or 'it is no name with attributes and constant subscripts'}.",
            "inspect_variable",
        )


def _size(value: Any) -> str:
    """Say how large a value is, as far as it tells without running code of the user's own."""
    told: list[str] = []
    module = type(value).__module__.partition(".")[0]
    if module in ("builtins", "collections", "numpy", "pandas", "polars"):
        if isinstance(shape := getattr(value, "shape", None), tuple) and shape:
            told.append(f"shape {shape}")
        elif hasattr(type(value), "__len__"):
            told.append(f"length {len(value):,}")
    if module == "builtins" and not isinstance(value, type):
        told += [f"{sys.getsizeof(value):,} bytes of its own"] if told else []
    return f", {', '.join(told)}" if told else ""


def _held(value: object) -> list[str]:
    """Name columns or keys, and attributes; those of Python's own kinds are known."""
    lines = []
    if found := [] if isinstance(value, list | tuple) else static_keys(value):
        lines.append(f"Keys or columns: {_several([repr(key) for key in found])}")
    if type(value).__module__ != "builtins" and (
        names := [n for n in static_attributes(value) if not n.startswith("_")]
    ):
        lines.append(f"Attributes: {_several(names)}")
    return lines


def _several(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
