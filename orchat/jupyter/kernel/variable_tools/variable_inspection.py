"""Describe one of the user's variables: its type, size, keys or attributes, and value."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from orchat.errors import ToolInvocationError
from orchat.jupyter.kernel.prompt.prompt_namespace import PromptNamespace
from orchat.jupyter.kernel.variable_tools.tool_report import ReportSection, build_report
from orchat.messages.parts import ResultContent
from orchat.prompt_language.interpolation import interpolate, names_secret
from orchat.rendering import Rendered
from orchat.rendering.safe_introspection import type_name
from orchat.rendering.static_lookup import static_attributes, static_keys
from orchat.secrets import HIDDEN

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_MOST_NAMES = 40


class VariableInspector:
    """Describe the variables of one shell.

    Parameters
    ----------
    shell
        The running IPython.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def describe(self, name: str) -> ResultContent:
        """Return the description of a variable as a tool's result.

        Parameters
        ----------
        name
            A name, attributes and constant subscripts; no call.

        Raises
        ------
        ToolInvocationError
            No such variable, or the text is more than such a name.
        """
        value = self._look_up(name.strip())
        described = "\n".join(
            [f"{name.strip()} is of type {type_name(value)}{_size_text(value)}.", *_content_lines(value)]
        )
        shown = HIDDEN if names_secret(name.strip(), value) else value
        return build_report([ReportSection("", described, is_text=True), ReportSection("", shown)])

    async def describe_async(self, name: str) -> ResultContent:
        """Do what `describe` does, in the thread where cells run: none changes the variable meanwhile."""
        return self.describe(name)

    def _look_up(self, name: str) -> Any:
        """Look up a name as a placeholder of a prompt is looked up."""
        found: list[Any] = []

        def capture(value: object) -> Rendered:
            found.append(value)
            return Rendered([], type_name(value))

        prompt = interpolate(f"{{{name}}}", PromptNamespace(self._shell), capture, allow_secrets=True)
        if [sent.name for sent in prompt.sent] == [name]:
            return found[0]
        why = (prompt.warning or "").partition(" is sent as it is: ")[2]
        raise ToolInvocationError(
            f"{name!r:.200} cannot be looked at: {why or 'it is no name with attributes and constant subscripts'}.",
            "inspect_variable",
        )


def _size_text(value: Any) -> str:
    """Return a value's size as text, as far as it is known without running the user's code."""
    sizes: list[str] = []
    module = type(value).__module__.partition(".")[0]
    if module in ("builtins", "collections", "numpy", "pandas", "polars"):
        if isinstance(shape := getattr(value, "shape", None), tuple) and shape:
            sizes.append(f"shape {shape}")
        elif hasattr(type(value), "__len__"):
            sizes.append(f"length {len(value):,}")
    if module == "builtins" and not isinstance(value, type):
        sizes += [f"{sys.getsizeof(value):,} bytes of its own"] if sizes else []
    return f", {', '.join(sizes)}" if sizes else ""


def _content_lines(value: object) -> list[str]:
    """Return lines with columns or keys, and attributes; those of builtin types are left out."""
    lines = []
    if found := [] if isinstance(value, list | tuple) else static_keys(value):
        lines.append(f"Keys or columns: {_join_names([repr(key) for key in found])}")
    if type(value).__module__ != "builtins" and (
        names := [n for n in static_attributes(value) if not n.startswith("_")]
    ):
        lines.append(f"Attributes: {_join_names(names)}")
    return lines


def _join_names(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
