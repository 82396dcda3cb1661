r"""Sanitize a model's Markdown, so that nothing in it runs or loads.

Front ends render ``text/markdown`` of a cell that was run as trusted: raw HTML and its scripts run, images load from
any host (so a reply can exfiltrate data), ``javascript:`` links work. Model output is untrusted.

`safe_markdown` rewrites the text without these, while headings, lists, tables, code, links and formulas look the same.
It does not guess how a parser reads an ambiguous passage, but writes text that all parsers read alike:

- Every code fence is written anew: alone between blank lines, closed, marked with a language, longer than any run of
  backticks in it. Such a block is code to every parser, so its content stays as it is. Indented code becomes a fence,
  in the item of a list too.
- A code span is kept when it is plain: on one line, with no backtick inside, and with nothing before it that could hide
  its first backtick from some parser (an open bracket, a URL). All other backticks become ``&#96;``.
- A formula is kept when it is plain: no backtick, no quotation mark, balanced braces. Any other ``$``, as in a price,
  becomes ``\$``, or `LONE_DOLLAR` where a renderer would make a formula of two of them; in an address ``%24``.
- Quotations and lists are nested as deep as `limit_nesting` allows; deeper markers are text.
- Outside of these ``<`` becomes ``&lt;``, ``![`` becomes ``\![`` (an image becomes a link), and a link to anything but
  the web, a file or an e-mail address is escaped.
- ``\(x\)`` and ``\[ x \]``, which no Jupyter front end shows, become ``$x$`` and ``$$ x $$``.

Each prefix of a text, as it streams in, is as safe as the whole. Formulas themselves are left to the front end:
Jupyter's MathJax removes scripts, styles and external images from them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchat.jupyter.kernel.output.code_fences import parse_fence_opener, read_fence_content, write_fence
from orchat.jupyter.kernel.output.indented_code import IndentedCode
from orchat.jupyter.kernel.output.nesting_limit import limit_nesting

LONE_DOLLAR = "<span>&#36;</span>"
"""A dollar sign that no renderer joins with another one to a formula.

MathJax looks for formulas in the page, but not across elements, JupyterLab and pandoc in the Markdown. The usual
backslashes do not do: MathJax takes one away that pandoc, nbconvert's LaTeX and a terminal would show.
"""

_REMOVED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]")

# Tokens with a meaning in prose. Each character of the text is scanned once.
_SPECIAL = re.compile(
    r"(?P<blank>\n[ \t]*(?=\n))"
    r"|(?P<url>(?:https?://|ftp://|www\.)[^\s<\[\]!`$\\]*)"
    r"|(?P<bracket>\\\\[()\[\]])"
    r"|(?P<environment>\\{1,2}begin\{)"
    r"|(?P<escape>\\[!-/:-@\[-`{-~])"
    r"|(?P<ticks>`+)"
    r"|(?P<dollars>\$\$?)"
    r"|(?P<autolink><(?:https?://|mailto:)[^\s<>`\"\\$]*>)"
    r"|(?P<angle><(?! ))"
    r"|(?P<image>!(?=\[))"
    r"|(?P<link>\[[^\[\]`\\<>!$\n]*\]\((?:https?://[^\s()`<>\"'\\\[\]]*|[^\s()`<>\"'\\\[\]:&]*)\))"
    r"|(?P<brackets>\[[^\[\]`\\<>!$\n]*\](?![(\[:]))"
    r"|(?P<target>\][(:](?!\s*+<?(?:https?://|ftp://|mailto:|[^:&\\/?#\s<>)]{0,100}(?:[/?#\s>)]|$))))"
    r"|(?P<opening>\[)"
    r"|(?P<tildes>~{3,})",
    re.IGNORECASE,
)
# A bare address that has a host before its dollars, and nothing that may end it: a bracket, the wall of a table.
_PATH_IN_URL = re.compile(r"^\w+[.:](?://)?[^/?#|()]+[/?#][^|()]*$")
_DOLLARS_IN_URL = re.compile(r"(?:(?<=[\w/?&=#+~@%-])\$(?=[\w{])[^\s<\[\]!`$\\|()]*+)++")
_ADDRESS = re.compile(r"https?://|ftp://|www\.", re.IGNORECASE)
_BACKTICKS = re.compile(r"`+")
_UNSAFE_IN_CODE = re.compile(r"<|!\[|\][(:]")
# Parsers cut tables at | and struck text at ~ before they look for code, and take \ before a backtick for an escape
# while they look for emphasis.
_AMBIGUOUS_IN_CODE = re.compile(r"[|~]|\\$")
# JupyterLab finds formulas before code.
_FORMULA_IN_CODE = re.compile(r"\\begin\{|\\\\[(\[]", re.IGNORECASE)

_INLINE_MATH = re.compile(r"\$(?=\S)((?:[^$`\"\n]|(?<=\\)\$)+)(?<=[^\s\\])\$(?![\d$])")
_BLOCK_MATH = re.compile(r"\$\$((?:[^$`\"\n]|(?<=\\)\$|\n(?![ \t]*\n))+)(?<!\\)\$\$(?!\$)")
_ENVIRONMENT = re.compile(
    r"\\begin\{((?:align|aligned|array|[bBpvV]?matrix|cases|equation|gather|multline|split)\*?)\}"
    r"(?:[^$`\"\n\\]|\\(?!begin\{)|\n(?![ \t]*\n))*?\\end\{\1\}"
)
# How models write formulas as often as not, which no Jupyter front end shows.
_TEX_INLINE_MATH = re.compile(r"\\\(\s*+((?:[^$`\"\n\\]|\\[^()$`\"\n])++)\s*+\\\)")
_TEX_BLOCK_MATH = re.compile(r"\\\[(\s(?:[^$`\"\n\\]|\\[^\[\]$`\"\n]|\n(?![ \t]*\n))+?)\\\]")
_UNESCAPED_BRACE = re.compile(r"(?<!\\)[{}]")


def safe_markdown(text: str) -> str:
    r"""Return Markdown that looks the same, loads nothing and runs nothing.

    Parameters
    ----------
    text
        A model's Markdown, or any prefix of it.

    Examples
    --------
    >>> print(safe_markdown("![a cat](https://example.com/c.png) <img src=x> and `<b>` in $a<b$"))
    \![a cat](https://example.com/c.png) &lt;img src=x> and `<b>` in $a< b$
    >>> print(safe_markdown("Use this:\n```html\n<b>bold</b>"))
    Use this:
    <BLANKLINE>
    ```html
    <b>bold</b>
    ```
    """
    lines = _REMOVED.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    blocks: list[str] = []
    prose: list[str] = []
    at = 0
    indented = IndentedCode()
    while at < len(lines):
        line = lines[at]
        opener = parse_fence_opener(line)
        if opener is not None:
            indented.note_fence(line)
            content, at = read_fence_content(lines, at + 1, opener)
        else:
            content, at = indented.read(lines, at)
            if not content:
                indented.note(line)
                prose.append(limit_nesting(line))
                at += 1
                continue
        blocks += [_Prose("\n".join(prose)).safe(), write_fence(opener or indented.fence, content)]
        prose = []
    blocks.append(_Prose("\n".join(prose)).safe())
    return "\n\n".join(stripped for block in blocks if (stripped := block.strip("\n")).strip())


def escape_markdown(text: str) -> str:
    r"""Escape a line of plain text for Markdown.

    Parameters
    ----------
    text
        Untrusted text on one line.

    Examples
    --------
    >>> print(escape_markdown("1. <b>*no*</b> [credits](javascript:x) left_over for $5, see https://openrouter.ai/docs"))
    1\. &lt;b>\*no\*&lt;/b> \[credits&#93;(javascript:x) left_over for \$5, see https://openrouter.ai/docs
    """
    text = _ESCAPED.sub(lambda found: _ENTITIES.get(found[0]) or "\\" + found[0], _REMOVED.sub("", text))
    if text.count("$") > 1:
        text = text.replace("\\$", LONE_DOLLAR)
    return _BLOCK_START.sub(r"\1\\\2", _LINK_MIDDLE.sub("&#93;", text))


_ESCAPED = re.compile(r"[\\`*\[\]<&$~|]|!(?=\[)|(?<![^\W_])_|_(?![^\W_])")
_LINK_MIDDLE = re.compile(r"\\\](?=\(|\\\[)")  # JupyterLab takes such backslashes away within a link's text
_BLOCK_START = re.compile(r"^(\s*\d*)([-+#>=.)])")
_ENTITIES = {"<": "&lt;", "&": "&amp;", "`": "&#96;"}
_BRACKETS = {"(": "&#40;", ")": "&#41;", "[": "&#91;", "]": "&#93;"}


_Match = Callable[[str, int], re.Match[str] | None]


class _Prose:
    """Sanitize the text between code fences."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._out: list[str] = []
        self._dollars: list[int] = []  # of this paragraph: indices in the output of literal dollars
        self._formulas = 0
        # Set by the first token of a paragraph that parsers may read differently; code spans with unsafe text behind it
        # are not kept.
        self._is_ambiguous = False
        self._runs: dict[int, list[int]] = {}  # of the current line: length -> where such runs of backticks begin
        self._runs_end = 0
        self._dropped_closers: set[int] = set()  # offsets of runs that would close a code span which is not kept

    def safe(self) -> str:
        """Return the sanitized text."""
        while (found := _SPECIAL.search(self._text, self._at)) is not None:
            self._out.append(self._text[self._at : found.start()])
            self._at = found.end()
            self._out.append(self._safe_token(found.lastgroup or "", found[0], found.start()))
        self._out.append(self._text[self._at :])
        self._end_paragraph()
        return "".join(self._out)

    def _end_paragraph(self) -> None:
        if sum(self._out[place].count("$") for place in self._dollars) + self._formulas > 1:
            for place in self._dollars:
                self._out[place] = self._out[place].replace("\\$", LONE_DOLLAR)
        self._dollars, self._formulas, self._is_ambiguous = [], 0, False

    def _safe_token(self, kind: str, token: str, start: int) -> str:
        match kind:
            case "blank":
                self._end_paragraph()
                return token
            case "url":  # to some parsers it goes on until the next space
                if _PATH_IN_URL.search(token) and (rest := _DOLLARS_IN_URL.match(self._text, self._at)) is not None:
                    token += rest[0].replace("$", "%24")  # an escape would end it, or be a part of it
                    self._at = rest.end()
                self._note_address(token)
                return token
            case "ticks":
                return self._code_span(token, start)
            case "dollars":
                formula = self._formula(_BLOCK_MATH.match if len(token) == 2 else _INLINE_MATH.match, start)
                return formula or self._literal_dollars(len(token))
            case "environment":
                return self._formula(_ENVIRONMENT.match, start) or "&#92;" + token.lstrip("\\")
            case "bracket":
                return token[:2] + _BRACKETS[token[2]]
            case "escape" if token[1] in _BRACKETS and self._text[start - 1 : start] == "\\":
                return _BRACKETS[token[1]]  # JupyterLab takes the two backslashes before it for the start of a formula
            case "escape" if token[1] == "]" and self._text[self._at : self._at + 1] in {"(", "["}:
                return _BRACKETS["]"]  # JupyterLab takes the backslashes before brackets away within a link's text
            case "escape" if token[1] == "(":
                return self._formula(_TEX_INLINE_MATH.match, start, "$") or token
            case "escape" if token[1] == "[":
                is_image = self._text[start - 1 : start] == "!"
                return self._formula(_TEX_BLOCK_MATH.match, start, "$$") or (_BRACKETS["["] if is_image else token)
            case "escape":
                return self._literal_dollars(1) if token[1] == "$" else _ENTITIES.get(token[1], token)
            case "angle":
                return "&lt;"
            case "image":
                return r"\!"
            case "link":  # its address; some parsers would find a formula in it
                return token.replace("$", "%24")
            case "target":
                return "]\\" + token[1]
            case "tildes":
                return "&#126;" * len(token)
            case "opening":
                self._is_ambiguous = True
            case "brackets":
                self._note_address(token)
        return token

    def _note_address(self, token: str) -> None:
        """Take note of an address at the end of a token: some parsers read it on, over what comes next."""
        if _ADDRESS.search(token.rsplit(None, 1)[-1]) and self._text[self._at : self._at + 1].strip():
            self._is_ambiguous = True

    def _code_span(self, ticks: str, start: int) -> str:
        """Return a code span that is kept, or its backticks as text, the closing ones too."""
        end = -1 if start in self._dropped_closers else self._find_closing_run(len(ticks), start)
        if end < 0:
            return "&#96;" * len(ticks)
        content = self._text[self._at : end]
        is_ambiguous = _AMBIGUOUS_IN_CODE.search(content) is not None
        if (
            "`" in content
            or self._text[start - 1 : start] in ("~", "\\")  # some parsers join these with the backtick
            or _FORMULA_IN_CODE.search(content)
            or ((self._is_ambiguous or is_ambiguous) and _UNSAFE_IN_CODE.search(content))
        ):
            self._dropped_closers.add(end)
            return "&#96;" * len(ticks)
        self._at = end + len(ticks)
        self._is_ambiguous |= is_ambiguous
        return ticks + content + ticks

    def _find_closing_run(self, length: int, start: int) -> int:
        """Return the offset of the next run of as many backticks on this line, or -1."""
        if start >= self._runs_end:
            end = self._text.find("\n", start)
            self._runs_end = end if end >= 0 else len(self._text)
            self._runs = {}
            for run in _BACKTICKS.finditer(self._text, start, self._runs_end):
                self._runs.setdefault(len(run[0]), []).append(run.start())
            for starts in self._runs.values():
                starts.reverse()
        starts = self._runs.get(length, [])
        while starts and starts[-1] <= start:
            starts.pop()
        return starts[-1] if starts else -1

    def _literal_dollars(self, count: int) -> str:
        self._dollars.append(len(self._out))
        return r"\$" * count

    def _formula(self, match: _Match, start: int, delimiter: str = "") -> str | None:
        """Return a plain formula, with spaces that break up possible HTML; None where it is not plain."""
        found = match(self._text, start)
        if found is None or self._text[start - 1 : start] == "\\" or not _is_balanced(found[0]):
            return None
        inside = found[1].rstrip() if delimiter == "$" else found[1]
        formula = delimiter + inside + delimiter if delimiter else found[0]
        if formula.endswith("\\" + delimiter):
            return None
        self._at = found.end()
        self._formulas += 1
        self._note_address(formula)
        return re.sub(r"(!(?=\\?\[)|\](?=[\[(:]))", r"\1 ", re.sub(r"<(?! )", "< ", formula))


def _is_balanced(formula: str) -> bool:
    depth = 0
    for brace in _UNESCAPED_BRACE.findall(formula):
        depth += 1 if brace == "{" else -1 if depth else 0
    return depth == 0
