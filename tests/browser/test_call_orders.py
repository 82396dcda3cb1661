"""In hundreds of random orders of an endpoint's calls: what stood on the screen at the click is what ran."""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import KEY
from tests.browser.driver import PATIENT_DRIVER
from tests.browser.lab import Lab, Notebook
from tests.browser.test_panel import opened as panel_opened
from tests.browser.test_view import printed
from tests.jupyter.kernel import Kernel
from tests.jupyter.panel_page import Page as PlayedPage
from tests.openrouter_server import Answer, ScriptedOpenRouter, event, finish, fragment, pause, stream, text
from tests.openrouter_server.request import Request
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

TOOLS = """
import orchat
from orchat import ChatPanel, Tool
from orchat.jupyter.kernel.live_view.tool_grants import KERNEL_GRANTS
ran = []
def made(name):
    def run(port):
        ran.append([name, port])
        return f"{name} at {port}"
    schema = {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]}
    return Tool(name, "Do something.", schema, run, title="Look it up")
tools = [made(name) for name in ("tide", "wipe", "sink")]
"""


@dataclass(frozen=True)
class Wanted:
    """A call that an endpoint makes, and whether it could run."""

    name: str
    port: str
    pieces: tuple[dict[str, Any], ...]
    runs: bool = True


class Orders:
    """What an endpoint answers to "turn N": responses of calls, whose pieces come in a random order.

    Parameters
    ----------
    seed
        Makes it the same each time.
    count
        How many turns there are.
    """

    def __init__(self, seed: int, count: int) -> None:
        self.chance = random.Random(seed)
        self.turns = [
            [self._response(f"{turn}.{number}") for number in range(self.chance.randint(1, 3))] for turn in range(count)
        ]

    @property
    def wanted(self) -> Iterator[Wanted]:
        """All calls."""
        for responses in self.turns:
            for made, _ in responses:
                yield from made

    def answer(self, request: Request) -> Answer:
        messages = request.json["messages"]
        asked = max(at for at, message in enumerate(messages) if message["role"] == "user")
        said = sum(message["role"] == "assistant" for message in messages[asked:])
        responses = self.turns[int(re.findall(r"turn (\d+)", str(messages[asked]["content"]))[0])]
        return text("Done.") if said >= len(responses) else responses[said][1]

    def _response(self, name: str) -> tuple[list[Wanted], Answer]:
        chance = self.chance
        ids = chance.choice(["one for all", "numbered", "none", "late", "changing"])
        count = chance.choice([1, 1, 2, 3])
        made = [self._call(f"{name}.{number}", number, ids) for number in range(count)]
        left = [list(each.pieces) for each in made]
        pieces = [event("Well.")] if chance.random() < 0.3 else []
        while any(left):
            several = [each.pop(0) for each in left if each and chance.random() < 0.5]
            if several and chance.random() < 0.2:
                pieces.append(event(None, tool_calls=several))
            else:
                pieces += [event(None, tool_calls=[each]) for each in several]
            if chance.random() < 0.12:
                pieces.append(pause(0.05))  # now what has come so far is drawn
        return made, stream(*pieces, finish("tool_calls"))

    def _call(self, port: str, index: int, ids: str) -> Wanted:
        chance = self.chance
        kind = chance.choice(["good"] * 8 + ["misfit", "malformed", "unknown", "nameless"])
        name = {"unknown": "launch", "nameless": ""}.get(kind, chance.choice(["tide", "wipe", "sink"]))
        whole = json.dumps({"port": [port]} if kind == "misfit" else {"port": port})
        whole = whole[:-2] if kind == "malformed" else whole
        cuts = sorted(chance.sample(range(1, len(whole)), chance.randint(0, 3)))
        texts = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        named = chance.choice([0, 0, 0, 1, len(texts) - 1]) % len(texts)
        pieces = []
        for at, piece in enumerate(texts):
            given: dict[str, Any] = {}
            if at == named and name:
                given["name"] = name
            if ids == "one for all" and at == 0:
                given["id"] = "call_0"
            elif (ids == "numbered" and at == 0) or (ids == "late" and at == len(texts) - 1):
                given["id"] = f"call_{index}"
            elif ids == "changing":
                given["id"] = f"call_{index}_{at}"
            pieces.append(fragment(arguments=piece, index=index, **given))
        return Wanted(
            name, port, tuple(pieces), kind in ("good", "malformed")
        )  # what is cut off at its end may be mended


_PERSON = """(seed) => {
    window.pressed = [];
    const seen = new WeakSet();
    const chance = () => {  // mulberry32
        let next = (seed += 0x6d2b79f5);
        next = Math.imul(next ^ (next >>> 15), next | 1);
        next ^= next + Math.imul(next ^ (next >>> 7), next | 61);
        return ((next ^ (next >>> 14)) >>> 0) / 4294967296;
    };
    const press = (form, button, decision) => {
        const call = form.closest('.orchat-call');
        const port = form.querySelector('.orchat-form-fields input, .orchat-form-fields textarea');
        window.pressed.push({
            decision,
            name: call.querySelector('.orchat-call-name').textContent,
            label: call.getAttribute('aria-label'),
            form: form.getAttribute('aria-label'),
            button: button.getAttribute('aria-label'),
            title: form.querySelector('.orchat-form-title:not([hidden])')?.textContent,
            notice: form.querySelector('.orchat-form-notice').textContent,
            port: port.value,
        });
        button.click();
    };
    const decide = (form) => {
        const approve = form.querySelector('.orchat-approve');
        if (form.classList.contains('orchat-form-locked')) {
            if (chance() < 0.3) approve.click();  // somebody is too quick: nothing must come of that
            return;
        }
        seen.add(form);
        const errors = form.querySelector('[aria-invalid="true"], .orchat-form-errors:not([hidden])');
        const wrong = approve.disabled || errors;
        const said = chance();
        if (wrong || said < 0.2) {
            form.querySelector('.orchat-reject').click();
            press(form, form.querySelector('.orchat-send'), 'reject');
        } else if (said < 0.3) {
            press(form, form.querySelector('.orchat-always'), 'always');
        } else if (said < 0.4) {
            const port = form.querySelector('.orchat-form-fields input, .orchat-form-fields textarea');
            port.value += '!';
            port.dispatchEvent(new Event('input', {bubbles: true}));
            press(form, approve, 'edited');
        } else press(form, approve, 'approve');
    };
    const look = () => {
        for (const form of document.querySelectorAll('.orchat-form')) if (!seen.has(form)) decide(form);
    };
    window.person = new MutationObserver(look);
    window.person.observe(
        document.body, {subtree: true, childList: true, attributeFilter: ["class", "disabled"]});
}"""
_BATCH = 5  # turns at a time
_SOME = 10  # turns of a cell, or of a chat: JupyterLab shows fifty outputs of a cell
_CELLS = f"""
async def turn(n):
    chat = orchat.Chat("some/model", tools=tools, show=False)
    shown = Showing(LiveView(get_ipython(), on_stop=chat.stop), "some/model")
    return await AsyncChatStream(chat, f"turn {{n}}", {{}}, shown).drain()

async def turns(begin, end):
    async with wake_loop_on_interrupt(), deliver_comms_while_awaiting():
        for first in range(begin, end, {_BATCH}):
            await asyncio.gather(*(turn(n) for n in range(first, first + {_BATCH})))
            for name in list(KERNEL_GRANTS):
                KERNEL_GRANTS.revoke(name)
"""
_PANEL = f"""
panel = ChatPanel('some/model', tools=tools)
numbers = iter(range(1_000))
async def some():  # a chat of its own, for a long one makes each request long
    if panel.messages:
        panel.new_chat()
    for _ in range({_SOME}):
        await panel.send(f"turn {{next(numbers)}}")
        for name in list(KERNEL_GRANTS):
            KERNEL_GRANTS.revoke(name)
panel
"""
_UNFINISHED = ".orchat-panel .orchat-call:is([data-status='asking'], [data-status='running'])"
_BOXES = """() => [...document.querySelectorAll('.orchat-panel .orchat-call')].map((call) => [
    call.querySelector('.orchat-call-name').textContent,
    call.dataset.status,
    call.querySelector('.orchat-call-arguments').textContent,
    call.querySelector('.orchat-call-result-text').textContent,
])"""


def pressed_in(page: Page) -> list[dict[str, Any]]:
    """What stood on the screen at each click; each part of it names the same tool."""
    pressed: list[dict[str, Any]] = page.evaluate("() => (window.person.disconnect(), window.pressed)")
    for each in pressed:
        name = each["name"]
        verb = {"reject": "Reject ", "always": "Always for this tool: ", "edited": "Approve edited "}
        assert each["label"] == f"Tool call {name}"
        assert each["form"].endswith(f": {name}")
        assert each["button"] == verb.get(each["decision"], "Approve ") + name, each
        assert (each["title"], each["notice"]) == ("Look it up", "")
    return pressed


def check_pressed(pressed: list[dict[str, Any]], orders: Orders, ran: list[list[str]], batch: int) -> None:
    """Compare what stood on the screen at each click with what ran."""
    names = {each.port: each.name for each in orders.wanted if each.runs}
    approved, granted = Counter(), set()
    for each in pressed:
        name, port = each["name"], each["port"]
        if each["decision"] == "reject":
            continue
        assert names[port.removesuffix("!")] == name
        approved[name, port] += 1
        if each["decision"] == "always":
            granted.add((name, int(port.split(".")[0]) // batch))
    assert len(approved) > len(orders.turns)
    assert max(approved.values()) == 1
    found = Counter((name, port) for name, port in ran)
    assert not approved - found  # what was approved ran
    for name, port in found - approved:  # and else only what was said to run without asking
        assert (name, int(port.split(".")[0]) // batch) in granted
        assert names[port] == name
    assert max(found.values()) == 1
    assert Counter(each["decision"] for each in pressed).keys() == {"approve", "edited", "always", "reject"}


def texts(notebook: Notebook, cell: int) -> list[str]:
    """The texts of a cell's outputs: each is whole when the cell has ended."""
    return ["".join(output["data"]["text/plain"]) for output in notebook.outputs(cell)]


def test_in_a_hundred_orders_what_is_shown_in_a_cell_is_what_runs(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    orders = Orders(1, 100)
    endpoint.always(orders.answer)
    some = [f"await turns({first}, {first + _SOME})" for first in range(0, 100, _SOME)]
    notebook = lab.open(
        page, "orders.ipynb", PATIENT_DRIVER + TOOLS + _CELLS, "import json; print(json.dumps(ran))", *some
    )
    notebook.run(0)
    notebook.wait(0)
    page.evaluate(_PERSON, 1)
    said: Counter[str] = Counter()
    for cell in range(2, 2 + len(some)):
        notebook.run(cell)
        notebook.wait(cell)
        said.update(line for output in texts(notebook, cell) for line in output.splitlines())
    ran = json.loads(printed(notebook, 1))
    check_pressed(pressed_in(page), orders, ran, _BATCH)
    for name, port in ran:  # each result stands with its call
        edited = " (edited)" if port.endswith("!") else ""
        assert said[f'{name}{edited}(port="{port}") → {name} at {port}'] == 1


_CHANGED = "This form had changed in the meantime. Nothing has run: look at it again, and decide."


class Person:
    """Who decides in the forms of a page that is played by hand, as `_PERSON` does in a real one.

    Parameters
    ----------
    page
        Where the forms are shown.
    seed
        Makes the decisions the same each time, if the forms come in the same order.
    """

    def __init__(self, page: PlayedPage, seed: int) -> None:
        self.pressed: list[dict[str, Any]] = []
        self._page, self._chance = page, random.Random(seed)
        self._seen: set[tuple[int, int, str]] = set()
        self._decided: dict[tuple[int, int], dict[str, Any]] = {}
        self._last = ""

    def look(self) -> None:
        """Decide in each form that is new."""
        for turn in self._page.turns:
            for at, item in enumerate(turn["s"]["items"]):
                if item.get("form"):
                    self._decide(item, {"t": "decide", "k": turn["k"], "i": at})

    def _decide(self, item: dict[str, Any], said: dict[str, Any]) -> None:
        form = item["form"]
        said["revision"] = form.get("revision", self._last)
        form_shown = (said["k"], said["i"], said["revision"])
        if form_shown in self._seen:
            return
        self._seen.add(form_shown)
        if "revision" not in form:  # locked
            if self._chance.random() < 0.3:
                self._page.send({**said, "decision": "approve"})  # too quick: nothing must come of that but a notice
            return
        self._last = said["revision"]
        port = "" if form["error"] else json.loads(form["fields"][0]["text"])
        chance, decision = self._chance.random(), "approve"
        if form["error"] or item["errors"] or chance < 0.2:
            decision = "reject"
        elif chance < 0.3:
            decision = "always"
        elif chance < 0.4:
            decision, port = "edited", port + "!"
            said["arguments"] = {"json": json.dumps({"port": port})}
        assert (form["name"], form["title"]) == (item["name"], "Look it up")
        assert form["notice"] in ("", _CHANGED)
        if refused := self._decided.get(form_shown[:2]):  # the form had changed before the kernel heard of it
            refused["decision"] = "reject"
        self._decided[form_shown[:2]] = {"name": form["name"], "port": port, "decision": decision}
        self.pressed.append(self._decided[form_shown[:2]])
        self._page.send({**said, "decision": decision})


def check_boxes(boxes: list[list[str]], ran: list[list[str]]) -> None:
    """Compare the boxes of calls with what ran: one call is one box, with its own result."""
    shown = Counter(made for _, _, made, _ in boxes)
    for name, status, made, came in boxes:
        if status == "done":
            port = came.rpartition(" at ")[2]
            assert [name, port] in ran
            assert came.endswith(f"{name} at {port}")
            assert made == f'{name}(port="{port.removesuffix("!")}")'
    assert sum(status == "done" for _, status, _, _ in boxes) == len(ran)
    for name, port in ran:
        assert shown[f'{name}(port="{port.removesuffix("!")}")'] == 1


def test_in_a_hundred_orders_what_a_panel_is_told_to_show_is_what_runs(openrouter: ScriptedOpenRouter) -> None:
    orders = Orders(2, 100)
    openrouter.always(orders.answer)
    with Kernel({"OPENROUTER_BASE_URL": openrouter.base_url, "OPENROUTER_API_KEY": KEY}) as kernel:
        page = PlayedPage(kernel, "panel", extended=False)
        page.run(TOOLS + _PANEL)
        person, boxes = Person(page, 2), []
        for _ in range(0, 100, _SOME):
            page.printed = ""
            request = page.begin("await some(); print('all answered')")
            deadline = time.monotonic() + 5 * PATIENCE
            while "all answered" not in page.printed:
                assert time.monotonic() < deadline, page.state
                page.listen(0.02)
                person.look()
            page.wait(request)
            page.idle()
            items = [item for turn in page.turns for item in turn["s"]["items"] if item["kind"] == "call"]
            boxes += [[item["name"], item["status"], item["text"], item.get("result", "")] for item in items]
        (told,) = kernel.run("import json; print(json.dumps(ran))")
        ran = json.loads(told.printed)
    check_pressed(person.pressed, orders, ran, 1)
    check_boxes(boxes, ran)


def test_in_thirty_orders_what_is_shown_in_a_panel_is_what_runs(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    # The hundred are for the test above, for a seventh of the work: here is what the page makes of what it is told.
    orders = Orders(2, 30)
    endpoint.always(orders.answer)
    cells = (TOOLS + _PANEL, "await some()", "import json; print(json.dumps(ran))")
    notebook, _ = panel_opened(page, lab, "orders-panel.ipynb", *cells)
    page.evaluate(_PERSON, 2)
    boxes = []
    for _ in range(0, 30, _SOME):
        notebook.run(1)
        notebook.wait(1)
        expect(page.locator(_UNFINISHED)).to_have_count(0)
        boxes += page.evaluate(_BOXES)
    ran = json.loads(printed(notebook, 2))
    check_pressed(pressed_in(page), orders, ran, 1)
    check_boxes(boxes, ran)
