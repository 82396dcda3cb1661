r"""What of a Markdown text that still grows is finished, block by block. Pure.

A block is finished when no later text can change it: a paragraph, a list or a quotation when something else stands
below a blank line, a fence when it is closed. A finished block is rendered once; only the rest is rendered anew.

That Markdown is cut here decides nothing about safety: each piece goes through `safe_markdown` by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LONG_LIST = 1_200  # characters, from which on a list is cut between two of its items

_FENCE = re.compile(r"(?P<before>(?: {0,3}> ?)*\s*(?:(?:[-*+]|\d{1,9}[.)])\s+)?)(?P<run>`{3,}(?=[^`]*$)|~{3,})")
_ITEM = re.compile(r"(?:(?P<bullet>[-*+])|(?P<number>\d{1,9})(?P<mark>[.)]))\s")
_ITEM_BEGINS = re.compile(r"[-*+]|\d{1,9}[.)]?")
_QUOTED = re.compile(r"(?: {0,3}> ?)*")


@dataclass(frozen=True)
class Block:
    """A finished piece of Markdown; ``continues`` says that the list before it goes on."""

    text: str
    continues: bool = False


def split_blocks(text: str) -> tuple[list[Block], Block]:
    r"""Return the finished blocks of a text, and the rest.

    Parameters
    ----------
    text
        Markdown, or any beginning of it that ends where a block begins.

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
        self._first = 0  # line of the open block
        self._blocks: list[Block] = []
        self._continues = False
        self._item: re.Match[str] | None = None  # the last item at the margin, in a list
        self._size = 0

    def split(self) -> tuple[list[Block], Block]:
        closer: re.Pattern[str] | None = None
        top = blank = False
        last = len(self._lines) - 1
        for number, line in enumerate(self._lines):
            if closer is not None:
                self._size += len(line) + 1
                if closer.fullmatch(_QUOTED.sub("", line, count=1).strip()) and number < last:
                    closer = None
                    if top:
                        self._cut(number + 1)
                continue
            if not line.strip():
                blank = True
                continue
            fence = _FENCE.match(line)
            item = _ITEM.match(line)
            if number == last and (fence is not None or (self._item is not None and _ITEM_BEGINS.fullmatch(line))):
                break  # more of this line may change what it is
            top = fence is not None and not fence["before"]
            if top or (blank and self._is_new(line, item)):
                self._cut(number)
            elif item is not None and self._size > _LONG_LIST and self._is_next(item):
                self._cut(number, continues=True)
            blank = False
            if item is not None and (self._first == number or self._item is not None):
                self._item = item
            self._size += len(line) + 1
            if fence is not None:
                closer = re.compile(f"{re.escape(fence['run'][0])}{{{len(fence['run'])},}}")
        return self._blocks, Block("\n".join(self._lines[self._first :]), self._continues)

    def _is_new(self, line: str, item: re.Match[str] | None) -> bool:
        """Whether a line below a blank one begins a block: not what is indented, nor the next item of a list."""
        return not line[0].isspace() and not (self._item is not None and item is not None)

    def _is_next(self, item: re.Match[str]) -> bool:
        last = self._item
        if last is None:
            return False
        if item["bullet"]:
            return item["bullet"] == last["bullet"]
        return bool(last["number"]) and item["mark"] == last["mark"] and int(item["number"]) == int(last["number"]) + 1

    def _cut(self, number: int, *, continues: bool = False) -> None:
        if text := "\n".join(self._lines[self._first : number]).strip("\n"):
            self._blocks.append(Block(text, self._continues))
        self._first, self._size, self._item, self._continues = number, 0, None, continues
