"""``%openrouter``: a prompt in one line, and its sub-commands, in a real kernel."""

from __future__ import annotations

import pytest

from orchat import __version__
from tests.jupyter.kernel import SOON, Kernel, shows
from tests.jupyter.test_magic_options import ask, content
from tests.openrouter_server import ScriptedOpenRouter, endless, text
from tests.patience import stretched

pytestmark = pytest.mark.slow


def test_a_line_streams_its_answer_and_shows_it_once(any_kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("It scatters. " * 20).paced(0.05))
    (cell,) = any_kernel.run("%openrouter some/model -t 0 -- why is the sky blue?", cell_ids=["a"])
    assert content(endpoint) == "why is the sky blue?"
    assert (endpoint.request.json["model"], endpoint.request.json["temperature"]) == ("some/model", 0)
    assert len(cell.bundles) > 3
    assert cell.bundles[-1]["text/plain"].startswith("It scatters.")
    assert cell.of("execute_result") == []
    # What it returned is there all the same.
    assert any_kernel.value("_.text[:12]") == "'It scatters.'"


def test_in_assignments_loops_and_functions(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("Blue."), text("A."), text("B."), text("C."), text("D."))
    ask(kernel, 'reply = %openrouter -- why {blue}? {{x}} $name it\'s "so"?')
    assert content(endpoint) == 'why {blue}? {{x}} $name it\'s "so"?'
    assert kernel.value("reply.text") == "'Blue.'"
    ask(kernel, "for port in ['Hull', 'Goole']:\n    %openrouter -- Where is {port}?")
    assert [request.json["messages"][-1]["content"] for request in endpoint.requests[-2:]] == [
        "Where is Hull?",
        "Where is Goole?",
    ]
    ask(kernel, "def where(place):\n    found = %openrouter -- Where is {place} near {port}?\n    return found.text")
    assert kernel.value("where('York')") == "'C.'"
    assert content(endpoint) == "Where is York near Goole?"
    ask(kernel, "%openrouter -o bound -- Hi")
    assert kernel.value("bound.text") == "'D.'"


def test_a_reply_shows_itself_in_later_cells(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("**Hi**"))
    cell = ask(kernel, "reply = %openrouter -- Hi\nreply")
    assert cell.of("execute_result") == []
    cell = ask(kernel, "reply")
    assert cell.of("execute_result")[0]["data"]["text/markdown"] == "**Hi**"


def test_an_interrupt_ends_it(any_kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(endless("on and on " * 100).paced(0.05))
    cell, queued = any_kernel.run("%openrouter -- Go on.", "1", interrupt_when=shows("on and on"), cell_ids=["a", "b"])
    assert (cell.status, queued.status) == ("error", "aborted")
    assert cell.content["traceback"] == ["openrouter: interrupted; what arrived is kept"]
    assert cell.seconds < stretched(SOON)


def test_its_commands(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    asked = len(endpoint.requests)
    assert ask(kernel, "%openrouter version").printed == f"orchat {__version__}\n"
    for line in ("%openrouter", "%openrouter help", "%openrouter -h"):
        printed = ask(kernel, line).printed
        assert printed.startswith("usage: %%openrouter [MODEL]")
        assert "%openrouter undo [CHAT] " in printed
    for line, words in (
        ("vresion", "There is no %openrouter vresion. Did you mean version? A prompt goes behind two dashes"),
        ("why is the sky blue", "There is no %openrouter why. There are models, "),
        ("why is the sky blue", "%openrouter -- why is the sky blue"),
        ("why is the sky blue?", "%openrouter -- why is the sky blue?"),  # no call for IPython's help
        ("--", "The prompt is empty"),
        ("--modle x -- Hi", "There is no option --modle. Did you mean --model?"),
    ):
        (cell,) = kernel.run(f"%openrouter {line}")
        assert cell.status == "error"
        (said,) = cell.content["traceback"]
        assert words in said
    assert len(endpoint.requests) == asked
    (asked_for,) = kernel.run("%openrouter?")
    assert "streams the answer and returns the reply" in asked_for.content["payload"][0]["data"]["text/plain"]


def test_a_question_in_the_body_of_another_magic_stays(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    ask(kernel, "%%openrouter\n%openrouter -- why?")
    assert content(endpoint) == "%openrouter -- why?"
    ask(kernel, "%%time\nreply = %openrouter -- why?")
    assert content(endpoint) == "why?"
