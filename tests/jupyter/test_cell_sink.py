"""Chats of Python's in cells: shown as they arrive and once, stopped in one line, with tools that wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from orchat.jupyter.kernel.output.mime_types import read_extras
from tests.jupyter.ipython_terminal import Terminal
from tests.jupyter.kernel import SOON, Ended, Kernel, shows
from tests.jupyter.panel_page import Page
from tests.jupyter.test_magic_options import MIME, ask
from tests.jupyter.test_tool_calls import DEFINED, HULL
from tests.openrouter_server import ScriptedOpenRouter, calls, endless, error, text
from tests.openrouter_server.server import CHAT
from tests.patience import stretched

pytestmark = pytest.mark.slow

WORDS = "one two three four " * 10
WAYS = {
    "a chat that is called": "chat('Hi')",
    "a chat that is awaited": "await chat.ask('Hi')",
    "one question": "import orchat; orchat.ask('Hi')",
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


@pytest.fixture(autouse=True)
def _no_answer_is_left_over(endpoint: ScriptedOpenRouter) -> Iterator[None]:
    yield
    endpoint.on(*CHAT).queue.clear()


@pytest.fixture
def chatting(kernel: Kernel) -> Kernel:
    ask(kernel, "from orchat import Chat\nchat = Chat()")
    return kernel


def plain(ended: Ended) -> str:
    return str(ended.bundles[-1]["text/plain"])


@ways
def test_an_answer_is_shown_as_it_arrives_and_once(chatting: Kernel, endpoint: ScriptedOpenRouter, way: str) -> None:
    endpoint.answers(text(WORDS).paced(0.05))
    (ended,) = chatting.run(way, cell_ids=["a"])
    assert ended.status == "ok", ended.content
    assert ended.of("execute_result") == []
    assert ended.printed == ""
    assert len(ended.of("display_data")) == 1
    painted = [bundle["text/markdown"] for bundle in ended.bundles]
    assert len(painted) > 8
    assert any(painted[-1].startswith(each) for each in painted[1:-1])
    assert len(painted) <= 25 * (ended.seconds + 0.5)
    assert plain(ended).startswith("one two three")
    assert set(ended.bundles[-1]) == {"text/markdown", "text/plain", MIME}
    assert read_extras(ended.bundles[-1])["requested"]


@pytest.mark.parametrize("way", [*WAYS.values(), "chat('Hi', whole=True)"], ids=[*WAYS.keys(), "a whole answer"])
def test_a_retry_is_told_while_it_is_waited_for(chatting: Kernel, endpoint: ScriptedOpenRouter, way: str) -> None:
    endpoint.answers(error(503, "busy", headers={"Retry-After": "1.5"}), text("Hello."))
    (ended,) = chatting.run(way, cell_ids=["a"])
    painted = [bundle["text/markdown"] for bundle in ended.bundles]
    assert "*Retrying in 1.5 s (2 of 6): HTTP 503: busy.*" in painted
    assert "Retrying" not in painted[-1] + plain(ended) + ended.printed


_BUSY = """
import asyncio, time
from orchat import ChatMessage
from orchat.chat.reply import Reply
from orchat.jupyter.kernel.output.live_display import LiveDisplay, refresh_interval
from orchat.streaming import StreamingChunk
display = LiveDisplay(get_ipython())
display.start("some/model")
display.add(StreamingChunk("So", index=0))
time.sleep(refresh_interval(2))  # the next paint is due, and the loop has not come to it
display.add(StreamingChunk(" it is high. " * 1_000, index=0))
display.end(Reply(ChatMessage.from_assistant("So it is.", {"usage": {"completion_tokens": 3}})), 1, model="some/model")
await asyncio.sleep(0.05)
"""


def test_what_a_busy_loop_paints_late_does_not_replace_the_final_output(chatting: Kernel) -> None:
    (ended,) = chatting.run(_BUSY)
    assert ended.bundles[-1]["text/plain"].startswith("So it is.\n\n")  # and the footer, as in the other form
    assert ended.bundles[-1]["text/markdown"].startswith("So it is.\n\n")


def test_a_reply_shows_itself_where_it_was_not_shown(chatting: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("**One**"), text("Two"), text("Three"))
    ended = ask(chatting, "one = chat('Hi'); two = chat('Hi')\none")
    assert ended.of("execute_result") == []  # the first of two, too, was shown in this cell
    assert len(ended.of("display_data")) == 2
    (shown,) = ask(chatting, "one").of("execute_result")
    assert shown["data"]["text/markdown"] == "**One**"
    ask(chatting, "quiet = Chat(show=False)")
    ended = ask(chatting, "quiet('Hi')")
    assert ended.bundles == []
    (shown,) = ended.of("execute_result")
    assert shown["data"]["text/markdown"] == "Three"


def test_what_is_iterated_shows_only_what_the_user_shows(chatting: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("One two."))
    ended = ask(chatting, "for chunk in chat.stream('Hi'):\n    print(chunk.content or '', end='')")
    assert (ended.printed, ended.bundles) == ("One two.", [])


@pytest.mark.parametrize("way", list(WAYS.values())[:2], ids=list(WAYS)[:2])
def test_an_interrupt_is_one_line_and_keeps_what_arrived(
    chatting: Kernel, endpoint: ScriptedOpenRouter, way: str
) -> None:
    endpoint.answers(endless(WORDS * 5).paced(0.05), text("Well."))
    ended, queued = chatting.run(way, "1", interrupt_when=shows("one two"), cell_ids=["a", "b"])
    assert (ended.status, queued.status) == ("error", "aborted")
    assert ended.content["traceback"] == ["openrouter: interrupted; what arrived is kept"]
    assert ended.seconds < stretched(SOON)
    assert plain(ended).startswith("one two")
    assert "interrupted · " in plain(ended)
    ask(chatting, "chat('Go on.')")
    assert [each["role"] for each in endpoint.request.json["messages"]] == ["user", "assistant", "user"]


def test_an_interrupt_before_the_first_token(chatting: Kernel, endpoint: ScriptedOpenRouter) -> None:
    gate = threading.Event()
    endpoint.answers(text("late").held(gate))
    asked = len(endpoint.requests)
    ended, queued = chatting.run("chat('Hi')", "1", interrupt_when=lambda _: endpoint.requests[asked:])
    gate.set()
    assert (ended.status, queued.status) == ("error", "aborted")
    assert ended.content["traceback"] == ["openrouter: interrupted; what arrived is kept"]
    assert ended.seconds < stretched(SOON)
    assert chatting.value("chat.messages") in ("[]", "()")


def test_who_catches_an_interrupt_gets_a_keyboard_interrupt(chatting: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(endless(WORDS * 5).paced(0.05))
    (ended,) = chatting.run(
        "try:\n    chat('Hi')\nexcept KeyboardInterrupt as error:\n    caught = type(error).__name__",
        interrupt_when=shows("one two"),
        cell_ids=["a"],
    )
    assert ended.status == "ok"
    assert chatting.value("caught") == "'KeyboardInterrupt'"


@ways
def test_an_error_is_shown_once_and_short(chatting: Kernel, endpoint: ScriptedOpenRouter, way: str) -> None:
    endpoint.answers(error(402, "Insufficient credits"))
    (ended,) = chatting.run(way)
    assert ended.content["ename"] == "InsufficientCreditsError"
    assert "Insufficient credits" in ended.bundles[-1]["text/markdown"]
    assert len("".join(ended.content["traceback"])) < 1_000
    assert "orchat/" not in "".join(ended.content["traceback"])


@pytest.mark.parametrize("call", ["chat('When?')", "await chat.ask('When?')"])
@pytest.mark.parametrize("cell", [None, ["a"]], ids=["no front end", "a front end"])
def test_a_call_that_nobody_decides_about_waits(
    chatting: Kernel, endpoint: ScriptedOpenRouter, call: str, cell: list[str] | None
) -> None:
    ask(chatting, DEFINED)
    endpoint.answers(calls(HULL), text("At 14:10."))
    ask(chatting, "chat = Chat(tools=[tide])")
    (ended,) = chatting.run(f"reply = {call}", cell_ids=cell)
    assert ended.status == "ok", ended.content
    assert 'tide(port="Hull") → waits for your decision' in plain(ended)
    assert chatting.value("(ran, [call.id for call in reply.pending])") == "([], ['call_1'])"
    ended = ask(chatting, "chat.resume({'call_1': True})")
    assert "At 14:10." in plain(ended)
    assert ended.of("execute_result") == []
    assert chatting.value("ran") == "[('Hull', 1)]"


def test_without_the_extension_a_chat_of_the_front_door_is_shown_too(endpoint: ScriptedOpenRouter) -> None:
    environment = {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": "sk-or-v1-0123456789abcdef"}
    with Kernel(environment) as kernel:
        endpoint.answers(text("One."), text("Half."), text("Two."))
        ended = ask(kernel, "import orchat\nchat = orchat.Chat()\nchat('Hi')")
        assert (len(ended.of("display_data")), ended.of("execute_result")) == (1, [])
        page = Page(kernel, "reloaded")
        page.lacks_outputs = True
        page.wait(page.begin("chat('Hi')", in_page=True))
        page.until(lambda: bool(page.offered))
        assert page.offered[0]["text/markdown"].startswith("Half.")
        ask(kernel, "%load_ext orchat\n%unload_ext orchat")
        ended = ask(kernel, "chat('Hi')")
        assert ended.bundles == []
        (shown,) = ended.of("execute_result")
        assert "Two." in shown["data"]["text/plain"]


def test_a_chat_at_a_terminal_is_written_once(terminal: Terminal, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("It scatters."), endless(WORDS * 5).paced(0.05))
    terminal.run("from orchat import Chat; chat = Chat()")
    shown = terminal.run("chat('Why?')")
    assert shown.count("It scatters.") == 1
    terminal.start("chat('Go on.')")
    terminal.child.expect("three")
    terminal.child.sendintr()
    shown = terminal.prompt()
    assert "openrouter: interrupted; what arrived is kept" in shown
    assert "Traceback" not in shown


def test_a_retry_is_told_at_a_terminal(terminal: Terminal, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(error(503, "busy", headers={"Retry-After": "0.1"}), text("It scatters."))
    shown = terminal.run("from orchat import Chat; Chat()('Why?')")
    assert "[Retrying in 0.1 s (2 of 6): HTTP 503: busy.]" in shown
    assert shown.index("(2 of 6)") < shown.index("It scatters.")


_IN_A_FORK = """
import os
from orchat.chat.chat_dependencies import sink_for
reader, writer = os.pipe()
if (child := os.fork()) == 0:
    os.write(writer, repr(sink_for(chat)).encode())
    os._exit(0)
os.waitpid(child, 0)
seen = os.read(reader, 100), sink_for(chat) is None
"""


def test_a_forked_process_shows_nothing(chatting: Kernel) -> None:
    ask(chatting, _IN_A_FORK)
    assert chatting.value("seen") == "(b'None', False)"
