"""What an answer looks like, live and saved, and what is done with its code; in a real JupyterLab and Notebook 7."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import accessibility_violations
from tests.browser.contrast import weak_texts
from tests.browser.driver import PATIENT_LOAD
from tests.browser.lab import POLLING, Lab
from tests.openrouter_server import (
    PNG,
    ScriptedOpenRouter,
    call,
    calls,
    error,
    event,
    finish,
    hold,
    reasoning,
    stream,
    text,
    usage,
)
from tests.patience import wait_until

pytestmark = pytest.mark.slow

RICH = """# Tides

The **Humber** is tidal, see [the tables](https://example.org/a), `it` and $x^2$.

```python
@cache
def high_water(port: str, days: int = 1) -> float:
    # the highest of the days, in metres
    return max([level for level in levels(port) if level > 3.5 and "Hull" != port], default=None)
```

1. Spring tides at *new moon*
2. Neap tides at half moon

| port | level |
|---|---|
| Hull | 4.2 |

## Next

> quoted

- مد وجزر مع `tide`

"""
RICH += "|".join(["", *(f" station {n} " for n in range(40)), "\n"]) + "|---" * 40 + "|\n| 4.2 |\n\nThe end.\n"
TOOL = PATIENT_LOAD + "\ndef tide(port: str) -> str:\n    return '4.2 m, ' * 50"
_PLACES = """(area) => {
    const found = [];
    const top = area.getBoundingClientRect().top;
    const places = 'p, li, pre, td, h1, h2, blockquote, mjx-container, .orchat-code-bar *, .orchat-reasoning > summary,'
        + '.orchat-line-call > summary, .orchat-call-result > summary, .orchat-bar, .orchat-footer > summary';
    for (const element of area.querySelectorAll(places)) {
        if (!element.checkVisibility() || element.closest('.orchat-measuring')) continue;
        const {left, right, height, top: at} = element.getBoundingClientRect();
        const {color, fontFamily, fontSize, fontWeight, backgroundColor} = getComputedStyle(element);
        const isBar = element.matches('.orchat-bar, .orchat-footer *'); // its words are others
        const words = isBar ? '' : element.textContent.replace('¶', '').replace(/\\s+/g, ' ').slice(0, 60);
        const style = isBar ? [] : [color, fontFamily, fontSize, fontWeight, backgroundColor];
        found.push([words, [left, at - top, right, height], style]);
    }
    return {height: area.getBoundingClientRect().height, found};
}"""
_DIRECTIONS = "(node) => [node, node.querySelector('code')].map((each) => getComputedStyle(each).direction)"


def places(area: Locator) -> dict[str, Any]:
    """Where each element of an answer is, and how it looks, once all that came is drawn."""
    looks = [area.evaluate(_PLACES)]

    def is_still() -> bool:
        area.page.wait_for_timeout(200)
        looks.append(area.evaluate(_PLACES))
        return bool(looks[-1] == looks[-2])

    assert wait_until(is_still)
    return dict(looks[-1])


def test_a_live_answer_and_a_saved_one_are_the_same_picture(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    gate = threading.Event()
    words = [event(word) for word in re.findall(r"\S+\s*|\s+", RICH)]
    thinking = reasoning("The person asks for tides. " * 20)
    rest = stream(thinking, *words, hold(gate), finish("stop"), usage())
    endpoint.answers(calls(call("tide", {"port": "Hull"})), rest)
    notebook = front_end.open(page, "look.ipynb", TOOL, "%%openrouter some/model -T tide --approve always\nWhen?")
    notebook.run(0, 1)
    area = page.locator(".jp-Cell .jp-OutputArea").nth(1)
    expect(area.locator(".orchat-copy")).to_have_count(1)
    expect(area.locator(".orchat-items")).to_contain_text("The end.")
    output = area.locator(".jp-OutputArea-output")
    scrolls = "(node) => node.scrollHeight > node.clientHeight || node.scrollWidth > node.clientWidth"
    expect(output).to_have_css("overflow", "auto")
    assert not output.evaluate(scrolls)
    wide = area.locator("table").last
    assert wide.evaluate(scrolls)  # by itself, and no word is broken
    assert wide.locator("th").last.evaluate("(node) => node.clientWidth") > 40
    assert area.locator("li").last.evaluate(_DIRECTIONS) == ["rtl", "ltr"]
    live = places(area)
    assert weak_texts(area) == {}
    gate.set()
    notebook.wait(1)
    expect(area.locator(".orchat-saved .orchat-footer summary")).to_contain_text("in / 3 out")
    page.wait_for_function("() => document.querySelector('.orchat-saved mjx-container')", polling=POLLING)
    saved = places(area)
    assert area.locator("li").last.evaluate(_DIRECTIONS) == ["rtl", "ltr"]
    assert [words for words, *_ in live["found"]] == [words for words, *_ in saved["found"]]
    assert len(live["found"]) >= 20
    for before, after in zip(live["found"], saved["found"], strict=True):
        assert max(abs(one - other) for one, other in zip(before[1], after[1], strict=True)) <= 1, (before, after)
        assert before[2] == after[2], before[0]
    assert abs(saved["height"] - live["height"]) <= 4

    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.change_theme(theme)
        assert weak_texts(area) == {}
    details = area.locator(".orchat-footer")
    expect(details.locator("dl")).to_be_hidden()
    details.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(details.locator("dl")).to_contain_text("SomeProvider")
    assert weak_texts(area) == {}
    violations = accessibility_violations(page, ".orchat-saved")
    assert [each["id"] for each in violations if each["impact"] in ("serious", "critical")] == []


def test_code_of_an_answer_is_copied_inserted_and_replaces_a_cell(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    gate = threading.Event()
    corrected = "So:\n\n```python\ndef half(x):\n    return x / 2\n```\n\nDone."
    endpoint.answers(
        text("Rather:\n\n```python\nx = 1\ny = 3\n```\n"),
        stream(event(corrected), hold(gate), event(" Really."), finish("stop"), usage()),
    )
    cells = [PATIENT_LOAD, "x = 1\ny = 2", "%%openrouter\nBetter?"]
    cells += ["def half(x):\n    return x / 0", "half(3)", "%openrouter fix some/model"]
    notebook = front_end.open(page, "apply.ipynb", *cells)
    notebook.run(0, 2)
    notebook.wait(2)
    saved = page.locator(".orchat-saved")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    saved.locator(".orchat-code").hover()
    saved.get_by_role("button", name="Copy").click()
    expect(saved.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()") == "x = 1\ny = 3"

    editor = page.locator(".jp-Cell .cm-content").nth(1)
    editor.click()
    dialog = page.get_by_role("dialog")
    saved.get_by_role("button", name="Replace the selected cell").click()
    expect(dialog).to_contain_text("Replace a cell that has not run?")
    assert dialog.locator(".orchat-cell-difference > *").all_text_contents() == ["  x = 1\n", "- y = 2\n", "+ y = 3\n"]
    assert weak_texts(dialog.locator(".orchat-cell-difference")) == {}
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(editor).to_contain_text("y = 2")
    saved.get_by_role("button", name="Replace the selected cell").click()
    dialog.get_by_role("button", name="Replace").click()
    expect(editor).to_contain_text("y = 3")
    editor.press("Control+z")
    expect(editor).to_contain_text("y = 2")

    saved.get_by_role("button", name="To a new cell").click()
    assert [cell.source for cell in notebook.save().cells] == [*cells[:3], "x = 1\ny = 3", *cells[3:]]

    # What corrects an error is for the cell that it is in, live and saved, whichever is selected.
    notebook.run(4, 5)
    notebook.wait(5)
    notebook.run(6)
    editor = page.locator(".jp-Cell .cm-content", has_text="def half").first
    page.locator(".orchat-turn").get_by_role("button", name="Replace the failing cell").click()
    expect(dialog).to_contain_text(re.compile(r"Replace cell \[\d+\]\?"))
    assert [line.inner_text().strip() for line in dialog.locator("del, ins").all()] == [
        "-     return x / 0",
        "+     return x / 2",
    ]
    dialog.get_by_role("button", name="Replace").click()
    expect(editor).to_contain_text("x / 2")
    editor.click()
    page.keyboard.press("Control+z")
    expect(editor).to_contain_text("x / 0")
    page.locator(".orchat-turn").get_by_role("button", name="To a new cell").click()  # while it runs
    expect(page.locator(".jp-Cell .cm-content").nth(7)).to_contain_text("x / 2")
    assert notebook.running(6)
    gate.set()
    saved.last.get_by_role("button", name="Replace the failing cell").click()
    dialog.get_by_role("button", name="Replace").click()
    expect(editor).to_contain_text("x / 2")


def test_an_error_is_told_once_and_its_card_has_what_may_help(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(error(404, "No such model."), error(401, "User not found."))
    endpoint.answers(text("The *Humber*.", images=[PNG]))
    notebook = front_end.open(page, "retry.ipynb", PATIENT_LOAD, "%%openrouter some/model\nName a river.")
    notebook.run(0, 1)
    saved = page.locator(".orchat-saved")
    card = saved.locator(".orchat-error-card")
    expect(card).to_contain_text("No such model.")
    expect(card.get_by_role("button")).to_have_text(["Retry", "Choose a model"])
    line = page.locator(".jp-OutputArea-output[data-mime-type*='error'], .jp-RenderedText[data-mime-type*='stderr']")
    expect(line.last).to_have_text("openrouter: this cell failed, as told above")
    card.screenshot(path=str(front_end.work / "error-card.png"))
    assert weak_texts(card) == {}
    card.get_by_role("button", name="Retry").click()
    expect(card).to_contain_text("User not found.")
    expect(card.get_by_role("button")).to_have_text(["Retry", "Set key"])
    card.get_by_role("button", name="Set key").click()
    card.get_by_role("button", name="Retry").click()
    expect(saved.first).to_contain_text("The Humber.")
    expect(card).to_have_count(0)
    footer = saved.locator(".orchat-footer")
    expect(footer).to_have_count(1)  # below the picture, which is an output of its own
    places = [page.locator(".jp-OutputArea-output img"), footer]
    picture, below = (place.bounding_box() for place in places)
    assert picture is not None
    assert below is not None
    assert picture["y"] + picture["height"] <= below["y"]
    assert notebook.save().cells[2].source == "%load_ext orchat\n%openrouter key set"
