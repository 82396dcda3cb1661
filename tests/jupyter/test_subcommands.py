"""The sub-commands of ``%openrouter`` that tell something: models, costs, conversations; and wrong words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchat.jupyter.magic.subcommands import COMMANDS
from tests.jupyter.conftest import KEY
from tests.jupyter.kernel import Kernel
from tests.jupyter.test_magic_options import ask
from tests.openrouter_server import ScriptedOpenRouter, error, model, reply_json, text, usage_object
from tests.openrouter_server.server import CHAT

pytestmark = pytest.mark.slow


@pytest.fixture
def own(endpoint: ScriptedOpenRouter, tmp_path: object) -> Iterator[Kernel]:
    """A kernel with an empty home, hence without a list of models."""
    environment = {
        "OPENROUTER_BASE_URL": endpoint.base_url,
        "OPENROUTER_API_KEY": "sk-or-v1-0123456789abcdef",
        "XDG_CACHE_HOME": f"{tmp_path}/cache",
        "OPENAI_MAX_RETRIES": "0",
    }
    with Kernel(environment) as kernel:
        kernel.run("%load_ext orchat")
        yield kernel
    endpoint.on(*CHAT).queue.clear()
    endpoint.on("GET", "/models").queue.clear()


def asked_for_models(endpoint: ScriptedOpenRouter) -> int:
    return sum(request.path == "/models" for request in endpoint.requests)


def test_models_are_listed_and_found_and_a_server_of_this_machine_is_asked_each_time(
    own: Kernel, endpoint: ScriptedOpenRouter
) -> None:
    before = asked_for_models(endpoint)
    table = ask(own, "%openrouter models").printed.splitlines()
    assert table[0].split()[:2] == ["model", "context"]
    assert any(line.startswith("anthropic/claude-sonnet-4.5") for line in table)
    found = ask(own, "%openrouter models claude sonnet").printed.splitlines()
    assert 2 <= len(found) < len(table)
    assert all("claude" in line and "sonnet" in line for line in found[1:])
    free = ask(own, "%openrouter models --free").printed.splitlines()
    assert len(free) > 1
    assert all(line.split()[2:4] == ["0.00", "0.00"] for line in free[1:])
    assert asked_for_models(endpoint) == before + 3
    (none,) = own.run("%openrouter models cluade-sonet-4.5")
    (line,) = none.content["traceback"]
    assert line.startswith("openrouter: No model matches `cluade-sonet-4.5`. Near are `anthropic/claude")


def test_loading_and_help_ask_nobody(own: Kernel, endpoint: ScriptedOpenRouter) -> None:
    before = len(endpoint.requests)
    for line in ("", "help", "version", "cost", "chats", "params", "alias"):
        ask(own, f"%openrouter {line}")
    assert len(endpoint.requests) == before


def test_an_old_list_serves_when_no_new_one_comes(own: Kernel, endpoint: ScriptedOpenRouter) -> None:
    ask(own, "%openrouter models")
    ask(
        own,
        "import json, os, pathlib\n"
        "[path] = pathlib.Path(os.environ['XDG_CACHE_HOME']).rglob('*.json')\n"
        "kept = json.loads(path.read_text())\n"
        "path.write_text(json.dumps({**kept, 'fetched_at': '2026-01-01T00:00:00+00:00'}))",
    )
    endpoint.on("GET", "/models").answers(error(503, "Down for \x1b[31mmaintenance"))
    *table, why = ask(own, "%openrouter models").printed.splitlines()
    assert any(line.startswith("anthropic/claude-sonnet-4.5") for line in table)
    assert why.startswith("This list is ")
    assert "days old: HTTP 503: Down for" in why
    assert "\x1b" not in why


def test_a_list_that_never_came_is_one_line(own: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.on("GET", "/models").answers(error(400, "Down for maintenance"))
    (cell,) = own.run("%openrouter models")
    (line,) = cell.content["traceback"]
    assert "Down for maintenance" in line
    assert len(line) < 400


def test_a_model_with_a_hostile_name_is_listed_harmlessly(own: Kernel, endpoint: ScriptedOpenRouter) -> None:
    hostile = model("evil/\x1b]0;t\x07\u202emodel", "E\nvil", {"prompt": "0", "completion": "0"})
    endpoint.on("GET", "/models").answers(reply_json({"data": [hostile]}))
    printed = ask(own, "%openrouter models").printed
    assert not any(each in printed for each in "\x1b\x07\u202e")
    assert len(printed.splitlines()) == 2


def test_a_budget_is_kept_and_told(own: Kernel, endpoint: ScriptedOpenRouter) -> None:
    usage = usage_object(cost=0.25)
    endpoint.answers(text("Hi.", usage=usage), text("Hi.", usage=usage))
    ask(own, "%config OpenRouterMagics.max_cost = 0.3\n%config OpenRouterMagics.max_tokens = 100")
    ask(own, "%%openrouter openai/gpt-4o-mini\nHi")
    first, second = ask(own, "%openrouter cost").printed.splitlines()
    assert first == "this session: $0.25, $0.05 of $0.3 are left"
    assert second == "  notebook: $0.25, 1 turn"
    ask(own, "%%openrouter openai/gpt-4o-mini\nHi")
    asked = len(endpoint.requests)
    (refused,) = own.run("%%openrouter openai/gpt-4o-mini\nHi")
    assert refused.content["traceback"][0].startswith("openrouter: BudgetExceededError: ")
    assert len(endpoint.requests) == asked
    assert "$0 of $0.3 are left" in ask(own, "%openrouter cost").printed


def test_a_cell_may_have_its_own_limit(own: Kernel, endpoint: ScriptedOpenRouter) -> None:
    ask(own, "%openrouter models")
    asked = len(endpoint.requests)
    (refused,) = own.run("%%openrouter openai/gpt-4o-mini --max-cost 0.0000001\nHi")
    assert refused.content["traceback"][0].startswith("openrouter: BudgetExceededError: ")
    (unknown,) = own.run("%%openrouter vendor/nobody-knows --max-cost 1\nHi")
    assert "BudgetExceededError" in unknown.content["traceback"][0]
    assert len(endpoint.requests) == asked
    assert ask(own, "%%openrouter openai/gpt-4o-mini -n 20 --max-cost $0.50\nHi").status == "ok"


def test_chats_are_told_on_one_line_each(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    assert ask(kernel, "%openrouter chats").printed == "No conversation yet. The first question begins one.\n"
    ask(kernel, "%%openrouter --chat 'a longer name'\nOne\nquestion " + "and so on " * 50)
    (line,) = ask(kernel, "%openrouter chats").printed.splitlines()
    assert line.startswith("a longer name: 1 turn, last: One question and so on")
    assert len(line) < 120


def test_nothing_to_do_is_told(kernel: Kernel) -> None:
    for command in ("approve", "reject"):
        assert ask(kernel, f"%openrouter {command}").printed == "No tool call waits for a decision.\n"
    for command in ("undo", "reset", "fork x"):
        (cell,) = kernel.run(f"%openrouter {command}")
        (line,) = cell.content["traceback"]
        assert line == "openrouter: There is no conversation 'notebook'. There are: none yet."
    assert ask(kernel, "%openrouter reset --all").printed == "There is no conversation.\n"


def test_every_command_is_in_the_help(kernel: Kernel) -> None:
    printed = ask(kernel, "%openrouter help").printed
    for name, command in COMMANDS.items():
        assert f"%openrouter {name} {command.usage}".rstrip() in printed
        assert command.help in printed
    assert max(map(len, printed.splitlines())) < 125


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("modles", "There is no %openrouter modles. Did you mean models?"),
        ("it's blue", "There is no %openrouter it's. "),
        ("strip --chek book.ipynb", "%openrouter strip has no option --chek. There are --check, --outputs."),
        ("models --fre", "%openrouter models has no option --fre. There are --free."),
        ("cost notebook", "%openrouter cost takes nothing more, such as notebook. See %openrouter help."),
        ("what's up", "A prompt goes behind two dashes: %openrouter -- what's up"),
        ("-s 'open -- Hi", "No closing quotation in: "),
    ],
)
def test_wrong_words_are_one_line(kernel: Kernel, typed: str, words: str) -> None:
    (cell,) = kernel.run(f"%openrouter {typed}")
    assert cell.status == "error"
    (line,) = cell.content["traceback"]
    assert line.startswith("openrouter: ")
    assert words in line
    assert cell.printed == ""


def test_fix_explains_the_last_error_and_proposes_a_cell(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    kernel.run("tons = 40\ntosn * 2")
    endpoint.answers(text("A name is misspelt.\n```python\ntons * 2\n```"))
    (wrong,) = kernel.run("%openrouter unod")  # an error of ours does not hide the user's own
    assert wrong.status == "error"
    (cell,) = kernel.run("%openrouter fix")
    assert cell.status == "ok", cell.content
    assert cell.printed.startswith("Sends the error and the source of In[")
    asked = endpoint.request.json["messages"][-1]["content"]
    assert "NameError: name 'tosn' is not defined" in asked
    assert "tosn * 2" in asked
    (payload,) = cell.content["payload"]
    assert (payload["source"], payload["text"], payload["replace"]) == ("set_next_input", "tons * 2", False)


def test_key_is_checked_and_a_key_at_the_wrong_place_is_not_repeated(kernel: Kernel) -> None:
    (cell,) = kernel.run("%openrouter key")
    assert cell.status == "ok", cell.content
    assert "OPENROUTER_API_KEY" in cell.printed
    assert KEY not in cell.printed
    (cell,) = kernel.run("%openrouter sk-or-v1-fedcba9876543210")
    assert "sk-or-v1-fedcba9876543210" not in repr(cell.content) + cell.printed


def test_panel_and_strip(kernel: Kernel, tmp_path: Path) -> None:
    (cell,) = kernel.run("%openrouter panel")
    assert cell.bundles[0]["text/plain"]
    notebook = tmp_path / "n.ipynb"
    cells = [{"cell_type": "code", "metadata": {"orchat": {"version": 1}}, "source": "", "outputs": []}]
    notebook.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    (cell,) = kernel.run(f"%openrouter strip --check {notebook}")
    assert cell.printed == f"{notebook} holds 1 things of orchat.\n"
    kernel.run(f"%openrouter strip {notebook}")
    assert "orchat" not in notebook.read_text()
