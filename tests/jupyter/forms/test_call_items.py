"""What a form shows is what runs: one item a call whatever its id, a revision a form, and no form without a name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchat.chat.approval import Approve, Decision, Reject
from orchat.chat.message_selection import CallPlace
from orchat.jupyter.kernel.live_view.pending_approvals import AbandonedFormError, PendingApprovals
from orchat.jupyter.kernel.live_view.tool_grants import ToolGrants
from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.messages import ToolCall, ToolCallResult
from orchat.streaming import StreamingChunk, ToolCallDelta
from orchat.tools import Tool, tool


@tool(title="Look it up")
def tide(port: str) -> str:
    """Say when the tide is high."""
    return "high"


@tool(title="Look it up")
def wipe(port: str) -> str:
    """Wipe."""
    return "wiped"


TOOLS = {"tide": tide, "wipe": wipe}
HULL = {"port": "Hull"}


class Shown:
    """A turn in a view, with what a page would do."""

    def __init__(self) -> None:
        self.view_model, self.grants = TurnViewModel(), ToolGrants()
        self.approvals = PendingApprovals(self.view_model, lambda: None, self.grants)
        self.approvals.expect(TOOLS.get)
        self.response = -1

    @property
    def items(self) -> list[dict[str, Any]]:
        return list(self.view_model.snapshot(html=False)["items"])

    def piece(self, index: int, name: str | None, arguments: str | None, call_id: str | None = None) -> None:
        delta = ToolCallDelta(index, name, arguments, call_id)
        self.view_model.add(StreamingChunk("", index=index, tool_calls=[delta]))

    def whole(self, *calls: ToolCall, indexes: tuple[int, ...] = ()) -> list[CallPlace]:
        """End the response."""
        self.response += 1
        places = [CallPlace(self.response, number) for number in range(len(calls))]
        self.view_model.add(StreamingChunk("", {}, finish_reason="tool_calls"))
        self.view_model.called(dict(zip(places, calls, strict=True)), indexes or range(len(calls)))
        return places

    async def ask(self, call: ToolCall, place: CallPlace) -> tuple[int, asyncio.Task[Decision]]:
        """Ask about a call; the item that asks, and its answer to come."""
        before = {at for at, item in enumerate(self.items) if item["status"] == "asking"}
        task = asyncio.create_task(self.approvals.ask(call, TOOLS[call.tool_name], place))
        await asyncio.sleep(0)
        (number,) = {at for at, item in enumerate(self.items) if item["status"] == "asking"} - before
        return number, task

    def press(self, number: int, decision: str, **more: Any) -> None:
        revision = self.items[number]["form"]["revision"]
        self.approvals.handle_message({"t": "decide", "i": number, "decision": decision, "revision": revision, **more})

    def result(self, place: CallPlace, call: ToolCall, said: str) -> None:
        result = ToolCallResult(said, call, error=False)
        self.view_model.add(StreamingChunk("", {"place": place}, index=0, tool_call_result=result))


@pytest.mark.parametrize("call_id", ["call_0", "", None])
def test_a_call_of_a_later_response_has_its_own_item_whatever_its_id(call_id: str | None) -> None:
    async def main() -> None:
        shown = Shown()
        for number, name in enumerate(("tide", "wipe")):
            shown.piece(0, name, '{"port": "Hull"}', call_id)
            call = ToolCall(name, HULL, call_id)
            (place,) = shown.whole(call)
            item, task = await shown.ask(call, place)
            heading, form = shown.items[item]["name"], shown.items[item]["form"]
            assert (item, heading, form["name"], form["description"]) == (number, name, name, TOOLS[name].description)
            shown.press(item, "approve")
            assert await task == Approve()
            shown.result(place, call, name)
        assert [(item["name"], item["result"]) for item in shown.items] == [("tide", "tide"), ("wipe", "wipe")]

    asyncio.run(main())


def test_results_find_their_calls_in_any_order() -> None:
    shown = Shown()
    made = [ToolCall("tide", {"port": port}, "same") for port in "abc"]
    for at, call in enumerate(made):
        shown.piece(at, "tide", f'{{"port": "{call.arguments["port"]}"}}', "same")
    places = shown.whole(*made)
    for at in (2, 0, 1):
        shown.result(places[at], made[at], f"high at {made[at].arguments['port']}")
    assert [item["result"] for item in shown.items] == ["high at a", "high at b", "high at c"]
    assert [item["text"] for item in shown.items] == [f'tide(port="{port}")' for port in "abc"]


def test_interleaved_pieces_stay_with_their_calls_and_what_came_twice_counts_once() -> None:
    shown = Shown()
    for index, name, arguments in (
        (7, "tide", '{"port": '),
        (2, "wipe", '{"po'),
        (7, None, '"Hull"}'),
        (2, None, 'rt": 1}'),
    ):
        shown.piece(index, name, arguments, "same")
    shown.piece(9, "tide", '{"port": "Hull"}', "same")
    shown.whole(ToolCall("wipe", {"port": 1}, "a"), ToolCall("tide", HULL, "b"), indexes=(2, 7))
    assert [(item["name"], item.get("text"), item["status"]) for item in shown.items] == [
        ("tide", 'tide(port="Hull")', "writing"),
        ("wipe", "wipe(port=1)", "writing"),
        ("tide", None, "twice"),
    ]
    assert [bool(item["form"]) for item in shown.items] == [True, True, False]


def test_a_form_begins_when_the_name_is_there_and_with_all_that_was_written() -> None:
    shown = Shown()
    shown.piece(0, None, '{"port": "Hu', "call_0")
    assert "form" not in shown.items[0]
    assert (shown.items[0]["name"], shown.items[0]["args"]) == ("", '{"port": "Hu')
    shown.piece(0, "wipe", None)
    assert (shown.items[0]["name"], shown.items[0]["form"]["name"]) == ("wipe", "wipe")
    assert shown.items[0]["form"]["fields"][0]["text"] == '"Hu"'


def test_a_name_that_changes_withdraws_the_form_and_the_call_names_what_would_run() -> None:
    async def main() -> None:
        shown = Shown()
        shown.piece(0, "tide", '{"port": "Hu', "call_0")
        assert shown.items[0]["form"]["name"] == "tide"
        shown.piece(0, "wipe", 'll"}')
        assert (shown.items[0]["form"], shown.items[0]["name"]) == (None, "wipe")
        call = ToolCall("tide", HULL, "call_0")  # the first name counts
        (place,) = shown.whole(call)
        assert shown.items[0]["name"] == "tide"
        number, task = await shown.ask(call, place)
        assert (number, shown.items[0]["form"]["name"]) == (0, "tide")
        shown.press(0, "reject")
        await task

    asyncio.run(main())


def test_a_draft_of_another_tool_than_the_call_is_withdrawn() -> None:
    shown = Shown()
    shown.piece(0, "tide", '{"port": "Hull"}')
    shown.whole(ToolCall("wipe", HULL, "a"))
    assert (shown.items[0]["name"], shown.items[0]["form"], shown.items[0]["text"]) == (
        "wipe",
        None,
        'wipe(port="Hull")',
    )


@pytest.mark.parametrize("name", ["", " ", "\x00\n"])
def test_a_call_without_a_name_is_refused_and_has_no_form(name: str) -> None:
    async def main() -> None:
        shown = Shown()
        shown.piece(0, name, '{"port": "Hull"}')
        (place,) = shown.whole(ToolCall(name, HULL, "a"))
        nameless = Tool("tide", "", {"type": "object"}, lambda: "")
        assert isinstance(await shown.approvals.ask(ToolCall(name, HULL, "a"), nameless, place), Reject)
        assert not shown.items[0].get("form")

    asyncio.run(main())


@pytest.mark.parametrize("revision", [None, "", "of another form", 7])
@pytest.mark.parametrize("decision", ["approve", "edited", "always", "reject", "answer"])
def test_a_decision_about_another_form_decides_nothing_and_the_form_is_shown_anew(decision: str, revision: Any) -> None:
    async def main() -> None:
        shown = Shown()
        call = ToolCall("wipe", HULL, "a")
        (place,) = shown.whole(call)
        number, task = await shown.ask(call, place)
        first = shown.items[number]["form"]
        assert first["notice"] == ""
        said = {"t": "decide", "i": number, "decision": decision, "arguments": {"json": '{"port": "Goole"}'}}
        shown.approvals.handle_message(said | ({} if revision is None else {"revision": revision}))
        await asyncio.sleep(0)
        second = shown.items[number]["form"]
        assert not task.done()
        assert not list(shown.grants)
        assert second["revision"] != first["revision"]
        assert "Nothing has run" in second["notice"]
        shown.approvals.handle_message(said | {"revision": first["revision"]})
        assert not task.done()
        shown.press(number, "edited", arguments={"json": '{"port": "Goole"}'})
        assert await task == Approve(arguments={"port": "Goole"})

    asyncio.run(main())


def test_a_check_of_another_form_changes_nothing() -> None:
    async def main() -> None:
        shown = Shown()
        call = ToolCall("wipe", HULL, "a")
        (place,) = shown.whole(call)
        number, task = await shown.ask(call, place)
        before = shown.items[number]
        shown.approvals.handle_message({"t": "check", "i": number, "values": {"json": "{"}, "n": 5})
        assert shown.items[number] == before
        shown.approvals.handle_message(
            {"t": "check", "i": number, "values": {"json": "{"}, "n": 5, "revision": before["form"]["revision"]}
        )
        assert shown.items[number]["errors"]
        task.cancel()

    asyncio.run(main())


def test_what_is_typed_into_a_form_is_there_for_later_views_and_decides_nothing() -> None:
    async def main() -> None:
        shown = Shown()
        call = ToolCall("wipe", HULL, "a")
        (place,) = shown.whole(call)
        number, task = await shown.ask(call, place)
        revision = shown.items[number]["form"]["revision"]
        check = {"t": "check", "i": number, "n": 1, "revision": revision}

        def typed(text: object, **more: Any) -> Any:
            shown.approvals.handle_message({**check, "values": {"json": text, **more}})
            assert not any("draft" in event.get("set", {}) for event in shown.view_model.pending())
            return shown.items[number].get("draft")

        draft = typed('{"port": "Goole"}')
        assert (draft["revision"], draft["json"]) == (revision, '{"port": "Goole"}')
        assert [field["text"] for field in draft["fields"]] == ['"Goole"']
        assert typed('{"port": ')["fields"] is None  # what cannot be read is one text
        assert typed('{"port": "Goole"}', raw=True)["fields"] is None
        assert typed('{"port": "' + "x" * 1_000_000 + '"}') is None
        assert typed(7) is None
        assert typed('{"port": "Goole"}') == draft
        shown.press(number, "edited", arguments={"json": '{"port": 7}'})  # before a check of it was sent
        assert shown.items[number]["draft"]["json"] == '{"port": 7}'
        assert not task.done()
        shown.press(number, "approve")
        assert await task == Approve()  # of what its view shows
        assert "draft" not in shown.items[number]

    asyncio.run(main())


def test_forms_that_nobody_sees_any_more_are_given_up_without_a_decision() -> None:
    async def main() -> None:
        shown = Shown()
        call = ToolCall("wipe", HULL, "a")
        (place,) = shown.whole(call)
        number, task = await shown.ask(call, place)
        shown.approvals.abandon()
        with pytest.raises(AbandonedFormError):
            await task
        assert (shown.items[number]["status"], shown.items[number]["form"]) == ("waiting", None)
        assert not shown.approvals.is_waiting

    asyncio.run(main())


def test_a_call_that_changed_behind_its_form_is_shown_anew() -> None:
    async def main() -> None:
        shown = Shown()
        call = ToolCall("wipe", {"port": "Hull"}, "a")
        (place,) = shown.whole(call)
        number, task = await shown.ask(call, place)
        call.arguments["port"] = "Goole"
        shown.press(number, "approve")
        await asyncio.sleep(0)
        assert not task.done()
        assert shown.items[number]["form"]["fields"][0]["text"] == '"Goole"'
        shown.press(number, "approve")
        assert await task == Approve()

    asyncio.run(main())


def test_always_is_for_the_tool_that_is_shown() -> None:
    async def main() -> None:
        shown = Shown()
        made = [ToolCall("tide", HULL, "same"), ToolCall("wipe", HULL, "same")]
        places = shown.whole(*made)
        (first, one), (second, two) = [await shown.ask(*each) for each in zip(made, places, strict=True)]
        assert [shown.items[at]["name"] for at in (first, second)] == ["tide", "wipe"]
        shown.press(second, "always")
        await two
        assert not one.done()
        assert list(shown.grants) == ["wipe"]
        assert shown.approvals.decision_by_grant(made[0], tide, places[0]) is None
        one.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("extra", [None, {"malformed_arguments": '{"po'}])
def test_a_call_that_cannot_run_as_it_is_is_asked_about_although_its_tool_is_granted(extra: Any) -> None:
    shown = Shown()
    shown.grants.allow(tide)
    made = [ToolCall("tide", {"port": 7} if extra is None else {}, "a", extra), ToolCall("tide", HULL, "b")]
    places = shown.whole(*made)
    assert [shown.approvals.decision_by_grant(call, tide, at) for call, at in zip(made, places, strict=True)] == [
        None,
        Approve(),
    ]
