"""Estimate the size of texts and JSON values that are kept, for limits. Pure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

_POINTER = 8


class PiecesSize:
    """The size of a growing list of texts: of the joined text, or half the memory of its pieces, if those are short.

    Each piece is looked at once.

    Examples
    --------
    >>> pieces = ["a" * 1000]
    >>> size = PiecesSize(pieces)
    >>> before = size.bytes()
    >>> pieces.append("\N{FISH}")
    >>> before, size.bytes()  # one wide character makes the joined text wide
    (1000, 4004)
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = pieces
        self._seen = self._memory = self._characters = 0
        self._is_ascii = True

    def bytes(self) -> int:
        """Return the size so far in bytes."""
        new = self._pieces[self._seen :]
        self._seen += len(new)
        self._memory += sum(map(sys.getsizeof, new)) + _POINTER * len(new)
        self._characters += sum(map(len, new))
        self._is_ascii = self._is_ascii and all(map(str.isascii, new))
        return max(self._memory // 2, self._characters * (1 if self._is_ascii else 4))


def json_memory(value: Any) -> int:
    """Return the memory of a JSON value in bytes, with everything in it.

    Examples
    --------
    >>> json_memory([]) < json_memory([[], []]) < json_memory([{"a": "b" * 100}, None])
    True
    """
    size, rest = 0, [value]
    while rest:
        value = rest.pop()
        size += sys.getsizeof(value)
        if isinstance(value, dict):
            rest += value.keys()
            rest += value.values()
        elif isinstance(value, list | tuple):
            rest += value
    return size
