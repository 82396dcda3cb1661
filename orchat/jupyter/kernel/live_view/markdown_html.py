"""Render safe Markdown as HTML, for front ends without a Markdown renderer for widgets.

The HTML has no raw HTML of the model, and Pygments classes in code; the browser keeps only allowed elements
(``frontend/shared/markdown_renderer.js``).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from orchat.jupyter.kernel.output.markdown_sanitizer import LONE_DOLLAR
from orchat.jupyter.kernel.output.nesting_limit import MOST_NESTING


def to_html(markdown: str) -> str:
    r"""Return safe Markdown as HTML.

    Examples
    --------
    >>> print(to_html("It is *high*.\n\n```python\nx = 1\n```"), end="")
    <p>It is <em>high</em>.</p>
    <pre><code class="language-python"><span class="n">x</span> <span class="o">=</span> <span class="mi">1</span>
    </code></pre>
    """
    return str(_parser().render(markdown))


@cache
def _parser() -> Any:
    from markdown_it import MarkdownIt

    # The rules of its preset for GitHub's Markdown, without those that need another package.
    # The limit is above that of safe Markdown, as deeper text is dropped; a list counts twice.
    options = {"html": False, "highlight": _highlight_code, "maxNesting": 2 * MOST_NESTING + 4}
    parser = MarkdownIt("commonmark", options)
    parser.inline.ruler.before("escape", "dollar", _read_dollar)
    return parser.enable(["table", "strikethrough"]).disable("image")


def _read_dollar(state: Any, silent: bool) -> bool:
    """Read the one piece of HTML that safe Markdown has; a rule of the parser."""
    if not state.src.startswith(LONE_DOLLAR, state.pos):
        return False
    if not silent:
        state.push("text", "", 0).content = "$"
    state.pos += len(LONE_DOLLAR)
    return True


def _highlight_code(code: str, language: str, _attributes: str) -> str:
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return ""  # markdown-it escapes it
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True)))
