"""Tools in cells: asked about at a terminal, waiting in a kernel, decided by a line; what is shown and kept of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchat.jupyter.kernel.output.mime_types import read_extras
from tests.jupyter.ipython_terminal import Terminal
from tests.jupyter.kernel import SOON, Kernel
from tests.jupyter.test_conversations import in_cell, said
from tests.jupyter.test_magic_options import ask
from tests.openrouter_server import ScriptedOpenRouter, call, calls, error, text
from tests.openrouter_server.server import CHAT
from tests.patience import stretched

pytestmark = pytest.mark.slow

DEFINED = """
from orchat import Tool, Toolset, tool
ran = []
def tide(port: str, days: int = 1) -> str:
    "Say when the tide is high."
    ran.append((port, days))
    return f"{port}: 14:10"
@tool
def depth(port: str) -> float:
    "Say how deep it is."
    ran.append(port)
    return 7.1
both = Toolset([depth, Tool("sink", "Sink a ship.", {"type": "object", "properties": {}}, lambda: ran.append("sunk"))])
class NoTool:
    pass
class Proxy:
    @property
    def __class__(self): raise RuntimeError("a value was asked for its class")
proxy = Proxy()
def endless(port: NoTool) -> str: ...
"""
HULL = call("tide", {"port": "Hull"}, id="call_1")
GOOLE = call("tide", {"port": "Goole"}, id="call_2")
DEPTH = call("depth", {"port": "Hull"}, id="call_3")


@pytest.fixture(autouse=True)
def _no_answer_is_left_over(endpoint: ScriptedOpenRouter) -> Iterator[None]:
    yield
    endpoint.on(*CHAT).queue.clear()


@pytest.fixture
def tools(kernel: Kernel) -> Kernel:
    ask(kernel, DEFINED)
    return kernel


def results(endpoint: ScriptedOpenRouter) -> dict[str, str]:
    """What the latest request said of each call."""
    messages = endpoint.request.json["messages"]
    return {each["tool_call_id"]: each["content"] for each in messages if each["role"] == "tool"}


def ran(kernel: Kernel) -> str:
    return kernel.value("ran")


# -- in a kernel --------------------------------------------------------------------------------------------------


def test_a_call_waits_and_is_approved(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(HULL, content="I look it up."), text("At 14:10."), text("You are welcome."))
    asked = len(endpoint.requests)
    ended = in_cell(tools, "a", "%%openrouter -T tide -o reply\nWhen is the tide high?")
    assert ended.status == "ok"
    assert "%openrouter approve lets it run" in ended.printed
    bundle = ended.bundles[-1]
    assert '> **tide**(port="Hull") → waits for your decision' in bundle["text/markdown"]
    assert 'tide(port="Hull") → waits for your decision' in bundle["text/plain"]
    assert bundle["text/plain"].splitlines()[-1].startswith("waits for your decision · ")
    assert read_extras(bundle)["ending"] == "parked"
    assert tools.value("[call.tool_name for call in reply.pending]") == "['tide']"
    assert (ran(tools), len(endpoint.requests) - asked) == ("[]", 1)
    assert 'waits for your decision about tide(port="Hull")' in ask(tools, "%openrouter chats").printed
    ended = in_cell(tools, "b", "%openrouter approve")
    assert ran(tools) == "[('Hull', 1)]"
    assert results(endpoint) == {"call_1": "Hull: 14:10"}
    assert ended.bundles[-1]["text/plain"].startswith(
        'I look it up.\n\ntide(port="Hull") → Hull: 14:10\n\nAt 14:10.\n\n'
    )
    assert read_extras(ended.bundles[-1])["turn"]["continued"] is True
    in_cell(tools, "c", "%%openrouter\nThanks.")
    roles = [each["role"] for each in endpoint.request.json["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    assert ask(tools, "%openrouter approve").printed == "No tool call waits for a decision.\n"
    assert ran(tools) == "[('Hull', 1)]"


def test_a_call_whose_arguments_were_mended_shows_what_will_run(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(call("tide", {"port": "Hull", "days": "2"})), text("At 14:10."))
    ended = in_cell(tools, "a", "%%openrouter -T tide\nWhen is the tide high?")
    assert '> **tide**(port="Hull", days=2) → waits for your decision' in ended.bundles[-1]["text/markdown"]
    assert "The arguments for `tide` were mended: days: string to integer." in ended.bundles[-1]["text/plain"]
    in_cell(tools, "b", "%openrouter approve")
    assert ran(tools) == "[('Hull', 2)]"


def test_what_it_cost_is_counted_once(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    spent = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.25}
    endpoint.answers(calls(HULL, usage=spent), text("At 14:10.", usage=spent))
    in_cell(tools, "a", "%%openrouter -T tide\nHigh?")
    assert "  notebook: $0.25, 1 turn\n" in ask(tools, "%openrouter cost").printed
    in_cell(tools, "b", "%openrouter approve")
    assert "  notebook: $0.5, 1 turn\n" in ask(tools, "%openrouter cost").printed
    endpoint.answers(error(401, "No."))
    in_cell(tools, "c", "%%openrouter\nHigh?")
    assert "  notebook: $0.5, 1 turn\n" in ask(tools, "%openrouter cost").printed


def test_a_call_is_rejected_and_the_model_is_told_why(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(HULL), text("Then not."))
    in_cell(tools, "a", "%%openrouter -T tide\nWhen?")
    ended = ask(tools, "%openrouter reject not on a Sunday, it's closed")
    assert results(endpoint) == {"call_1": "This call was rejected and did not run. not on a Sunday, it's closed"}
    assert "→ This call was rejected and did not run. not on a Sunday" in ended.bundles[-1]["text/plain"]
    assert ran(tools) == "[]"


def test_an_id_that_is_the_name_of_another_tool_approves_nothing(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(call("depth", {"port": "Hull"}, id="tide"), HULL), text("High."))
    in_cell(tools, "a", "%%openrouter -T tide -T depth\nWhen?")
    in_cell(tools, "b", "%openrouter approve tide")
    assert ran(tools) == "[('Hull', 1)]"
    in_cell(tools, "c", "%openrouter reject")
    assert ran(tools) == "[('Hull', 1)]"


def test_ids_that_repeat_in_each_round_keep_calls_apart_in_cells(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    first, second = call("tide", {"port": "Hull"}, id="call_0"), call("depth", {"port": "Hull"}, id="call_0")
    endpoint.answers(calls(first), calls(second), text("High and deep."))
    in_cell(tools, "a", "%%openrouter -T tide -T depth\nWhen?")
    in_cell(tools, "b", "%openrouter approve call_0")
    assert ran(tools) == "[('Hull', 1)]"
    ended = in_cell(tools, "c", "%openrouter approve call_0")
    assert ran(tools) == "[('Hull', 1), 'Hull']"
    assert ended.bundles[-1]["text/plain"].startswith(
        'tide(port="Hull") → Hull: 14:10\n\ndepth(port="Hull") → 7.1\n\nHigh and deep.'
    )


def test_some_of_several_calls_are_approved_by_name(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(HULL, GOOLE, DEPTH), text("Deep, and high."))
    in_cell(tools, "a", "%%openrouter -T tide -T depth\nWhen?")
    asked = len(endpoint.requests)
    (wrong,) = tools.run("%openrouter approve depht")
    assert wrong.content["traceback"] == [
        'openrouter: No call depht waits. These do: tide(port="Hull"), tide(port="Goole"), depth(port="Hull").'
    ]
    ended = in_cell(tools, "b", "%openrouter approve call_2 depth")
    assert set(eval(ran(tools))) == {("Goole", 1), "Hull"}
    assert "waits for your decision" in ended.bundles[-1]["text/plain"]
    assert len(endpoint.requests) == asked
    in_cell(tools, "c", "%openrouter reject")
    assert results(endpoint) == {
        "call_1": "This call was rejected and did not run.",
        "call_2": "Goole: 14:10",
        "call_3": "7.1",
    }


def test_always_and_never_need_nobody(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(HULL, GOOLE), text("High."))
    ended = ask(tools, "%%openrouter -T tide --approve always\nWhen?")
    assert set(eval(ran(tools))) == {("Hull", 1), ("Goole", 1)}
    assert ended.bundles[-1]["text/markdown"].startswith(
        '> **tide**(port="Hull") → Hull: 14:10\n\n> **tide**(port="Goole") → Goole: 14:10\n\nHigh.\n\n*'
    )
    ask(tools, "ran.clear()")
    endpoint.answers(calls(HULL), text("Then not."))
    ask(tools, "%%openrouter -T tide --approve never\nWhen?")
    assert results(endpoint)["call_1"] == "This call was rejected and did not run. This tool may not be used."
    assert ran(tools) == "[]"


def test_a_tool_of_the_kernel_asks_even_where_all_are_let_run(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(call("run_python", {"code": "ran.append('code')"})), text("Done."))
    ended = ask(tools, "%%openrouter -T run_python --approve always\nGo.")
    assert "waits for your decision" in ended.bundles[-1]["text/plain"]
    assert ran(tools) == "[]"
    ask(tools, "%openrouter approve")
    assert ran(tools) == "['code']"


def test_what_is_not_remembered_does_not_wait(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(HULL), text("Then not."))
    ended = ask(tools, "%%openrouter -T tide --no-history\nWhen?")
    assert ended.bundles[-1]["text/plain"].splitlines()[2] == "Then not."
    assert "Nobody can be asked about it here." in results(endpoint)["call_1"]
    assert ask(tools, "%openrouter approve").printed == "No tool call waits for a decision.\n"
    assert ran(tools) == "[]"


def test_a_later_question_goes_on_without_a_decision(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(HULL), text("All right."), text("At 14:10."))
    in_cell(tools, "a", "%%openrouter -T tide\nWhen?")
    in_cell(tools, "b", "%%openrouter\nNever mind.")
    assert results(endpoint) == {"call_1": "This call did not run: nobody decided about it."}
    # It is decided all the same: its own tools are still known, and nothing of the later turn goes along.
    in_cell(tools, "c", "%openrouter approve")
    assert ran(tools) == "[('Hull', 1)]"
    assert said(endpoint) == ["When?", "Hull: 14:10"]


def test_a_decision_that_fails_loses_nothing(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(HULL), error(400, "No."), text("Well."))
    in_cell(tools, "a", "%%openrouter -T tide\nWhen?")
    (failed,) = tools.run("%openrouter approve")
    assert failed.status == "error"
    assert ran(tools) == "[('Hull', 1)]"
    in_cell(tools, "b", "%%openrouter\nWell?")
    assert results(endpoint) == {"call_1": "Hull: 14:10"}


def test_a_fork_waits_as_well(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(HULL), text("One."), text("Two."))
    in_cell(tools, "a", "%%openrouter -T tide\nWhen?")
    ask(tools, "%openrouter fork twin")
    for _ in range(2):
        ask(tools, "%openrouter approve")
    assert ran(tools) == "[('Hull', 1), ('Hull', 1)]"
    assert ask(tools, "%openrouter approve").printed == "No tool call waits for a decision.\n"


def test_tools_come_from_functions_tools_and_toolsets(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    ask(tools, "%%openrouter -T tide -T both\nHi")
    sent = [each["function"] for each in endpoint.request.json["tools"]]
    assert [each["name"] for each in sent] == ["tide", "depth", "sink"]
    assert sent[0]["description"] == "Say when the tide is high."
    assert sent[0]["parameters"]["properties"]["days"]["type"] == "integer"
    for name, words in (
        ("tied", "-T: there is no tool tied. Did you mean tide?"),
        ("run_pyton", "-T: there is no tool run_pyton. Did you mean run_python?"),
        ("ran", "-T: ran is empty."),
        ("NoTool()", "-T: there is no tool NoTool()."),
        ("zzzzzz", "-T: there is no tool zzzzzz. Give the name of a function of this notebook."),
        ("endless", "-T: endless is no tool: "),
    ):
        (wrong,) = tools.run(f"%%openrouter -T {name}\nHi")
        (line,) = wrong.content["traceback"]
        assert line.startswith(f"openrouter: {words}")
        assert len(line) < 400


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (call("launch", {}), "launch"),
        (call("tide", {"prot": "Hull"}), "port"),
        (call("tide", '{"port": "Hu'), "JSON"),
        (call("tide", {"port": "Hull", "days": "many"}), "days"),
    ],
)
def test_a_call_that_cannot_run_asks_nobody(
    tools: Kernel, endpoint: ScriptedOpenRouter, wanted: dict[str, Any], words: str
) -> None:
    endpoint.answers(calls(wanted), text("Sorry."))
    ended = ask(tools, "%%openrouter -T tide\nWhen?")
    assert words in results(endpoint)["call_1"]
    assert ended.bundles[-1]["text/plain"].splitlines()[2] == "Sorry."
    assert ran(tools) == "[]"


def test_a_tool_that_raises_is_told_and_ends_nothing(tools: Kernel, endpoint: ScriptedOpenRouter) -> None:
    ask(tools, 'def fails(port: str) -> str:\n    "Fail."\n    raise OSError(f"no {port}\\n<img src=x>")')
    endpoint.answers(calls(call("fails", {"port": "Hull"})), text("Sorry."))
    ended = ask(tools, "%%openrouter -T fails --approve always\nWhen?")
    assert "OSError" in results(endpoint)["call_1"]
    assert "<img" not in ended.bundles[-1]["text/markdown"]
    assert ended.bundles[-1]["text/plain"].splitlines()[0].startswith('fails(port="Hull") → ')


def test_a_tool_is_interrupted_and_the_model_may_know(
    tools: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path
) -> None:
    reached = tmp_path / "reached"
    code = f'def slow() -> str:\n    "Take long."\n    Path({str(reached)!r}).touch()\n    time.sleep(30)'
    ask(tools, f"import time\nfrom pathlib import Path\n{code}")
    endpoint.answers(calls(call("slow", {})), text("All right."))
    ended = in_cell(tools, "a", "%%openrouter -T slow --approve always\nGo.", interrupt_when=lambda _: reached.exists())
    assert ended.content["traceback"] == ["openrouter: interrupted; what arrived is kept"]
    assert ended.seconds < stretched(SOON)
    in_cell(tools, "b", "%%openrouter\nWell?")
    assert results(endpoint)["call_1"].startswith("This call was cut off, and what it did is not known: ")


# -- at a terminal ------------------------------------------------------------------------------------------------

QUESTION = "Run it? "


@pytest.fixture
def terminal(terminal: Terminal, tmp_path: Path) -> Terminal:
    (tmp_path / "tools.py").write_text(DEFINED)
    terminal.run(f"%run {tmp_path}/tools.py")
    return terminal


def asked_at(terminal: Terminal, line: str = "%openrouter -T tide -o reply -- When?") -> str:
    terminal.start(line)
    terminal.child.expect_exact(QUESTION)
    return (terminal.child.before or "").replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("typed", "result", "ran"),
    [
        (["y"], "Hull: 14:10", "[('Hull', 1)]"),
        (["yes"], "Hull: 14:10", "[('Hull', 1)]"),
        (["", "what", "Y"], "Hull: 14:10", "[('Hull', 1)]"),
        (["n", "not today"], "This call was rejected and did not run. not today", "[]"),
        (["n not today"], "This call was rejected and did not run. not today", "[]"),
        (["a", "at noon"], "at noon", "[]"),
        (["a at noon"], "at noon", "[]"),
        (
            ["e", '{"port": "Goole", "days": 2}', "y"],
            "A person changed the arguments before the call ran. "
            'It ran with: {"port": "Goole", "days": 2}\n\nGoole: 14:10',
            "[('Goole', 2)]",
        ),
        (["e {", 'e {"prot": 1}', "e [1]", "e 7", "n no"], "This call was rejected and did not run. no", "[]"),
    ],
)
def test_a_person_at_a_terminal_decides(
    terminal: Terminal, endpoint: ScriptedOpenRouter, typed: list[str], result: str, ran: str
) -> None:
    endpoint.answers(calls(HULL, content="I look."), text("So be it."))
    shown = asked_at(terminal)
    assert 'tide wants to run with:\n{\n  "port": "Hull"\n}\n' in shown
    for line in typed:
        terminal.child.sendline(line)
    assert "So be it." in terminal.prompt()
    assert results(endpoint) == {"call_1": result}
    assert ran in terminal.run("print(ran)")


def test_what_was_changed_is_shown_before_it_runs(terminal: Terminal, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(HULL), text("So be it."))
    asked_at(terminal)
    terminal.child.sendline('e {"port": "Goole", "days": "x"}')
    terminal.child.expect_exact(QUESTION)
    assert "days" in (terminal.child.before or "")
    terminal.child.sendline('e {"port": "Goole"}')
    terminal.child.expect_exact(QUESTION)
    assert '"port": "Goole"' in (terminal.child.before or "")
    terminal.child.sendline("y")
    shown = terminal.prompt()
    assert '[tide (edited)(port="Goole") → Goole: 14:10]' in shown or 'tide(port="Hull")' in shown


def test_several_calls_are_asked_about_one_by_one(terminal: Terminal, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(HULL, GOOLE), text("So be it."))
    assert "Hull" in asked_at(terminal)
    terminal.child.sendline("y")
    terminal.child.expect_exact(QUESTION)
    assert "Goole" in (terminal.child.before or "")
    terminal.child.sendline("n")
    terminal.child.expect_exact("Why not?")
    terminal.child.sendline("")
    terminal.prompt()
    assert results(endpoint) == {"call_1": "Hull: 14:10", "call_2": "This call was rejected and did not run."}


def test_the_end_of_the_input_leaves_the_call_waiting(terminal: Terminal, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(HULL), text("At 14:10."))
    asked_at(terminal)
    terminal.child.sendeof()
    assert "waits for your decision" in terminal.prompt()
    terminal.start("%openrouter approve")
    shown = terminal.prompt()
    assert "At 14:10." in shown
    assert "[('Hull', 1)]" in terminal.run("print(ran)")


def test_ctrl_c_during_the_question_ends_the_turn(terminal: Terminal, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(HULL), text("All right."))
    asked_at(terminal)
    time.sleep(stretched(0.3))  # until it reads: an interrupt before that waits for the first key, as everywhere
    terminal.child.sendintr()
    shown = terminal.prompt()
    assert "openrouter: interrupted; what arrived is kept" in shown
    assert "Traceback" not in shown
    assert "[] ()" in terminal.run("print(ran, reply.pending)")
    terminal.run("%openrouter -- Well?")
    assert results(endpoint) == {"call_1": "This call did not run: the answer was interrupted."}


def test_what_a_model_hides_in_arguments_is_seen(terminal: Terminal, endpoint: ScriptedOpenRouter) -> None:
    hidden = "a\u202eb\u200bc\x1b[2J\x9bd\U000e0041"
    endpoint.answers(calls(call("tide", '{"port": "a\\u202eb\\u200bc\\u001b[2J\\u009bd\\udb40\\udc41"}')), text("No."))
    shown = asked_at(terminal)
    assert not any(each in shown for each in set(hidden) - set("abcd[2J"))
    assert r"a\u202eb\u200bc\u001b[2J\u009bd\U000e0041" in shown
    terminal.child.sendline("n")
    terminal.child.sendline("no")
    assert "No." in terminal.prompt()
