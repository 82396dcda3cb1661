"""`run_python` and `inspect_variable`: asked about each time, bounded, interruptible, and out of the cell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from orchat.errors import SerializationError, ToolInvocationError
from orchat.jupyter.kernel.variable_tools import inspect_variable, run_python
from orchat.messages import ImageContent, TextContent
from orchat.rendering import estimate_tokens
from orchat.tools import Toolset
from tests.jupyter.kernel import SOON, Ended, Kernel, shows
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text
from tests.patience import stretched

KEY = "sk-or-v1-0123456789abcdef"

CHAT = """
from orchat import Chat
from orchat.chat import Approve
from orchat.jupyter.kernel.variable_tools import inspect_variable, run_python
tools = [run_python(get_ipython()), inspect_variable(get_ipython())]
chat = Chat(tools=tools, approve={approve})
chat.show = False
"""
WAYS = {
    "sync": "reply = chat('Go on.')",
    "async": "reply = await chat.ask('Go on.')",
    "private": "from orchat.private_event_loop import run_in_private_loop\n"
    "reply = run_in_private_loop(lambda: chat.ask('Go on.'))",
}


@pytest.fixture
def shell() -> InteractiveShell:
    """An IPython of its own."""
    return InteractiveShell(user_ns={"tons": 40})


def ran(shell: InteractiveShell, code: str) -> Any:
    """What the model would be told."""
    return run_python(shell).invoke(code=code)


def failed(shell: InteractiveShell, code: str) -> str:
    """What the model would be told of a failure."""
    with pytest.raises(ToolInvocationError) as raised:
        ran(shell, code)
    assert raised.value.__context__ is None or raised.value.__suppress_context__
    return str(raised.value)


def seen(shell: InteractiveShell, name: str) -> str:
    """What `inspect_variable` tells."""
    told = inspect_variable(shell).invoke(name=name)
    assert isinstance(told, str)
    return told


# -- what code does -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("tons * 2", "Value:\n80"),
        ("tons * 2;", "Done. Nothing was printed, and there is no value."),
        ("x = 1", "Done. Nothing was printed, and there is no value."),
        ("", "Done. Nothing was printed, and there is no value."),
        ("None", "Done. Nothing was printed, and there is no value."),
        ("print('high'); 'water'", "Printed:\nhigh\n\nValue:\nwater"),
        ("import sys\nprint('bad', file=sys.stderr)", "Printed:\nbad"),
        ("'sk-or-v1-0123456789abcdef01'", "Value:\n[redacted]"),
        ("print({'k': 'sk-or-v1-0123456789abcdef01'})", "Printed:\n{'k': '[redacted]'}"),
        ("{'password': 'hunter2'}", 'Value:\n{"password": "[redacted]"}'),
    ],
)
def test_what_code_says(shell: InteractiveShell, code: str, told: str, capsys: Any) -> None:
    assert ran(shell, code) == told
    assert capsys.readouterr() == ("", "")


def test_the_key_of_the_environment_is_hidden_whatever_it_looks_like(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "open sesame 1234")
    assert ran(shell, "import os\nprint(os.environ['OPENROUTER_API_KEY'])") == "Printed:\n[redacted]"
    assert "sesame" not in failed(shell, "1 / 0 # open sesame 1234")


def test_it_acts_on_the_users_variables_and_leaves_ipythons_records_alone(shell: InteractiveShell) -> None:
    count = shell.execution_count
    ran(shell, "tons += 1\ndef double(x): return 2 * x\nanswer = double(tons)\nanswer")
    assert shell.user_ns["answer"] == 82
    assert (shell.execution_count, shell.user_ns["Out"], shell.user_ns["_"]) == (count, {}, "")
    assert ran(shell, "import inspect\ninspect.getsource(double)") == "Value:\ndef double(x): return 2 * x\n".rstrip()
    assert ran(shell, "%who_ls int") == 'Value:\n["answer", "tons"]'


def test_a_failure_tells_where_and_what_was_printed_before(shell: InteractiveShell) -> None:
    told = failed(shell, "print('start')\ndef sail(ship):\n    return ship['tons']\nsail({'name': 'Ada'})")
    assert told.startswith("Printed:\nstart\n\nFailed:\nKeyError: 'tons'\n  in <module>, <run_python ")
    assert "line 4: sail({'name': 'Ada'})" in told
    assert told.endswith("line 3: return ship['tons']")
    assert "execution.py" not in told
    assert "invalid syntax" in (wrong := failed(shell, "x = = 1"))
    assert "x = = 1" in wrong
    assert "'await' outside function" in failed(shell, "await x")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import asyncio\nraise asyncio.CancelledError", "CancelledError"),
        ("raise ValueError('sk-or-v1-0123456789abcdef01')", "ValueError: [redacted]"),
        ("class E(Exception):\n    def __str__(self): 1 / 0\nraise E", "E: (its message cannot be read"),
        ("def f(): f()\nf()", "RecursionError"),
        ("%nosuchmagic", "UsageError: Line magic function `%nosuchmagic` not found."),
        ("raise BaseExceptionGroup('two', [ValueError(1), KeyboardInterrupt()])", "two (2 sub-exceptions)"),
    ],
)
def test_whatever_is_raised_is_told(shell: InteractiveShell, code: str, words: str) -> None:
    assert words in failed(shell, code)


@pytest.mark.parametrize(
    "code",
    [
        "for i in range(30_000): print(i, 'x' * 90)",
        "print('x' * 10_000_000)",
        "'x' * 10_000_000",
        "list(range(1_000_000))",
        "from IPython.display import display\nfor i in range(1000): display('x' * 1000)",
        "raise ValueError('x' * 10_000_000)",
    ],
)
def test_it_is_bounded(shell: InteractiveShell, code: str) -> None:
    told = failed(shell, code) if code.startswith("raise") else ran(shell, code)
    assert estimate_tokens(told) <= 4_000


def test_both_ends_of_much_text_are_kept(shell: InteractiveShell) -> None:
    told = ran(shell, "for i in range(100_000): print(i)")
    assert told.startswith("Printed:\n0\n1\n")
    assert told.endswith("99999")
    assert "cut" in told


def test_figures_are_sent_and_not_left_for_the_cell(shell: InteractiveShell) -> None:
    drawn = "import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt\n"
    told = ran(shell, drawn + "for n in range(5):\n    _ = plt.figure().gca().plot([1, n])\nprint('done')")
    assert [type(part) for part in told] == [TextContent, ImageContent, ImageContent, ImageContent]
    assert told[0].text.startswith("Printed:\ndone\n\nDisplayed:\n")
    assert isinstance(ran(shell, "plt.close('all')\nplt.figure().gca().plot([1, 2])\nNone"), list)
    told = ran(shell, "plt.figure()")
    assert [type(part) for part in told] == [TextContent, ImageContent]  # once, though it is the value as well
    assert isinstance(ran(shell, "plt.gcf()"), list)  # it is still there, as anywhere but in a notebook
    shell.user_ns["plt"].close("all")


def test_streams_are_what_code_expects_and_come_back(shell: InteractiveShell) -> None:
    import sys

    before = sys.stdout, sys.stderr, shell.display_pub
    assert "UnsupportedOperation" in failed(shell, "import sys\nsys.stdout.fileno()")
    assert "TypeError" in failed(shell, "sys.stdout.write(1)")
    assert ran(shell, "sys.stdout.writelines(['a', 'b'])\nsys.stdout.flush()\nsys.stdout.isatty()") == (
        "Printed:\nab\n\nValue:\nfalse"
    )
    ran(shell, "sys.stdout = None\nget_ipython = 3")
    assert (sys.stdout, sys.stderr, shell.display_pub) == before


def test_what_other_threads_print_is_not_taken(shell: InteractiveShell, capsys: Any) -> None:
    code = "import threading\nt = threading.Thread(target=print, args=('there',))\nt.start(); t.join()\nprint('here')"
    assert ran(shell, code) == "Printed:\nhere"
    assert capsys.readouterr().out == "there\n"


def test_they_cannot_be_saved(shell: InteractiveShell) -> None:
    for tool in (run_python(shell), inspect_variable(shell)):
        assert tool.asks_always
        with pytest.raises(SerializationError, match="belongs to this kernel"):
            tool.to_dict()
        with pytest.raises(SerializationError):
            Toolset([tool]).to_dict()
        with pytest.raises(SerializationError):
            type(tool).from_dict({"data": {"function": "orchat.jupyter.kernel.variable_tools.run_python"}})


# -- variables ------------------------------------------------------------------------------------------------------


def test_a_variable_is_described(shell: InteractiveShell) -> None:
    import pandas as pd

    class Ship:
        def __init__(self) -> None:
            self.tons = 40
            self._secret = 1

        def sail(self) -> None: ...

        def __repr__(self) -> str:
            return "a ship"

    ports = pd.DataFrame({"port": ["Hull", "Goole"], "level": [7.1, 6.4]})
    shell.user_ns |= {"ports": ports, "ship": Ship(), "by": {"a": [1, 2]}, "many": dict.fromkeys(map(str, range(99)))}
    told = seen(shell, "ports")
    assert told.startswith("ports is of type pandas.")
    assert "DataFrame, shape (2, 2).\nKeys or columns: 'port', 'level'\n" in told
    assert "Hull" in told
    assert seen(shell, " ports['port'] ").startswith("ports['port'] is of type pandas.")
    told = seen(shell, "ship")
    assert "Attributes: tons, sail\n" in told
    assert told.endswith("a ship")
    assert seen(shell, "ship.tons") == "ship.tons is of type int.\n\n40"
    assert seen(shell, "by").startswith("by is of type dict, length 1, ")
    assert seen(shell, "by['a'][-1]").endswith("\n\n2")
    assert "'39' and 59 more" in seen(shell, "many")
    assert seen(shell, "by['a'].append").startswith("by['a'].append is of type builtin_function_or_method.")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("tosn", "there is no variable tosn; did you mean tons?"),
        ("tons.reel", "tons has no attribute reel; did you mean real?"),
        ("tons()", "it is no name with attributes and constant subscripts"),
        ("tons.__class__", "it is no name"),
        ("tons + 1", "it is no name"),
        ("tons} {tons", "it is no name"),
        ("__import__('os')", "it is no name"),
        ("", "it is no name"),
        ("tons\n", None),
    ],
)
def test_what_is_more_than_a_name_is_not_read(shell: InteractiveShell, name: str, why: str | None) -> None:
    if why is None:
        assert seen(shell, name).endswith("40")
        return
    with pytest.raises(ToolInvocationError) as raised:
        seen(shell, name)
    assert why in str(raised.value)


def test_the_privacy_that_is_set_holds(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    monkeypatch.setenv("ORCHAT_PRIVACY", "schema")
    shell.user_ns["people"] = pd.DataFrame({"name": ["Ada Lovelace"]})
    assert "Ada" not in seen(shell, "people")
    assert "Ada" not in ran(shell, "people")


def test_secrets_that_a_command_or_a_table_prints_are_hidden(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine db\n  login ada\n  password hunter2xyz\n")
    assert "password [redacted]" in ran(shell, f"print(get_ipython().getoutput('cat {tmp_path}/netrc').n)")
    assert "password [redacted]" in ran(shell, f"get_ipython().getoutput('cat {tmp_path}/netrc')")
    code = "import pandas as pd; frame = pd.DataFrame({'user': ['ada'] * 3000, 'password': ['hunter2xyz'] * 3000})\n"
    for shown in ("print(frame.to_string())", "frame.to_string()", "print(frame.to_csv())", "print(frame.T)"):
        told = ran(shell, code + shown)
        assert "hunter2xyz" not in told
        assert "[redacted]" in told


def test_secrets_are_hidden(shell: InteractiveShell) -> None:
    shell.user_ns |= {"key": KEY, "settings": {"api_key": "hunter2"}}
    assert KEY not in seen(shell, "key")
    assert "hunter2" not in seen(shell, "settings")


# -- in kernels -----------------------------------------------------------------------------------------------------


def go_on(kernel: Kernel, way: str, approve: str = "lambda call: Approve()", **options: Any) -> list[Ended]:
    """Make a chat and ask, in one of three ways; a cell is queued behind."""
    (made,) = kernel.run(CHAT.format(approve=approve))
    assert made.status == "ok", made.content
    return kernel.run(WAYS[way], "queued = True", **options)


def result(endpoint: ScriptedOpenRouter) -> Any:
    """What the model was told last."""
    message = endpoint.request.json["messages"][-1]
    assert message["role"] == "tool"
    return message["content"]


def wants(tool: str = "run_python", **arguments: str) -> Any:
    """The model calls a tool."""
    return calls(call(tool, arguments, id="call_1"))


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_in_a_kernel(any_kernel: Kernel, endpoint: ScriptedOpenRouter, way: str) -> None:
    any_kernel.run("tons = 40")
    code = (
        "import threading\nfrom IPython.display import Markdown, display\nprint('in all')\n"
        "shown = display({'a': 1}, display_id=True)\nshown.update({'a': 2})\ndisplay(Markdown('**b**'))\ntons *= 2\n"
        "(tons, threading.current_thread() is threading.main_thread())"
    )
    endpoint.answers(wants(code=code), text("It is 80."))
    cell, queued = go_on(any_kernel, way)
    assert (cell.status, queued.status) == ("ok", "ok"), cell.content
    assert result(endpoint) == "Printed:\nin all\n\nDisplayed:\n{'a': 2}\n\nDisplayed:\n**b**\n\nValue:\n[80, true]"
    assert (cell.printed, cell.bundles, cell.of("execute_result")) == ("", [], [])
    assert any_kernel.value("(tons, reply.text)") == "(80, 'It is 80.')"
    endpoint.answers(wants("inspect_variable", name="tons"), text("Fine."))
    go_on(any_kernel, way)
    assert result(endpoint) == "tons is of type int.\n\n80"


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_stops_code_that_never_awaits(
    any_kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path, way: str
) -> None:
    reached = tmp_path / "reached"
    asked = len(endpoint.requests)
    endpoint.answers(
        wants(code=f"import pathlib\nreached = True\npathlib.Path({str(reached)!r}).touch()\nwhile True: pass")
    )
    any_kernel.run("reached = queued = False")
    cell, queued = go_on(any_kernel, way, interrupt_when=lambda _: reached.exists())
    assert (cell.status, queued.status) == ("error", "aborted")
    assert cell.seconds < stretched(SOON)
    assert any_kernel.value("(reached, queued)") == "(True, False)"
    assert len(endpoint.requests) == asked + 1  # no further request was paid for
    # The kernel's own interrupt works as before.
    slept, _ = any_kernel.run("import time; print('asleep'); time.sleep(30)", "1", interrupt_when=shows("asleep"))
    assert (slept.content["ename"], slept.seconds < stretched(SOON)) == ("KeyboardInterrupt", True)


@pytest.mark.slow
@pytest.mark.parametrize("approve", ["'always'", "{'*': 'always'}", "{'run_python': 'always'}", "lambda call: True"])
def test_it_never_runs_by_itself(kernel: Kernel, endpoint: ScriptedOpenRouter, approve: str) -> None:
    kernel.run("tons = 40")
    for way in ("sync", "async"):
        endpoint.answers(wants(code="tons = 'sunk'"))
        cell, _ = go_on(kernel, way, approve)
        assert cell.status == "ok", cell.content
        assert kernel.value("(tons, reply.ending, [call.tool_name for call in reply.pending])") == (
            "(40, 'parked', ['run_python'])"
        )
    endpoint.answers(text("Done."))
    (cell,) = kernel.run("from orchat.chat import Approve\nreply = await chat.resume_async({'call_1': Approve()})")
    assert cell.status == "ok", cell.content
    assert kernel.value("tons") == "'sunk'"


@pytest.mark.slow
def test_a_plot_reaches_the_model_and_not_the_cell(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    for ending in ("", "\nplt.show()"):
        endpoint.answers(wants(code=f"import matplotlib.pyplot as plt\nplt.plot([1, 2]);{ending}"), text("A line."))
        cell, _ = go_on(kernel, "async")
        assert cell.status == "ok", cell.content
        assert [part["type"] for part in result(endpoint)] == ["text", "image_url"]
        assert cell.bundles == []
        assert len(json.dumps(result(endpoint))) < 100_000


@pytest.mark.slow
def test_a_failure_is_told_and_the_chat_goes_on(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(wants(code="1 / 0"), text("I see."))
    cell, _ = go_on(kernel, "async")
    assert cell.status == "ok", cell.content
    assert result(endpoint).startswith("Failed:\nZeroDivisionError: division by zero\n  in <module>, <run_python ")
    assert kernel.value("reply.text") == "'I see.'"
