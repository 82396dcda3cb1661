"""Forms of calls that are still being written: there at once, bounded in what they cost, and never in the way."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from orchat.chat.message_selection import CallPlace
from orchat.jupyter.kernel.forms import build_form
from orchat.jupyter.kernel.live_view.pending_approvals import PendingApprovals
from orchat.jupyter.kernel.live_view.streaming_calls import StreamingCalls
from orchat.jupyter.kernel.live_view.tool_grants import ToolGrants
from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.messages import ToolCall, ToolCallResult
from orchat.streaming import StreamingChunk, ToolCallDelta
from orchat.tools import Tool, tool


class Stop(BaseModel):
    port: str
    hours: int = 2


@tool
def plan(
    code: str,
    season: Literal["spring", "summer"],
    stops: list[Stop],
    first: Stop,
    when: int | str,
    n: int | None = None,
) -> str:
    """Plan."""
    return ""


GIVEN = {
    "code": 'print("\u00e9\U0001f30a")\n' * 3,
    "season": "summer",
    "stops": [{"port": "Hull"}, {"port": "Goole", "hours": 5}],
    "first": {"port": "Selby", "hours": 1},
    "when": "May",
    "n": None,
    "more": {"unknown": [True, 1.5]},
}


def forms(text: str, *cuts: int, of: Tool = plan) -> list[dict[str, Any]]:
    """The forms of a call whose text arrives in pieces."""
    now = 0.0
    streaming_calls = StreamingCalls(lambda: now)
    streaming_calls.begin(0, of)
    shown = []
    for start, end in zip((0, *cuts), (*cuts, len(text)), strict=True):
        streaming_calls.add(0, text[start:end])
        now += 60
        shown += [form for _, form in streaming_calls.take_due_forms()]
    assert streaming_calls.take(0) == text
    return shown


@pytest.mark.parametrize("escaped", [True, False])
def test_every_beginning_has_a_form_with_the_fields_of_the_last(escaped: bool) -> None:
    whole = json.dumps(GIVEN, ensure_ascii=escaped)
    final = build_form(plan, GIVEN)
    kinds = [(each["name"], each["kind"]) for each in final["fields"]]
    for end in range(len(whole)):
        form = forms(whole[:end])[-1]
        json.dumps(form, ensure_ascii=False).encode()
        shown = [(each["name"], each["kind"]) for each in form["fields"]]
        assert shown == kinds[: len(shown)]
        assert len(shown) >= 6
    last = json.loads(json.dumps(forms(whole)[-1]).replace(', "awaited": true', ""))
    assert last | {"json": final["json"]} == final


def test_a_form_is_there_before_a_single_argument() -> None:
    (form,) = forms("")
    assert [each["text"] for each in form["fields"]] == [None] * 6
    assert [each.get("awaited") for each in form["fields"]] == [True] * 5 + [None]
    assert form["fields"][0]["code"] is True


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GIVEN, "port"]), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(GIVEN)), JSON, max_size=5), st.data())
def test_whatever_a_model_writes_no_form_breaks(arguments: dict[str, Any], data: st.DataObject) -> None:
    whole = json.dumps(arguments)
    for form in forms(whole[: data.draw(st.integers(0, len(whole)))]):
        json.dumps(form, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize("text", ["no JSON", '{"code": NaN', "[" * 5_000, '["x"]', '"x'])
def test_what_is_no_object_leaves_the_form_as_it_was(text: str) -> None:
    assert len(forms(text, 0)) == 1


def test_a_tool_without_fields_shows_the_text_itself() -> None:
    crowd = Tool("t", "", {"oneOf": [{"properties": {"p1": {"type": "string"}}}]}, print)
    form = forms('{"p1": "x', of=crowd)[-1]
    assert (form["fields"], form["json"], form["error"]) == (None, '{"p1": "x', None)


def test_what_it_costs_grows_with_the_time_and_not_with_the_square_of_the_text() -> None:
    now = 0.0
    streaming_calls = StreamingCalls(lambda: now)
    streaming_calls.begin(0, plan)
    sent, sizes = [], []
    whole = json.dumps({"code": "x = 1  # a line of code\n" * 800})
    for at in range(0, len(whole), 16):  # 20 kB, at 400 characters a second
        streaming_calls.add(0, whole[at : at + 16])
        now += 0.04
        for _, form in streaming_calls.take_due_forms():
            sent.append(now)
            sizes.append(len(json.dumps(form)))
    assert now > 50
    assert sum(sizes) <= 12_000 * now + max(sizes)
    assert sent[0] < 0.1
    assert max(b - a for a, b in pairwise(sent)) < 2.5
    wait = streaming_calls.seconds_until_due()
    assert wait is None or wait < 2.5


def delta(index: int, name: str | None, arguments: str | None, call_id: str | None = None) -> StreamingChunk:
    return StreamingChunk("", index=index, tool_calls=[ToolCallDelta(index, name, arguments, call_id)])


def watching(*tools: Tool, grants: ToolGrants | None = None) -> tuple[TurnViewModel, PendingApprovals]:
    view_model = TurnViewModel()
    approvals = PendingApprovals(view_model, lambda: None, grants or ToolGrants())
    approvals.expect({each.name: each for each in tools}.get)
    return view_model, approvals


@tool
def tide(port: Annotated[str, Field(json_schema_extra={"x-orchat": {"widget": "code"}})]) -> str:
    """Tell."""
    return "high"


CALL = ToolCall("tide", {"port": "Hull"}, "call_1")


def item(view_model: TurnViewModel, number: int = 0) -> dict[str, Any]:
    return dict(view_model.snapshot(html=False)["items"][number])


def test_a_call_is_a_form_as_soon_as_its_tool_is_known_and_text_when_it_is_cut() -> None:
    view_model, _ = watching(tide)
    view_model.add(delta(0, "tide", None, "call_1"))
    shown = item(view_model)
    assert (shown["status"], shown["args"], shown["form"]["fields"][0]["code"]) == ("writing", "", True)
    view_model.add(delta(0, None, '{"port": "Hu\x1b'))
    assert view_model.seconds_until_due() is not None
    assert item(view_model)["args"] == ""
    view_model.end("stopped", "stopped")
    shown = item(view_model)
    assert (shown["status"], shown["args"], shown["form"]) == ("cut", '{"port": "Hu', None)
    assert view_model.seconds_until_due() is None


def test_what_nobody_will_be_asked_about_is_text() -> None:
    grants = ToolGrants()
    grants.allow(tide)
    for view_model, _ in (watching(), watching(plan), watching(tide, grants=grants)):
        view_model.add(delta(0, "tide", '{"port": "Hu', "call_1"))
        assert "form" not in item(view_model)
        assert item(view_model)["args"] == '{"port": "Hu'
        assert view_model.seconds_until_due() is None


def test_a_call_that_was_answered_without_a_question_has_no_form_left() -> None:
    grants = ToolGrants()
    view_model, approvals = watching(tide, grants=grants)
    view_model.add(delta(0, "tide", '{"port": "Hull"}', "call_1"))
    assert item(view_model)["form"]
    view_model.called({CallPlace(0, 0): CALL}, [0])
    refused = ToolCallResult("No.", CALL, error=True)
    view_model.add(StreamingChunk("", {"place": CallPlace(0, 0)}, index=0, tool_call_result=refused))
    assert (item(view_model)["form"], item(view_model)["status"]) == (None, "failed")
    view_model.add(delta(0, "tide", '{"port": "Hull"}', "call_2"))
    grants.allow(tide)  # in another form, meanwhile
    call = ToolCall("tide", {"port": "Hull"}, "call_2")
    view_model.called({CallPlace(1, 0): call}, [0])
    assert approvals.decision_by_grant(call, tide, CallPlace(1, 0)) is not None
    assert (item(view_model, 1)["form"], item(view_model, 1)["granted"]) == (None, True)


def test_the_calls_of_the_next_response_are_others() -> None:
    view_model, _ = watching(tide)
    view_model.add(delta(0, "tide", '{"port": ', "call_1"))
    view_model.add(StreamingChunk("", {}, finish_reason="tool_calls"))
    view_model.add(delta(0, "tide", '{"port": "Goole"}', "call_2"))
    first, second = view_model.snapshot(html=False)["items"]
    assert first["form"]["fields"][0]["text"] is None
    assert second["form"]["fields"][0]["text"] == '"Goole"'
