"""What a model, a tool or an upstream says runs nothing and fetches nothing in a live view, wherever it is shown."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.attacks import ATTACKS
from tests.browser.driver import PATIENT_DRIVER
from tests.browser.lab import Lab
from tests.browser.test_untrusted import Watch, watch

pytestmark = pytest.mark.slow
__all__ = ["watch"]

_CELL = """
import json
from orchat.chat.reply import Reply
from orchat.messages import ChatMessage, ReasoningContent, ToolCall, ToolCallResult
from orchat.streaming import StreamingChunk, ToolCallDelta
attacks = json.loads(ATTACKS)

def chunks(attack, n):
    source = {"type": "url_citation", "url_citation": {"url": attack, "title": attack}}
    linked = {"type": "url_citation", "url_citation": {"url": f"https://example.org/{n}", "title": attack}}
    picture = {"type": "image_url", "image_url": {"url": attack}}
    call = ToolCall(attack or "t", {attack: attack}, f"call_{n}")
    yield StreamingChunk("", index=0, reasoning=ReasoningContent(attack))
    yield StreamingChunk(attack + "\\n\\nthen\\n\\n", index=1)
    yield StreamingChunk("", index=2, tool_calls=[ToolCallDelta(n, attack, attack, id=f"call_{n}")])
    if n % 3:
        yield StreamingChunk("", index=3, tool_call_result=ToolCallResult(attack, call, error=n % 3 == 1))
    yield StreamingChunk("", {"extras": {"images": [picture], "annotations": [source, linked]}})

async with wake_loop_on_interrupt(), deliver_comms_while_awaiting():
    for n, attack in enumerate(attacks):
        if n % 12 == 0:
            view = LiveView(get_ipython(), on_stop=lambda: None, on_new_cell=lambda code: None)
            view.start(attack)
            assert await view._channel.wait_until_ready()
        for chunk in chunks(attack, n):
            view.add(chunk)
        await asyncio.sleep(0.04)
    await asyncio.sleep(1)
    print("all shown")
    while not done:
        await asyncio.sleep(0.1)
"""

_FOREIGN = """() => {
    const tags = new Set(('H1 H2 H3 H4 H5 H6 P A EM STRONG CODE PRE UL OL LI BLOCKQUOTE HR BR DEL SPAN INPUT TABLE'
        + ' THEAD TBODY TR TH TD SECTION DIV BUTTON DETAILS SUMMARY PROGRESS').split(' '));
    const attributes = new Set(('id href title class type checked disabled align start target rel data-jupyter-id'
        + ' hidden aria-label aria-hidden aria-live aria-busy role tabindex data-status data-address open'
        + ' max value dir').split(' '));
    const found = [];
    for (const element of document.querySelectorAll('.orchat-turn, .orchat-turn *')) {
        if (element.closest('svg.orchat-icon')) continue;
        if (element.closest('mjx-container')) {
            const bad = element.hasAttribute('href') || /^(SCRIPT|IMG|STYLE)$/.test(element.tagName);
            if (bad) found.push(element.outerHTML);
            continue;
        }
        if (!tags.has(element.tagName)) found.push(element.outerHTML.slice(0, 200));
        for (const attribute of element.attributes) {
            if (!attributes.has(attribute.name)) found.push(attribute.name + ' ' + element.outerHTML.slice(0, 200));
        }
        if (element.tagName === 'A' && element.hasAttribute('href')) {
            if (!/^(https?|mailto):/.test(element.href)) found.push(element.outerHTML.slice(0, 200));
            const guarded = element.rel === 'noopener noreferrer' && element.target === '_blank';
            if (!guarded) found.push('rel ' + element.outerHTML);
        }
    }
    return found;
}"""


def test_attacks_in_every_place_of_a_turn(page: Page, lab: Lab, watch: Watch) -> None:
    attacks = [attack.format(o=watch.origin) for attack in ATTACKS]
    assert len(attacks) >= 150
    cell = f"ATTACKS = {json.dumps(attacks)!r}\ndone = False" + _CELL
    notebook = lab.open(page, "view-attacked.ipynb", PATIENT_DRIVER, cell)
    notebook.run(0, 1)
    # `expect` would make a snapshot of the whole page for each look, in case that it fails.
    page.locator(".jp-OutputArea-output", has_text="all shown").wait_for(state="attached")
    expect(page.locator(".orchat-turn")).to_have_count(-(-len(attacks) // 12))
    page.wait_for_timeout(1_000)
    for fold in page.locator(".orchat-turn summary").all()[:40]:
        fold.evaluate("(node) => { node.parentElement.open = true; }")
    page.wait_for_timeout(500)
    assert page.evaluate(_FOREIGN) == []
    assert watch.asked == []
    assert page.evaluate("() => window.pwned") is None
    # A person may ask for an image: then, and only then, it is fetched.
    page.locator(".orchat-load-image").first.click()
    page.wait_for_timeout(500)
    assert watch.asked == ["/i.png"]
