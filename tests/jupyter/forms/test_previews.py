"""What a tool's author says of a call stands in its form: safe, after each change that fits, and never in the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from markdown_it import MarkdownIt
from pydantic import Field

from orchat.chat.approval import Reject
from orchat.chat.message_selection import CallPlace
from orchat.jupyter.kernel.forms import build_form
from orchat.jupyter.kernel.live_view.pending_approvals import PendingApprovals
from orchat.jupyter.kernel.live_view.tool_grants import ToolGrants
from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.messages import ToolCall
from orchat.tools import Tool, tool


def mail(to: str, times: int = 1) -> None:
    """Send a mail."""


def previewed(preview: Callable[..., Any] | None = None, title: str | None = None) -> Tool:
    return tool(mail, title=title, preview=preview)


def asked(tool: Tool, arguments: dict[str, Any], *messages: dict[str, Any], malformed: str = "") -> list[Any]:
    """What a form shows as preview at first, after each message, and when it is decided."""

    async def main() -> None:
        asking = asyncio.ensure_future(approvals.ask(call, tool, CallPlace(0, 0)))
        await asyncio.sleep(0)
        look()
        revision = view_model.snapshot(html=False)["items"][0]["form"]["revision"]
        for message in messages:
            approvals.handle_message({"i": 0, "revision": revision, **message})
            look()
        approvals.handle_message({"i": 0, "revision": revision, "t": "decide", "decision": "reject"})
        assert isinstance(await asking, Reject)
        look()

    def look() -> None:
        shown.append(view_model.snapshot(html=False)["items"][0].get("preview"))

    shown: list[Any] = []
    view_model = TurnViewModel()
    approvals = PendingApprovals(view_model, lambda: None, ToolGrants())
    call = ToolCall("mail", arguments, "call_1", {"malformed_arguments": malformed} if malformed else None)
    asyncio.run(main())
    return shown


def check(arguments: Any) -> dict[str, Any]:
    return {"t": "check", "n": 1, "values": {"json": json.dumps(arguments)}}


def test_it_follows_each_change_that_fits() -> None:
    ran: list[str] = []

    def preview(to: str, times: int = 1) -> str:
        ran.append(to)
        return f"Mails *{times}* to {to}."

    steps = [check({"to": 7}), check({"to": "Ann", "times": 2}), {"t": "check", "n": 1, "values": {"json": "{"}}]
    shown = asked(previewed(preview), {"to": "Zoe"}, *steps)
    first, last = {"md": "Mails *1* to Zoe."}, {"md": "Mails *2* to Ann."}
    assert shown == [first, first, last, last, None]
    assert ran == ["Zoe", "Ann"]  # and never with what does not fit


def test_without_one_and_for_what_does_not_fit_there_is_none() -> None:
    assert asked(previewed(), {"to": "Zoe"}) == [None, None]
    assert asked(previewed(lambda **_: "said"), {"to": 7}) == [None, None]
    assert asked(previewed(lambda **_: "said"), {}, malformed='{"to": "Zoe"') == [None, None]


@pytest.mark.parametrize("attack", ["<img src=x onerror=a>", "![x](https://example.org/x.png)", "[x](javascript:a)"])
def test_what_it_says_is_as_safe_as_what_a_model_says(attack: str) -> None:
    (said, _) = asked(previewed(lambda to: f"To {to}"), {"to": attack})
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(said["md"])
    inline = [each for token in tokens for each in token.children or ()]
    assert not {each.type for each in [*tokens, *inline]} & {"html_block", "html_inline", "image"}
    assert all("javascript" not in str(each.attrs) for each in inline)

    def fail(to: str) -> str:
        raise ValueError(to)

    (failed, _) = asked(previewed(fail), {"to": attack})
    assert failed["md"].startswith("There is no preview: ValueError: ")
    assert "<img" not in failed["md"]


def test_a_view_that_renders_no_markdown_gets_html() -> None:
    view_model = TurnViewModel()
    number = view_model.attach_call(CallPlace(0, 0), ToolCall("mail", {}, "call_1"))
    view_model.preview(number, "*one*")
    assert view_model.snapshot(html=True)["items"][0]["preview"] == {"md": "*one*", "html": "<p><em>one</em></p>\n"}
    view_model.preview(number, "*two*")
    assert view_model.snapshot(html=False)["items"][0]["preview"]["html"] == "<p><em>two</em></p>\n"


def test_a_title_hides_no_name() -> None:
    def named(title: str | None) -> tuple[str, str]:
        form = build_form(previewed(title=title), {"to": "Zoe"})
        return form["title"], form["name"]

    assert named("Send a mail") == ("Send a mail", "mail")
    assert named(None) == named(" \u202e\n ") == ("mail", "mail")
    assert named("x" * 500)[0] == "x" * 79 + "…"


def test_the_hint_of_a_signature_makes_the_field() -> None:
    @tool
    def launch(
        program: Annotated[str, "what runs", Field(json_schema_extra={"x-orchat": {"widget": "code"}})],
        why: Annotated[str | None, Field(json_schema_extra={"x-orchat": {"widget": "textarea"}})] = None,
    ) -> None: ...

    program, why = build_form(launch, {"program": "x"})["fields"]
    assert (program["code"], program["lines"], program["note"]) == (True, True, "what runs")
    assert (why["code"], why["lines"], why["nullable"]) == (False, True, True)
