"""What the form of a change to the notebook shows: the place and the difference, as Markdown."""

from __future__ import annotations

import difflib
import re

from orchat.jupyter.kernel.notebook_tools.browser_notebook import PageCell

_LONGEST = 3_300  # characters of a difference; a preview has 4,000
_FENCES = re.compile("`{3,}")


def difference_text(cell: PageCell, source: str) -> str:
    r"""Describe how a cell would change.

    Examples
    --------
    >>> print(difference_text(PageCell("a1", "a1", 3, "code", "x = 1\ny = 2"), "x = 1\ny = 3"))
    Changes **cell 3** (`a1`, code):
    <BLANKLINE>
    ```diff
     x = 1
    -y = 2
    +y = 3
    ```
    """
    if source == cell.source:
        return f"Changes nothing: **cell {cell.number}** (`{cell.name}`) has this text already."
    lines = difflib.unified_diff(cell.source.splitlines(), source.splitlines(), lineterm="", n=3)
    shown = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    return f"Changes **cell {cell.number}** (`{cell.name}`, {cell.kind}):\n\n{_fenced(shown, 'diff')}"


def insertion_text(source: str, kind: str, anchor: PageCell | None, *, above: bool) -> str:
    """Describe a cell that would be inserted beside another one; without one, below the cell that asks."""
    side = "above" if above else "below"
    place = "below the cell that asks"
    if anchor is not None:
        place = f"{side} **cell {anchor.number}** (`{anchor.name}`), which begins with {_first_line(anchor)}"
    return f"Inserts a {kind} cell {place}:\n\n{_fenced([f'+{line}' for line in source.splitlines()], 'diff')}"


def deletion_text(cell: PageCell) -> str:
    """Describe a cell that would be deleted."""
    lines = [f"-{line}" for line in cell.source.splitlines()]
    outputs = " and its outputs" if cell.output_kinds else ""
    return f"Deletes **cell {cell.number}** (`{cell.name}`, {cell.kind}){outputs}:\n\n{_fenced(lines, 'diff')}"


def run_text(cell: PageCell) -> str:
    """Describe a cell that would be run."""
    return f"Runs **cell {cell.number}** (`{cell.name}`):\n\n{_fenced(cell.source.splitlines(), 'python')}"


def _first_line(cell: PageCell) -> str:
    line = next((line.strip() for line in cell.source.splitlines() if line.strip()), "")
    plain = line.replace("`", "'")
    return f"`{plain[:60]}`" if plain else "nothing"


def _fenced(lines: list[str], language: str) -> str:
    kept: list[str] = []
    size = 0
    for line in lines:
        size += len(line) + 1
        if size > _LONGEST:
            break
        kept.append(line)
    text = "\n".join(kept)
    fence = "`" * max(3, 1 + max((len(found) for found in _FENCES.findall(text)), default=0))
    more = f"\n\n… and {len(lines) - len(kept):,} more lines, see the cell." if len(kept) < len(lines) else ""
    return f"{fence}{language}\n{text}\n{fence}{more}"
