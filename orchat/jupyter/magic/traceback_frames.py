"""Find the user's own frames in a traceback, and the source around them.

Cells are labelled as people see them, ``In[3]``, and their source is the typed text; a file is labelled by its name
only, since its folder identifies the user.
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

_MAX_WHOLE_CELL = 80  # lines of a cell that are shown in full
_CONTEXT_IN_CELL, _CONTEXT_IN_FILE = 30, 8
_MAX_LINE_LENGTH = 240
_MAX_MARKED = 4
_RUNTIME_PACKAGES = frozenset({"IPython", "ipykernel", "orchat"})  # wherever they are installed
CELL_LABEL = re.compile(r"In\[(\d+)\]")


class SourceLocation(NamedTuple):
    """An excerpt of source code.

    Parameters
    ----------
    label
        The name of the cell or file.
    text
        Numbered lines; those that failed are marked.
    """

    label: str
    text: str


class UserSources:
    """Read the source of a shell's cells and of the user's files.

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

    def frames_with_lines(self, error: BaseException) -> list[tuple[FrameType, int]]:
        """Return the frames of the user's code with their line numbers, the outermost first."""
        walked = traceback.walk_tb(error.__traceback__)
        return [(frame, line) for frame, line in walked if self._is_user_code(frame)]

    def frames(self, error: BaseException) -> list[FrameType]:
        """Return the frames of the user's code, the outermost first."""
        return [frame for frame, _ in self.frames_with_lines(error)]

    def is_informative(self, frame: FrameType) -> bool:
        """Return whether a frame belongs in a traceback: those of the packages that run a cell do not."""
        return self._is_user_code(frame) or _package_name(frame) not in _RUNTIME_PACKAGES

    def describe_frame(self, frame: FrameType, line: int) -> str:
        """Return a frame's function, line number, file label and source line as text."""
        file = frame.f_code.co_filename
        label = self._cell_label(file) or PurePath(file).name
        source_line = linecache.getline(file, line).strip()[:_MAX_LINE_LENGTH]
        return f"in {frame.f_code.co_name}, line {line} of {label}: {source_line}".rstrip(": ")

    def source_around(self, file: str, marked: Collection[int]) -> SourceLocation | None:
        """Return the source of a file or cell around its marked lines; None where it cannot be read."""
        lines = [each.rstrip("\n") for each in linecache.getlines(file)]
        if not lines:
            return None
        if (cell := self._cell_label(file)) is None:
            return SourceLocation(PurePath(file).name, _numbered_lines(lines, marked, _CONTEXT_IN_FILE))
        typed = self._typed_lines(cell)
        if typed and len(typed) != len(lines):  # another magic wrote the lines that ran
            lines, marked = typed, ()
        return SourceLocation(
            cell,
            _numbered_lines(
                typed or lines, marked, _CONTEXT_IN_CELL if len(lines) > _MAX_WHOLE_CELL else _MAX_WHOLE_CELL
            ),
        )

    def unparsed_cell(self, error: BaseException) -> SourceLocation | None:
        """Return the source of the last cell if IPython failed to parse it: it has no file name."""
        result = self._shell.last_execution_result
        if result is None or result.error_before_exec is not error or result.info is None:
            return None
        lines = str(result.info.raw_cell).splitlines()
        return SourceLocation(
            f"In[{result.execution_count}]",
            _numbered_lines(lines, [getattr(error, "lineno", None) or 0], _MAX_WHOLE_CELL),
        )

    def _typed_lines(self, cell: str) -> list[str]:
        """Return the lines of a cell as typed."""
        number = int(CELL_LABEL.fullmatch(cell)[1])  # type: ignore[index]
        history = getattr(self._shell.history_manager, "input_hist_raw", [])
        return str(history[number]).splitlines() if number < len(history) else []

    def _cell_label(self, file: str) -> str | None:
        """Return the label of a cell's file, ``In[3]``; None for other files."""
        found = self._shell.compile.format_code_name(file)
        return found[1] if found is not None and CELL_LABEL.fullmatch(found[1]) else None

    def _is_user_code(self, frame: FrameType) -> bool:
        file = frame.f_code.co_filename
        if self._cell_label(file) is not None or file.startswith(("<run_python", "<run_cell")):
            return True
        if file.startswith("<") or _package_name(frame) in _RUNTIME_PACKAGES:
            return False
        path = os.path.realpath(file)
        return not path.startswith(self._libraries) and not {"site-packages", "dist-packages"} & set(
            PurePath(path).parts
        )


def _package_name(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _numbered_lines(lines: list[str], marked: Collection[int], context: int) -> str:
    """Return numbered lines near the first marked ones; without marks the first lines."""
    marked_lines = list(marked)[:_MAX_MARKED]
    shown = [n for n in range(1, len(lines) + 1) if any(abs(n - centre) <= context for centre in marked_lines or [1])]
    width = len(str(shown[-1])) if shown else 1
    numbered: list[str] = []
    for before, number in zip([0, *shown], shown, strict=False):
        numbered += ["    ..."] if number > before + 1 else []
        mark = "-->" if number in marked_lines else "   "
        numbered.append(f"{mark} {number:>{width}} | {lines[number - 1][:_MAX_LINE_LENGTH]}")
    return "\n".join(numbered)
