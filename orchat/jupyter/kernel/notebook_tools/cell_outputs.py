"""Outputs of cells: those of a run for the page, as in a notebook file, and those of the page for the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchat.configuration import setting
from orchat.jupyter.kernel.notebook_tools.browser_notebook import PageCell
from orchat.jupyter.kernel.variable_tools.code_execution import Execution
from orchat.jupyter.kernel.variable_tools.tool_report import ReportSection

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_LARGEST = 5_000_000  # characters of outputs that are sent to a page


class _PageDisplay:
    """A display of the page, as a value with a MIME bundle."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def __repr__(self) -> str:
        return str(self._data.get("text/plain", "a display"))

    def _repr_mimebundle_(self, include: object, exclude: object) -> Mapping[str, Any]:
        return self._data


def outputs_of_run(shell: InteractiveShell, execution: Execution) -> list[dict[str, Any]]:
    """Return what code printed, displayed, returned and raised as outputs of a notebook."""
    outputs: list[dict[str, Any]] = []
    if execution.printed:
        outputs.append({"output_type": "stream", "name": "stdout", "text": execution.printed})
    values = [*execution.displayed, *([execution.value] if execution.has_value else [])]
    for value in values:
        data, metadata = _format(shell, value)
        outputs.append({"output_type": "display_data", "data": data, "metadata": metadata})
    if (error := execution.error) is not None:
        trace = shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__)
        outputs.append(
            {"output_type": "error", "ename": type(error).__name__, "evalue": str(error), "traceback": list(trace)}
        )
    while outputs and len(json.dumps(outputs, default=str)) > _LARGEST:
        largest = max(outputs, key=lambda each: len(json.dumps(each, default=str)))
        text = "(this output is too large to be shown here)\n"
        outputs[outputs.index(largest)] = {"output_type": "stream", "name": "stderr", "text": text}
    return outputs


def sections_of_cell(cell: PageCell) -> list[ReportSection]:
    """Return a cell's text and its outputs as sections of a report."""
    ran = f", In [{cell.count}]" if cell.count is not None else ""
    sections = [ReportSection(f"{cell.label.capitalize()}{ran}", cell.source, is_text=True)]
    if cell.outputs and setting("privacy") == "schema":
        return [*sections, ReportSection("Outputs", "not shown: the setting privacy is schema", is_text=True)]
    for output in cell.outputs or ():
        sections.extend(_output_sections(output))
    return sections


def _output_sections(output: Mapping[str, Any]) -> Sequence[ReportSection]:
    match output.get("output_type"):
        case "stream":
            return [ReportSection("Printed", str(output.get("text")).rstrip(), is_text=True)]
        case "error":
            return [ReportSection("Failed", f"{output.get('ename')}: {output.get('evalue')}", is_text=True)]
    data = output.get("data")
    return [ReportSection("Output", _PageDisplay(data))] if isinstance(data, Mapping) and data else []


def _format(shell: InteractiveShell, value: object) -> tuple[dict[str, Any], dict[str, Any]]:
    formatter: Any = shell.display_formatter
    data, metadata = formatter.format(value)
    data = {mime: _as_json(mime, content) for mime, content in data.items()} or {"text/plain": repr(value)}
    return data, dict(metadata)


def _as_json(mime: str, content: Any) -> Any:
    if isinstance(content, bytes):
        import base64

        return base64.b64encode(content).decode()
    return content if mime.endswith("json") or isinstance(content, str) else str(content)
