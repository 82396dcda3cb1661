"""``orchat models`` as a shell sees it: a table on stdout, a list's age on stderr, errors in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchat import cli
from tests.openrouter_server import MODELS, ScriptedOpenRouter, error, model, raw, reply_json

KEY = "sk-or-v1-0123456789abcdef"
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def service(openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch) -> ScriptedOpenRouter:
    """A scripted OpenRouter that the environment names."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", openrouter.base_url)
    return openrouter


def test_a_table_of_what_matches(service: ScriptedOpenRouter, capsys: Captured) -> None:
    assert cli.main(["models", "llama"]) == 0
    assert capsys.readouterr() == (
        "model                                   context  $/M in  $/M out  modalities\n"
        "meta-llama/llama-3.3-70b-instruct       131,072    0.13     0.40  text -> text\n"
        "meta-llama/llama-3.3-70b-instruct:free   65,536    0.00     0.00  text -> text\n",
        "",
    )


def test_only_free_ones(service: ScriptedOpenRouter, capsys: Captured) -> None:
    assert cli.main(["models", "--free"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["meta-llama/llama-3.3-70b-instruct:free", "openrouter/free"]
    assert cli.main(["models", "LLAMA", "70b", "--free"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_all_of_them_with_what_is_unknown(service: ScriptedOpenRouter, capsys: Captured) -> None:
    assert cli.main(["models"]) == 0
    rows = {line.split()[0]: line.split(maxsplit=4)[1:] for line in capsys.readouterr().out.splitlines()}
    assert len(rows) == len(MODELS) + 2  # a heading, and a line above those that answer in no chat
    assert rows["openrouter/auto"] == ["2,000,000", "?", "?", "text,image,audio,file,video -> text"]
    assert rows["vendor/unlisted-facts"] == ["?", "?", "?", "? -> ?"]
    assert rows["openai/gpt-4o-mini-tts"][-1] == "text -> speech"


def test_very_small_prices_are_not_nothing(service: ScriptedOpenRouter, capsys: Captured) -> None:
    prices = {"prompt": "0.000000004", "completion": "0.0012345"}
    service.on("GET", "/models").always(reply_json({"data": [model("vendor/m", "M", prices)]}))
    assert cli.main(["models"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[2:4] == ["0.004", "1,234.50"]


def test_no_key_is_needed_and_a_set_one_goes_along(
    service: ScriptedOpenRouter, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["models"]) == 0
    assert "authorization" not in service.request.headers
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    assert cli.main(["models"]) == 0
    assert len(service.requests) == 2  # a server of this machine is asked each time
    assert service.request.headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in "".join(capsys.readouterr())


def test_offline_an_old_list_comes_with_its_age(service: ScriptedOpenRouter, capsys: Captured, cache: Path) -> None:
    cli.main(["models", "llama"])
    table = capsys.readouterr().out
    [path] = cache.iterdir()
    old = (datetime.now(UTC) - timedelta(days=5)).isoformat()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fetched_at": old}))
    service.on("GET", "/models").always(error(503, "Down\nfor \x1b[2Jrepair"))
    assert cli.main(["models", "llama"]) == 0
    out, err = capsys.readouterr()
    assert out == table
    assert err.startswith("orchat: This list is 5 days old: HTTP 503: Down for ")
    assert err.count("\n") == 1
    assert "\x1b" not in err


def test_offline_without_a_list_is_an_error(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_BASE_URL", "http://127.0.0.1:9/api/v1")
    assert cli.main(["models"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("orchat: No connection to 127.0.0.1:9: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["gpt-5-mni"], "orchat: No model matches `gpt-5-mni`. Near are `openai/gpt-5-mini`"),
        (["zzzzzz"], "orchat: No model matches `zzzzzz`.\n"),
        (["claude", "--free"], "orchat: No free model matches `claude`."),
    ],
)
def test_nothing_found(service: ScriptedOpenRouter, capsys: Captured, typed: list[str], said: str) -> None:
    assert cli.main(["models", *typed]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(said)
    assert err.count("\n") == 1


def test_a_host_with_nothing(service: ScriptedOpenRouter, capsys: Captured) -> None:
    service.on("GET", "/models").always(reply_json({"data": []}))
    assert cli.main(["models", "--free"]) == 1
    assert capsys.readouterr().err == "orchat: There is no free model.\n"


def test_a_list_cannot_steer_the_terminal(service: ScriptedOpenRouter) -> None:
    evil: dict[str, Any] = {"id": "v/\x1b]0;owned\x07\x9bm\nv/fake", "architecture": {"input_modalities": ["\x1b[2J"]}}
    service.on("GET", "/models").always(raw(json.dumps({"data": [evil, {"id": "v/\ud800"}]}).encode()))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "orchat.cli", "models"]
    said = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert said.stderr == b""
    assert b"\x1b" not in said.stdout
    assert said.stdout.count(b"\n") == 3
    assert rb"v/\ud800" in said.stdout
