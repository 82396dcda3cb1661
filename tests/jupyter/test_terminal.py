"""``%%openrouter`` in IPython in a terminal."""

from __future__ import annotations

import threading
import time

import pytest

from tests.jupyter.ipython_terminal import Terminal
from tests.jupyter.kernel import SOON
from tests.openrouter_server import PNG, ScriptedOpenRouter, done, error, event, finish, hold, stream, text, usage
from tests.patience import stretched

pytestmark = pytest.mark.slow


def test_deltas_are_written_as_they_come(terminal: Terminal, endpoint: ScriptedOpenRouter) -> None:
    gate = threading.Event()
    words = [event("one two "), hold(gate), event("three four five six seven \x1b]0;title\x07eight")]
    endpoint.answers(stream(*words, finish(), usage(), done()))
    terminal.start("%%openrouter -o reply", "Count.")
    terminal.child.expect("one")
    gate.set()
    terminal.child.expect("eight")
    rest = terminal.prompt()
    assert "in / " in rest
    assert "\x07" not in (terminal.child.before or "")
    assert "eight" in terminal.run("print(reply.text[-5:])")


def test_ctrl_c_keeps_what_arrived(terminal: Terminal, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("one two three " * 50).paced(0.05))
    terminal.start("%%openrouter -o reply", "Count.")
    terminal.child.expect("three")
    started = time.monotonic()
    terminal.child.sendintr()
    shown = terminal.prompt()
    assert time.monotonic() - started < stretched(SOON)
    assert "openrouter: interrupted; what arrived is kept" in shown
    assert "Traceback" not in shown
    assert "interrupted True" in terminal.run("print(reply.message.meta['ending'], 'one two' in reply.text)")


def test_an_error_is_short(terminal: Terminal, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(error(402, "Insufficient credits"))
    shown = terminal.run("%%openrouter", "Hi")
    assert "Insufficient credits" in shown
    assert "openrouter: this cell failed, as told above" in shown
    assert "Traceback" not in shown
    assert len(shown) < 1_000


def test_a_line_is_a_prompt(terminal: Terminal, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("It scatters.", images=[PNG]), text("Hull."))
    shown = terminal.run("%openrouter -- why is the sky blue?")
    assert "<image/png, 70 bytes>" in shown
    assert endpoint.request.json["messages"][0]["content"] == "why is the sky blue?"
    assert shown.count("It scatters.") == 1
    terminal.run("port = 'Hull'")
    assert "Hull. 7" in terminal.run("reply = %openrouter -- Where is {port}?") + terminal.run("print(reply.text, 7)")
    assert endpoint.request.json["messages"][-1]["content"] == "Where is Hull?"


def test_a_prompt_is_sent_as_it_was_typed(terminal: Terminal, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("A doctest."))
    shown = terminal.run("%%openrouter -f text", ">>> {1: 'a'}", "What is this?")
    assert "A doctest." in shown
    assert endpoint.request.json["messages"][0]["content"] == ">>> {1: 'a'}\nWhat is this?"
