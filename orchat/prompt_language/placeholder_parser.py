r"""Parse the placeholders of a prompt: ``{name}``, ``{obj.attr}``, ``{df["col"]}`` in prose, not in code. Pure.

A prompt is prose with code in it, and braces mean something in almost every language. So, without anything to escape:

- Text in a code fence, a backtick span, an f-string, a formula, inside other braces or in the brackets of a call is no
  placeholder. Neither is ``{{name}}``: both pairs of braces belong to a template.
- Braces that are joined to other text (``x_{n}``, ``\cmd{n}``, ``${n}``, ``/users/{id}``) are none, nor are those on a
  line that reads as code (``return {n}``, ``x = {n}``, ``const {n} = ...;``).

The time grows with the length of the text only.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

# Elements of HTML and components of JSX; any other tag is a prompt's own.
_TAGS = (
    "a|b|button|code|d[dlt]|div|em|form|h[1-6]|i|img|input|label|li|nav|ol|option|p|pre|select|small|span|strong"
    "|table|tbody|td|th|thead|tr|u|ul|(?-i:[A-Z]\\w*)"
)
# A name, attributes and subscripts; `interpolation` judges the content of subscripts.
_PLACEHOLDER = r"\{(?P<field>[^\W\d]\w*+(?:\.[^\W\d]\w*+|\[(?:[^\[\]{}\n\\]++|\[[^\[\]{}\n\\]*+\])++\])*+)\}"
_TOKEN = re.compile(
    r"(?P<fence>^[ \t>]*(?P<run>`{3,}(?=[^`\n]*$)|~{3,}).*$)"
    r"|(?P<ticks>`+)"
    r"|(?<!\w)(?:[ft]r?|r[ft]|\$@?|@\$)(?P<quote>\"{3}|'{3}|\"|')"  # f"...", and C#'s $"..."
    r"|[=(,+][ \t]*[a-z]{0,2}(?P<quotes>\"{3}|'{3})"  # a long text that code holds
    r"|\\(?P<begin>begin|end)\{[^{}\n]*\}"
    r"|\\(?P<math>[()\[\]])"
    r"|\\."
    r"|(?P<dollars>\$\$)"
    r"|\$(?=\S)(?=[^$\n]*[\\^_])[^$\n]*+(?<=\S)\$(?!\d)"
    rf"|{_PLACEHOLDER}"
    r"|(?P<bracket>[{}()\[\]])"
    rf"|(?P<tag></?(?:{_TAGS})(?=[\s>]))",
    re.MULTILINE | re.IGNORECASE,
)
_STRING_REST = {quote: re.compile(rf"(?:[^{quote}\\\n]|\\.)*{quote}") for quote in "\"'"}
_OPENERS = {"}": "{", ")": "(", "]": "[", "math)": "math(", "math]": "math[", "end": "begin", "$$ end": "$$"}

# What may stand right before a placeholder, back to the last space: quotes, brackets, signs, and a word or a tag
# before these.
_OPENING = (
    r"[\"'\u201c\u201d\u2018\u2019\u201e\u00ab\u2039(\[*~\u00bf\u00a1\u20ac\u00a3\u00a5\u00b1\u2248\u2013\u2014-]*"
)
_LEAD = re.compile(rf"{_OPENING}+(?:[^\W_]++[-\u2013\u2014:,]|<[a-z][\w.-]*+>)?{_OPENING}+")
_CODE_LEAD = re.compile(
    r"(?:=>|\b(?:const|let|var))\s*$|(?P<tex>\\[A-Za-z]+\*?(?:\s*(?:\{[^{}]*\}|\[[^\[\]]*\]))*\s*$)"
)
_LEAD_LENGTH = 60
_MAX_EXPRESSION = 200  # characters
_JOINTS = frozenset("-\u2013\u2014/:,.+&|")  # what may join two placeholders
_TRAIL = re.compile(r"(?![({}\[=^_\\`$]|<(?!/))")
_TEX = re.compile(r"[\\^_${}]")

_CODE_LINE = re.compile(
    r"^(?!\s*[-*+]\s).*;\s*$"
    r"|^\s*(?:>>>|\.\.\.|\$|In \[\d+\]:)\s"
    r"|^\s*(?:(?:const|let|var|val|local|auto|my|final)\s+)?[\w.\[\]\"']+(?:\s*:\s*[\w.\[\]|<>]+)?"
    r"\s*(?:[-+*/%|&^:]|\*\*|//)?=(?![=>])"
    r"|^\s*(?:export\s+)?(?:const|let|var)\s.*="
    r"|^\s*(?:import|export)\s.*(?:\bfrom\s*[\"']|\brequire\()"
    r"|^\s*(?:return|yield|raise|throw|del|assert|await|export|default)\s+\{[^{}]*\},?\s*$"
    rf"|</?(?:{_TAGS})\b[^<>]*>"
    r"|^\s*(?:async\s+)?def\s+\w+\s*\(|\blambda\b[^:]{0,200}:|[=!]=|\s&&\s|^\s*\[\{.*\}\],?\s*$|[\"']\.format\("
)
_BLOCK = re.compile(
    r"\s*(?:(?:async\s+)?(?:def\s+\w+\s*\(|for\s.*\sin\s|with\s.*\()|class\s+\w+\s*[(:]"
    r"|(?:if|elif|else|while|try|except|match|case)\b).*$"
)


@dataclass(frozen=True)
class Placeholder:
    """A placeholder of a prompt.

    Parameters
    ----------
    start, end
        Its offsets in characters, braces included.
    text
        The text between its braces.
    in_prose
        Whether it stands in prose; false for one that may be code, though that is not certain.
    """

    start: int
    end: int
    text: str
    in_prose: bool


def find_placeholders(text: str) -> list[Placeholder]:
    r"""Return the placeholders of a prompt in order, without those that are certainly code.

    Examples
    --------
    >>> text = r'Ask {name} about `{x}`, \cmd{x}, {"a": {x}} and /{x}.'
    >>> [(field.text, field.in_prose) for field in find_placeholders(text)]
    [('name', True), ('x', False)]
    """
    found, code, markup, _ = _scan(text)
    found = [match for match in found if match.start() not in code]
    if not found:
        return []
    lines = _LineClassifier(text)
    result: list[Placeholder] = []
    for match in found:
        start, end = match.span()
        last = result[-1] if result else None
        if last is not None and last.end == start - 1 and text[last.end] in _JOINTS:
            lead_fits = last.in_prose
        else:
            before = text[max(start - _LEAD_LENGTH, 0) : start]
            joined = re.split(r"\s", before)[-1]
            like_code = _CODE_LEAD.search(before)
            lead_fits = _LEAD.fullmatch(joined) is not None and like_code is None
            if not lead_fits and (_TEX.search(joined) or (like_code is not None and like_code["tex"])):
                continue
        if not _TRAIL.match(text, end) and _TEX.match(text, end):
            continue
        in_prose = lead_fits and _TRAIL.match(text, end) is not None and start not in markup
        result.append(Placeholder(start, end, match["field"], in_prose and not lines.is_code(start)))
    return result


def find_expressions(text: str) -> list[str]:
    r"""Return what stands in braces in prose and is more than a placeholder, on one line: calls, sums, formats.

    Examples
    --------
    >>> find_expressions('The mean is {df.mean()}, of {n + 1} in `{len(x)}`, x_{n+1} and {{n+1}}; {name} is none.')
    ['df.mean()', 'n + 1']
    """
    _, code, markup, braces = _scan(text)
    found = []
    lines = _LineClassifier(text) if braces else None
    for start, end in sorted(braces):
        inner = text[start + 1 : end - 1]
        if len(inner) > _MAX_EXPRESSION or "\n" in inner or inner[:1] in ("", "{", "%", "#") or start in markup:
            continue
        lead = re.split(r"\s", text[max(start - _LEAD_LENGTH, 0) : start])[-1]
        stands_alone = _LEAD.fullmatch(lead) and not _CODE_LEAD.search(text[max(start - _LEAD_LENGTH, 0) : start])
        if stands_alone and _TRAIL.match(text, end) and code.begins(start) and lines and not lines.is_code(start):
            found.append(inner)
    return found


def _scan(text: str) -> tuple[list[re.Match[str]], _Spans, _Spans, list[tuple[int, int]]]:
    """Scan the text once: candidates, spans of certain code, spans of markup tags, and those of braces."""
    found: list[re.Match[str]] = []
    code: list[tuple[int, int]] = []
    markup: list[tuple[int, int]] = []
    braces: list[tuple[int, int]] = []
    brackets = _BracketStack()
    runs: dict[int, list[int]] | None = None
    at = 0
    while (match := _TOKEN.search(text, at)) is not None:
        start, at = match.start(), match.end()
        if match["fence"]:
            run = match["run"]
            closing = re.compile(rf"^[ \t>]*{run[0]}{{{len(run)},}}[ \t]*$", re.MULTILINE).search(text, at)
            at = closing.end() if closing else len(text)
        elif ticks := match["ticks"]:
            runs = _backtick_runs(text) if runs is None else runs
            at = _code_span_end(text, runs, len(ticks), at)
        elif quote := match["quote"] or match["quotes"]:
            at = _string_end(text, quote, at)
        elif match["field"]:
            found.append(match)
        elif (kind := _bracket_kind(match, brackets)) and (
            opened := brackets.push_or_close(kind, start, text)
        ) is not None:
            (markup if match["tag"] else code).append((opened, at))
            if kind == "}":
                braces.append((opened, at))
    return found, _Spans(code), _Spans(markup), braces


def _bracket_kind(match: re.Match[str], brackets: _BracketStack) -> str | None:
    if match["dollars"]:
        return "$$ end" if brackets.has("$$") else "$$"
    if match["math"]:
        return "math" + match["math"]
    return match["begin"] or match["bracket"] or match["tag"]


class _BracketStack:
    """The open brackets."""

    def __init__(self) -> None:
        self._open: list[tuple[str, int, bool]] = []
        self._count: dict[str, int] = {}

    def has(self, kind: str) -> bool:
        return self._count.get(kind, 0) > 0

    def push_or_close(self, kind: str, position: int, text: str) -> int | None:
        """Push an opening bracket, or close one; return the start of a closed span of code."""
        opener = "<" + kind[2:] if kind.startswith("</") else _OPENERS.get(kind)
        if opener is None:
            # Round and square brackets are prose, unless they belong to a call or a subscript, or end their line.
            before = text[position - 1 : position]
            after = text[position + 1 : position + 2]
            code = kind not in {"(", "["} or before.isalnum() or before in {"_", "!"} or after == "\n"
            self._open.append((kind, position, code))
            self._count[kind] = self._count.get(kind, 0) + 1
            return None
        while self.has(opener):
            last, start, code = self._open.pop()
            self._count[last] -= 1
            if last == opener:
                return start if code else None
        return None


class _Spans:
    """Spans of a text; ``in`` tests whether one of them holds a position."""

    def __init__(self, spans: list[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(spans):  # of nested ones the outermost is enough
            if not self._ends or start >= self._ends[-1]:
                self._starts.append(start)
                self._ends.append(end)

    def __contains__(self, position: int) -> bool:
        index = bisect_right(self._starts, position) - 1
        return index >= 0 and position < self._ends[index]

    def begins(self, position: int) -> bool:
        """Whether an outermost span begins at a position."""
        index = bisect_right(self._starts, position) - 1
        return index >= 0 and self._starts[index] == position


def _string_end(text: str, quote: str, start: int) -> int:
    """Return the end of a string, or its start if it does not end."""
    if len(quote) == 3:
        end = text.find(quote, start)
        return end + 3 if end >= 0 else start
    rest = _STRING_REST[quote].match(text, start)
    return rest.end() if rest else start


def _backtick_runs(text: str) -> dict[int, list[int]]:
    """Return the offsets of backtick runs by their length; those of length 0 are blank lines."""
    runs: dict[int, list[int]] = {0: [match.start() for match in re.finditer(r"\n[ \t]*(?=\n)", text)]}
    for run in re.finditer(r"`+", text):
        runs.setdefault(len(run[0]), []).append(run.start())
    return runs


def _code_span_end(text: str, runs: dict[int, list[int]], length: int, start: int) -> int:
    """Return the end of a code span, which holds no blank line; or the start of its content if it is none."""
    same = runs.get(length, [])  # none where a backslash took one of a run
    index = bisect_right(same, start - 1)
    if index == len(same):
        return start
    blanks = runs[0]
    blank = bisect_right(blanks, start - 1)
    if blank < len(blanks) and blanks[blank] < same[index]:
        return start
    return same[index] + length


class _LineClassifier:
    """Classify the lines of a text as code or prose, on demand."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines(keepends=True)
        self._starts: list[int] = []
        at = 0
        for line in self._lines:
            self._starts.append(at)
            at += len(line)
        self._blocks = set(self._block_lines())
        self._known: dict[int, bool] = {}

    def is_code(self, position: int) -> bool:
        index = bisect_right(self._starts, position) - 1
        if index not in self._known:
            line = self._lines[index].rstrip("\r\n")
            self._known[index] = index in self._blocks or _CODE_LINE.search(line) is not None
        return self._known[index]

    def _block_lines(self) -> Iterator[int]:
        """Yield the lines of Python blocks: a header that ends in a colon and the indented lines below it."""
        header: int | None = None
        for index, line in enumerate(self._lines):
            if not line.strip():
                continue
            indent = len(line) - len(line.lstrip())
            if header is not None and indent > header:
                yield index
                continue
            header = None
            following = self._lines[index + 1] if index + 1 < len(self._lines) else ""
            if (
                line.rstrip().endswith(":")
                and _BLOCK.match(line)
                and len(following) - len(following.lstrip()) > indent
                and following.strip()
            ):
                header = indent
                yield index
