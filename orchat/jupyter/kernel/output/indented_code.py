r"""Find the indented code of Markdown, line by line. Pure.

Nothing in such code can be escaped: an entity or a backslash would show. So it is written as a fence, but only where
all parsers take it for code: behind a blank line or a heading, and four columns deeper than the text of the list's
item around it.
"""

from __future__ import annotations

import re

from orchat.jupyter.kernel.output.code_fences import PLAIN_FENCE, FenceOpener, parse_fence_opener
from orchat.jupyter.kernel.output.nesting_limit import MOST_NESTING

_ITEM = re.compile(r" *+(?:[-+*]|\d{1,9}[.)])(?: {1,4}(?=\S)| *+$)")
_OPENS_OTHER = re.compile(r" *+(?:\[\^|:\s|[-+*] {5}|\d{1,9}[.)] {5})")  # a footnote, a definition, code at a bullet
_HEADING = re.compile(r" *+#{1,6}(?:\s|$)")
# Ends items whose text begins further to the right: a heading, a quotation, a line across the page.
_ENDS_ITEMS = re.compile(_HEADING.pattern + r"| *+(?:>|([-*_])(?: *+\1){2,} *+$)")
_OTHER_NUMBER = re.compile(r" *+(?!1[.)])\d")  # with which no list begins within a paragraph
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
    >>> code.read(["      its code"], 0), code.fence.indent
    ((['its code'], 1), 2)
    """

    def __init__(self) -> None:
        self._is_after_blank = True
        self._items: list[int] = []  # columns where the text of the items around begins
        self._may_be_in_other = False

    @property
    def fence(self) -> FenceOpener:
        """The fence for code here."""
        return FenceOpener(0, self._items[-1], "", "```", "") if self._items else PLAIN_FENCE

    def note(self, line: str) -> None:
        """Take note of a line that is no indented code."""
        if not line or line.isspace():
            self._is_after_blank = True
            return
        line = line.expandtabs(_WIDTH)
        indent = _indentation(line)
        if self._is_after_blank:
            self._leave_items(indent)
            self._may_be_in_other &= indent > 0
        elif _ENDS_ITEMS.match(line):
            self._leave_items(indent)
        elif _ITEM.match(line):  # unless most parsers read on the paragraph before it
            is_text = self._is_too_deep(indent) or (self._is_within(indent) and _OTHER_NUMBER.match(line) is not None)
            self._may_be_in_other |= is_text
        if _OPENS_OTHER.match(line):
            self._may_be_in_other = True
        at = 0
        while (item := _ITEM.match(line, at)) is not None and len(self._items) <= MOST_NESTING:
            if at == 0:
                self._leave_items(indent)
            at = item.end()
            self._items.append(at + (item[0][-1] != " "))
        self._is_after_blank = _HEADING.match(line) is not None and not self._is_too_deep(indent)

    def note_fence(self, line: str) -> None:
        """Take note of a fence by its first line: one that is written anew stands between blank lines."""
        self._is_after_blank = True
        self.note(line)
        self._is_after_blank = True

    def read(self, lines: list[str], at: int) -> tuple[list[str], int]:
        """Return the code that begins at line ``at``, if any, without indentation, and the index behind it."""
        code: list[str] = []
        end = at
        first = lines[at]
        if self._is_after_blank and not self._may_be_in_other and first[:1].isspace() and not first.isspace():
            self._leave_items(_indentation(first.expandtabs(_WIDTH)))
            width = self.fence.indent + _WIDTH
            for number in range(at, len(lines)):
                line = lines[number]
                text = _text_from_column(line, width)
                if not line or line.isspace():
                    code.append(text or "")
                elif text is not None and parse_fence_opener(line) is None:
                    code.append(text)
                    end = number + 1
                else:
                    break
        return code[: end - at], end

    def _is_too_deep(self, indent: int) -> bool:
        """Return whether a line is indented as code is, in the items whose text begins no further to the right."""
        return indent - max((column for column in self._items if column <= indent), default=0) >= _WIDTH

    def _is_within(self, indent: int) -> bool:
        """Return whether a line may belong to the text before it: it begins no further to the left than that."""
        return not self._items or self._items[-1] <= indent

    def _leave_items(self, indent: int) -> None:
        """Leave the items whose text begins further to the right."""
        while self._items and self._items[-1] > indent:
            self._items.pop()


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _text_from_column(line: str, column: int) -> str | None:
    r"""Return what a line holds from a column on, its tabs as they are; None where its text begins before.

    Examples
    --------
    >>> _text_from_column("\t\tmake", 4), _text_from_column(" \t make", 3), _text_from_column("  make", 4)
    ('\tmake', '  make', None)
    """
    reached = at = 0
    while reached < column:
        if line[at : at + 1] not in {" ", "\t"}:
            return None
        reached += 1 if line[at] == " " else _WIDTH - reached % _WIDTH
        at += 1
    return " " * (reached - column) + line[at:]
