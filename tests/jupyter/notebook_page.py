"""A page with the extension that shows a whole notebook, played by hand: its cells, their outputs, their metadata."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

from orchat.jupyter.kernel.output.mime_types import read_extras
from tests.jupyter.kernel import INSTALLED, Kernel
from tests.jupyter.test_magic_options import MIME
from tests.jupyter.test_metadata_bridge import Page


class NotebookPage(Page):
    """A page that shows a notebook; its cells are named when they are first run."""

    def __init__(self, kernel: Kernel, version: str = INSTALLED) -> None:
        super().__init__(kernel, version)
        self.cells = {}
        self.sources: dict[str, str] = {}
        self.outputs: dict[str, list[dict[str, Any]]] = {}
        self.metadata: dict[str, dict[str, Any]] = {}  # of each cell's latest output
        self._displays: dict[str, tuple[str, int]] = {}

    def greet(self) -> NotebookPage:
        """Let the kernel hear of the page, whatever other pages it has had."""
        code = (
            "from orchat.jupyter.kernel.cell_storage.metadata_bridge import get_bridge\n"
            "from orchat.jupyter.kernel.coroutine_runner import deliver_comms_while_awaiting, wake_loop_on_interrupt\n"
            "async with wake_loop_on_interrupt(), deliver_comms_while_awaiting():\n"
            "    print(await get_bridge(get_ipython()).hello(60))"
        )
        assert self.run(code, "greeting") == "open\n"
        return self

    def ask(
        self,
        name: str,
        source: str,
        *,
        after: float = 0.0,
        then: Callable[[], bool] | None = None,
        until: Callable[[], bool] | None = None,
    ) -> str:
        """Write a cell, run it as `run` does, and return what it printed."""
        self.cells.setdefault(name, None)
        self.sources[name], self.outputs[name] = source, []
        return self.run(source, name, after=after, then=then, until=until)

    def copy(self, name: str, copied: str, *, first: bool = False) -> None:
        """Copy a cell with all that belongs to it, to the end of the notebook or to its beginning."""
        self.cells = {copied: self.cells[name], **self.cells} if first else {**self.cells, copied: self.cells[name]}
        self.sources[copied], self.outputs[copied] = self.sources[name], [*self.outputs[name]]

    def last(self, name: str) -> dict[str, Any]:
        """What the last of a cell's outputs keeps besides what people see."""
        return dict(read_extras(self.outputs[name][-1]) or {})

    def save(self, path: Path) -> None:
        """Save the notebook."""
        cells = []
        for name, kept in self.cells.items():
            cell = nbformat.v4.new_code_cell(self.sources[name], id=name)
            cell.metadata = {} if kept is None else {"orchat": kept}
            cell.outputs = [nbformat.v4.new_output("display_data", **output) for output in self._saved(name)]
            cells.append(cell)
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)

    def _saved(self, name: str) -> list[dict[str, Any]]:
        outputs = [{"data": bundle, "metadata": {}} for bundle in self.outputs[name]]
        if outputs:
            outputs[-1]["metadata"] = self.metadata.get(name, {})
        return outputs

    def _show(self, cell: str | None, kind: str, content: dict[str, Any]) -> None:
        shown = self.outputs.get(str(cell))
        if shown is None:
            return
        self.metadata[str(cell)] = content["metadata"]
        display = content.get("transient", {}).get("display_id", "")
        if kind == "display_data":
            self._displays[display] = (str(cell), len(shown))
            shown.append(content["data"])
        elif display in self._displays:
            name, at = self._displays[display]
            self.outputs[name][at] = content["data"]

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["op"] != "cells":
            return super()._answer(request)
        cells = [
            {
                "id": name,
                "type": "code",
                "source": self.sources[name],
                "metadata": kept,
                "outputs": [each for each in self._saved(name) if MIME in each["data"] or "orchat" in each["metadata"]],
            }
            for name, kept in self.cells.items()
        ]
        return {"ok": True, "cells": cells}
