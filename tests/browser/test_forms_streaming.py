"""Forms of tool calls while their arguments are written, in a real browser: there, growing, and locked."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import POLLING, Lab
from tests.browser.test_panel import ask
from tests.browser.test_view import opened, printed, results, serious
from tests.jupyter.kernel import SOON
from tests.openrouter_server import ScriptedOpenRouter, finish, hold, pause, stream, text, tool_call, usage
from tests.patience import stretched

pytestmark = pytest.mark.slow

LAUNCH = """
from typing import Literal
from orchat import tool
ran = []
@tool
def launch(code: str, season: Literal["spring", "summer"], times: int = 1, dry: bool = False) -> str:
    "Launch a ship with a program."
    ran.append((code, season, times, dry))
    return "launched"
"""
SHOW = "reply = await show(tools=[launch])"
CODE = "".join(f"sea.step({number})  # one step\n" for number in range(40))
GIVEN = {"code": CODE, "season": "summer", "times": 2, "dry": True}


class Writing:
    """A call whose arguments arrive in two halves, each piece by piece; the second when the test wants it.

    With ``quarter`` the second quarter waits for that, too. The first half is ``first``.
    """

    def __init__(
        self,
        endpoint: ScriptedOpenRouter,
        arguments: str = json.dumps(GIVEN),
        *after: Any,
        quarter: threading.Event | None = None,
    ) -> None:
        self.gate = threading.Event()
        self.first = arguments[: len(arguments) // 80 * 40]
        pieces: list[Any] = [tool_call("launch", "", id="call_1"), pause(0.5)]
        for start in range(0, len(arguments), 40):
            if start == len(self.first):
                pieces.append(hold(self.gate))
            if quarter and start == len(self.first) // 80 * 40:
                pieces.append(hold(quarter))
            pieces += [tool_call(arguments=arguments[start : start + 40]), pause(0.02)]
        endpoint.answers(stream(*pieces, finish("tool_calls"), usage()), *after)


def is_locked(form: Locator) -> bool:
    """Whether nothing in a form can be changed or decided."""
    return bool(
        form.evaluate(
            """(form) => [...form.querySelectorAll('input, textarea, select, button')].every(
                (each) => each.disabled || (each.readOnly && each.type !== 'checkbox'))"""
        )
    )


def test_a_form_is_there_before_the_call_is_complete_and_unlocks_in_place(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    quarter = threading.Event()
    writing = Writing(endpoint, json.dumps(GIVEN), text("It sails."), quarter=quarter)
    notebook = opened(page, front_end, "written.ipynb", LAUNCH, SHOW, f"print(ran == [{tuple(GIVEN.values())!r}])")
    notebook.run(1, 2)
    form = page.locator(".orchat-form")
    code = form.get_by_label("code", exact=True)
    expect(code).to_be_visible()
    expect(page.locator(".orchat-call-status")).to_have_text("being written")
    expect(page.locator(".orchat-call-arguments")).to_be_hidden()
    expect(form).to_have_attribute("aria-busy", "true")
    expect(form).to_have_accessible_description("It is still being written.")
    expect(code).to_have_value(re.compile("^sea"))
    before = len(code.input_value())
    quarter.set()
    page.wait_for_function(
        "(length) => document.querySelector('.orchat-form textarea').value.length > length", arg=before, polling=POLLING
    )
    assert is_locked(form)
    approve = form.locator(".orchat-approve")
    expect(approve).to_be_disabled()
    approve.click(force=True)
    code.focus()
    page.keyboard.type("x")
    page.keyboard.press("Enter")
    # Where a person reads and what they have selected stays theirs, once all of the first half is there.
    expect(code).to_have_value(json.loads(writing.first.rstrip("\\") + '"}')["code"])
    code.evaluate("(field) => { field.scrollTop = 20; field.setSelectionRange(3, 9); window.before = field; }")
    top = form.bounding_box()
    writing.gate.set()
    expect(approve).to_be_enabled()
    expect(page.locator(".orchat-call-status")).to_have_text("asks")
    expect(code).to_have_value(CODE)
    expect(code).to_be_focused()
    assert code.evaluate("(f) => [f === window.before, f.scrollTop, f.selectionStart, f.selectionEnd, f.readOnly]") == [
        True,
        20,
        3,
        9,
        False,
    ]
    after = form.bounding_box()
    assert top is not None
    assert after is not None
    assert (after["x"], after["y"]) == (top["x"], top["y"])
    expect(form.get_by_label("season", exact=True)).to_have_value('"summer"')
    expect(form.get_by_label("times", exact=True)).to_have_value("2")
    expect(form.get_by_label("dry", exact=True)).to_be_checked()
    expect(approve).to_have_text("Approve")
    approve.click()
    notebook.wait(2)
    assert printed(notebook, 3) == "True\n"


def test_what_is_typed_into_a_form_that_unlocks_is_no_shortcut(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    writing = Writing(endpoint, json.dumps(GIVEN), text("It sails."))
    notebook = opened(page, front_end, "unlocked-keys.ipynb", LAUNCH, SHOW)
    notebook.run(1, 2)
    form = page.locator(".orchat-form")
    code = form.get_by_label("code", exact=True)
    expect(code).to_have_value(re.compile("^sea"))
    code.focus()
    page.keyboard.press("Control+Home")
    writing.gate.set()
    expect(form.locator(".orchat-approve")).to_be_enabled()
    page.keyboard.type("abxdd")
    expect(code).to_have_value("abxdd" + CODE)
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length") == 3
    form.locator(".orchat-approve").click()
    notebook.wait(2)


def test_what_is_approved_is_exactly_what_was_written(page: Page, lab: Lab, endpoint: ScriptedOpenRouter) -> None:
    exact = '{"code": "x = 1\\n", "season": "spring", "times": 12345678901234567890}'
    writing = Writing(endpoint, exact, text("It sails."))
    writing.gate.set()
    notebook = opened(page, lab, "exact.ipynb", LAUNCH, SHOW, "print(ran)")
    notebook.run(1, 2)
    page.locator(".orchat-approve").click()  # as soon as that can be done
    notebook.wait(2)
    assert printed(notebook, 3) == "[('x = 1\\n', 'spring', 12345678901234567890, False)]\n"


@pytest.mark.parametrize("how", ["stop", "interrupt"])
def test_what_was_written_of_a_call_stays_when_it_is_cut(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter, how: str
) -> None:
    writing = Writing(endpoint)
    cell = f"try:\n    {SHOW}\nexcept asyncio.CancelledError:\n    print('gone')"
    notebook = opened(page, lab, f"cut-{how}.ipynb", LAUNCH, cell, "print(ran)")
    notebook.run(1, 2)
    page.wait_for_function("() => document.querySelector('.orchat-form textarea')?.value.length > 100", polling=POLLING)
    if how == "stop":
        page.locator(".orchat-stop").click()
    else:
        assert notebook.interrupt(2, "gone") < stretched(SOON)
    notebook.wait(2)
    expect(page.locator(".orchat-form")).to_have_count(0)
    notebook.wait_for_text(2, 'launch({"code": "sea.step(0)')
    notebook.wait_for_text(2, "… was still being written")
    writing.gate.set()
    assert printed(notebook, 3) == "[]\n"


def test_a_call_that_is_not_asked_about_is_text(page: Page, lab: Lab, endpoint: ScriptedOpenRouter) -> None:
    writing = Writing(endpoint, json.dumps(GIVEN), text("It sails."))
    grant = "from orchat.jupyter.kernel.live_view.tool_grants import KERNEL_GRANTS\nKERNEL_GRANTS.allow(launch)"
    notebook = opened(page, lab, "granted.ipynb", LAUNCH + grant, SHOW, "print(len(ran))")
    notebook.run(1, 2)
    expect(page.locator(".orchat-call-arguments")).to_contain_text("sea.step(3)")
    assert page.locator(".orchat-form").count() == 0
    writing.gate.set()
    notebook.wait(2)
    assert printed(notebook, 3) == "1\n"


def test_a_call_that_turns_out_malformed_is_mended_as_json(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    writing = Writing(endpoint, json.dumps(GIVEN)[:-9], text("It sails."))
    notebook = opened(page, front_end, "malformed.ipynb", LAUNCH, SHOW, "print(ran[0][1:])")
    notebook.run(1, 2)
    form = page.locator(".orchat-form")
    expect(form).to_be_visible()
    writing.gate.set()
    raw = form.get_by_label("Arguments as JSON", exact=True)
    expect(raw).to_have_value(json.dumps(GIVEN)[:-9])
    expect(form.get_by_role("alert")).to_contain_text("This is no JSON: ")
    expect(form.locator(".orchat-approve")).to_be_disabled()
    raw.fill(json.dumps(GIVEN))
    form.get_by_role("button", name="Approve edited").click()
    notebook.wait(2)
    assert printed(notebook, 3) == "('summer', 2, True)\n"
    assert results(endpoint)[0].startswith("A person changed the arguments before the call ran.")


def test_a_call_that_does_not_fit_says_so_at_its_field(page: Page, lab: Lab, endpoint: ScriptedOpenRouter) -> None:
    writing = Writing(endpoint, json.dumps({**GIVEN, "times": "twice"}), text("It sails."))
    writing.gate.set()
    notebook = opened(page, lab, "misfit.ipynb", LAUNCH, SHOW, "print(ran[0][1:])")
    notebook.run(1, 2)
    times = page.locator(".orchat-form").get_by_label("times", exact=True)
    expect(times).to_have_accessible_description(re.compile("times: .* is not of type"))
    page.locator(".orchat-approve").click()  # as it is it cannot run
    expect(times).to_be_focused()
    times.fill("3")
    page.get_by_role("button", name="Approve edited").click()
    notebook.wait(2)
    assert printed(notebook, 3) == "('summer', 3, True)\n"


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_a_locked_form_is_accessible(page: Page, lab: Lab, endpoint: ScriptedOpenRouter, theme: str) -> None:
    writing = Writing(endpoint, json.dumps(GIVEN), text("It sails."))
    name = theme.rsplit(maxsplit=1)[-1].lower()
    notebook = opened(page, lab, f"locked-{name}.ipynb", LAUNCH, SHOW)
    notebook.change_theme(theme)
    notebook.run(1, 2)
    form = page.locator(".orchat-form")
    page.wait_for_function("() => document.querySelector('.orchat-form textarea')?.value.length > 100", polling=POLLING)
    page.wait_for_timeout(500)
    assert is_locked(form)
    page.locator(".orchat-turn").screenshot(path=str(lab.work / f"form-locked-{name}.png"))
    assert serious(page, ".orchat-turn") == []
    writing.gate.set()
    expect(form.locator(".orchat-approve")).to_be_enabled()
    page.locator(".orchat-turn").screenshot(path=str(lab.work / f"form-unlocked-{name}.png"))
    assert serious(page, ".orchat-turn") == []
    form.locator(".orchat-approve").click()
    notebook.wait(2)


def test_a_form_grows_in_a_panel_and_stop_leaves_the_text(page: Page, lab: Lab, endpoint: ScriptedOpenRouter) -> None:
    writing = Writing(endpoint)
    code = "from orchat import ChatPanel\nChatPanel('some/model', tools=[launch])"
    notebook = opened(page, lab, "panel-form.ipynb", LAUNCH, code)
    notebook.run(1, 2)
    panel = page.locator(".orchat-panel")
    expect(panel.locator(".orchat-storage-status")).not_to_be_empty()
    ask(panel, "Launch it.")
    form = page.locator(".orchat-form")
    page.wait_for_function("() => document.querySelector('.orchat-form textarea')?.value.length > 100", polling=POLLING)
    assert is_locked(form)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(form).to_have_count(0)
    expect(page.locator(".orchat-call-arguments")).to_contain_text('{"code": "sea.step(0)')
    expect(page.locator(".orchat-call-status")).to_have_text("was being written")
    writing.gate.set()
