r"""Split growing Markdown into finished blocks and the rest. Pure.

A block is finished when no later text can change it: a paragraph, a list or a quotation when another block follows a
blank line, a fence when it is closed. A finished block is rendered once; only the rest is rendered again.

markdown-it finds the first line of each block. The split does not affect safety: each block is sanitized by itself with
`safe_markdown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

from orchat.jupyter.kernel.output.nesting_limit import MOST_NESTING, limit_nesting

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_LONG_LIST = 1_200  # characters; a longer list is split between two items


@dataclass(frozen=True)
class MarkdownBlock:
    """A block of Markdown; ``continues``: it continues the list of the block before it."""

    text: str
    continues: bool = False


def split_blocks(text: str) -> tuple[list[MarkdownBlock], MarkdownBlock]:
    r"""Return the finished blocks of a text, and the rest.

    Parameters
    ----------
    text
        Markdown, or its rest from the start of a block on.

    Examples
    --------
    >>> blocks, rest = split_blocks("One.\n\nTwo:\n```py\nx = 1\n\ny")
    >>> [block.text for block in blocks], rest.text
    (['One.', 'Two:'], '```py\nx = 1\n\ny')
    """
    return _Splitter(text).split()


class _Splitter:
    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._ends = [0, *accumulate(len(line) + 1 for line in self._lines)]
        self._first_line = 0  # line of the open block
        self._blocks: list[MarkdownBlock] = []
        self._continues = False

    def split(self) -> tuple[list[MarkdownBlock], MarkdownBlock]:
        settled = self._lines if self._is_last_line_settled() else self._lines[:-1]
        last_marker = ""  # the marker of the item before, in a list that the open block begins with
        for token in _tokens(settled) if self._may_split(settled) else ():
            if token.map is None or token.nesting < 0:
                continue
            start, end = token.map
            if token.level == 0:
                if token.type == "fence" or (start and not settled[start - 1].strip()):
                    self._split_at(start)
                if token.type == "fence" and self._is_closed_fence(token):
                    self._split_at(end)
                last_marker = ""
            elif token.level == 1 and token.type == "list_item_open":
                marker = token.info + token.markup
                if last_marker and self._is_long(start) and _is_next_marker(last_marker, marker):
                    self._split_at(start, continues=True)
                if last_marker or self._first_line == start:
                    last_marker = marker
        return self._blocks, MarkdownBlock("\n".join(self._lines[self._first_line :]), self._continues)

    def _is_last_line_settled(self) -> bool:
        """Return whether the growing last line certainly begins a block, and not an item of a list."""
        last = self._lines[-1]
        if not last or last[0].isspace() or len(self._lines) < 2 or self._lines[-2].strip():
            return False
        after = last[1:] if last[0] in "-+*" else last.lstrip("0123456789")
        if after == last:
            return True
        if last[0] in "0123456789" and after[:1] in {".", ")"}:
            after = after[1:]
        return bool(after) and not after[0].isspace()

    def _may_split(self, lines: list[str]) -> bool:
        """Return whether a split is possible, by a cheap test: most of the time it is not."""
        first = lines[0] if lines else ""
        run = first[:3]
        if run == "~~~" or (run == "```" and "`" not in first.lstrip("`")):  # a fence that is still open
            return any(line.lstrip().startswith(run) for line in lines[1:])
        blank = False
        for line in lines:
            if not line or line.isspace():
                blank = True
            elif blank or "```" in line or "~~~" in line:
                return True
        return self._is_long(len(lines))

    def _is_long(self, until: int) -> bool:
        return self._ends[until] - self._ends[self._first_line] > _LONG_LIST

    def _is_closed_fence(self, fence: Token) -> bool:
        start, end = fence.map or (0, 0)
        marks = self._lines[end - 1].strip()
        whole = end - start > 1 and end < len(self._lines)
        return whole and len(marks) >= len(fence.markup) and not marks.strip(fence.markup[0])

    def _split_at(self, number: int, *, continues: bool = False) -> None:
        if text := "\n".join(self._lines[self._first_line : number]).strip("\n"):
            self._blocks.append(MarkdownBlock(text, self._continues))
        self._first_line, self._continues = number, continues


def _is_next_marker(last: str, marker: str) -> bool:
    """Return whether a marker is the next one of a list, also where a parser begins a new list."""
    return marker == (f"{int(last[:-1]) + 1}{last[-1]}" if last[:-1] else last)


def _tokens(lines: list[str]) -> list[Token]:
    """Return the block tokens of lines."""
    parser = _parser()
    tokens: list[Token] = []
    parser.block.parse("\n".join(map(limit_nesting, lines)), parser, {}, tokens)
    return tokens


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Raw HTML is text, as `safe_markdown` makes it; two levels to a list.
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 2 * MOST_NESTING + 4})
    return parser.enable("table").disable("reference")
