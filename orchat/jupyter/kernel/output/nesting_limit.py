r"""Limit the nesting of quotations and lists in Markdown. Pure.

A parser recurses for each level and scans every line below it: some drop the rest of the text, some take seconds.
Markers nested deeper than `MOST_NESTING` become text.
"""

from __future__ import annotations

MOST_NESTING = 16
"""The limit of nested quotations and lists; two columns of indentation count as one list."""

_DIGITS = frozenset("0123456789")
_FIRST = frozenset(" \t>-+*") | _DIGITS


def limit_nesting(line: str) -> str:
    r"""Escape the first marker of a line that would nest deeper than `MOST_NESTING`.

    Examples
    --------
    >>> limit_nesting("> - quoted"), limit_nesting("> " * 18 + "deep")
    ('> - quoted', '> > > > > > > > > > > > > > > > \\> > deep')
    """
    if len(line) <= MOST_NESTING or line[0] not in _FIRST:
        return line
    depth = columns = at = 0
    while True:
        while line[at : at + 1] in {" ", "\t"}:
            columns += 1 if line[at] == " " else 4
            at += 1
        end = _marker_end(line, at)
        if end is None:
            return line
        depth += 1
        if depth + columns // 2 > MOST_NESTING:
            return line if _is_rule(line[at:]) else f"{line[: end - 1]}\\{line[end - 1 :]}"
        at = end + 1 if line[end : end + 1] == " " else end


def _marker_end(line: str, at: int) -> int | None:
    """Return the end of the quotation or list marker at an offset; None where there is none."""
    first = line[at : at + 1]
    if first == ">":
        return at + 1
    end = at + 1
    if first in _DIGITS:
        while line[end : end + 1] in _DIGITS and end - at < 9:
            end += 1
        if line[end : end + 1] not in {".", ")"}:
            return None
        end += 1
    elif first not in {"-", "+", "*"}:
        return None
    return end if line[end : end + 1] in {"", " ", "\t"} else None


def _is_rule(rest: str) -> bool:
    """Return whether the text is a thematic break: ``- - -``, ``* * *``."""
    return rest[0] in "-*" and not rest.strip(rest[0] + " \t") and rest.count(rest[0]) >= 3
