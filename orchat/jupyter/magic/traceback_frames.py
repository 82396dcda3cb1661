"""Where code of the user's own stands: which frames of a traceback it has, and the source around them.

Cells are named as people see them, ``In[3]``, and their source is what was typed; of a file only its name is told, for
where it lies says who the user is.
"""

from __future__ import annotations

import linecache
import os
import re
import sysconfig
import traceback
from collections.abc import Collection
from pathlib import PurePath
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_WHOLE = 80  # lines of a cell that are shown in full
_AROUND_IN_CELL, _AROUND = 30, 8
_LONGEST_LINE = 240
_MOST_MARKED = 4
_MACHINERY = frozenset({"IPython", "ipykernel", "orchat"})  # wherever they are installed
_CELL = re.compile(r"In\[(\d+)\]")


class SourceLocation(NamedTuple):
    """A piece of source.

    Parameters
    ----------
    label
        What it is called.
    text
        Numbered lines, those that failed marked.
    """

    label: str
    text: str


class UserSources:
    """Knows the cells of one shell.

    Parameters
    ----------
    shell
        The running IPython.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        paths = sysconfig.get_paths()
        self._libraries = tuple(
            os.path.join(os.path.realpath(paths[name]), "") for name in ("stdlib", "platstdlib", "purelib", "platlib")
        )

    def steps(self, error: BaseException) -> list[tuple[FrameType, int]]:
        """Return the frames of the user's own code, the outermost first, and their lines."""
        walked = traceback.walk_tb(error.__traceback__)
        return [(frame, line) for frame, line in walked if self._is_users(frame)]

    def frames(self, error: BaseException) -> list[FrameType]:
        """Return the frames of the user's own code, the outermost first."""
        return [frame for frame, _ in self.steps(error)]

    def is_shown(self, frame: FrameType) -> bool:
        """Whether a frame says anything: that of the machinery which runs a cell does not."""
        return self._is_users(frame) or _package(frame) not in _MACHINERY

    def where(self, frame: FrameType, line: int) -> str:
        """Say where a frame stands, and what is written there."""
        file = frame.f_code.co_filename
        label = self._cell(file) or PurePath(file).name
        written = linecache.getline(file, line).strip()[:_LONGEST_LINE]
        return f"in {frame.f_code.co_name}, line {line} of {label}: {written}".rstrip(": ")

    def around(self, file: str, marked: Collection[int]) -> SourceLocation | None:
        """Return the source of a file or cell, around the lines that are marked in it."""
        lines = [each.rstrip("\n") for each in linecache.getlines(file)]
        if not lines:
            return None
        if (cell := self._cell(file)) is None:
            return SourceLocation(PurePath(file).name, _numbered(lines, marked, _AROUND))
        typed = self._typed(cell)
        if typed and len(typed) != len(lines):  # another magic wrote the lines that ran
            lines, marked = typed, ()
        return SourceLocation(
            cell, _numbered(typed or lines, marked, _AROUND_IN_CELL if len(lines) > _WHOLE else _WHOLE)
        )

    def unread(self, error: BaseException) -> SourceLocation | None:
        """Return the source of the last cell, if that is what IPython could not even read: it has no name."""
        result = self._shell.last_execution_result
        if result is None or result.error_before_exec is not error or result.info is None:
            return None
        lines = str(result.info.raw_cell).splitlines()
        return SourceLocation(
            f"In[{result.execution_count}]", _numbered(lines, [getattr(error, "lineno", None) or 0], _WHOLE)
        )

    def _typed(self, cell: str) -> list[str]:
        """Return a cell as its author wrote it."""
        number = int(_CELL.fullmatch(cell)[1])  # type: ignore[index]
        history = getattr(self._shell.history_manager, "input_hist_raw", [])
        return str(history[number]).splitlines() if number < len(history) else []

    def _cell(self, file: str) -> str | None:
        """Return a cell's name, ``In[3]``."""
        found = self._shell.compile.format_code_name(file)
        return found[1] if found is not None and _CELL.fullmatch(found[1]) else None

    def _is_users(self, frame: FrameType) -> bool:
        file = frame.f_code.co_filename
        if self._cell(file) is not None or file.startswith("<run_python"):
            return True
        if file.startswith("<") or _package(frame) in _MACHINERY:
            return False
        path = os.path.realpath(file)
        return not path.startswith(self._libraries) and not {"site-packages", "dist-packages"} & set(
            PurePath(path).parts
        )


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _numbered(lines: list[str], marked: Collection[int], around: int) -> str:
    """Return the lines near the first of those that are marked, with their numbers; without marks the first lines."""
    centres = list(marked)[:_MOST_MARKED]
    shown = [n for n in range(1, len(lines) + 1) if any(abs(n - centre) <= around for centre in centres or [1])]
    width = len(str(shown[-1])) if shown else 1
    numbered: list[str] = []
    for before, number in zip([0, *shown], shown, strict=False):
        numbered += ["    ..."] if number > before + 1 else []
        mark = "-->" if number in centres else "   "
        numbered.append(f"{mark} {number:>{width}} | {lines[number - 1][:_LONGEST_LINE]}")
    return "\n".join(numbered)
