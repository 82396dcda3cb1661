"""The lines of a sidecar file: values by part and key, of which the last one counts. Pure.

::

    {"format": "orchat", "version": 1}
    {"part": "turns", "key": "a1", "value": {"notebook": [{"messages": [...]}]}}
    {"part": "turns", "key": "a1", "add": {"notebook": [{"messages": [...]}]}}
    {"part": "panels", "key": "b2/1", "value": null}

``add`` continues the lists of the value, and ``null`` removes it. A header may stand anywhere but must come first, so
that a merge of two files line by line is one as well.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from orchat.chat.state import FORMAT, VERSION

Name: TypeAlias = tuple[str, str]
"""The part and the key of a value."""

HEADER = json.dumps({"format": FORMAT, "version": VERSION}).encode() + b"\n"


class Line(NamedTuple):
    """A line as read: a value, or an addition to one.

    Parameters
    ----------
    name
        The name of the value; None for a header.
    value
        The value, or the version in a header.
    is_addition
        Whether the value's lists continue those of the lines before.
    """

    name: Name | None
    value: Any
    is_addition: bool = False


class Change(NamedTuple):
    """A value to be written.

    Parameters
    ----------
    name
        Its name.
    value
        The whole value; None removes it.
    addition
        What it has more than what this process wrote last, where that is enough; None where it is not.
    """

    name: Name
    value: Any
    addition: Any = None


def value_line(change: Change, *, only_addition: bool = False) -> bytes:
    r"""Return the line of a value, or of what was added to it.

    Examples
    --------
    >>> value_line(Change(("panels", "b2/1"), None))
    b'{"part": "panels", "key": "b2/1", "value": null}\n'
    """
    part, key = change.name
    value = {"add": change.addition} if only_addition else {"value": change.value}
    text = json.dumps({"part": part, "key": key, **value}, ensure_ascii=False)
    return text.encode(errors="backslashreplace") + b"\n"  # half a surrogate pair: JSON's escape


def parse_line(text: bytes) -> Line:
    """Return what a line says.

    Raises
    ------
    ValueError, RecursionError
        It is no line of such a file.

    Examples
    --------
    >>> parse_line(b'{"part": "panels", "key": "b2/1", "value": null}')
    Line(name=('panels', 'b2/1'), value=None, is_addition=False)
    >>> parse_line(HEADER)
    Line(name=None, value=1, is_addition=False)
    """
    match json.loads(text):
        case {"format": format_, "version": int() as version} if format_ == FORMAT:
            return Line(None, version)
        case {"part": str() as part, "key": str() as key, "add": dict() as added}:
            return Line((part, key), added, is_addition=True)
        case {"part": str() as part, "key": str() as key, "value": value}:
            return Line((part, key), value)
    raise ValueError("no line of a sidecar file")


def apply_line(values: dict[Name, Any], line: Line) -> None:
    """Change values as a line says.

    Raises
    ------
    ValueError
        The line adds to something that has no lists.

    Examples
    --------
    >>> values = {("turns", "a1"): {"notebook": [1]}}
    >>> apply_line(values, Line(("turns", "a1"), {"notebook": [2], "other": [3]}, is_addition=True))
    >>> values
    {('turns', 'a1'): {'notebook': [1, 2], 'other': [3]}}
    """
    if line.name is None:
        return
    if not line.is_addition:
        values[line.name] = line.value
        return
    value = values.setdefault(line.name, {})
    for name, items in line.value.items():
        known = value.setdefault(name, []) if isinstance(value, dict) else None
        if not isinstance(known, list) or not isinstance(items, list):
            raise ValueError("an addition to no list")
        known += items


@dataclass
class LineIndex:
    """Where the lines of a file are that count, up to a size.

    Parameters
    ----------
    file_id
        The device and number of the file; None for one that does not exist.

    Examples
    --------
    >>> index = LineIndex()
    >>> for line in (HEADER, value_line(Change(("a", "b"), "x" * 20)), value_line(Change(("a", "b"), 7))):
    ...     index.add(line, parse_line(line))
    >>> index.size, index.live_lines
    (132, [(94, 38)])
    """

    file_id: tuple[int, int] | None = None
    size: int = 0
    last_line: bytes = b""
    _lines: dict[Name, list[tuple[int, int]]] = field(default_factory=dict)
    _written: dict[Name, tuple[int, bytes]] = field(default_factory=dict)

    def add(self, text: bytes, line: Line, *, is_own: bool = False) -> None:
        """Add the next line; ``is_own``: this process has written it."""
        span = (self.size, len(text))
        self.size, self.last_line = self.size + len(text), text
        if line.name is None:
            return
        if line.is_addition:
            self._lines.setdefault(line.name, []).append(span)
        else:
            self._lines[line.name] = [span]
        if is_own:
            self._written[line.name] = (span[0], hashlib.sha256(text).digest())
        if line.value is None:
            del self._lines[line.name]

    def __contains__(self, name: Name) -> bool:
        return name in self._lines

    def is_last_writer(self, name: Name) -> bool:
        """Whether nobody else has written a value since this process did."""
        return name in self._lines and name in self._written and self._lines[name][-1][0] == self._written[name][0]

    def is_written(self, name: Name, text: bytes) -> bool:
        """Whether the last line about a value is this one, and from this process."""
        return self.is_last_writer(name) and self._written[name][1] == hashlib.sha256(text).digest()

    @property
    def live_lines(self) -> list[tuple[int, int]]:
        """The offsets and lengths of the lines that count, in order, without headers."""
        return sorted(span for spans in self._lines.values() for span in spans)
