"""What a server does to the person while a call runs: it asks a question by a form, and tells its progress."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orchat.chat import Answer, Approve, Chat, Reject, Reply
from orchat.chat.turn_streams import AsyncChatStream, ChatStream
from orchat.messages import ToolCall
from orchat.tools import Tool
from tests.mcp.conftest import HttpServer, Tides
from tests.mcp.test_mcp_toolset import chat_with
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text
from tests.patience import stretched


class Person:
    """A sink that decides as told, and keeps what it was shown."""

    def __init__(self, verdict: Any, *, awaits: bool = False) -> None:
        self._verdict = verdict
        self._awaits = awaits
        self.asked: list[tuple[ToolCall, Tool, Any]] = []
        self.shown: list[tuple[str, float | None, str]] = []

    def start(self, question: object) -> None: ...
    def add(self, chunk: object) -> None: ...
    def end(self, reply: object, error: object) -> None: ...

    def ask(self, call: ToolCall, tool: Tool, place: Any) -> Any:
        self.asked.append((call, tool, place))

        async def decide() -> Any:
            await asyncio.sleep(0)
            return self._verdict

        return decide() if self._awaits else self._verdict

    def running(self, call: ToolCall, place: Any, part: float | None, words: str) -> None:
        self.shown.append((call.tool_name, part, words))


def reply_to(chat: Chat, sink: Person, way: str) -> Reply:
    if way == "sync":
        return ChatStream(chat, "Hi", {}, sink).drain()

    async def ask() -> Reply:
        return await AsyncChatStream(chat, "Hi", {}, sink).drain()

    return asyncio.run(ask())


def result_of(chat: Chat) -> str:
    [result] = [message.tool_call_result.result for message in chat.messages if message.tool_call_result]
    assert isinstance(result, str)
    return result


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Approve(arguments={"port": "Goole", "day": 3}), "accept: port='Goole' day=3"),
        (Answer({"port": "York", "day": 1}), "accept: port='York' day=1"),
        (Reject("Not now."), "decline: None"),
        (None, "cancel: None"),
    ],
)
def test_a_question_of_a_server_is_a_form(
    openrouter: ScriptedOpenRouter, tides: Tides, way: str, verdict: Any, told: str
) -> None:
    openrouter.answers(calls(call("tides_choose", {})), text("Thanks."))
    chat, person = chat_with(openrouter, tides), Person(verdict, awaits=way == "async")
    assert reply_to(chat, person, way).text == "Thanks."
    assert result_of(chat) == told
    [(asked, form, place)] = person.asked
    assert (asked.tool_name, asked.arguments) == ("answer_tides", {"port": "Hull"})
    assert form.title == "tides asks: Which tide?"
    assert "It goes to the MCP server" in form.description
    assert form.parameters["properties"]["port"]["description"] == "Which harbour"
    assert form.asks_always  # no grant and no policy answers for the person
    assert tuple(place) == (0, 0)
    assert person.shown[-1] == ("tides_choose", None, "")  # the call itself again


def test_a_stop_takes_the_question_back(openrouter: ScriptedOpenRouter, http_server: HttpServer) -> None:
    tides = Tides(http_server.url, name="tides")
    openrouter.answers(calls(call("tides_choose", {})))
    chat = chat_with(openrouter, tides)
    ended: list[str] = []

    class Slow(Person):
        def ask(self, call: ToolCall, tool: Tool, place: Any) -> Any:
            async def never() -> None:
                chat.stop()
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append("taken back")

            return never()

    assert reply_to(chat, Slow(None), "async").ending == "stopped"
    assert ended == ["taken back"]
    tides.close()


def test_a_person_may_take_longer_than_a_call(openrouter: ScriptedOpenRouter, http_server: HttpServer) -> None:
    limit = stretched(0.5)
    tides = Tides(http_server.url, name="tides", timeout=limit)
    openrouter.answers(calls(call("tides_choose", {})), text("Thanks."))
    chat = chat_with(openrouter, tides)

    class Slow(Person):
        def ask(self, call: ToolCall, tool: Tool, place: Any) -> Any:
            async def decide() -> Approve:
                await asyncio.sleep(limit + 0.3)
                return Approve(arguments={"port": "Goole", "day": 3})

            return decide()

    reply_to(chat, Slow(None), "async")
    assert result_of(chat) == "accept: port='Goole' day=3"
    tides.close()


def test_a_call_that_takes_too_long_ends(http_server: HttpServer, tmp_path: Any) -> None:
    tides = Tides(http_server.url, timeout=0.2)
    with pytest.raises(Exception, match=r"did not answer the call: it took too long\. Raise") as caught:
        tides.tool("wait").invoke(path=str(tmp_path / "x"))
    assert type(caught.value).__name__ == "ToolInvocationError"
    tides.close()


def test_nobody_is_asked_by_a_tool_that_is_called_alone(tides: Tides) -> None:
    assert tides.tool("choose").invoke().content[0].text == "cancel: None"


@pytest.mark.parametrize("way", ["sync", "async"])
def test_progress_is_shown_at_the_call(openrouter: ScriptedOpenRouter, tides: Tides, way: str, tmp_path: Path) -> None:
    seen = tmp_path / "seen"

    class Watcher(Person):
        def running(self, call: ToolCall, place: Any, part: float | None, words: str) -> None:
            super().running(call, place, part, words)
            if part == 0.5:
                seen.touch()

    openrouter.answers(calls(call("tides_step", {"count": 4, "until": str(seen)})), text("Done."))
    person = Watcher(None)
    reply_to(chat_with(openrouter, tides), person, way)
    assert ("tides_step", 0.5, "2 of 4: step 2") in person.shown
    assert len(person.shown) <= 4
