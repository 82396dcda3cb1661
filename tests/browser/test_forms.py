"""Forms of tool calls in a real browser: what a person sees, changes and decides, and what the kernel gets of it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Locator, Page, expect
from pydantic import BaseModel

from orchat.jupyter.kernel.forms import arguments_of, build_form, check_arguments
from orchat.jupyter.kernel.live_view.pending_approvals import draft_of
from orchat.tools import Tool, create_tool_from_function
from tests.browser.accessibility import accessibility_violations
from tests.browser.lab import POLLING, ROOT, Lab
from tests.browser.test_view import opened, results
from tests.jupyter.forms.complex_tools import CALLS, complex_tool
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text

pytestmark = pytest.mark.slow

_STATIC = ROOT / "orchat" / "jupyter" / "frontend"


class _Modules(SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        return super().translate_path(path.removeprefix("/again"))

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where a page may import the modules from."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Modules, directory=_STATIC)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


_SHOW = """async ([module, form]) => {
    const {createForm} = await import(module);
    window.changes = 0;
    window.decisions = [];
    window.form = createForm(form, {
        async onChange(values) {
            window.changes += 1;
            window.typed = values;
            window.form.setErrors(await window.check(values));
        },
        async onDecide(decision) {
            window.decisions.push(decision);
            window.form.setBusy(true);
            const errors = decision.arguments ? await window.check(decision.arguments) : [];
            window.form.setBusy(false);
            if (errors.length) window.form.setErrors(errors);
        },
    });
    document.querySelector('main').replaceChildren(window.form.node);
}"""


class Shown:
    """A form in a plain page, whose questions the kernel's own validator answers."""

    def __init__(self, page: Page, address: str, tool: Tool, arguments: Any, malformed: str | None = None) -> None:
        self.page, self.tool = page, tool
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"{address}/shared/elements.js")
        page.set_content(
            "<!doctype html><html lang=en><title>Form</title><meta charset=utf-8>"
            "<link rel=stylesheet href=/view/view.css><link rel=stylesheet href=/form/form.css>"
            "<main class=orchat-turn></main>"
        )
        with suppress(BrowserError):  # a page that shows one form after another keeps the first one's
            page.expose_function("check", lambda values: check_arguments(tool, values))
        page.evaluate(_SHOW, [f"{address}/form/form.js", build_form(tool, arguments, malformed)])
        self.node = page.locator(".orchat-form")

    def press(self, name: str) -> None:
        whole = re.compile(f"^{name}:? {self.tool.name}$")  # each says of which tool it speaks
        self.node.get_by_role("button", name=whole).click()

    def unfold(self) -> None:
        """Show what could be given, too."""
        self.node.locator(".orchat-form-fields > .orchat-field-list > .orchat-fold > summary").click()

    def field(self, label: str) -> Locator:
        return self.node.get_by_label(label, exact=True)

    @property
    def decision(self) -> dict[str, Any]:
        """The only decision so far."""
        assert self.errors == []
        (decision,) = self.page.evaluate("() => window.decisions")
        return dict(decision)

    def arguments(self) -> dict[str, Any]:
        """Approve, and return the arguments that would run."""
        self.press("Approve edited")
        decision = self.decision
        assert decision["decision"] == "edited"
        assert check_arguments(self.tool, decision["arguments"]) == []
        arguments, _ = arguments_of(decision["arguments"])
        assert arguments is not None
        return arguments


class Stop(BaseModel):
    """A place on the way."""

    port: str
    hours: int = 2


def plan(
    name: str,
    many: int,
    share: float,
    night: bool,
    season: Literal["spring", "summer"],
    stops: list[Stop],
    first: Stop,
    when: int | str,
    free: dict[str, Any],
    code: str,
    note: str | None = None,
    days: int = 3,
) -> str:
    """Plan a way along the coast."""
    return ""


PLAN = create_tool_from_function(plan)
GIVEN: dict[str, Any] = {
    "name": "Zoë \U0001f469\u200d\U0001f4bb",
    "many": 2**60 + 1,
    "share": 1.0,
    "night": False,
    "season": "spring",
    "stops": [{"port": "Hull"}, {"port": "Goole", "hours": 5}],
    "first": {"port": "Selby", "hours": 1},
    "when": "May",
    "free": {"a": [1, 2.0, None, 2**70], "\u2028": "\u00e9"},
    "code": "import sea\n\nsea.tide(1)\nsea.show()\n",
    "note": None,
    "more": {"unknown": True},
}
EDITS: dict[str, Any] = {
    "name": lambda form: form.field("name").fill("Zo\u00eb"),
    "many": lambda form: form.field("many").fill(str(2**64 + 3)),
    "share": lambda form: form.field("share").fill("-2.5e-3"),
    "night": lambda form: form.field("night").check(),
    "season": lambda form: form.field("season").select_option("summer"),
    "code": lambda form: form.field("code").fill("sea.show()\n"),
    "free": lambda form: form.field("free").fill('{"b": 12345678901234567890}'),
    "note": lambda form: (form.field("none: note").uncheck(), form.field("note").fill("calm")),
    "days": lambda form: (form.unfold(), form.field("give it: days").check(), form.field("days").fill("4")),
    "when": lambda form: (
        form.field("Kind of value: when").select_option(label="integer"),
        form.field("integer").fill("7"),
    ),
    "first": lambda form: form.node.get_by_role("group", name="first", exact=True).get_by_label("port").fill("York"),
}
EDITED: dict[str, Any] = {
    "name": "Zo\u00eb",
    "many": 2**64 + 3,
    "share": -0.0025,
    "night": True,
    "season": "summer",
    "code": "sea.show()\n",
    "free": {"b": 12345678901234567890},
    "note": "calm",
    "days": 4,
    "when": 7,
    "first": {"port": "York", "hours": 1},
}


def exactly(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def test_what_nobody_changed_is_approved_as_it_is(page: Page, address: str) -> None:
    form = Shown(page, address, PLAN, GIVEN)
    expect(form.field("many")).to_have_value(str(2**60 + 1))
    form.press("Approve")
    assert form.decision == {"decision": "approve"}
    assert page.evaluate("() => window.changes") == 0


@pytest.mark.parametrize("name", EDITS)
def test_one_change_changes_nothing_else(page: Page, address: str, name: str) -> None:
    form = Shown(page, address, PLAN, GIVEN)
    EDITS[name](form)
    expect(form.node.locator(".orchat-form-difference > ul > li > code")).to_have_text([name])
    assert exactly(form.arguments()) == exactly({**GIVEN, name: EDITED[name]})


def test_what_is_restored_of_a_form_runs_as_it_is_shown(page: Page, address: str) -> None:
    edits = {
        **EDITS,
        "more": lambda form: form.field("give it: more").uncheck(),  # an argument that no schema names
        "nothing": lambda form: (form.field("night").check(), form.field("night").uncheck()),
    }
    without_more = {name: value for name, value in GIVEN.items() if name != "more"}
    form = Shown(page, address, PLAN, GIVEN)
    fresh = [f"{address}/form/form.js", {**build_form(PLAN, GIVEN), "revision": "r"}]

    def restore(typed: dict[str, Any]) -> None:
        page.evaluate(_SHOW, fresh)
        page.evaluate("(draft) => window.form.restore(draft)", draft_of(PLAN, typed, "r"))

    for name, edit in edits.items():
        page.evaluate(_SHOW, fresh)
        edit(form)
        restore(page.evaluate("() => window.typed"))
        expected = {"more": without_more, "nothing": GIVEN}.get(name) or {**GIVEN, name: EDITED[name]}
        if name == "nothing":
            form.press("Approve")
            assert form.decision == {"decision": "approve", "revision": "r"}
            continue
        expect(form.node.locator(".orchat-form-difference > ul > li > code")).to_have_text([name])
        assert exactly(form.arguments()) == exactly(expected)
    restore({"json": json.dumps(without_more)})
    form.unfold()
    form.field("give it: more").check()  # as it was
    form.press("Approve")
    assert form.decision == {"decision": "approve", "revision": "r"}
    restore({"json": '{"share": much}'})
    expect(form.node.get_by_role("textbox")).to_have_value('{"share": much}')


_SHOW_TWICE = """async ([address, item]) => {
    const [{createToolCall}, forms] = await Promise.all([import(`${address}/view/tool_call.js`),
        import(`${address}/form/form.js`)]);
    window.sent = [[], []];
    const render = (md) => md;
    window.views = window.sent.map((sent) => createToolCall((message) => sent.push(message), () => {}, forms, render));
    window.show = (item) => window.views.forEach((view) => view.update(item));
    window.show(item);
    document.querySelector('main').replaceChildren(...window.views.map((view) => view.node));
}"""


def test_what_is_typed_in_one_view_says_nothing_about_the_form_of_another(page: Page, address: str) -> None:
    Shown(page, address, PLAN, GIVEN)
    described = {**build_form(PLAN, GIVEN), "revision": "r"}
    item = {"kind": "call", "name": "plan", "args": "", "status": "asking", "form": described, "errors": [], "reply": 0}
    page.evaluate(_SHOW_TWICE, [address, {**item, "preview": {"md": "Sail to Selby"}}])
    first, second = page.locator(".orchat-form").all()
    first.get_by_label("code", exact=True).fill("sink()")
    page.wait_for_function("() => window.sent[0].length", polling=POLLING)
    number = page.evaluate("() => window.sent[0][0].n")
    wrong = [{"path": "code", "message": "It sinks."}]
    page.evaluate("(item) => window.show(item)", {**item, "preview": {"md": "Sink"}, "errors": wrong, "reply": number})
    expect(first.locator(".orchat-preview")).to_have_text("Sink")
    expect(first).to_contain_text("It sinks.")
    expect(second.locator(".orchat-preview")).to_have_text("Sail to Selby")  # which is what this one approves
    expect(second).not_to_contain_text("It sinks.")


def test_numbers_are_read_as_people_type_them(page: Page, address: str) -> None:
    form = Shown(page, address, PLAN, GIVEN)
    share = form.field("share")
    for typed, meant in ((".5", "0.5"), ("2.", "2.0"), ("+3", "3"), ("\u22127", "-7"), ("007", "7"), ("1e3", "1e3")):
        share.fill(typed)
        expect(share).to_have_accessible_description("")
        expect(form.node.locator(".orchat-form-difference ins")).to_have_text(meant)
    share.fill("1,5")
    expect(share).to_have_accessible_description("A number has no comma here: write 1.5 with a decimal point, or 15.")
    share.fill("1.234,5")
    expect(share).to_have_accessible_description(re.compile("write 1234.5 with"))
    share.fill("")
    expect(share).to_have_accessible_description("Here belongs a number.")
    form.press("Approve edited")
    assert page.evaluate("() => window.decisions") == []
    share.fill(".5")
    form.press("Approve edited")
    assert '"share": 0.5,' in form.decision["arguments"]["json"]


def test_pasted_lines_stay_lines(page: Page, address: str) -> None:
    form = Shown(page, address, PLAN, {**GIVEN, "when": "May"})
    form.field("name").fill("")
    page.evaluate(
        """(text) => {
            const data = new DataTransfer();
            data.setData('text/plain', text);
            const event = new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true});
            document.activeElement.dispatchEvent(event);
            document.execCommand('insertText', false, text);  // what the browser does of a real paste
        }""",
        "one\ntwo",
    )
    expect(form.field("name")).to_have_js_property("rows", 3)
    assert form.arguments()["name"] == "one\ntwo"


def test_what_is_given_begins_with_its_default_and_a_number_is_never_a_text(page: Page, address: str) -> None:
    kinds = [{"type": "integer"}, {"type": "string"}]
    group = {"type": "object", "properties": {"port": {"type": "string"}}, "default": {"port": "Selby"}}
    stops = {"type": "array", "items": group, "default": [{"port": "Hull"}, {"port": "Goole"}]}
    nullable = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
    properties = {
        "stops": stops,
        "first": group,
        "when": {"anyOf": kinds, "default": "May"},
        "note": nullable,
        "many": {"anyOf": kinds},
    }
    tool = Tool("t", "", {"type": "object", "properties": properties}, print)
    form = Shown(page, address, tool, {})
    expect(form.node.locator("summary").first).to_have_text("Not given: stops, first, when, note, many")
    form.unfold()
    for name in properties:
        form.field(f"give it: {name}").check()
    form.press("Approve edited")
    assert page.evaluate("() => window.decisions") == []
    expect(form.field("integer").last).to_have_accessible_description("Here belongs a number.")
    expect(form.field("integer").last).to_be_focused()
    page.keyboard.type("3")
    assert form.arguments() == {**{name: properties[name].get("default") for name in properties}, "note": "", "many": 3}


def test_forms_of_complex_tools_are_short_and_keep_their_buttons_in_view(
    page: Page, address: str, tmp_path: Path
) -> None:
    page.set_viewport_size({"width": 800, "height": 700})
    heights: dict[str, float] = {}
    for name, (_, given) in CALLS.items():
        form = Shown(page, address, complex_tool(name), given)
        page.screenshot(path=str(tmp_path / f"{name}.png"))
        expect(form.node.locator(".orchat-approve")).to_be_in_viewport()
        box = form.node.bounding_box()
        assert box is not None
        heights[name] = box["height"]
        for summary in form.node.locator("summary:visible").all():
            summary.click()
        expect(form.node.locator(".orchat-approve")).to_be_in_viewport()
        form.press("Approve")
        assert form.decision == {"decision": "approve"}
    assert max(heights.values()) < 660, heights
    assert heights["create_calendar"] < 220, heights


def test_items_are_added_moved_and_removed(page: Page, address: str) -> None:
    form = Shown(page, address, PLAN, GIVEN)
    stops = form.node.get_by_role("group", name="stops", exact=True)
    stops.get_by_role("button", name="Add").click()
    expect(stops.get_by_label("port").last).to_be_focused()
    page.keyboard.type("York")
    stops.get_by_role("button", name="Move this item up").last.press("Enter")
    expect(stops.get_by_role("button", name="Move this item up").nth(1)).to_be_focused()
    stops.get_by_role("button", name="Remove this item").first.click()
    assert form.arguments()["stops"] == [{"port": "York"}, {"port": "Goole", "hours": 5}]


def test_what_is_changed_back_is_not_edited(page: Page, address: str) -> None:
    form = Shown(page, address, PLAN, GIVEN)
    form.field("many").fill("5")
    expect(form.node.locator(".orchat-approve")).to_have_text("Approve edited")
    form.field("many").fill(str(2**60 + 1))
    expect(form.node.locator(".orchat-approve")).to_have_text("Approve")
    expect(form.node.locator(".orchat-form-difference")).to_be_hidden()
    form.field("season").select_option("summer")
    form.field("night").check()
    form.press("Undo my changes")
    expect(form.field("night")).not_to_be_checked()
    expect(form.node.locator(".orchat-approve")).to_be_focused()
    form.press("Approve")
    assert form.decision == {"decision": "approve"}


def test_of_a_long_text_the_lines_that_differ_are_shown(page: Page, address: str) -> None:
    long = "".join(f"line {number}\n" for number in range(300))
    form = Shown(page, address, PLAN, {**GIVEN, "code": long})
    form.field("code").fill(long.replace("line 7\n", "line seven\n").replace("line 290\n", ""))
    expect(form.node.locator(".orchat-diff-line")).to_have_text(["- line 7", "+ line seven", "- line 290"])
    form.field("code").fill("x")
    expect(form.node.locator(".orchat-diff-line")).to_have_count(40)
    expect(form.node.locator(".orchat-diff-lines")).to_contain_text("… 262 more lines")


def test_what_is_wrong_stands_at_its_field_and_takes_the_focus(page: Page, address: str) -> None:
    form = Shown(page, address, PLAN, GIVEN)
    many = form.field("many")
    many.fill("several")
    expect(many).to_have_attribute("aria-invalid", "true")
    expect(many).to_have_accessible_description("“several” is no number.")
    approve = form.node.locator(".orchat-approve")
    approve.focus()
    page.keyboard.press("Enter")
    expect(many).to_be_focused()
    assert page.evaluate("() => window.decisions") == []  # text where a number belongs is sent nowhere
    many.fill("1.5")
    expect(many).to_have_accessible_description('many: 1.5 is not of type "integer"')
    approve.focus()
    page.keyboard.press("Enter")
    expect(many).to_be_focused()
    many.fill("12")
    expect(many).to_have_attribute("aria-invalid", "false")
    expect(many).to_have_accessible_description("")
    form.press("Approve edited")
    refused, taken = page.evaluate("() => window.decisions")
    assert check_arguments(PLAN, refused["arguments"])[0]["path"] == "many"
    assert json.loads(taken["arguments"]["json"])["many"] == 12


def test_a_decision_is_made_once_and_keeps_the_focus(page: Page, address: str) -> None:
    form = Shown(page, address, PLAN, GIVEN)
    approve = form.node.locator(".orchat-approve")
    approve.focus()
    page.evaluate("() => window.form.setBusy(true)")
    page.keyboard.press("Enter")
    expect(approve).to_have_attribute("aria-disabled", "true")
    expect(approve).to_be_focused()
    assert page.evaluate("() => window.decisions") == []


def test_it_is_rejected_with_a_reason_and_answered_instead(page: Page, address: str) -> None:
    form = Shown(page, address, PLAN, GIVEN)
    reject = form.node.locator(".orchat-reject")
    reject.focus()
    page.keyboard.press("Enter")
    reason = form.field("Why not? The model is told.")
    expect(reason).to_be_focused()
    reason.fill("\u05dc\u05d0")  # a view that comes later shows it
    expect(reason).to_have_css("direction", "rtl")
    page.evaluate(_SHOW, [f"{address}/form/form.js", {**build_form(PLAN, GIVEN), "revision": "r"}])
    restored = draft_of(PLAN, page.evaluate("() => window.typed"), "r")
    page.evaluate("(draft) => window.form.restore(draft)", restored)
    expect(reason).to_have_value("\u05dc\u05d0")
    expect(form.node.locator(".orchat-form-difference")).to_be_hidden()
    reason.focus()
    page.keyboard.press("Escape")
    assert "words" not in page.evaluate("() => window.typed")
    expect(reject).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("Not today")
    page.keyboard.press("Enter")  # a line, and no decision
    page.keyboard.type("nor tomorrow")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert form.decision == {"decision": "reject", "reason": "Not today\nnor tomorrow", "revision": "r"}
    form = Shown(page.context.new_page(), address, PLAN, GIVEN)
    form.press("Answer instead")
    form.field("The answer in the tool's place").fill("By night.")
    form.press("Send")
    assert form.decision == {"decision": "answer", "value": "By night."}
    form.page.close()


def test_always_is_offered_where_the_tool_allows_it(page: Page, address: str) -> None:
    form = Shown(page, address, PLAN, GIVEN)
    form.press("Always for this tool")
    assert form.decision == {"decision": "always"}
    page.evaluate("() => window.form.dispose()")
    expect(page.locator(".orchat-form")).to_have_count(0)
    closed = {**build_form(PLAN, GIVEN), "always": False}
    page.evaluate(_SHOW, [f"{address}/form/form.js", closed])
    expect(form.node.get_by_role("button", name="Approve")).to_be_visible()
    expect(form.node.get_by_role("button", name="Always")).to_be_hidden()


def test_all_arguments_are_edited_as_json(page: Page, address: str) -> None:
    form = Shown(page, address, PLAN, GIVEN)
    form.press("Edit as JSON")
    raw = form.field("Arguments as JSON")
    expect(raw).to_be_focused()
    shown = raw.input_value()
    assert exactly(json.loads(shown)) == exactly(GIVEN)
    in_order = {
        each["name"]: GIVEN[each["name"]] for each in build_form(PLAN, GIVEN)["fields"] if each["name"] in GIVEN
    }
    assert shown == json.dumps(in_order, indent=2, ensure_ascii=False)
    form.press("Undo my changes")  # there is a way back, even if nothing was changed
    expect(form.field("many")).to_be_visible()
    form.press("Edit as JSON")
    raw.fill(shown.replace("[\n", "[", 1).replace(f"{2**60 + 1}", "{"))
    expect(form.node.get_by_role("alert")).to_contain_text("This is no JSON")
    raw.fill(shown.replace(f"{2**60 + 1}", f"{2**60 + 2}"))
    expect(form.node.get_by_role("alert")).to_be_hidden()
    expect(form.node.locator(".orchat-diff-line")).to_have_text(
        [f'-   "many": {2**60 + 1},', f'+   "many": {2**60 + 2},']
    )
    assert exactly(form.arguments()) == exactly({**GIVEN, "many": 2**60 + 2})


def test_malformed_arguments_are_mended_before_they_run(page: Page, address: str) -> None:
    form = Shown(page, address, PLAN, None, malformed='{"name": "unfin')
    expect(form.node.get_by_role("alert")).to_contain_text("These arguments are no JSON object.")
    expect(form.node.locator(".orchat-approve")).to_be_disabled()
    expect(form.node.get_by_role("button", name="Always")).to_be_hidden()
    raw = form.field("Arguments as JSON")
    expect(raw).to_have_value('{"name": "unfin')
    raw.fill(json.dumps(GIVEN))
    expect(form.node.get_by_role("alert")).to_be_hidden()
    assert exactly(form.arguments()) == exactly(GIVEN)


def test_characters_that_cannot_be_seen_are_told(page: Page, address: str) -> None:
    form = Shown(page, address, PLAN, {**GIVEN, "note": "a\u202eb\u200b", "free": {"x": "\U000e0041"}})
    told = form.node.locator(".orchat-invisible-characters:not([hidden])")
    words = "There are characters here that cannot be seen:"
    expect(told).to_have_text([f"{words} U+E0041", f"{words} U+202E, U+200B"])
    form.field("note").fill("ab")
    expect(told).to_have_count(1)


def test_the_whole_form_is_accessible_and_two_do_not_meet(page: Page, address: str) -> None:
    form = Shown(page, address, PLAN, GIVEN)
    form.field("code").fill("sea.show()\n")
    form.field("many").fill("x")
    expect(form.field("many")).to_have_attribute("aria-invalid", "true")
    page.evaluate(
        """async ([module, form]) => {
            const {createForm} = await import(module);  // as a panel's copy of the module beside a cell's
            const other = createForm(form, {onChange() {}, onDecide() {}});
            document.querySelector('main').append(other.node);
        }""",
        [f"{address}/again/form/form.js", build_form(PLAN, GIVEN)],
    )
    identifiers = page.evaluate("() => [...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(set(identifiers)) == len(identifiers) > 50
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = accessibility_violations(page, ".orchat-form")
        assert [f"{each['id']}: {each['nodes'][0]['html']}" for each in found] == []


def test_every_control_is_reached_by_the_keyboard(page: Page, address: str) -> None:
    Shown(page, address, PLAN, GIVEN)
    reached = page.evaluate(
        "() => document.querySelectorAll('.orchat-form :is(input, select, textarea, button)').length"
    )
    seen = set()
    for _ in range(reached):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("() => [...document.querySelectorAll('*')].indexOf(document.activeElement)"))
    shown = page.evaluate(
        """() => [...document.querySelectorAll('.orchat-form :is(input, select, textarea, button)')].filter(
            (each) => each.checkVisibility()).map((each) => [...document.querySelectorAll('*')].indexOf(each))"""
    )
    assert set(shown) <= seen


def test_nothing_of_a_schema_or_a_model_is_more_than_text(page: Page, address: str) -> None:
    attack = "<img src=x onerror='window.owned=1'><script>window.owned=1</script>"
    schema = {
        "type": "object",
        "title": attack,
        "properties": {
            attack: {"type": "string", "title": attack, "description": attack, "default": attack, "pattern": attack},
            "__proto__": {"type": "string"},
            "constructor": {"enum": [attack, 1]},
            "kinds": {"anyOf": [{"type": "integer", "title": attack}, {"type": "string"}]},
        },
    }
    asked: list[str] = []
    tool = Tool(name="t", description=attack, parameters=schema, function=lambda **_: None)
    given = json.loads(json.dumps({attack: attack, "constructor": attack, "kinds": attack, "more": [attack]}))
    given["__proto__"] = attack
    page.on("request", lambda request: asked.append(request.url))
    form = Shown(page, address, tool, given)
    asked.clear()
    form.field("more").fill(json.dumps(attack * 2))
    expect(form.node.locator(".orchat-form-difference")).to_contain_text("<script>")
    assert page.locator(".orchat-form :is(img, script)").count() == 0
    assert page.evaluate("() => window.owned") is None
    assert asked == []
    assert form.arguments() == {**given, "more": attack * 2}


def test_the_keys_of_a_form_are_not_the_notebooks(page: Page, front_end: Lab, endpoint: ScriptedOpenRouter) -> None:
    code = """
from typing import Literal
from orchat import tool
@tool
def tide(port: Literal["Hull", "Goole", "Selby"], high: bool) -> str:
    "Tell the tide."
    return f"4.2 m at {port}, {high}"
"""
    endpoint.answers(calls(call("tide", {"port": "Hull", "high": False})), text("It is high."))
    notebook = opened(page, front_end, "keys.ipynb", code, "reply = await show(tools=[tide])", "print('behind')")
    notebook.run(1, 2)
    form = page.locator(".orchat-form")
    form.get_by_label("port", exact=True).focus()
    page.keyboard.press("Escape")  # the notebook's command mode
    form.get_by_label("port", exact=True).focus()
    page.keyboard.press("ArrowDown")
    expect(form.get_by_label("port", exact=True)).to_have_value('"Goole"')
    form.get_by_label("high", exact=True).focus()
    for key in ("d", "d", "x", "a", "b", "Space"):
        page.keyboard.press(key)
    expect(form.get_by_label("high", exact=True)).to_be_checked()
    form.locator(".orchat-approve").focus()
    for key in ("d", "d", "Enter"):
        page.keyboard.press(key)
    notebook.wait(2)
    assert results(endpoint)[0].endswith("4.2 m at Goole, True")
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length") == 4
