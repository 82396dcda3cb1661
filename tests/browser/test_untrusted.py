"""What a model writes loads nothing and runs nothing in a real JupyterLab, whatever its parser makes of it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page

from orchat.jupyter.kernel.output.markdown_sanitizer import safe_markdown
from tests.browser.attacks import ATTACKS
from tests.browser.lab import Lab, Notebook
from tests.openrouter_server import ScriptedOpenRouter, text

pytestmark = pytest.mark.slow


class Watch:
    """A server on the loopback that nobody may ask for anything."""

    def __init__(self) -> None:
        watch = self
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                watch.asked.append(self.path)
                self.send_error(404)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.close()


@pytest.fixture
def notebook(page: Page, lab: Lab) -> Notebook:
    return lab.open(page, f"untrusted-{random.randrange(10**9)}.ipynb", "1")


# What renderers make of Markdown, and no more.
_FOREIGN = """async (texts) => {
    const mime = window.jupyterapp.shell.currentWidget.content.rendermime, found = [];
    const tags = new Set(('H1 H2 H3 H4 H5 H6 P A EM STRONG CODE PRE UL OL LI BLOCKQUOTE HR BR DEL SPAN INPUT'
        + ' TABLE THEAD TBODY TR TH TD').split(' '));
    const attributes = new Set('id href title class type checked disabled align start target rel data-jupyter-id'
        .split(' '));
    for (const [place, text] of texts.entries()) {
        const renderer = mime.createRenderer('text/markdown');
        await renderer.renderModel(mime.createModel({data: {'text/markdown': text}, trusted: true}));
        for (const element of renderer.node.querySelectorAll('*')) {
            if (element.closest('mjx-container')) continue;
            let why = tags.has(element.tagName) ? '' : element.tagName;
            for (const attribute of element.attributes) {
                const colour = attribute.name === 'style' && element.closest('code');
                if (!attributes.has(attribute.name) && !colour) why ||= attribute.name;
            }
            // What is no address leads nowhere.
            const web = /^(https?|mailto|ftp):/.test(element.href || 'http:') || !URL.canParse(element.href);
            if (element.tagName === 'A' && !web) why ||= element.href;
            if (why) { found.push([place, why, renderer.node.innerHTML]); break; }
        }
        renderer.dispose();
    }
    return found;
}"""


def test_attacks_load_nothing_and_run_nothing(notebook: Notebook, watch: Watch) -> None:
    attacks = [attack.format(o=watch.origin) for attack in ATTACKS]
    # The watch does see what it has to see.
    notebook.render([attacks[0]])
    notebook.page.wait_for_timeout(300)
    assert watch.asked
    assert notebook.page.evaluate(_FOREIGN, [attacks[10], attacks[11]])
    watch.asked.clear()

    safe = [safe_markdown(attack) for attack in attacks]
    safe += [safe_markdown(attack[:length]) for attack in attacks for length in range(1, len(attack), 7)]
    assert notebook.page.evaluate(_FOREIGN, safe) == []
    notebook.render([safe_markdown(attack) for attack in attacks])
    notebook.page.wait_for_timeout(500)
    assert watch.asked == []
    assert notebook.page.evaluate("() => window.pwned") is None


def test_an_answer_that_attacks(page: Page, lab: Lab, endpoint: ScriptedOpenRouter, watch: Watch) -> None:
    endpoint.answers(text("\n\n".join(attack.format(o=watch.origin) for attack in ATTACKS)).paced(0.01))
    notebook = lab.open(page, "attack.ipynb", "%load_ext orchat", "%%openrouter\nHi")
    notebook.run(0, 1)
    notebook.wait(1)
    page.wait_for_timeout(500)
    assert watch.asked == []
    assert page.evaluate("() => window.pwned") is None
    assert "onmouseover" not in page.evaluate(
        "() => [...window.jupyterapp.shell.currentWidget.content.widgets[1].outputArea.node.querySelectorAll('*')]"
        ".flatMap((element) => [...element.attributes].map((attribute) => attribute.name))"
    )


_PIECES = [
    *(
        "`",
        "``",
        "```",
        "~~~",
        "~~",
        "~",
        "*",
        "**",
        "_",
        "$",
        "$$",
        "\\",
        "\\\\",
        "\n",
        "\n",
        "\n\n",
        "  ",
        "    ",
        "\t",
    ),
    *("> ", "- ", "1. ", "| ", "|", "\n| a | b |\n|---|---|\n", "[", "](", "](u)", ")", "(", "!", "![", "]: ", "![x]"),
    *(
        '"',
        "'",
        "<",
        ">",
        "<https://a.b/c>",
        "https://a.b/",
        "www.a.b/",
        "a",
        "b ",
        "# ",
        "{",
        "}",
        "@@0@@",
        "@&#64;0@@",
    ),
    *("\\begin{align}", "\\end{align}", "\\\\(", "\\\\)", "\\(", "\\)", "&lt;", "html", "text", "\\!", "\\`", "\\["),
    *("<b onclick='x'>", "<img src='x:'>", "<script>1</script>", "<!--", "-->", "<?", "<![CDATA[", "</", "x<y", "<br>"),
    *(
        "[x]: u 't'\n",
        "![a](x:)",
        "[c](javascript:x)",
        '" onclick=x y="',
        '`" onclick=x y="',
        "[https://a.b]",
        "$https://a$",
        "`<img src='x:'>`",
        "!\\[x\\](x:)",
        "\\[x\\](javascript:x)",
        "\\]",
        "===",
        "- [ ] ",
        "\r",
        "\xa0",
    ),
]


def test_random_texts_give_only_what_markdown_gives(notebook: Notebook) -> None:
    chance = random.Random(20_261)
    texts = ["".join(chance.choices(_PIECES, k=chance.choice((3, 6, 10, 20, 40)))) for _ in range(12_000)]
    assert len(notebook.page.evaluate(_FOREIGN, texts[:300])) > 50  # so they would be dangerous
    assert notebook.page.evaluate(_FOREIGN, [safe_markdown(each) for each in texts]) == []


def test_formulas_and_prices_look_right(notebook: Notebook) -> None:
    shown = notebook.render(
        [
            safe_markdown("It costs $5, not $10; $x^2$ and \\(y_1\\)."),
            safe_markdown("Only $5."),
            safe_markdown("\\$1, \\$2"),
        ]
    )
    assert shown[0].count("<mjx-container") == 2
    assert shown[1].strip() == "<p>Only $5.</p>"
    assert all("<mjx" not in html for html in shown[1:])
    assert shown[0].startswith("<p>It costs <span>$</span>5, not <span>$</span>10; ")
    assert shown[2].strip() == "<p><span>$</span>1, <span>$</span>2</p>"
