"""Parse the code fences of Markdown, line by line, and rewrite them as every parser reads them. Pure.

The parsers of front ends differ, so a scanner of our own accepts a line as a fence where any of them may do so (inside
quotations, behind a bullet, at any indentation), and writes it so that all do. Each character is read once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchat.jupyter.kernel.output.nesting_limit import MOST_NESTING

_LANGUAGE = re.compile(r"\s*([\w+#.-]*)", re.ASCII)
_BACKTICKS = re.compile(r"`+")
# JupyterLab renders these as drawings, and a drawing may load other resources.
_RENDERED_LANGUAGES = frozenset({"mermaid"})
_MOST_INDENT = 4 * MOST_NESTING  # columns of indentation, which are written before each line of the code


@dataclass(frozen=True)
class FenceOpener:
    """The opening line of a code fence.

    Parameters
    ----------
    depth
        The number of quotations around it.
    indent
        The number of spaces before it, or before its bullet.
    bullet
        The bullet of a list item that begins with the fence, with the spaces behind it.
    run
        The backticks or tildes.
    info
        The info string behind them.
    """

    depth: int
    indent: int
    bullet: str
    run: str
    info: str

    @property
    def content_indent(self) -> int:
        """The indentation of the content, in columns."""
        return self.indent + len(self.bullet)


PLAIN_FENCE = FenceOpener(0, 0, "", "```", "")


def parse_fence_opener(line: str) -> FenceOpener | None:
    """Return the fence that a line opens; None where it opens none.

    Examples
    --------
    >>> parse_fence_opener("> 1. ```python")
    FenceOpener(depth=1, indent=0, bullet='1. ', run='```', info='python')
    """
    if "```" not in line and "~~~" not in line:
        return None
    line = line.expandtabs(4)
    depth, at = _quotation_depth(line)
    rest = line[at:].lstrip(" ")
    indent = len(line) - at - len(rest)
    bullet = _bullet(rest)
    rest = rest[len(bullet) :]
    run = rest[: len(rest) - len(rest.lstrip(rest[:1]))]
    info = rest[len(run) :]
    if len(run) < 3 or run[0] not in "`~" or (run[0] == "`" and "`" in info):
        return None
    if depth > MOST_NESTING or indent > _MOST_INDENT:
        return None
    return FenceOpener(depth, indent, bullet, run, info)


def read_fence_content(lines: list[str], at: int, opener: FenceOpener) -> tuple[list[str], int]:
    """Return the content lines of a fence from line ``at`` on, without indentation, and the index of the next line."""
    indent = opener.content_indent
    content: list[str] = []
    while at < len(lines):
        depth, begin = _quotation_depth(lines[at], opener.depth)
        if depth < opener.depth:  # the quotation is over, and the fence with it
            break
        line = lines[at][begin:]
        at += 1
        if indent and "\t" in line[:indent]:
            line = line.expandtabs(4)
        if _is_closing_fence(line, opener):
            break
        if indent:
            line = line[min(indent, len(line) - len(line.lstrip(" "))) :]
        content.append(line)
    return content, at


def write_fence(opener: FenceOpener, content: list[str]) -> str:
    """Return a fence that every parser reads alike; its language keeps its first line from closing another one."""
    run = "`" * max([3, *(len(found) + 1 for line in content for found in _BACKTICKS.findall(line))])
    language = _LANGUAGE.match(opener.info)
    name = language[1] if language is not None else ""
    before = "> " * opener.depth + " " * opener.indent
    indent = before + " " * len(opener.bullet)
    first = f"{before}{opener.bullet}{run}{'text' if not name or name.lower() in _RENDERED_LANGUAGES else name}"
    return "\n".join([first, *((indent + line).rstrip(" ") for line in content), indent + run])


def _quotation_depth(line: str, limit: int | None = None) -> tuple[int, int]:
    """Return the number of quotations around a line, up to ``limit``, and the offset of its text."""
    depth = at = 0
    while depth != limit:
        mark = at
        while mark < at + 3 and line[mark : mark + 1] == " ":
            mark += 1
        if line[mark : mark + 1] != ">":
            break
        depth += 1
        at = mark + 2 if line[mark + 1 : mark + 2] == " " else mark + 1
    return depth, at


def _bullet(rest: str) -> str:
    """Return the bullet and spaces that a line begins with, or an empty text."""
    end = 1
    if rest[:1] not in {"-", "*", "+"}:
        end = len(rest) - len(rest.lstrip("0123456789"))
        if not 1 <= end <= 9 or rest[end : end + 1] not in {".", ")"}:
            return ""
        end += 1
    spaces = len(rest) - end - len(rest[end:].lstrip(" "))
    return rest[: end + spaces] if 1 <= spaces <= 4 else ""


def _is_closing_fence(line: str, opener: FenceOpener) -> bool:
    marks = line.strip(" \t")
    return (
        len(marks) >= len(opener.run)
        and not marks.strip(opener.run[0])
        and len(line) - len(line.lstrip(" ")) <= opener.content_indent + 3
        and not line.lstrip(" ").startswith("\t")
    )
