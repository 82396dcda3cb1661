r"""Find the indented code of Markdown, line by line. Pure.

Nothing in such code can be escaped: an entity or a backslash would show. So it is written as a fence, but only where
all parsers take it for code: behind a blank line, and surely not in the item of a list.
"""

from __future__ import annotations

import re

from orchat.jupyter.kernel.output.code_fences import parse_fence_opener

_OPENS_ITEM = re.compile(r"[ \t]*+(?:[-+*](?=\s|$)|\d{1,9}[.)](?=\s|$)|\[\^|:(?=\s))")
_WIDTH = 4


class IndentedCode:
    r"""Reads the indented code of a text whose lines are told in order.

    Examples
    --------
    >>> code = IndentedCode()
    >>> code.read(["    $ cd x", "", "    $ make", "", "Done."], 0)
    (['$ cd x', '', '$ make'], 3)
    >>> code.note("- an item")
    >>> code.note("")
    >>> code.read(["    its second paragraph"], 0)
    ([], 0)
    """

    def __init__(self) -> None:
        self._is_after_blank = True
        self._may_be_in_item = False

    def note(self, line: str) -> None:
        """Take note of a line that is no indented code."""
        if not line or line.isspace():
            self._is_after_blank = True
            return
        if _OPENS_ITEM.match(line):
            self._may_be_in_item = True
        elif self._is_after_blank and not line[0].isspace():
            self._may_be_in_item = False
        self._is_after_blank = False

    def note_fence(self, line: str) -> None:
        """Take note of a fence by its first line: one that is written anew stands between blank lines."""
        self.note(line)
        self._is_after_blank = True

    def read(self, lines: list[str], at: int) -> tuple[list[str], int]:
        """Return the code that begins at line ``at``, if any, without indentation, and the index behind it."""
        code: list[str] = []
        end = at
        first = lines[at]
        if self._is_after_blank and not self._may_be_in_item and first[:1].isspace() and not first.isspace():
            for number in range(at, len(lines)):
                line = lines[number][:_WIDTH].expandtabs(_WIDTH) + lines[number][_WIDTH:]
                if not line or line.isspace():
                    code.append(line[_WIDTH:])
                elif line.startswith(" " * _WIDTH) and parse_fence_opener(line) is None:
                    code.append(line[_WIDTH:])
                    end = number + 1
                else:
                    break
        return code[: end - at], end
