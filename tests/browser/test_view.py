"""The live view in a real JupyterLab and a real Notebook 7."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Page, expect

from orchat.jupyter.kernel.cell_storage.value_patch import make_patch
from orchat.jupyter.kernel.live_view.frontend_modules import loader_source, module_sources, stylesheet
from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.messages import ReasoningContent
from orchat.streaming import StreamingChunk
from tests.browser.accessibility import accessibility_violations
from tests.browser.driver import PATIENT_DRIVER, PATIENT_LOAD
from tests.browser.lab import POLLING, Lab, Notebook
from tests.jupyter.kernel import INSTALLED, ROOT, SOON
from tests.openrouter_server import (
    Answer,
    ScriptedOpenRouter,
    call,
    calls,
    endless,
    event,
    finish,
    hold,
    reasoning,
    stream,
    text,
    usage,
)
from tests.patience import PATIENCE, stretched

pytestmark = pytest.mark.slow

MIME = "application/vnd.orchat.v1"
KERNELS = [INSTALLED, "7.3.0", "6.31.0"]
ANSWER = "The river runs down to the *sea*. " * 30
RICH = (
    "# Tides\n\nThe *Humber* has `tides`, see [here](https://example.org/a), [above](#Tides) and $x^2 + y$.\n\n"
    "```python\ndef f(x):\n    return x + 1  # one more\n```\n\n1. one\n2. two\n   - deep\n\n"
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n> quoted\n\n" + "The river runs down to the sea. " * 60
)


def opened(page: Page, lab: Lab, name: str, *cells: str, ipykernel: str = INSTALLED) -> Notebook:
    """A notebook whose first cell can show turns, on a kernel of some version."""
    shown = lab.open(page, name, PATIENT_DRIVER, *cells, ipykernel=ipykernel)
    shown.run(0)
    shown.wait(0)
    assert shown.outputs(0) == []
    return shown


def printed(notebook: Notebook, cell: int) -> str:
    notebook.run(cell)
    notebook.wait(cell)
    return "".join(notebook.outputs(cell)[0]["text"])


def seconds_until(page: Page, condition: Callable[[], bool], longest: float = PATIENCE) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < longest
        page.wait_for_timeout(10)
    return time.monotonic() - started


def test_an_answer_grows_in_a_view_and_ends_static(page: Page, front_end: Lab, endpoint: ScriptedOpenRouter) -> None:
    gate = threading.Event()
    words = [event(word) for word in re.findall(r"\S+\s*|\s+", RICH)]
    endpoint.answers(stream(words[:-20], hold(gate), words[-20:], finish("stop"), usage()).paced(0.02))
    notebook = opened(page, front_end, "grows.ipynb", "reply = await show()")
    notebook.watch(1, "Tides")
    notebook.run(1)
    turn = page.locator(".orchat-turn")
    expect(turn).to_have_count(1)
    for selector in ("h1", "em", "mjx-container", "pre code span", "ol ul li", "td", "blockquote"):
        expect(turn.locator(selector).first).to_be_attached()
    notebook.wait_for_text(1, "The river runs", 50)
    assert notebook.running(1)
    assert len(set(notebook.lengths())) >= 5
    link = turn.locator("a").first
    assert (link.get_attribute("href"), link.get_attribute("rel")) == ("https://example.org/a", "noopener noreferrer")
    above = page.get_by_role("link", name="above", exact=True)
    expect(above).to_have_attribute("href", "#Tides")
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:duplicate-below')")
    expect(turn).to_have_count(2)
    for cell in notebook.save().cells[1:]:  # as it is read if the kernel ends now
        assert "# Tides\n\nThe *Humber* has `tides`" in cell.outputs[0].data["text/markdown"]
    gate.set()
    notebook.wait(1)
    expect(turn).to_have_count(0)
    notebook.wait_for_text(2, "not the whole answer")
    notebook.wait_for_text(2, "The river runs", 50)
    (output,) = notebook.save().cells[1].outputs
    assert set(output.data) == {"text/markdown", "text/plain", MIME}
    assert "widgets" not in nbformat.read(notebook.path, 4).metadata
    notebook.wait_for_text(1, "The river runs", 60)
    assert notebook.text(1).count("The river runs") == 60
    expect(above.first).to_have_attribute("href", "#Tides")  # live and saved alike


@pytest.mark.parametrize("ipykernel", KERNELS)
def test_the_stop_button(page: Page, lab: Lab, endpoint: ScriptedOpenRouter, ipykernel: str) -> None:
    endpoint.answers(endless(ANSWER).paced(0.1))
    cells = ("reply = await show()", "print(reply.ending, repr(reply.text))")
    notebook = opened(page, lab, f"stop-{ipykernel}.ipynb", *cells, ipykernel=ipykernel)
    notebook.run(1, 2)
    expect(page.locator(".orchat-items")).to_contain_text("The river")
    page.locator(".orchat-stop").click()
    seconds = seconds_until(page, lambda: not notebook.running(1))
    assert seconds < stretched(SOON)
    assert endpoint.request.client_closed.wait(PATIENCE)
    notebook.wait(2)  # the cell behind has run: Stop is no error
    ending, _, kept = "".join(notebook.outputs(2)[0]["text"]).partition(" ")
    assert ending == "stopped"
    assert kept.startswith("'The river")
    assert len(kept) < len(ANSWER)
    notebook.wait_for_text(1, "stopped · ")


def test_stop_before_the_first_token(page: Page, front_end: Lab, endpoint: ScriptedOpenRouter) -> None:
    gate = threading.Event()
    endpoint.answers(text(ANSWER).held(gate))
    notebook = opened(page, front_end, "waits.ipynb", "reply = await show()", "print(reply.ending)")
    notebook.run(1)
    expect(page.locator(".orchat-status")).to_have_text(re.compile(r"waiting for some/model … \d+ s"))
    page.locator(".orchat-stop").focus()
    page.keyboard.press("Enter")
    seconds_until(page, lambda: not notebook.running(1))
    gate.set()
    assert printed(notebook, 2) == "stopped\n"


def test_a_second_view_and_a_reloaded_page_show_everything(page: Page, lab: Lab) -> None:
    # On ipykernel 6, which queues what a loaded page asks for. A reload with the installed one: test_collaboration.
    code = """
import threading
from orchat.streaming import StreamingChunk
view = LiveView(get_ipython())
view.start("some/model")
async with wake_loop_on_interrupt(), deliver_comms_while_awaiting():
    for piece in ("One.\\n\\nTwo *t", "wo*.", "\\n\\nThree."):
        view.add(StreamingChunk(piece, index=0))
        await asyncio.sleep(0.1)
    while not done:
        await asyncio.sleep(0.1)
        view.add(StreamingChunk(" more", index=0))
"""
    notebook = opened(page, lab, "twice.ipynb", "done = False" + code, ipykernel="6.31.0")
    notebook.run(1)
    items = page.locator(".orchat-items")
    expect(items).to_contain_text("Three. more")
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:create-output-view')")
    expect(items).to_have_count(2)
    for number in (0, 1):
        expect(items.nth(number)).to_contain_text(re.compile(r"One\.\s*Two two\.\s*Three\. more more"))
    (output,) = notebook.save().cells[1].outputs  # no widget, which nothing shows without its kernel
    assert set(output.data) == {"text/markdown", "text/plain", "application/vnd.orchat.view"}
    page.goto(lab.address(notebook.path))
    expect(items).to_have_count(1)
    expect(items).to_contain_text(re.compile(r"One\.\s*Two two\.\s*Three\. more more"))


SLOW = """
import os
from orchat.jupyter.kernel.live_view import live_view, widget_channel
widget_channel._FIRST_MESSAGE_LIMIT, live_view._FIRST_ANSWER_LIMIT = 2.0, 1.0  # as for everybody
live_view._OTHER_VIEW_LIMIT = 0.0  # a page whose output is gone would be too slow to say that another view stands
_take = widget_channel.WidgetChannel.hand_over
def slow(self, *message):  # a hub on the other side of the world
    def arrive():
        if os.path.exists("arrived"):
            _take(self, *message)
        else:
            self._loop.call_later(0.05, arrive)
    self._loop.call_soon_threadsafe(arrive)
widget_channel.WidgetChannel.hand_over = slow
"""


def sixty_sentences(gate: threading.Event) -> Answer:
    """An answer that grows, and ends when the test wants it."""
    sentence = [event(word) for word in re.findall(r"\S+ ", "The river runs down to the *sea*. ")]
    return stream(sentence * 59, hold(gate), sentence, finish("stop"), usage()).paced(0.005)


def test_where_no_page_answers_plain_updates_serve_and_a_late_view_takes_over(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    gate = threading.Event()
    endpoint.answers(sixty_sentences(gate))
    notebook = opened(page, lab, "late.ipynb", SLOW, "reply = await show()")
    notebook.run(1, 2)
    expect(page.locator(".jp-RenderedMarkdown em").first).to_be_visible()
    assert page.locator(".orchat-turn").count() == 0
    (lab.work / "arrived").touch()
    expect(page.locator(".orchat-turn .orchat-items")).to_contain_text("The river")
    assert page.locator(".jp-OutputArea-output").count() == 1
    gate.set()
    notebook.wait(2)
    seconds_until(page, lambda: notebook.text(2).count("The river") == 60)  # not live and saved at once


def test_under_time_an_answer_is_seen_to_grow_plainly(page: Page, lab: Lab, endpoint: ScriptedOpenRouter) -> None:
    gate = threading.Event()
    endpoint.answers(sixty_sentences(gate))
    code = "%%time\nfrom orchat.private_event_loop import run_in_private_loop\nreply = run_in_private_loop(show)"
    notebook = opened(page, lab, "time.ipynb", code)
    notebook.run(1)
    expect(page.locator(".jp-RenderedMarkdown em").first).to_be_visible()
    assert notebook.running(1)
    gate.set()
    notebook.wait(1)
    seconds_until(page, lambda: notebook.text(1).count("The river") == 60)  # not live and saved at once


def test_a_view_that_missed_something_asks_for_all(page: Page, lab: Lab) -> None:
    code = """
from orchat.streaming import StreamingChunk
view = LiveView(get_ipython())
view.start("some/model")
async with wake_loop_on_interrupt(), deliver_comms_while_awaiting():
    assert await view._channel.wait_until_ready()
    view.add(StreamingChunk("High water.\\n\\n" * 220, index=0))
    for number in range(6):
        view.add(StreamingChunk(f"{number} and ", index=0))
        if number == 3:  # as if the server had dropped it
            view._channel._view_model.pending()
            view._channel._batch_number += 1
        await asyncio.sleep(0.2)
    await asyncio.sleep(1)
"""
    notebook = opened(page, lab, "missed.ipynb", code)
    notebook.run(1)
    items = page.locator(".orchat-items")
    expect(items).to_contain_text("0 and 1 and 2 and 3 and 4 and 5")
    assert (items.text_content() or "").count("High water.") == 220
    expect(items.locator(".orchat-distant p")).to_have_count(150)  # of four whole groups the first three


def test_reasoning_folds_and_code_goes_to_the_clipboard_and_to_a_cell(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    gate = threading.Event()
    said = [reasoning("Let me see. "), reasoning("It is high."), event("```python\nx = 1\n"), event("```\n\nThat")]
    endpoint.answers(stream(*said, hold(gate), event(" is it."), finish("stop"), usage()))
    notebook = opened(page, lab, "code.ipynb", "reply = await show()", "print(cells)")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    notebook.run(1)
    fold = page.locator(".orchat-reasoning")
    expect(fold.locator("summary")).to_contain_text("Reasoning (23 characters)")
    expect(fold.locator(".orchat-reasoning-text")).to_be_hidden()
    fold.locator("summary").click()
    expect(fold.locator(".orchat-reasoning-text")).to_have_text("Let me see. It is high.")
    page.evaluate(
        """() => {
            const button = document.querySelector('.orchat-copy');
            window.said = new Promise((resolve) => new MutationObserver(() => resolve(button.title)).observe(
                button, {attributes: true}));
        }"""
    )
    page.locator(".orchat-copy").click()
    assert page.evaluate("() => window.said") == "Copied"
    assert page.evaluate("() => navigator.clipboard.readText()").strip() == "x = 1"
    page.locator(".orchat-to-cell").click()
    expect(page.locator(".orchat-live-region")).to_contain_text("Copied")
    gate.set()
    notebook.wait(1)
    assert printed(notebook, 2) == "['x = 1']\n"


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_it_is_accessible(page: Page, lab: Lab, endpoint: ScriptedOpenRouter, theme: str) -> None:
    gate = threading.Event()
    endpoint.answers(stream(reasoning("Hm."), event(RICH), hold(gate), finish("stop"), usage()))
    notebook = opened(page, lab, f"axe-{theme[-4:]}.ipynb", "reply = await show()")
    notebook.change_theme(theme)
    notebook.run(1)
    expect(page.locator(".orchat-items")).to_contain_text("quoted")
    expect(page.locator(".orchat-turn mjx-container")).to_be_attached()
    page.wait_for_timeout(300)
    page.locator(".orchat-turn").screenshot(path=str(lab.work / f"view-{theme[-5:].strip()}.png"))
    assert serious(page, ".orchat-turn") == []
    gate.set()
    notebook.wait(1)
    page.wait_for_timeout(300)
    assert serious(page, ".jp-CodeCell:nth-of-type(2) .jp-OutputArea-output") == []


def serious(page: Page, selector: str) -> list[str]:
    """What axe-core finds that is serious or worse."""
    found = accessibility_violations(page, selector)
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_sentences_are_announced_in_batches(page: Page, lab: Lab, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("One sentence here. " * 200).paced(0.03))
    notebook = opened(page, lab, "log.ipynb", "reply = await show()")
    notebook.run(1)
    log = page.locator(".orchat-live-region")
    expect(log).to_contain_text("One sentence here. One")
    assert (log.get_attribute("role"), log.get_attribute("aria-live")) == ("log", "polite")
    page.evaluate(
        """() => {
            window.said = [];
            new MutationObserver((changes) => window.said.push(...changes.flatMap((each) =>
                [...each.addedNodes].map((node) => [performance.now(), node.textContent])))).observe(
                    document.querySelector('.orchat-live-region'), {childList: true});
        }"""
    )
    page.wait_for_function("() => window.said.length > 2", polling=POLLING)
    said = page.evaluate("() => window.said")
    assert all(after - before > 1_200 for (before, _), (after, _) in pairwise(said))  # milliseconds
    assert all(each.startswith("One sentence") and each.endswith("here.") for _, each in said)


TIDE = """
from orchat import tool
@tool
def tide(port: str, days: int = 1) -> str:
    "Tell the tide."
    return f"4.2 m at {port} for {days}"
"""


def asking(endpoint: ScriptedOpenRouter, times: int = 1) -> None:
    """Answer with a call of `TIDE`'s tool, and then with words; so many times."""
    called = calls(call("tide", {"port": "Hull"}))
    endpoint.answers(*[called, text("It is high.")] * times)


def results(endpoint: ScriptedOpenRouter) -> list[str]:
    """What the model was told by tools in the last request."""
    return [each["content"] for each in endpoint.request.json["messages"] if each["role"] == "tool"]


@pytest.mark.parametrize("ipykernel", KERNELS)
def test_a_person_lets_a_call_run(page: Page, lab: Lab, endpoint: ScriptedOpenRouter, ipykernel: str) -> None:
    asking(endpoint)
    cell = "reply = await show(tools=[tide])"
    notebook = opened(page, lab, f"ask-{ipykernel}.ipynb", TIDE, cell, "print(reply.ending)", ipykernel=ipykernel)
    notebook.run(1, 2)
    form = page.locator(".orchat-call-form")
    form.get_by_role("button", name="Approve").click()
    notebook.wait(2)
    assert results(endpoint) == ["4.2 m at Hull for 1"]
    assert printed(notebook, 3) == "finished\n"


@pytest.mark.parametrize("ipykernel", KERNELS)
def test_the_interrupt_while_a_form_is_open(page: Page, lab: Lab, endpoint: ScriptedOpenRouter, ipykernel: str) -> None:
    endpoint.answers(calls(call("tide", {"port": "Hull"})))
    before = len(endpoint.requests)
    cell = "try:\n    reply = await show(tools=[tide])\nexcept asyncio.CancelledError:\n    print('gone')"
    notebook = opened(page, lab, f"held-{ipykernel}.ipynb", TIDE, cell, ipykernel=ipykernel)
    notebook.run(1, 2)
    expect(page.locator(".orchat-call-form").get_by_role("button", name="Approve")).to_be_visible()
    assert notebook.interrupt(2, "gone") < stretched(SOON)
    notebook.wait(2)
    expect(page.locator(".orchat-call-form")).to_have_count(0)
    assert len(endpoint.requests) == before + 1


_CLEAR = """(cell) => {
    window.cleared = document.querySelector('.orchat-form');
    window.jupyterapp.shell.currentWidget.content.activeCellIndex = cell;
    return window.jupyterapp.commands.execute('notebook:clear-cell-output');
}"""


def test_a_form_whose_output_is_cleared_is_shown_again_as_it_was_edited(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    asking(endpoint)
    question = "%%openrouter -T tide\nHow high is it?"
    notebook = front_end.open(page, "cleared-form.ipynb", PATIENT_LOAD + TIDE, question)
    notebook.run(0, 1)
    form = page.locator(".orchat-form")
    days = form.get_by_label("days", exact=True)
    form.get_by_text("Not given:").click()
    form.get_by_label("give it: days").check()
    days.fill("1.5")
    wrong = form.get_by_text("1.5 is not of type")
    for _ in range(2):
        expect(wrong).to_be_visible()  # what is typed has arrived in the kernel
        page.evaluate(_CLEAR, 1)
        page.wait_for_function(
            "() => ![null, window.cleared].includes(document.querySelector('.orchat-form'))", polling=POLLING
        )
        expect(days).to_have_value("1.5")
    expect(form.locator(".orchat-form-difference")).to_contain_text("days")
    days.fill("2")
    form.get_by_role("button", name="Approve edited").click()
    notebook.wait(1)
    assert results(endpoint)[0].endswith("4.2 m at Hull for 2")
    (output,) = notebook.outputs(1)
    assert "It is high." in output["data"]["text/markdown"]
    assert notebook.save().cells[1].metadata["orchat"]["turns"]


def test_rejecting_and_always_and_taking_that_back(page: Page, lab: Lab, endpoint: ScriptedOpenRouter) -> None:
    asking(endpoint, 4)
    cells = ["reply = await show(tools=[tide])"] * 4
    notebook = opened(page, lab, "always.ipynb", TIDE, *cells, "print(list(view._approvals._grants))")
    form = page.locator(".orchat-call-form")
    notebook.run(1, 2)
    form.get_by_role("button", name="Reject").first.click()
    if form.get_by_role("button", name="Reject").count():  # it may first ask for the reason
        form.get_by_role("button", name="Reject").last.click()
    notebook.wait(2)
    assert "4.2 m" not in results(endpoint)[0]
    notebook.run(3)
    form.get_by_role("button", name="Always for this tool").click()
    notebook.wait(3)
    assert results(endpoint) == ["4.2 m at Hull for 1"]
    notebook.run(4)
    notebook.wait(4)  # nobody was asked
    assert printed(notebook, 6) == "['tide']\n"
    notebook.run(1)
    notebook.wait(1)  # the tool is made anew: another one
    notebook.run(5)
    expect(form.get_by_role("button", name="Approve")).to_be_visible()


def test_the_twins_in_python_and_javascript_agree(page: Page) -> None:
    chance = random.Random(20_261)
    words = ["The ", "sea\U0001f30a ", "*a* ", "\n\n", "`x` ", "- one\n", "```py\n", "```\n", "é", "<b> ", "$x$ "]
    sequences = []
    for _ in range(200):
        feed, events = TurnViewModel(), []
        feed.start("some/model")
        for _ in range(30):
            word = chance.choice(words)
            thought = chance.random() < 0.2
            chunk = StreamingChunk("", index=0, reasoning=ReasoningContent(word)) if thought else StreamingChunk(word)
            feed.add(chunk)
            if chance.random() < 0.4:
                events.append(feed.pending())
        events.append(feed.pending())
        sequences.append((events, feed.snapshot(html=False)["items"]))
    page.goto("about:blank")
    source = next(text for name, text in module_sources("view/view") if name == "view/view_reducer.js")
    reduced = page.evaluate(
        """async ([source, sequences]) => {
            const url = URL.createObjectURL(new Blob([source], {type: 'text/javascript'}));
            const {initialState, reduceEvents} = await import(url);
            return sequences.map((batches) => batches.reduce(reduceEvents, initialState()).items);
        }""",
        [source, [events for events, _ in sequences]],
    )
    assert reduced == [items for _, items in sequences]

    def conversation() -> dict[str, Any]:
        said = [{"text": word} for word in chance.choices([*words[:4], True, 1], k=chance.randint(0, 6))]
        fields = {"chat": said, "__proto__": {"said": said[2:]}, "model": chance.choice([True, 1]), "draft": None}
        return {name: value for name, value in fields.items() if chance.random() < 0.8}

    pairs = [(conversation(), conversation()) for _ in range(200)]
    patched = page.evaluate(
        """async ([source, text]) => {
            const url = URL.createObjectURL(new Blob([source], {type: 'text/javascript'}));
            const {applyPatch} = await import(url);
            return JSON.stringify(JSON.parse(text).map(([old, patch]) => applyPatch(old, patch)));
        }""",
        [_VALUE_PATCH.read_text(), json.dumps([(old, make_patch(old, new)) for old, new in pairs])],
    )
    made = json.loads(patched)
    assert json.dumps(made, sort_keys=True) == json.dumps([new for _, new in pairs], sort_keys=True)


_VALUE_PATCH = ROOT / "orchat" / "jupyter" / "frontend" / "extension" / "static" / "value_patch.js"
_FRONT_END = """async ([loader, modules, css, state]) => {
    const heard = [];
    const model = {
        send(message) {
            heard.push(message.t);
            const answer = message.t === 'code?' ? {t: 'code', modules, css} : {t: 'full', n: 0, state};
            setTimeout(() => listeners.forEach((listen) => listen(answer)));
        },
        on: (name, listen) => listeners.add(listen),
        off: (name, listen) => listeners.delete(listen),
    };
    const listeners = new Set();
    const el = document.createElement('div');
    document.body.replaceChildren(el);
    const module = await import(URL.createObjectURL(new Blob([loader], {type: 'text/javascript'})));
    await module.default.render({model, el});
    await new Promise((done) => setTimeout(done, 400));
    return [heard, el.querySelector('.orchat-items').innerHTML];
}"""


def test_a_front_end_that_lends_no_renderer(page: Page) -> None:
    page.goto("about:blank")
    feed = TurnViewModel()
    feed.start("some/model")
    feed.add(StreamingChunk(RICH, index=0))
    state = feed.snapshot(html=True)
    modules = [list(each) for each in module_sources("view/view")]
    heard, html = page.evaluate(_FRONT_END, [loader_source("view/view"), modules, stylesheet(), state])
    assert heard == ["code?", "ready"]
    assert '<span class="pyg-k">def</span>' in html
    assert '<h1 dir="auto">Tides</h1>' in html
    assert '<a href="https://example.org/a" target="_blank" rel="noopener noreferrer">here</a>' in html
    item = state["items"][0]
    hostile = (
        "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script><p onclick='window.pwned=1' "
        "style='position:fixed' class='jp-x'>a<svg><a href='javascript:1'>b</a></svg></p>"
        "<a href='javascript:window.pwned=1'>c</a>"
        "<iframe src='https://example.org'></iframe><style>*{display:none}</style><form><input name=x></form>"
    )
    state["items"] = [{**item, "blocks": [{"md": "", "html": hostile}], "tail": "", "html": ""}]
    _, html = page.evaluate(_FRONT_END, [loader_source("view/view"), modules, stylesheet(), state])
    assert '<div class="orchat-block"><p dir="auto">a</p><a>c</a></div>' in html
    assert page.evaluate("() => window.pwned") is None
