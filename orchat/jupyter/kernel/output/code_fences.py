"""Code fences of a Markdown text: found line by line, written anew as every parser reads them. Pure.

They are found by a scanner of our own and not by a parser, for the parsers of front ends differ: a line is taken for a
fence where any of them may do so (inside quotations, behind a bullet, however deep it is indented), and written so that
all do. Each character is looked at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchat.jupyter.kernel.output.nesting_limit import DEEPEST

_LANGUAGE = re.compile(r"\s*([\w+#.-]*)", re.ASCII)
_BACKTICKS = re.compile(r"`+")
# JupyterLab draws these instead of showing them, and a drawing may load what it names.
_DRAWN = frozenset({"mermaid"})
_FARTHEST = 4 * DEEPEST  # columns of indentation, which each line of the code gets again


@dataclass(frozen=True)
class Opener:
    """The line that opens a fence.

    Parameters
    ----------
    depth
        How many quotations it stands in.
    indent
        How many spaces stand before it, or before its bullet.
    bullet
        The mark of the list item that begins with it, with the spaces behind it.
    run
        Its backticks or tildes.
    info
        What stands behind them.
    """

    depth: int
    indent: int
    bullet: str
    run: str
    info: str

    @property
    def inside(self) -> int:
        """How far its content is indented."""
        return self.indent + len(self.bullet)


def find_opener(line: str) -> Opener | None:
    """Return the fence that a line opens, if it does.

    Examples
    --------
    >>> find_opener("> 1. ```python")
    Opener(depth=1, indent=0, bullet='1. ', run='```', info='python')
    """
    if "```" not in line and "~~~" not in line:
        return None
    line = line.expandtabs(4)
    depth, at = _quotation(line)
    rest = line[at:].lstrip(" ")
    indent = len(line) - at - len(rest)
    bullet = _bullet(rest)
    rest = rest[len(bullet) :]
    run = rest[: len(rest) - len(rest.lstrip(rest[:1]))]
    info = rest[len(run) :]
    if len(run) < 3 or run[0] not in "`~" or (run[0] == "`" and "`" in info):
        return None
    if depth > DEEPEST or indent > _FARTHEST:
        return None
    return Opener(depth, indent, bullet, run, info)


def take_content(lines: list[str], at: int, opener: Opener) -> tuple[list[str], int]:
    """Return the lines of a fence from ``at`` on, without its indentation, and the number of the line behind it."""
    indent = opener.inside
    content: list[str] = []
    while at < len(lines):
        depth, begin = _quotation(lines[at], opener.depth)
        if depth < opener.depth:  # the quotation is over, and the fence with it
            break
        line = lines[at][begin:]
        at += 1
        if indent and "\t" in line[:indent]:
            line = line.expandtabs(4)
        if _closes(line, opener):
            break
        if indent:
            line = line[min(indent, len(line) - len(line.lstrip(" "))) :]
        content.append(line)
    return content, at


def write_fence(opener: Opener, content: list[str]) -> str:
    """Write the fence as every parser reads it; without a language its first line could close another one."""
    run = "`" * max([3, *(len(found) + 1 for line in content for found in _BACKTICKS.findall(line))])
    language = _LANGUAGE.match(opener.info)
    name = language[1] if language is not None else ""
    before = "> " * opener.depth + " " * opener.indent
    indent = before + " " * len(opener.bullet)
    first = f"{before}{opener.bullet}{run}{'text' if not name or name.lower() in _DRAWN else name}"
    return "\n".join([first, *((indent + line).rstrip(" ") for line in content), indent + run])


def _quotation(line: str, most: int | None = None) -> tuple[int, int]:
    """Return in how many quotations a line stands, and where its own text begins; ``most`` are looked for."""
    depth = at = 0
    while depth != most:
        mark = at
        while mark < at + 3 and line[mark : mark + 1] == " ":
            mark += 1
        if line[mark : mark + 1] != ">":
            break
        depth += 1
        at = mark + 2 if line[mark + 1 : mark + 2] == " " else mark + 1
    return depth, at


def _bullet(rest: str) -> str:
    """Return the mark of an item that a line begins with, and the spaces behind it, if it may be one."""
    end = 1
    if rest[:1] not in {"-", "*", "+"}:
        end = len(rest) - len(rest.lstrip("0123456789"))
        if not 1 <= end <= 9 or rest[end : end + 1] not in {".", ")"}:
            return ""
        end += 1
    spaces = len(rest) - end - len(rest[end:].lstrip(" "))
    return rest[: end + spaces] if 1 <= spaces <= 4 else ""


def _closes(line: str, opener: Opener) -> bool:
    marks = line.strip(" \t")
    return (
        len(marks) >= len(opener.run)
        and not marks.strip(opener.run[0])
        and len(line) - len(line.lstrip(" ")) <= opener.inside + 3
        and not line.lstrip(" ").startswith("\t")
    )
