"""Detect secrets in printed tables: what stands below the name of a secret, or beside it.

A table is aligned with spaces, or its cells stand between bars, tabs, commas or semicolons::

      user    password          password    hunter2xyz
    0  ada  hunter2xyz          port              5432

Below ``password`` a column is secret if one of its cells is no word; of a single line, its value must be none. So a
table that explains what a password is stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchat.secrets.formats import is_mixed
from orchat.secrets.names import Strength, strength
from orchat.secrets.randomness import is_digest, is_placeholder, is_random

Span = tuple[int, int, str]
Cell = tuple[int, int]

# A name of a secret holds one of these, or is one of the short words. A text without any is told by looking for each,
# which takes a tenth of the time of the pattern.
_PARTS = (
    *("pass", "pwd", "secret", "token", "key", "cred", "jwt", "auth"),
    *("kennwort", "contrasena", "salt", "seed", "cookie", "session"),
)
_SHORT_WORDS = ("pw", "pin", "sid")
_TOLD_BY = (*_PARTS, *_SHORT_WORDS)
_TELLING = re.compile("|".join([*_PARTS, *(rf"{word}(?<=\b{word})\b" for word in _SHORT_WORDS)]))
_LONGEST_LINE = 2000
_MOST_CELLS = 100
_NAME = re.compile(r"\w[\w.-]*+(?: [\w.-]++){0,2}(?<=\w)")
_GAP = re.compile(r" {2,}| ?\t ?| *[|\u2502\u2503\u2506\u250a\u2551] *")
_ALIGNED = re.compile(r"\S+(?: \S+)*")
_WORD = re.compile(r"\S+")
_RULE = re.compile(r"[\s|+:=\u2500-\u257f-]+")
_BAR = re.compile(r"[|\u2502\u2503\u2506\u250a\u2551]")
_SEPARATORS = (_BAR, re.compile(r"\t"), re.compile(r","), re.compile(r";"))
_INDEX = (0, 0)  # the blank name of a frame's index
_BLANK = frozenset(
    {"none", "null", "nan", "<na>", "nat", "true", "false", "yes", "no", "-", "--", "n/a", "str", "[redacted]"}
)
_CODE = re.compile(
    r"[A-Za-z_][\w-]*(?:[./:][A-Za-z_][\w-]*)+|[/~][\w./-]*|https?:.*|[\w-]+\(.*|.*[()\[\]{}=]$|--?\w[\w-]*"
)


def table_values(text: str, lowered: str) -> Iterator[Span]:
    """Find the positions and names of secrets in a text's tables; ``lowered`` is the text in lower case."""
    if "\n" not in text and "  " not in text and "\t" not in text and not _has_bar(text):
        return  # a name's value stands in another line, or behind a gap
    for part in _TOLD_BY:  # `any` of an expression takes three times as long, and most texts end here
        if part in lowered:
            break
    else:
        return
    seen = table_end = 0  # the ends of the last line that was looked at, and of the last table
    for telling in _TELLING.finditer(lowered):
        if telling.start() < seen:
            continue
        start = text.rfind("\n", 0, telling.start()) + 1
        seen = _line_end(text, telling.end())
        if seen - start > _LONGEST_LINE:
            continue
        yield from _beside(text, start, seen)
        if start >= table_end:
            spans, table_end = _below(text, start, seen)
            yield from spans


def _has_bar(text: str) -> bool:
    return "|" in text if text.isascii() else _BAR.search(text) is not None


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


# -- a name and its value in one line ----------------------------------------------------------------------------------


def _beside(text: str, start: int, end: int) -> Iterator[Span]:
    line = text[start:end].rstrip()
    at = len(line) - len(line.lstrip(" \t|\u2502\u2503\u2506\u250a\u2551"))
    gap = _GAP.search(line, at)
    if gap is None or not _NAME.fullmatch(line, at, gap.start()):
        return
    name = line[at : gap.start()]
    how_sure = _strength(name)
    if how_sure == "no":
        return
    cells = [(each.start(), each.end()) for each in _ALIGNED.finditer(line, gap.end())]
    for first, last in _secret_cells(line, list(_single_words(line, cells)), how_sure):
        yield start + first, start + last, f"the value of {name[:60]}"


def _single_words(line: str, cells: list[Cell]) -> Iterator[Cell]:
    """Yield the single words among cells; cells of several words are prose."""
    for first, last in cells[:_MOST_CELLS]:
        stripped = line[first:last].strip("|\u2502\u2503\u2506\u250a\u2551 ")
        if stripped and " " not in stripped:
            begin = line.index(stripped, first)
            yield begin, begin + len(stripped)


# -- a name and the values below it ------------------------------------------------------------------------------------


def _below(text: str, start: int, end: int) -> tuple[list[Span], int]:
    """Return the secrets below a line of names, and where their table ends; the line's own end where there is none."""
    header = text[start:end].rstrip("\r")
    for separator in _SEPARATORS:
        if separator.search(header):
            cells = _between(header, separator)
            if _are_names(header, cells, separator):
                return _columns(text, end, header, cells, separator)
    cells = [(each.start(), each.end()) for each in _ALIGNED.finditer(header)]
    if len(cells) == 1 and header.startswith("  "):
        cells.insert(0, _INDEX)
    return _columns(text, end, header, cells, None) if _are_names(header, cells, None) else ([], end)


def _are_names(header: str, cells: list[Cell], separator: re.Pattern[str] | None) -> bool:
    """Whether cells can be names of columns: two at least, or one between bars or beside an index."""
    filled = [cell for cell in cells[:_MOST_CELLS] if cell[0] < cell[1]]
    if len(filled) < 2 and not (
        cells[0] == _INDEX if separator is not _BAR else len(cells) == 3 and cells[1] in filled
    ):
        return False
    may_be_blank = separator is _BAR or len(filled) + (cells[0] == _INDEX) == len(cells)
    return may_be_blank and all(_NAME.fullmatch(header, *cell) is not None for cell in filled)


def _between(line: str, separator: re.Pattern[str]) -> list[Cell]:
    """Return the cells of a line between separators, without the spaces and quotes around them."""
    cells: list[Cell] = []
    at = 0
    ends = (each.start() for each in separator.finditer(line))
    if separator is not _BAR and '"' in line:  # within quotes they separate nothing
        ends = (end for end in ends if line.count('"', 0, end) % 2 == 0)
    for end in [*ends, len(line)]:
        first, last = at, end
        while first < last and line[first] in " \"'\r":
            first += 1
        while first < last and line[last - 1] in " \"'\r":
            last -= 1
        cells.append((first, last) if first < last or cells else _INDEX)
        at = end + 1
    return cells


def _columns(
    text: str, end: int, header: str, cells: list[Cell], separator: re.Pattern[str] | None
) -> tuple[list[Span], int]:
    telling: list[tuple[int, str, Strength]] = [
        (index, name, how_sure)
        for index, (first, last) in enumerate(cells[:_MOST_CELLS])
        if (how_sure := _strength(name := header[first:last])) != "no"
    ]
    if not telling:
        return [], end
    columns: list[list[Cell]] = [[] for _ in telling]
    at, missing = end, 0
    while at < len(text):
        start, at = at + 1, _line_end(text, at + 1)
        line = text[start:at].rstrip("\r")
        if not line.strip() or len(line) > _LONGEST_LINE:
            break
        if _RULE.fullmatch(line):
            continue
        row = _between(line, separator) if separator is not None else []
        if separator is not None and len(row) != len(cells):
            break
        words = [] if separator is not None else [(each.start(), each.end()) for each in _WORD.finditer(line)]
        if separator is None and cells[0] == _INDEX and words[0][0] > 0:
            break
        found = [row[index] if row else _aligned_with(header, cells[index], words) for index, _, _ in telling]
        missing = 0 if any(found) else missing + 1
        if missing > 1:  # one may be the name of the index, or a row without a value
            break
        for column, cell in zip(columns, found, strict=True):
            if cell is not None and cell[0] < cell[1]:
                column.append((start + cell[0], start + cell[1]))
    spans = [
        (first, last, f"the value of {name[:60]}")
        for (_, name, how_sure), column in zip(telling, columns, strict=True)
        for first, last in _secret_cells(text, column, how_sure)
    ]
    return spans, at


def _aligned_with(header: str, name: Cell, words: list[Cell]) -> Cell | None:
    """Return the word of a line that ends where a name does, begins where one of its words does, or stands below it."""
    parts = [(name[0] + each.start(), name[0] + each.end()) for each in _WORD.finditer(header[slice(*name)])][::-1]
    ends_there = (word for word in words if word[1] == name[1])
    begins_there = (word for part in parts for word in words if word[0] == part[0])
    below = (word for part in parts for word in words if word[0] < part[1] and part[0] < word[1])
    return next(ends_there, None) or next(begins_there, None) or next(below, None)


# -- values ------------------------------------------------------------------------------------------------------------


def _strength(name: str) -> Strength:
    return "no" if name == "PW" else strength(name)  # Palau, in any table of countries


def _secret_cells(text: str, cells: list[Cell], how_sure: Strength) -> list[Cell]:
    """Return which of the cells of one name are secret: all, where the name is sure and one of them is no word."""
    drawn = [cell for cell in cells if _is_drawn(text[slice(*cell)], how_sure)]
    return [cell for cell in cells if _is_filled(text[slice(*cell)])] if drawn and how_sure == "sure" else drawn


def _is_filled(value: str) -> bool:
    return len(value) > 2 and value.lower() not in _BLANK and not is_placeholder(value)


def _is_drawn(value: str, how_sure: Strength) -> bool:
    """Whether a cell is a secret by itself, rather than a word, a number, a name in code or a placeholder."""
    if len(value) < 5 or not _is_filled(value) or _CODE.fullmatch(value):
        return False
    if how_sure != "sure":
        return is_random(value) and not is_digest(value)
    letters, digits = any(map(str.isalpha, value)), any(map(str.isdigit, value))
    return (letters and digits and value[-1] not in ".,:") or is_mixed(value)
