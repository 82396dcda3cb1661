"""Every version of a turn stays: what is asked again, edited or taken back can be shown again, and is saved."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchat.chat import Chat
from orchat.chat.message_versions import MAX_HIDDEN_TURNS
from orchat.errors import APIConnectionError, ConfigurationError, ProviderError, StateError
from orchat.messages import ChatMessage, ImageContent
from tests.chat.conftest import Make
from tests.chat.test_tools import HULL
from tests.chat.tools import Log
from tests.chat.ways import Way, check_sendable
from tests.openrouter_server import ScriptedOpenRouter, calls, error, event, stream, text


def texts(chat: Chat) -> list[str | None]:
    return [message.text for message in chat.messages]


def said(chat: Chat, turn: int = -1) -> list[list[str | None]]:
    return [[message.text for message in version] for version in chat.versions(turn)]


def talk(count: int) -> list[ChatMessage]:
    return [
        message
        for at in range(count)
        for message in (ChatMessage.from_user(f"{at}?"), ChatMessage.from_assistant(f"{at}!"))
    ]


def saved(chat: Chat, **limits: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(json.dumps(chat.to_dict(**limits)))
    return data


def test_a_question_asked_again_or_edited_keeps_the_earlier_answers_and_what_followed(
    make: Make, way: Way, openrouter: ScriptedOpenRouter
) -> None:
    chat = make(system="Be brief.")
    openrouter.answers(text("One."), text("Two."), text("Uno."), text("Due."), text("Other."))
    way.ask(chat, "1")
    way.ask(chat, "2")
    way.ask(chat, "1", version_of=0, generation_kwargs={"model": "vendor/other"})
    assert texts(chat) == ["Be brief.", "1", "Uno."]
    assert openrouter.request.json["model"] == "vendor/other"
    assert [message["content"] for message in openrouter.request.json["messages"]] == ["Be brief.", "1"]
    way.ask(chat, "2 b")
    assert chat.shown_versions() == {0: (1, 2)}
    assert said(chat, 0) == [["1", "One."], ["1", "Uno."]]
    chat.show_version(0, turn=0)
    assert texts(chat) == ["Be brief.", "1", "One.", "2", "Two."]
    way.ask(chat, "2 edited", version_of=-1)
    assert said(chat) == [["2", "Two."], ["2 edited", "Other."]]
    assert chat.shown_versions() == {0: (0, 2), 1: (1, 2)}
    chat.show_version(-1, turn=0)
    assert texts(chat)[1:] == ["1", "Uno.", "2 b", "Due."]
    chat.show_version(0, turn=0)
    assert texts(chat)[1:] == ["1", "One.", "2 edited", "Other."]
    chat.show_version(1, turn=1)  # it is shown already
    assert texts(chat)[1:] == ["1", "One.", "2 edited", "Other."]
    assert chat.cost.total == pytest.approx(5 * 0.00004)
    for number, turn in ((2, 0), (-3, 0), (0, 5), (0, -3)):
        with pytest.raises(ConfigurationError):
            chat.show_version(number, turn)


def test_what_is_taken_back_can_be_brought_back_step_by_step(
    chat: Chat, way: Way, openrouter: ScriptedOpenRouter
) -> None:
    chat.messages = talk(4)
    assert (chat.can_redo, chat.redo(), chat.shown_versions()) == (False, [], {})
    chat.undo()
    chat.undo()
    assert (len(chat.messages), chat.can_redo) == (4, True)
    assert [message.text for message in chat.redo()] == ["2?", "2!"]
    assert [message.text for message in chat.redo()] == ["3?", "3!"]
    assert (chat.can_redo, chat.messages == talk(4)) == (False, True)
    assert len(chat.undo(1)) == 6
    openrouter.answers(text("New."))
    way.ask(chat, "new?")
    assert (chat.can_redo, chat.shown_versions()) == (False, {1: (1, 2)})
    chat.show_version(0)
    assert chat.messages == talk(4)
    chat.undo()
    chat.forget_versions()
    assert (chat.can_redo, chat.shown_versions(), len(chat.messages)) == (False, {}, 6)
    chat.reset()
    assert (chat.undo(), chat.redo(), chat.versions()) == ([], [], [])
    with pytest.raises(ConfigurationError, match="no turn 0"):
        way.ask(chat, "x", version_of=0)


def test_a_version_without_an_answer_leaves_the_earlier_one(
    chat: Chat, way: Way, openrouter: ScriptedOpenRouter
) -> None:
    openrouter.answers(text("One."), text("Uno."), error(503), error(503), text("Una."))
    way.ask(chat, "1")
    way.ask(chat, "1", version_of=0)
    for question, options in (("edited", {"version_of": 0}), ("2", {})):
        with pytest.raises(ProviderError):
            way.ask(chat, question, **options)
        assert texts(chat) == ["1", "Uno."]
        assert said(chat) == [["1", "One."], ["1", "Uno."]]
    chat.messages = chat.messages
    assert said(chat) == [["1", "One."], ["1", "Uno."]]


def test_versions_follow_their_turns_when_messages_are_set(chat: Chat) -> None:
    chat.messages = talk(3)
    chat.undo()
    chat.undo()
    note = ChatMessage.from_assistant("noted")
    chat.messages = [ChatMessage.from_system("Be brief."), *chat.messages, note]
    assert [message.text for message in chat.redo()] == ["1?", "1!"]
    chat.messages = talk(1)
    assert texts(chat) == ["0?", "0!"]
    chat.undo()
    chat.messages = [ChatMessage.from_user("else"), ChatMessage.from_assistant("yes")]
    assert chat.shown_versions() == {0: (1, 2)}  # it is a version of what was taken back
    chat.show_version(0)
    assert texts(chat)[:2] == ["0?", "0!"]


def test_a_fork_has_versions_of_its_own(chat: Chat) -> None:
    chat.messages = talk(2)
    chat.undo()
    twin = chat.fork()
    twin.redo()[0].meta["x"] = 1
    assert "x" not in chat.versions(1)[0][0].meta
    assert (chat.can_redo, twin.can_redo) == (True, False)


# -- retry ----------------------------------------------------------------------------------------------------------


def test_retry_repeats_the_response_that_failed_and_no_call_before_it(
    make: Make, way: Way, openrouter: ScriptedOpenRouter
) -> None:
    log = Log()
    chat = make(tools=[log.tide()], approve="always")
    openrouter.answers(calls(HULL), error(503), error(503), text("At 14:10."))
    for _ in range(2):
        with pytest.raises(ProviderError):
            way.ask(chat, "When?") if not chat.messages else way.retry(chat)
        assert [message.role.value for message in chat.messages] == ["user", "assistant", "tool"]
        assert chat.messages[1].meta["ending"] == "failed"
    reply = way.retry(chat)
    assert (reply.text, reply.ending, log.calls) == ("At 14:10.", "finished", [("Hull", 0)])
    assert [message["role"] for message in openrouter.request.json["messages"]] == ["user", "assistant", "tool"]
    assert "ending" not in chat.messages[1].meta
    with pytest.raises(ConfigurationError, match="No turn has failed"):
        way.retry(chat)
    check_sendable(chat.messages)


def test_retry_keeps_what_had_arrived_as_a_version(chat: Chat, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(stream(event("At 14")).ending("eof"), error(503), text("At 14:10."))
    with pytest.raises(APIConnectionError):
        way.ask(chat, "When?")
    with pytest.raises(ProviderError):
        way.retry(chat)
    assert said(chat) == [["When?", "At 14"]]
    way.retry(chat)
    assert said(chat) == [["When?", "At 14"], ["When?", "At 14:10."]]
    with pytest.raises(ConfigurationError):
        Chat("vendor/m").retry()


# -- saved ----------------------------------------------------------------------------------------------------------


def branched() -> Chat:
    """Turns 0 and 1; two older versions of 1, one of them continued; a newer one of 0; and one undone behind 1."""
    chat = Chat("vendor/m")
    chat.messages = talk(3)
    chat.undo(1)
    chat.messages = [*chat.messages, *talk(1)]
    chat.undo(1)
    chat.messages = [*chat.messages, *talk(3)[4:], *talk(2)[2:]]
    chat.undo()
    shown = chat.messages
    chat.undo(0)
    chat.messages = [talk(1)[0], ChatMessage.from_assistant("newer")]
    chat.show_version(0, 0)
    assert chat.messages == shown
    return chat


def test_versions_are_saved_and_come_back_the_same() -> None:
    chat = branched()
    data = saved(chat)
    assert data["version"] == 1
    restored = Chat.from_dict(data)
    assert saved(restored) == data
    assert restored.shown_versions() == chat.shown_versions() == {0: (0, 2), 1: (2, 3)}
    for each in (chat, restored):
        assert [message.text for message in each.redo()] == ["1?", "1!"]
        each.show_version(0, 1)
        assert texts(each) == ["0?", "0!", "1?", "1!", "2?", "2!"]
        each.show_version(1, 0)
        assert texts(each) == ["0?", "newer"]
        each.show_version(0, 0)
        assert each.shown_versions() == {0: (0, 2), 1: (0, 3)}


def test_what_was_taken_back_last_is_brought_back_first_after_a_restore_as_well() -> None:
    chat = Chat()
    chat.messages = talk(2)
    chat.undo()
    chat.messages = [*chat.messages, ChatMessage.from_user("1b?"), ChatMessage.from_assistant("1b!")]
    chat.show_version(0, turn=1)  # the older one is shown, and taken back last
    chat.undo()
    again = Chat.from_dict(saved(chat))
    assert saved(again) == saved(chat)
    for each in (chat, again):
        assert [message.text for message in each.redo()] == ["1?", "1!"]
        each.undo(0)
        assert [message.text for message in each.redo()] == ["0?", "0!"]
        assert [message.text for message in each.redo()] == ["1?", "1!"]


def test_the_oldest_versions_make_room_first_then_media_and_turns() -> None:
    chat = branched()
    whole = saved(chat)
    size = len(json.dumps(whole))
    assert len(whole["versions"]) == 5
    for limit in range(size - 1, 450, -40):
        data = saved(chat, max_bytes=limit)
        assert len(json.dumps(data, ensure_ascii=False)) <= limit
        left = data.get("versions", [])
        assert data["left_out"]["versions"] == 5 - len(left) > 0
        assert data["messages"] == whole["messages"] or not left
        Chat.from_dict(data)
    assert data["left_out"]["turns"] == 0 or not left
    assert saved(chat, max_bytes=size) == whole


def test_pictures_of_versions_make_room_before_those_that_are_shown() -> None:
    chat = Chat("vendor/m")
    picture = ImageContent("iVBORw0KGgoA" + "AAAA" * 12_500, "image/png")
    for _ in range(2):
        chat.messages = [ChatMessage.from_user(content_parts=[picture, "What?"]), ChatMessage.from_assistant("A tide.")]
        chat.undo()
    chat.redo()
    data = saved(chat, max_bytes=80_000)
    assert (data["left_out"]["media"], len(data["versions"])) == (1, 1)
    assert "image" in data["messages"][0]["content"][0]
    assert data["versions"][0]["messages"][0]["content"][0] == {"text": "[an image was left out to save space]"}
    Chat.from_dict(data).show_version(0)


def test_a_version_with_a_secret_is_not_saved() -> None:
    chat = Chat("vendor/m")
    chat.messages = [*talk(1), ChatMessage.from_user("2"), ChatMessage.from_assistant("AKIAIOSFODNN7EXAMPLE"), *talk(1)]
    chat.undo(1)
    assert (len(saved(chat).get("versions", [])), saved(chat)["left_out"]["secrets"]) == (0, 1)
    chat.messages = [ChatMessage.from_user("AKIAIOSFODNN7EXAMPLE?"), *talk(1)[1:]]
    chat.undo()
    assert "AKIA" not in json.dumps(saved(chat))
    assert saved(chat)["versions"][-1]["messages"][0]["content"] == [{"text": "[redacted]?"}]
    shown = Chat("vendor/m")
    shown.messages = [ChatMessage.from_user("2"), ChatMessage.from_assistant("AKIAIOSFODNN7EXAMPLE"), *talk(2)]
    shown.undo()
    assert [turn["after"] for turn in saved(shown)["versions"]] == [1]


def test_damaged_versions_are_refused_and_those_that_follow_nothing_are_not_shown() -> None:
    data = saved(branched())
    for damage in ([7], [{}], [{"messages": 7}], [{"after": 0, "messages": data["messages"]}]):
        with pytest.raises(StateError, match="damaged"):
            Chat.from_dict({**data, "versions": damage})
    call: dict[str, Any] = {"tool_call": {"id": "c", "tool_name": "wipe", "arguments": {}}}
    dangling = [*data["messages"][:1], {"role": "assistant", "meta": {}, "content": [call]}]
    with pytest.raises(StateError, match="damaged"):
        Chat.from_dict({**data, "versions": [{"after": 0, "messages": dangling}]})
    turn = data["messages"][:2]
    for place in ({}, {"after": 9}, {"after": -1}, {"after": True}, {"inside": 0}, {"inside": 1}, {"after": "0"}):
        chat = Chat.from_dict({**data, "versions": [{**place, "messages": turn}]})
        assert (chat.shown_versions(), chat.can_redo, "versions" in chat.to_dict()) == ({}, False, False)
    for no in (None, {}, 7, "x"):
        assert Chat.from_dict({**data, "versions": no}).shown_versions() == {}


def test_many_versions_are_bounded_and_quick() -> None:
    chat = Chat("vendor/m")
    chat.messages = talk(1_600)
    started = time.process_time()
    for _ in range(1_100):
        chat.undo()
    assert time.process_time() - started < 20
    assert len(chat.hidden_turns()) == MAX_HIDDEN_TURNS
    data = saved(chat)
    restored = Chat.from_dict(copy.deepcopy(data))
    assert saved(restored) == data
    for each in (chat, restored):  # of what was taken back, the first is forgotten first
        assert [message.text for message in each.redo()] == ["500?", "500!"]
        assert [message.text for message in each.redo()] == ["501?", "501!"]
    few = saved(chat, max_bytes=100_000)
    assert 0 < len(few["versions"]) < 998
    assert [message.text for message in Chat.from_dict(few).redo()] == ["502?", "502!"]
    started = time.process_time()
    hostile = {**data, "versions": [{"after": 0, "messages": data["messages"][:2]}] * 100_000}
    assert len(Chat.from_dict(hostile).hidden_turns()) == MAX_HIDDEN_TURNS
    assert time.process_time() - started < 5


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["ask", "version", "fail", "undo", "redo", "show", "save", "fork"]), st.integers(0, 5)),
    max_size=25,
)


OLDER_BELOW_NEWER = [("ask", 0), ("version", 0), ("ask", 0), ("version", 1), ("save", 0), ("show", 0), ("save", 0)]


@given(ACTIONS)
@example(OLDER_BELOW_NEWER)
def test_whatever_is_done_every_answer_can_be_shown_again(actions: list[tuple[str, int]]) -> None:
    chat = Chat("vendor/m")
    answers: set[str] = set()

    def ask(number: int, *, version_of: int | None = None, fails: bool = False) -> None:
        with chat._turn_in_progress(f"{number}?", {}, 25, version_of=version_of) as turn:
            if not fails:
                turn.responded(ChatMessage.from_assistant(f"{number}!"))
                answers.add(f"{number}!")

    for step, (what, choice) in enumerate(actions):
        turns = len(chat.messages) // 2
        if what == "ask":
            ask(step)
        elif what in ("version", "fail") and turns:
            before = (texts(chat), chat.shown_versions())
            ask(step, version_of=choice % turns, fails=what == "fail")
            assert what == "version" or (texts(chat), chat.shown_versions()) == before
        elif what == "undo" and turns:
            before_undo = texts(chat)
            chat.undo()
            assert texts(chat) == before_undo[:-2]
            assert chat.can_redo
        elif what == "redo":
            assert chat.can_redo == bool(chat.redo())
        elif what == "show" and turns:
            at = choice % turns
            number = choice % len(chat.versions(at))
            wanted = chat.versions(at)[number]
            chat.show_version(number, at)
            assert chat.messages[2 * at : 2 * at + 2] == wanted
        elif what == "save":
            data = saved(chat)
            chat = Chat.from_dict(data)
            assert saved(chat) == data
        elif what == "fork":
            chat = chat.fork()
        check_sendable(chat.messages)
        hidden = [message.text for turn in chat.hidden_turns() for message in turn.messages]
        assert sorted(filter(None, [*hidden, *texts(chat)])) == sorted(answers | {f"{each[:-1]}?" for each in answers})
