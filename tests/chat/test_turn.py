"""The machine of a turn, by itself: whatever happens in whatever order, its promises hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.chat.approval import Answer, Approve, Decision, Reject, check_policy, request_decision, to_decision
from orchat.chat.message_selection import CallPlace, messages_to_send, pending_calls, skip_pending_calls
from orchat.chat.tool_execution import ToolOutcome
from orchat.chat.turn import Turn
from orchat.chat.turn_steps import AskApproval, CallModel, RunTool, RunTools, TurnEnded
from orchat.errors import ConfigurationError
from orchat.messages import ChatMessage, ChatRole, ReasoningContent, ToolCall
from tests.chat.tools import Log
from tests.chat.ways import check_sendable

TOOLS = {"tide": Log().tide()}
HULL = {"port": "Hull"}
KINDS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "good": ("tide", HULL, None),
    "unknown": ("launch", {}, None),
    "misfit": ("tide", {"port": 7}, None),
    "malformed": ("tide", {}, {"malformed_arguments": '{"po'}),
}
DECISIONS = st.sampled_from([None, Approve(), Approve({"port": "Oslo"}), Reject("no"), Reject(), Answer({"at": 14})])
ENDINGS = st.sampled_from(["stopped", "interrupted", "failed"])


def response(draw: st.DrawFn, number: int) -> ChatMessage:
    """What a model may say."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=3))
    # Some models count their calls from the start in each response.
    wanted = [ToolCall(name, args, f"call_{at}", extra) for at, (name, args, extra) in enumerate(map(KINDS.get, kinds))]  # type: ignore[misc]
    text = draw(st.none() | st.sampled_from(["", "Well."]))
    details = {"reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "signature": str(number)}]}
    thought = draw(st.none() | st.just(ReasoningContent("Hm.", details)))
    meta = {"requested_model": draw(st.sampled_from(["vendor/m", "vendor/other"]))}
    return ChatMessage.from_assistant(text, meta, tool_calls=wanted, reasoning=thought)


class Story:
    """A turn with a random life; what ran is written down."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.turn = Turn([ChatMessage.from_user("Hi")], TOOLS, max_rounds=draw(st.integers(1, 4)))
        self.allowed: list[dict[str, Any]] = []
        self.ran: list[dict[str, Any]] = []
        self.responses = 0

    def check(self) -> None:
        check_sendable(self.turn.messages)
        check_sendable(messages_to_send(self.turn.messages, "vendor/m"))
        for message in messages_to_send(self.turn.messages, "vendor/m"):
            if message.is_from(ChatRole.ASSISTANT) and message.reasoning and message.reasoning.extra:
                assert message.meta["requested_model"] == "vendor/m"

    def cut(self) -> None:
        partial = self.draw(st.none() | st.just(response(self.draw, 0)))
        self.turn.cut(self.draw(ENDINGS), partial)

    def live(self) -> None:
        """Go on until the turn has ended."""
        while not isinstance(step := self.turn.step(), TurnEnded):
            assert self.turn.step() == step
            if self.draw(st.integers(0, 9)) == 0:
                self.cut()
            elif isinstance(step, CallModel):
                self.turn.responded(response(self.draw, self.responses))
                self.responses += 1
            elif isinstance(step, AskApproval):
                self.decide({place: self.draw(DECISIONS) for place in step.calls}, step.calls)
            else:
                self.run(step.runs)
            self.check()
        self.turn.cut("failed")  # it has ended: nothing changes
        assert self.turn.step() == step == TurnEnded(self.turn.reply.ending)
        if step.ending == "parked":
            assert self.turn.reply.pending

    def decide(self, decisions: dict[CallPlace, Decision | None], calls: Any) -> None:
        for place, call in calls.items():
            match decisions[place]:
                case Approve(arguments=None):
                    self.allowed.append(call.arguments)
                case Approve(arguments=changed):
                    self.allowed.append(changed)
        self.turn.decided(decisions)

    def run(self, runs: tuple[RunTool, ...]) -> None:
        for run in self.draw(st.permutations(runs)):
            self.turn.started(run.place)
            self.ran.append(run.arguments)
            if self.draw(st.integers(0, 5)) == 0:
                self.cut()
                return
            message = self.turn.returned(run.place, ToolOutcome("14:10", self.draw(st.booleans())))
            told = "A person changed the arguments" in str(message.tool_call_result.result)  # type: ignore[union-attr]
            assert told == (run.arguments != run.call.arguments)


@given(st.data())
def test_whatever_happens_the_promises_hold(data: st.DataObject) -> None:
    story = Story(data.draw)
    story.live()
    while pending := pending_calls(story.turn.messages):
        chosen = data.draw(st.lists(st.sampled_from(pending), min_size=1, unique_by=lambda call: str(call.id)))
        decisions = {str(call.id): data.draw(DECISIONS.filter(bool)) for call in chosen}
        if data.draw(st.booleans()):  # in another process
            story.turn = Turn(story.turn.messages, TOOLS, 4)
        for call in chosen:
            if isinstance(decision := decisions[str(call.id)], Approve):
                story.allowed.append(call.arguments if decision.arguments is None else decision.arguments)
        story.turn.resume(decisions)
        story.live()
    # Nothing ran that was not allowed, or more often.
    for arguments in story.ran:
        story.allowed.remove(arguments)
    results = [message for message in story.turn.messages if message.is_from(ChatRole.TOOL)]
    assert len(results) == sum(len(message.tool_calls) for message in story.turn.messages)
    check_sendable(skip_pending_calls(story.turn.messages))
    endings = [message.meta["ending"] for message in story.turn.messages if "ending" in message.meta]
    if story.turn.ending in ("stopped", "interrupted", "failed") and not story.turn.is_empty:
        assert endings[-1] == story.turn.ending


def test_a_machine_that_is_asked_twice_says_the_same() -> None:
    turn = Turn([ChatMessage.from_user("Hi")], TOOLS)
    assert turn.step() == turn.step() == CallModel()
    turn.responded(ChatMessage.from_assistant(None, tool_calls=[ToolCall("tide", HULL, "call_1")]))
    assert isinstance(turn.step(), AskApproval)
    turn.decided({CallPlace(0, 0): Approve()})
    assert isinstance(turn.step(), RunTools)
    assert turn.reply.ending == "interrupted"  # so far


def test_what_was_partly_heard_is_kept_without_its_loose_ends() -> None:
    turn = Turn([ChatMessage.from_user("Hi")], TOOLS)
    details = {"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]}
    call = ToolCall("tide", {}, "call_1", {"malformed_arguments": '{"port": "Hu'})
    partial = ChatMessage.from_assistant("The ", tool_calls=[call], reasoning=ReasoningContent("Hm.", details))
    turn.cut("stopped", partial)
    kept = turn.messages[-1]
    assert (kept.text, kept.tool_calls, kept.reasoning) == ("The ", [], ReasoningContent("Hm."))
    assert kept.meta == {"ending": "stopped", "cut_calls": [{"tool_name": "tide", "arguments": '{"port": "Hu'}]}


def test_a_refusal_is_something_said() -> None:
    refusal = ChatMessage.from_assistant(None, {"refusal": "No."})
    assert messages_to_send([refusal], "vendor/m") == [refusal]


@pytest.mark.parametrize("policy", ["ask", "always", "never", {}, {"tide": "ask"}, print])
def test_policies_that_make_sense(policy: Any) -> None:
    assert check_policy(policy) is policy


@pytest.mark.parametrize("policy", [None, True, "yes", {"tide": True}, 1])
def test_policies_that_make_none(policy: Any) -> None:
    with pytest.raises(ConfigurationError, match="makes no sense"):
        check_policy(policy)


@given(st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.booleans()))
def test_only_a_plain_yes_approves(said: Any) -> None:
    try:
        decision = to_decision(said)
    except ConfigurationError:
        return
    assert (decision == Approve()) == (said is True or said == "always")


def test_a_policy_sees_the_call() -> None:
    seen: list[ToolCall] = []
    call = ToolCall("tide", HULL, "call_1")
    assert request_decision(seen.append, call) is None
    assert seen == [call]
