r"""Quotations and lists inside one another, as deep as people write them and no deeper. Pure.

Each level costs a parser a call of itself and a look at every line below it: some give up with what is left of the text
unseen, some take seconds. What is nested deeper than `DEEPEST` is shown as text.
"""

from __future__ import annotations

DEEPEST = 16
"""How many quotations and lists stand inside one another; lists by indentation take two columns each, at least."""

_DIGITS = frozenset("0123456789")
_FIRST = frozenset(" \t>-+*") | _DIGITS


def limit_nesting(line: str) -> str:
    r"""Return a line of Markdown that opens no more than `DEEPEST` quotations and lists inside one another.

    Examples
    --------
    >>> limit_nesting("> - quoted"), limit_nesting("> " * 18 + "deep")
    ('> - quoted', '> > > > > > > > > > > > > > > > \\> > deep')
    """
    if len(line) <= DEEPEST or line[0] not in _FIRST:
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
        if depth + columns // 2 > DEEPEST:
            return line if _is_rule(line[at:]) else f"{line[: end - 1]}\\{line[end - 1 :]}"
        at = end + 1 if line[end : end + 1] == " " else end


def _marker_end(line: str, at: int) -> int | None:
    """Return where the mark of a quotation or an item ends that begins here, if one does."""
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
    """Whether it is a line across the page: ``- - -``, ``* * *``."""
    return rest[0] in "-*" and not rest.strip(rest[0] + " \t") and rest.count(rest[0]) >= 3
