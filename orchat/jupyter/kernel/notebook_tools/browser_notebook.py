"""The cells of the notebook as the page has them, and as the model has last seen them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchat.errors import ToolInvocationError
from orchat.jupyter.kernel.cell_storage.executing_cell import current_cell
from orchat.jupyter.kernel.cell_storage.metadata_bridge import get_bridge

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_SHORT_ID = 8  # characters of a cell's identifier that a model gets, where they suffice
_REFUSALS = {
    "no such cell": "there is no such cell any more; list the cells again",
    "changed": "the cell has been changed since it was read; read it again, and propose the change anew",
    "locked": "the notebook's author has locked this cell",
    "too large": "the notebook is too large to be read",
    "unknown": "the page's orchat extension is older than this; reload the page, or update orchat where Jupyter runs",
    "no page": "no page with the orchat extension shows this notebook",
}


@dataclass(frozen=True)
class PageCell:
    """A cell of the notebook.

    Parameters
    ----------
    id
        The page's identifier.
    name
        What the model calls it: the beginning of the identifier.
    number
        Its place, from 1.
    kind
        ``code``, ``markdown`` or ``raw``.
    source
        Its text.
    count
        Its execution count; None where it has not run.
    output_kinds
        The kinds of its outputs.
    outputs
        The readable outputs; None where they were not asked for.
    """

    id: str
    name: str
    number: int
    kind: str
    source: str
    count: int | None = None
    output_kinds: Sequence[str] = ()
    outputs: Sequence[Mapping[str, Any]] | None = field(default=None, compare=False)

    @property
    def label(self) -> str:
        """Place and name in words, such as ``cell 3 (a1b2c3d4, code)``."""
        return f"cell {self.number} ({self.name}, {self.kind})"


class NotebookPage:
    """The notebook of one shell, through the metadata bridge.

    What was read last is what the forms of changes show; the page checks that it is still so.

    Parameters
    ----------
    shell
        The running IPython.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._seen: dict[str, PageCell] = {}

    @property
    def asking_cell(self) -> str | None:
        """The identifier of the cell that runs."""
        return current_cell(self._shell).id

    async def read(self, wanted: Sequence[str] = ()) -> list[PageCell]:
        """Return all cells in order, those of the wanted identifiers with their outputs."""
        answer = await self._request("read_notebook", cell_id=self.asking_cell, wanted=list(wanted))
        found = [each for each in answer.get("cells", []) if isinstance(each, Mapping)]
        ids = [str(each.get("id")) for each in found]
        names = _short_names(ids)
        cells = [
            PageCell(
                id=name,
                name=names[name],
                number=number,
                kind=str(each.get("type")),
                source=str(each.get("source")),
                count=count if isinstance(count := each.get("count"), int) else None,
                output_kinds=tuple(map(str, each.get("kinds") or ())),
                outputs=each.get("outputs"),
            )
            for number, (name, each) in enumerate(zip(ids, found, strict=True), start=1)
        ]
        self._seen = {cell.id: cell for cell in cells}
        return cells

    def seen(self, name: str) -> PageCell:
        """Return a cell as it was last read, by its name or the beginning of one.

        Raises
        ------
        ToolInvocationError
            It was not read, or several begin so.
        """
        wanted = name.strip()
        found = [cell for cell in self._seen.values() if wanted and cell.id.startswith(wanted)]
        if len(found) != 1:
            problem = "several cells are called so" if found else "no cell that was read is called so"
            raise ToolInvocationError(
                f"{name!r:.80}: {problem}. List the cells first, and use their names.", "notebook"
            )
        return found[0]

    def has_seen(self, identifier: str | None) -> bool:
        """Whether a cell was read."""
        return identifier in self._seen

    async def check(self, cell: PageCell) -> None:
        """Check that a cell is as it was read."""
        await self._request("check_cell", cell_id=cell.id, expected=cell.source)

    async def edit(self, cell: PageCell, source: str) -> None:
        """Change a cell's text."""
        await self._request("edit_cell", cell_id=cell.id, expected=cell.source, source=source)
        self._seen[cell.id] = PageCell(cell.id, cell.name, cell.number, cell.kind, source, cell.count)

    async def delete(self, cell: PageCell) -> None:
        """Delete a cell."""
        await self._request("delete_cell", cell_id=cell.id, expected=cell.source)
        self._seen.pop(cell.id, None)

    async def insert(self, source: str, kind: str, anchor: PageCell, *, above: bool = False) -> str:
        """Insert a cell below another one, or above it, and return its name."""
        identifier = str(uuid.uuid4())
        place = {"above" if above else "below": anchor.id}
        await self._request("insert_cell", source=source, cell_type=kind, cell_id=identifier, **place)
        cells = await self.read()
        return next((cell.name for cell in cells if cell.id == identifier), identifier)

    async def place_outputs(self, cell: PageCell, outputs: Sequence[Mapping[str, Any]]) -> None:
        """Place outputs below a cell, in place of those that it has."""
        await self._request("place_outputs", cell_id=cell.id, outputs=list(outputs))

    async def _request(self, op: str, **content: Any) -> Mapping[str, Any]:
        bridge = get_bridge(self._shell)
        await bridge.hello()
        answer = await bridge.request(op, **content)
        if answer.get("ok") is not True:
            reason = str(answer.get("reason"))
            raise ToolInvocationError(f"Nothing was done: {_REFUSALS.get(reason, reason)[:300]}.", "notebook")
        return answer


def _short_names(ids: Sequence[str]) -> dict[str, str]:
    """Return the shortest beginnings of identifiers that tell all apart."""
    length = _SHORT_ID
    while len({name[:length] for name in ids}) < len(set(ids)):
        length += 4
    return {name: name[:length] for name in ids}
