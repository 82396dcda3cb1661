"""`safe_markdown`: what it takes away, and that it takes away nothing else.

That no parser is fooled shows in the browser (`tests/browser/test_untrusted.py`).
"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from orchat.jupyter.kernel.live_view.markdown_blocks import split_blocks
from orchat.jupyter.kernel.live_view.markdown_html import to_html
from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown, safe_markdown
from orchat.jupyter.kernel.output.nesting_limit import MOST_NESTING

PLAIN = [
    "# Title\n\nText with *emphasis*, **strong**, `code`, [a link](https://example.com/a_b?c=d) and <https://example.com>.",
    "- one\n- two\n  - three\n\n1. first\n2. second",
    "| a | b |\n|---|---|\n| `x` | 3 < 4 |",
    "> quoted\n> text",
    "$a + b$ and $$\n\\frac{a}{b}\n$$\n\nand\n\n\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}",
    "```python\nprint('<b>', \"![x](y)\", `z`, $a, \\\\(b)\n```",
    "Use `<div>` and `![alt](url)` and `List<int>`, see [the docs](https://example.com) for `<p>`.",
    "1. Run\n\n   ```bash\n   echo <x> $HOME\n   ```\n\n2. Done",
    "> ```html\n> <b>\n> ```",
    "https://example.com/a?b=c&d=e is an address, www.example.com too; 5 < 6 and 7 > 3, a_b_c, 100%",
    "- [ ] open\n- [x] done",
    "It costs \\$5.",
]


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_plain_stays_as_it_is(text: str) -> None:
    assert safe_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("![x](https://evil.invalid/i.png)", "\\![x](https://evil.invalid/i.png)"),
        ("\\\\![x](u)", "\\\\\\![x](u)"),
        ("\\![x](u)", "\\![x](u)"),
        ("[![badge](i)](u)", "[\\![badge](i)](u)"),
        ("<img src=x>", "&lt;img src=x>"),
        ("a \\<img src=x>", "a &lt;img src=x>"),
        ("https://a.b/\\<img src=x>", "https://a.b/&lt;img src=x>"),
        ("<img\nsrc=x>", "&lt;img\nsrc=x>"),
        ("<img alt='<b>' src=x>", "&lt;img alt='&lt;b>' src=x>"),
        ("<!-- x -->", "&lt;!-- x -->"),
        ("`open <b>", "&#96;open &lt;b>"),
        ("`two\n<b> lines`", "&#96;two\n&lt;b> lines&#96;"),
        ('[a](b "`")<img src=x>`', '[a](b "&#96;")&lt;img src=x>&#96;'),
        ("| `a | <img src=x>` |", "| &#96;a | &lt;img src=x>&#96; |"),
        ("~~`<b>`", "~~&#96;&lt;b>&#96;"),
        ("[c](javascript:alert(1))", "[c]\\(javascript:alert(1))"),
        ("[c]( \n<java&#115;cript:alert(1)>)", "[c]\\( \n&lt;java&#115;cript:alert(1)>)"),
        ("[c](javascript\\:alert(1))", "[c]\\(javascript\\:alert(1))"),
        ("[c]: data:text/html,x", "[c]\\: data:text/html,x"),
        ("<javascript:alert(1)>", "&lt;javascript:alert(1)>"),
        ('[a](b "$" onx=1 x="$")', '[a](b "<span>&#36;</span>" onx=1 x="<span>&#36;</span>")'),
        ("$a<b$ and $![x](y)$", "$a< b$ and $! [x] (y)$"),
        ("from $5 to $10", "from <span>&#36;</span>5 to <span>&#36;</span>10"),
        ("only $5", "only \\$5"),
        ("so \\(a < b\\) and\n\\[\nx^2\n\\]", "so $a < b$ and\n$$\nx^2\n$$"),
        ("$$ unclosed <b>", "<span>&#36;</span><span>&#36;</span> unclosed &lt;b>"),
        ("\\\\begin{align} `", "&#92;begin{align} &#96;"),
        ('```"onmouseover=alert(1)\nx\n```', "```text\nx\n```"),
        ("```mermaid\nx\n```", "```text\nx\n```"),
        ("Before\n```\nin <b>\n```\nafter", "Before\n\n```text\nin <b>\n```\n\nafter"),
        ("~~~ js\n```\n<b>\n~~~", "````js\n```\n<b>\n````"),
        ("```html\n<b>", "```html\n<b>\n```"),
        ("```html\n<b>\n``", "```html\n<b>\n``\n```"),
        ("> ```html\n> <b>\nafter <b>", "> ```html\n> <b>\n> ```\n\nafter &lt;b>"),
        ("- ```html\n  <b>\n  ```", "- ```html\n  <b>\n  ```"),
        ("\t```\n\t<b>\n\t```", "    ```text\n    <b>\n    ```"),
        ("a \\\\( b \\\\\\[ c", "a \\\\&#40; b \\\\&#91; c"),
        ("`\\begin{align}` and `<b>`", "&#96;&#92;begin{align}&#96; and `<b>`"),
        ("a ~~~ b", "a &#126;&#126;&#126; b"),
        ("$a{b$ <b>", "<span>&#36;</span>a{b<span>&#36;</span> &lt;b>"),
        ("\\(a\\\\ \\)", "\\(a\\\\ \\)"),
        ("\\`<b>\\`", "&#96;&lt;b>&#96;"),
        ("[!\\[a\\](b)](c)", "[!&#91;a&#93;(b)](c)"),
        ("[!\\[a\\]](c)", "[!&#91;a\\]](c)"),
        ("[\\[a\\](javascript:b)](c)", "[\\[a&#93;(javascript:b)](c)"),
        ("[\\[a\\]] $!\\[b\\](c)$", "[\\[a\\]] $! \\[b\\] (c)$"),
        ("[https://a.b]`<b>`", "[https://a.b]&#96;&lt;b>&#96;"),
        ("$https://a$`<b>`", "$https://a$&#96;&lt;b>&#96;"),
        ("[https://a.b for] `<b>` and [www.a.b c]`<b>`", "[https://a.b for] `<b>` and [www.a.b c]`<b>`"),
        ("[`a](b) `<b>`", "[&#96;a](b) &#96;&lt;b>&#96;"),
        ("Run\n\n    $ cd <x>\n\n\t$ make\n\nfor $5", "Run\n\n```text\n$ cd <x>\n\n$ make\n```\n\nfor \\$5"),
        ("- Run\n\n    $5 <x>\n\nor\n\n    a `b\nc", "- Run\n\n    \\$5 &lt;x>\n\nor\n\n```text\na `b\n```\n\nc"),
        ("Run\n    `$x`, [^1]\n\n[^1]: It\n\n    is", "Run\n    `$x`, [^1]\n\n[^1]: It\n\n    is"),
        ("1. Run\n\n       $ make <x>\n\n2. and `b", "1. Run\n\n   ```text\n   $ make <x>\n   ```\n\n2. and &#96;b"),
        ("- a\n  - b\n\n      $c\n\n        $d", "- a\n  - b\n\n      \\$c\n\n    ```text\n    $d\n    ```"),
        ("\tall:\n\t\tmake `b", "```text\nall:\n\tmake `b\n```"),
        ("# Run\n    $ make <x>\n\n    $a", "# Run\n\n```text\n$ make <x>\n\n$a\n```"),
        ("On\n10. May\n\n          $5", "On\n10. May\n\n          \\$5"),
        ("  10. a\n    - b\n\n       - c", "  10. a\n    - b\n\n       - c"),
        ("1. a\n> b\n\n       $c", "1. a\n> b\n\n```text\n   $c\n```"),
        ("-    a\n~~~\nb\n~~~\n\n         $c", "-    a\n\n```text\nb\n```\n\n```text\n     $c\n```"),
        ("https://b.c/d?$top=5&$skip=$x or $5", "https://b.c/d?%24top=5&%24skip=%24x or \\$5"),
        ("(https://b.c/d)$5", "(https://b.c/d)\\$5"),
        ("|https://b.c/d|$5|", "|https://b.c/d|\\$5|"),
        ("[a](https://b.c/d?$top=5&$skip=1)", "[a](https://b.c/d?%24top=5&%24skip=1)"),
        ("a\x00b\u2028c\rd", "abc\nd"),
    ],
)
def test_what_is_not_is_made_harmless(text: str, safe: str) -> None:
    assert safe_markdown(text) == safe


def assert_harmless(markdown: str) -> None:
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(markdown)
    inline = [child for token in tokens for child in token.children or ()]
    assert not {each.type for each in (*tokens, *inline)} & {"html_block", "image"}
    assert {each.content for each in inline if each.type == "html_inline"} <= {"<span>", "</span>"}  # of a dollar


@given(st.text(alphabet='ab `~$\\<>![](){}\n*_|:"/#-1.&;', max_size=80))
def test_any_text_gives_no_html_and_no_image_to_a_commonmark_parser(text: str) -> None:
    assert_harmless(safe_markdown(text))


@given(st.text(alphabet='ab `~$\\<>![](){}\n*_|:"/#-1.&;', max_size=80))
def test_doing_it_twice_is_as_safe(text: str) -> None:
    assert_harmless(safe_markdown(safe_markdown(text)))


@given(st.text(alphabet="ab <>[]()*_`!#$|~&\\-+=1.:/\"'", max_size=60))
def test_escaped_text_shows_as_it_is(text: str) -> None:
    shown = MarkdownIt("gfm-like", {"linkify": False}).renderInline(escape_markdown(text))
    plain = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    assert plain.replace("<span>$</span>", "$").strip() == text.strip()


def test_a_view_without_a_renderer_shows_prices() -> None:
    assert to_html(safe_markdown("From $5 to `$6` and **$7**.")) == (
        "<p>From $5 to <code>$6</code> and <strong>$7</strong>.</p>\n"
    )


@pytest.mark.parametrize(
    "deep",
    [
        "> " * 40 + "seen",
        ">" * 40 + "seen",
        "- " * 40 + "seen",
        "1. " * 40 + "seen",
        "> - " * 20 + "seen",
        "\n".join("  " * level + "- level" for level in range(40)) + " seen",
        "\n".join("> " * level + "level" for level in range(40)) + " seen",
        "> " * 40 + "```\n" + "> " * 40 + "seen",
    ],
)
def test_what_is_nested_too_deep_is_text(deep: str) -> None:
    safe = safe_markdown(deep + "\n\nand after")
    assert "seen" in to_html(safe)
    assert "and after" in to_html(safe)
    opened = [token.type for token in MarkdownIt("gfm-like", {"linkify": False, "maxNesting": 200}).parse(safe)]
    depth = deepest = 0
    for kind in opened:
        if kind.startswith(("blockquote", "bullet_list", "ordered_list")):
            depth += 1 if kind.endswith("_open") else -1
            deepest = max(depth, deepest)
    assert 8 <= deepest <= MOST_NESTING


def test_a_line_across_the_page_is_no_nesting() -> None:
    rule = "- " * 40
    assert safe_markdown(rule + "\n" + rule.strip()) == rule + "\n" + rule.strip()


@pytest.mark.parametrize("length", [26, 42])
@pytest.mark.parametrize("line", ["> ", "- ", "* ", "1. ", "> - ", ">- "], ids=lambda mark: mark.strip())
@pytest.mark.parametrize("end", ["x", "```x`", "~~", "``` `\n", "\n", "```\n> x"])
def test_a_line_of_marks_is_read_at_once(line: str, length: int, end: str) -> None:
    text = line * length + end
    started = time.process_time()
    split_blocks(text)
    split_blocks(f"{text}\n{text}\n\n{text}")
    to_html(safe_markdown(text))
    to_html(safe_markdown("> " * length + "```\n" + text))
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "hostile",
    [
        "[" * 50_000,
        "](j" * 30_000,
        "$a " * 30_000,
        "$$a\n" * 25_000,
        "<" * 100_000,
        "`a" * 50_000,
        "```\n" * 25_000,
        "\\begin{align}" * 8_000,
        "\\\\" * 50_000,
        "[a](" * 25_000,
        "> " * 40_000 + "```",
        "](" + " " * 100_000,
        " ".join("`" * n for n in range(1, 440)),
        "\\( " * 30_000,
        "\\[ " * 30_000,
        "https://a!" * 10_000,
        "{" * 100_000,
        "> " * 50_000,
        "> > > x```\n" * 9_000,
        "- " * 50_000 + "```",
        "1. " * 30_000 + "~~~",
        "> " * 16 + "```\n" + "> " * 50_000,
        "> " * 16 + "```\n" + "> > > > > >\n" * 8_000,
        " " * 50_000 + "```\n" + "a\n" * 25_000,
        "- " * 16 + "a\n" + "b\n" * 40_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_the_time_grows_with_the_length_only(hostile: str) -> None:
    def cpu(text: str) -> float:
        started = time.process_time()
        safe_markdown(text)
        return time.process_time() - started

    # Quadratic work would take minutes; 2 us a character is ten times what it needs.
    assert any(cpu(hostile) < 0.25 + 3e-6 * len(hostile) for _ in range(2))
