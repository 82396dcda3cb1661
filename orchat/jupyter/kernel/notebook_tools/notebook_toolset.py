"""The notebook tools, made for one shell."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from orchat.errors import ConfigurationError, ToolInvocationError
from orchat.jupyter.kernel.notebook_tools.browser_notebook import NotebookPage, PageCell
from orchat.jupyter.kernel.notebook_tools.cell_outputs import outputs_of_run, sections_of_cell
from orchat.jupyter.kernel.notebook_tools.cell_previews import (
    deletion_text,
    difference_text,
    insertion_text,
    run_text,
)
from orchat.jupyter.kernel.variable_tools import KernelTool, inspect_variable, run_python
from orchat.jupyter.kernel.variable_tools.code_execution import CodeExecutor
from orchat.jupyter.kernel.variable_tools.tool_report import build_report
from orchat.messages.parts import ResultContent
from orchat.rendering import shorten_to_budget

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.tools import Tool

_LIST_BUDGET = 3_000  # tokens
_HEAD_LINES = 3
_MAX_READ = 10  # cells in one call
_MAX_SHOWN = 50  # forms; each change in one makes another preview
_CELL = {"type": "string", "description": "The cell's name in the list of cells."}
_SOURCE = {"type": "string", "description": "The whole text of the cell.", "x-orchat": {"widget": "code"}}


_TITLES = {
    "list_cells": "List the cells of this notebook",
    "read_cells": "Read cells and their outputs",
    "insert_cell": "Insert a cell",
    "edit_cell": "Change a cell",
    "delete_cell": "Delete a cell",
    "run_cell": "Run a cell",
}


class _ReadingTool(KernelTool):
    """A tool that changes nothing; "always" counts."""

    asks_always = False


def notebook_tools(shell: InteractiveShell) -> list[Tool]:
    """Return the tools that read and change the notebook.

    Parameters
    ----------
    shell
        The running IPython.

    Examples
    --------
    >>> from IPython.core.interactiveshell import InteractiveShell
    >>> [tool.name for tool in notebook_tools(InteractiveShell())]
    ['list_cells', 'read_cells', 'insert_cell', 'edit_cell', 'delete_cell', 'run_cell']
    """
    actions = _NotebookActions(shell)
    return [
        _tool(
            _ReadingTool,
            "list_cells",
            "List the cells of the user's notebook: their names, places, kinds, outputs and first lines.",
            {},
            actions.list_cells,
        ),
        _tool(
            _ReadingTool,
            "read_cells",
            f"Read up to {_MAX_READ} cells of the user's notebook whole, with their outputs.",
            {"cells": {"type": "array", "items": _CELL, "minItems": 1, "maxItems": _MAX_READ}},
            actions.read_cells,
        ),
        _tool(
            KernelTool,
            "insert_cell",
            "Insert a cell into the user's notebook, without running it. The user is shown it and decides.",
            {
                "source": _SOURCE,
                "kind": {"enum": ["code", "markdown"], "default": "code"},
                "below": {**_CELL, "description": "The cell to insert it below; without it, the one that asks you."},
                "above": {**_CELL, "description": "Instead: the cell to insert it above."},
            },
            actions.insert_cell,
            actions.preview_insertion,
            required=["source"],
        ),
        _tool(
            KernelTool,
            "edit_cell",
            "Replace the text of a cell that you have read. The user is shown the difference and decides.",
            {"cell": _CELL, "source": _SOURCE},
            actions.edit_cell,
            actions.preview_edit,
        ),
        _tool(
            KernelTool,
            "delete_cell",
            "Delete a cell that you have read. The user is shown it and decides.",
            {"cell": _CELL},
            actions.delete_cell,
            actions.preview_deletion,
        ),
        _tool(
            KernelTool,
            "run_cell",
            "Run a code cell that you have read, in the user's kernel; its outputs are placed below it and returned. "
            "Top-level await is not possible.",
            {"cell": _CELL},
            actions.run_cell,
            actions.preview_run,
        ),
    ]


def tool_sets(shell: InteractiveShell) -> dict[str, list[Tool]]:
    """Return sets of tools by the name that ``-T`` and a panel's ``tools`` take.

    ``notebook`` reads and changes the notebook; ``analyst`` may use the kernel's variables as well.

    Parameters
    ----------
    shell
        The running IPython.
    """
    notebook = notebook_tools(shell)
    return {"notebook": notebook, "analyst": [*notebook, run_python(shell), inspect_variable(shell)]}


def tool_set(name: str) -> list[Tool]:
    """Return a set of tools for the running notebook.

    Raises
    ------
    ConfigurationError
        No IPython runs here, or there is no such set.
    """
    from IPython.core.getipython import get_ipython

    if name not in ("notebook", "analyst"):
        raise ConfigurationError(f"There is no set of tools {name!r:.80}.", hint='It is "notebook" or "analyst".')
    shell = get_ipython()
    if shell is None:
        raise ConfigurationError("No notebook runs here.", hint="Use these tools in a cell of a notebook.")
    return tool_sets(shell)[name]


def _tool(
    kind: type[KernelTool],
    name: str,
    description: str,
    properties: dict[str, Any],
    run: Callable[..., Coroutine[Any, Any, ResultContent]],
    preview: Callable[..., str] | None = None,
    *,
    required: list[str] | None = None,
) -> Tool:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }
    return kind(name, description, parameters, async_function=run, title=_TITLES[name], preview=preview)


class _NotebookActions:
    """What the tools do; a change is made to the cell that its form has shown."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._page = NotebookPage(shell)
        self._executor = CodeExecutor(shell, "run_cell")
        # The cells that the last preview of a call has shown; what was read since counts for the next form.
        self._shown: dict[tuple[str, ...], PageCell] = {}

    async def list_cells(self) -> ResultContent:
        cells = await self._page.read()
        asking = self._page.asking_cell
        lines = [f"{len(cells)} cells."]
        for cell in cells:
            about = [f"In [{cell.count}]"] if cell.count is not None else []
            about += [f"outputs: {', '.join(cell.output_kinds)}"] if cell.output_kinds else []
            about += ["this cell asks you"] if cell.id == asking else []
            source = cell.source.splitlines()
            more = [f"  … {len(source) - _HEAD_LINES:,} more lines"] if len(source) > _HEAD_LINES else []
            head = [f"  {line[:160]}" for line in source[:_HEAD_LINES]]
            lines += [f"\n{cell.label}{', ' if about else ''}{', '.join(about)}", *head, *more]
        return shorten_to_budget("\n".join(lines), _LIST_BUDGET, redacted=True)

    async def read_cells(self, cells: list[str]) -> ResultContent:
        await self._page.read()
        wanted = [self._page.seen(name).id for name in cells[:_MAX_READ]]
        found = [cell for cell in await self._page.read(wanted) if cell.id in wanted]
        return build_report([section for cell in found for section in sections_of_cell(cell)])

    async def insert_cell(
        self, source: str, kind: str = "code", below: str | None = None, above: str | None = None
    ) -> ResultContent:
        key = ("insert", source, kind, str(below), str(above))
        anchor = self._shown.pop(key, None) or await self._anchor(below, above)
        await self._page.check(anchor)  # the place that was shown
        name = await self._page.insert(source, kind, anchor, above=above is not None)
        return f"The cell was inserted. It is called {name}, and has not run."

    async def edit_cell(self, cell: str, source: str) -> ResultContent:
        found = self._take_shown(("edit", cell, source), cell)
        await self._page.edit(found, source)
        return f"{found.label.capitalize()} was changed. It has not run since."

    async def delete_cell(self, cell: str) -> ResultContent:
        found = self._take_shown(("delete", cell), cell)
        self._refuse_asking_cell(found)
        await self._page.delete(found)
        return f"{found.label.capitalize()} was deleted."

    async def run_cell(self, cell: str) -> ResultContent:
        found = self._take_shown(("run", cell), cell)
        self._refuse_asking_cell(found)
        if found.kind != "code":
            raise ToolInvocationError(f"{found.label.capitalize()} is no code.", "run_cell")
        await self._page.check(found)
        execution = await self._executor.execute_async(found.source)
        try:
            await self._page.place_outputs(found, outputs_of_run(self._shell, execution))
        except ToolInvocationError:  # the page was closed meanwhile; the model gets what the code did all the same
            note = "\n(The outputs could not be placed below the cell: no page answers.)"
            execution = execution._replace(printed=execution.printed + note)
        return self._executor.report(execution)

    def preview_insertion(
        self, source: str, kind: str = "code", below: str | None = None, above: str | None = None
    ) -> str:
        if above is None and below is None and not self._page.has_seen(self._page.asking_cell):
            return insertion_text(source, kind, None, above=False)
        key = ("insert", source, kind, str(below), str(above))
        anchor = self._show(key, above or below or self._page.asking_cell or "")
        return insertion_text(source, kind, anchor, above=above is not None)

    def preview_edit(self, cell: str, source: str) -> str:
        return difference_text(self._show(("edit", cell, source), cell), source)

    def preview_deletion(self, cell: str) -> str:
        return deletion_text(self._show(("delete", cell), cell))

    def preview_run(self, cell: str) -> str:
        return run_text(self._show(("run", cell), cell))

    def _show(self, key: tuple[str, ...], cell: str) -> PageCell:
        """Note which cell a form shows."""
        found = self._page.seen(cell)
        self._shown.pop(key, None)
        self._shown[key] = found
        while len(self._shown) > _MAX_SHOWN:
            self._shown.pop(next(iter(self._shown)), None)  # a call in another thread may have taken it
        return found

    def _take_shown(self, key: tuple[str, ...], cell: str) -> PageCell:
        """Return the cell as the form has shown it, else, where a function decided, as it was read."""
        return self._shown.pop(key, None) or self._page.seen(cell)

    async def _anchor(self, below: str | None, above: str | None) -> PageCell:
        name = above or below or self._page.asking_cell
        cells = await self._page.read()
        if name is None:
            return cells[-1]
        return self._page.seen(name)

    def _refuse_asking_cell(self, cell: PageCell) -> None:
        if cell.id == self._page.asking_cell:
            raise ToolInvocationError(f"{cell.label.capitalize()} is the one that runs now.", "notebook")
