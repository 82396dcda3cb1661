"""Markdown as HTML, for front ends that do not lend their own renderer to a widget.

It is made of safe Markdown, without raw HTML, with the classes of Pygments in code; the browser takes from it only what
is on a list (``static/markdown.js``).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from orchat.jupyter.kernel.output.nesting_limit import DEEPEST


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

    # What its preset for GitHub's Markdown turns on, less what needs another package.
    # Deeper than safe Markdown is nested, for what is deeper it leaves out; a list counts twice.
    options = {"html": False, "highlight": _highlighted, "maxNesting": 2 * DEEPEST + 4}
    parser = MarkdownIt("commonmark", options)
    return parser.enable(["table", "strikethrough"]).disable("image")


def _highlighted(code: str, language: str, _attributes: str) -> str:
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return ""  # markdown-it escapes it
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True)))
