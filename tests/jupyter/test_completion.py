"""Completion of the magics, as a front end asks for it, in real kernels."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pexpect
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from orchat.jupyter.kernel.prompt.mention_completion import complete_mention
from orchat.jupyter.magic.completion import Completions
from orchat.jupyter.magic.subcommands import COMMANDS
from orchat.openrouter.catalog import _cache_path
from tests.jupyter.ipython_terminal import end_child
from tests.jupyter.kernel import ROOT, Kernel
from tests.openrouter_server import ScriptedOpenRouter, text
from tests.patience import PATIENCE, stretched

pytestmark = pytest.mark.slow

MODELS = ["openai/gpt-4o-mini", "openai/gpt-5", "openai/gpt-5-mini", "vendor/other-gpt-5", "meta/llama-3"]
SETUP = """
import pandas
class Ship:
    def __init__(self): self.tons, self.crew = 40, {"cook": "Ann"}
    @property
    def trap(self): raise RuntimeError("a property was read")
ship = Ship()
sales = pandas.DataFrame({"city": ["Hull"], "sold by": [3]})
class Person: pass
class Proxy:
    @property
    def __class__(self): raise RuntimeError("a value was asked for its class")
proxy = Proxy()
_private = 1
def tide(port: str) -> str: return port
"""


def reply_to(kernel: Kernel, code: str, after: str = "") -> dict[str, Any]:
    """What the kernel answers to a press of Tab at the end of a code."""
    client = kernel._client
    asked = client.complete(code + after, len(code))
    while (reply := client.get_shell_msg(timeout=PATIENCE))["parent_header"]["msg_id"] != asked:
        pass
    content = reply["content"]
    assert content["status"] == "ok"
    return dict(content)


def complete(kernel: Kernel, code: str, after: str = "") -> list[str]:
    """What is offered at the end of a code, as whole pieces of text."""
    return list(reply_to(kernel, code, after)["matches"])


@pytest.fixture
def ready(any_kernel: Kernel, endpoint: ScriptedOpenRouter) -> Kernel:
    any_kernel.run(SETUP)
    path = _cache_path(endpoint.base_url)
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = {"format": "orchat-models", "version": 1, "fetched_at": datetime.now(UTC).isoformat()}
    path.write_text(
        json.dumps({**listed, "data": [{"id": name, "name": name} for name in (*MODELS, "openai/gpt-5:batch")]})
    )
    return any_kernel


def test_the_line(ready: Kernel, endpoint: ScriptedOpenRouter) -> None:
    asked = len(endpoint.requests)
    assert complete(ready, "%%openrouter --te") == ["--temperature"]
    assert complete(ready, "%%openrouter gpt-5")[:2] == ["openai/gpt-5", "openai/gpt-5-mini"]
    assert "vendor/other-gpt-5" in complete(ready, "%%openrouter -m gpt-5")
    assert not any(name.endswith(":batch") for name in complete(ready, "%%openrouter -m gpt-5"))
    assert complete(ready, "%%openrouter --reasoning m") == ["max", "medium", "minimal"]
    assert complete(ready, "%%openrouter --approve a") == ["ask", "always"]
    assert complete(ready, "%%openrouter -T ti") == ["tide"]
    assert complete(ready, "%%openrouter -T run") == ["run_python"]
    assert complete(ready, "%%openrouter --schema Per") == ["Person"]
    assert complete(ready, "%openrouter und") == ["undo"]
    assert complete(ready, "x = %openrouter vers") == ["version"]
    assert len(endpoint.requests) == asked


def test_what_may_follow(ready: Kernel, tmp_path: Path) -> None:
    offered = complete(ready, "%%openrouter ")
    assert offered[:1] == ["openai/gpt-5"]
    assert offered[-1] == "--debug"
    after_model = complete(ready, "%%openrouter -t 0 openai/gpt-5 ")
    assert "--model" in after_model
    assert not any("/" in each for each in after_model)
    assert complete(ready, "%%openrouter -m gpt-5-m") == ["openai/gpt-5-mini"]
    assert complete(ready, "%%openrouter --model=llama") == ["meta/llama-3"]
    assert complete(ready, "%%openrouter --fallback llama") == ["meta/llama-3"]
    assert complete(ready, "%%openrouter -f te") == ["text"]
    assert complete(ready, "%%openrouter -o sa") == ["sales"]
    assert complete(ready, "%%openrouter -T ") == ["tide", "run_python", "inspect_variable", "notebook", "analyst"]
    (tmp_path / "my notes.txt").touch()
    (tmp_path / "more").mkdir()
    assert complete(ready, f"%%openrouter -a {tmp_path}/m") == [f"{tmp_path}/more/", f"'{tmp_path}/my notes.txt'"]
    assert complete(ready, f"%%openrouter -a '{tmp_path}/my no") == [f"'{tmp_path}/my notes.txt'"]
    for nothing in ("-s ", "-s 'Be ", "--chat ", "--seed ", '--provider {"sort": ', "-a https://ho"):
        assert complete(ready, f"%%openrouter {nothing}") == [], nothing


def test_conversations_and_aliases(ready: Kernel, endpoint: ScriptedOpenRouter) -> None:
    ready.run("%openrouter alias quick vendor/other-gpt-5")
    endpoint.answers(text("Yes."))
    ready.run("%%openrouter --chat 'high seas'\nAre you there?")
    assert complete(ready, "%%openrouter -m qui") == ["quick"]
    assert complete(ready, "%%openrouter --chat hi") == ["'high seas'"]
    assert complete(ready, "%%openrouter --chat 'hi") == ["'high seas'"]
    ready.run("%openrouter alias quick -")


def test_lines_within_code(ready: Kernel) -> None:
    assert complete(ready, "for n in range(3):\n    x[n] = %openrouter und") == ["undo"]
    assert complete(ready, "\n\n%%openrouter --te") == ["--temperature"]
    assert complete(ready, "%%time\n%%openrouter --te") == ["--temperature"]
    assert complete(ready, "%openrouter -s 'a -- b' -- Is {shi") == ["ship"]
    assert complete(ready, "%openrouter --raw -- Is {shi") == []
    assert complete(ready, "%openrouter -- What is {sh ") == []
    assert "undo" not in complete(ready, "print('%openrouter und")


def test_the_prompt(ready: Kernel) -> None:
    assert complete(ready, "%%openrouter\nWhat is {shi") == ["ship"]
    assert complete(ready, "%%openrouter\nWhat is {ship.to", "}?") == [".tons"]
    assert ".trap" in complete(ready, "%%openrouter\nWhat is {ship.t")  # named, and not read
    assert complete(ready, '%%openrouter\nWhat is {ship.crew["') == ['["cook"]']
    assert complete(ready, "%%openrouter\nWhat is {sales[") == ['["city"]', '["sold by"]']
    assert complete(ready, "%openrouter -- What is {shi") == ["ship"]
    assert complete(ready, "%%openrouter\nWhat is {ship.crew['", "']}") == ["['cook"]  # the editor closed it
    assert complete(ready, "%%openrouter\nWhat is {shi", "p.tons}?") == ["ship"]
    assert "_private" not in complete(ready, "%%openrouter\nWhat is {")
    assert complete(ready, "%%openrouter\nWhat is {_pri") == ["_private"]
    answered = reply_to(ready, "%%openrouter\nWhat is {ship.to", "}?")
    assert (answered["cursor_start"], answered["cursor_end"]) == (26, 29)
    assert ready.value("ship.tons") == "40"


@pytest.mark.parametrize(
    "prompt",
    [
        "Tell me about impor",
        "What is ship.",
        "```python\nprint({shi",
        "Is `{shi",
        "{{shi",
        'f"{shi',
        "return {shi",
        "{tide().",
        "{ship.trap.",
        "{nobody.",
        "\\alph",
        "%matplotli",
        "/tm",
    ],
)
def test_nothing_of_python_appears_in_prose(ready: Kernel, prompt: str) -> None:
    assert complete(ready, f"%%openrouter\n{prompt}") == []
    assert complete(ready, "%%openrouter --raw\n{shi") == []


def test_other_cells_are_left_alone(ready: Kernel) -> None:
    assert any(each.endswith("tons") for each in complete(ready, "ship.to"))
    assert complete(ready, "%%timei") == ["%%timeit"]
    assert complete(ready, "%%openr") == ["%%openrouter"]
    assert complete(ready, "%%openrouter") == ["%%openrouter"]
    assert "print" in complete(ready, "x = '%%openrouter'\npri")


def test_it_is_quick_and_goes_away(ready: Kernel) -> None:
    started = time.perf_counter()
    for _ in range(10):
        complete(ready, "%%openrouter gpt")
    assert (time.perf_counter() - started) / 10 < stretched(1)  # the benchmark says how quick
    ready.run("%unload_ext orchat")
    assert "openai/gpt-5" not in complete(ready, "%%openrouter gpt-5")
    ready.run("%load_ext orchat")
    assert "openai/gpt-5" in complete(ready, "%%openrouter gpt-5")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("models --f", ["--free"]),
        ("key ", ["check", "set", "forget"]),
        ("reset ", ["'high seas'", "--all"]),
        ("fix gpt-5", ["openai/gpt-5", "openai/gpt-5-mini", "vendor/other-gpt-5"]),
        ("cost ", []),
        ("mod", ["models"]),
        ("mcp ", ["list", "add", "tools", "remove"]),
        ("mcp remove ", ["time", "git"]),
        ("mcp tools t", ["time"]),
        ("-T ti", ["time"]),
    ],
)
def test_what_may_stand_behind_a_sub_command(line: str, offered: list[str]) -> None:
    completions = Completions(
        InteractiveShell(config=Config({"HistoryManager": {"enabled": False}})),
        names=dict,
        models=lambda: MODELS,
        aliases=list,
        conversations=lambda: ["high seas"],
        commands=lambda: {name: command.usage for name, command in COMMANDS.items()},
        servers=lambda: ["time", "git"],
    )
    found = completions.complete_at(text := f"%openrouter {line}", 0, len(text))
    assert found is not None
    assert found[1] == offered


def test_tab_in_a_terminal(endpoint: ScriptedOpenRouter, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(tmp_path),
        "OPENROUTER_BASE_URL": endpoint.base_url,
        "TERM": "xterm",
        "PROMPT_TOOLKIT_NO_CPR": "1",
    }
    options = ["-m", "IPython", "--no-banner", "--colors=NoColor", "--no-confirm-exit", "--ext=orchat"]
    child = pexpect.spawn(
        sys.executable, options, env=environment, encoding="utf-8", timeout=PATIENCE, dimensions=(40, 120)
    )
    try:
        child.expect(r"In \[")
        child.send("%%openrouter --temp\t")
        child.expect("erature")
        child.send("\x15seagull = 1\r")  # Ctrl-U empties the line
        child.expect(r"In \[2")
        child.send("%openrouter --dry-run -- Is it {seag\t")
        child.expect("ull")  # the rest of a name that was typed in part
        child.send("} or not?\r")
        child.expect("Is it 1 or not")
        child.send("exit\r")
        child.expect(pexpect.EOF)
    finally:
        end_child(child)


def test_a_mention_is_completed_although_the_names_of_histories_are_variables() -> None:
    names = {"Err": {"a": 1, 7: "KeyError: 'x'"}, "Out": {"b": 1, 3: 2}, "sales": [1]}
    found = [each.placeholder for each in complete_mention("See @", names)[1]]
    assert found == ["{Err[7]}", "{sales}", "{Out[3]}"]
    assert complete_mention("See @", {"Err": {"a": 1}, "Out": {"b": 1}})[1] == []
