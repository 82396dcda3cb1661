"""Every code block of the README runs, as it stands, against the scripted OpenRouter."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import respx
from IPython.core.interactiveshell import InteractiveShell

from tests.openrouter_server import ScriptedOpenRouter, call, calls, error, text
from tests.openrouter_server.answers import Answer
from tests.openrouter_server.request import Request

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [code for name, code in BLOCKS if name == language]


def answer(request: Request) -> Answer:
    """What a good model would say to the README's questions."""
    body = request.json
    if body["model"] == "openai/gpt-5-mni":
        return error(400, "openai/gpt-5-mni is not a valid model ID")
    if body.get("response_format"):
        if "answer" in body["response_format"]["json_schema"]["schema"]["properties"]:
            return text('{"answer": "bad"}' if "broke" in body["messages"][-1]["content"] else '{"answer": "good"}')
        return text('{"name": "Anna", "age": 31}')
    if body.get("tools") and body["messages"][-1]["role"] == "user":
        return calls(call("tide", {"port": "Hull"}))
    if body.get("tools"):
        return text(f"Read from the tool: {body['messages'][-1]['content']}")
    return text("The Humber.")


@pytest.fixture
def endpoint(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[ScriptedOpenRouter]:
    """OpenRouter's own address, led to the scripted server at the wire."""
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):  # where the list of models and answers are kept
        monkeypatch.setenv(name, str(tmp_path))
    openrouter.always(answer)
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-0123456789abcdef")
    for name in ("OPENROUTER_BASE_URL", "ORCHAT_MODEL"):
        monkeypatch.delenv(name, raising=False)

    def forward(request: httpx.Request) -> httpx.Response:
        headers = {k: v for k, v in request.headers.items() if k not in {"host", "content-length"}}
        with httpx.Client() as client:
            path = request.url.raw_path.decode().removeprefix("/api/v1")
            reply = client.request(request.method, openrouter.base_url + path, content=request.content, headers=headers)
        return httpx.Response(
            reply.status_code, content=reply.content, headers={"content-type": reply.headers["content-type"]}
        )

    with respx.mock(assert_all_called=False, using="httpcore2") as router:
        router.route(host="127.0.0.1").pass_through()
        router.route(host="openrouter.ai").mock(side_effect=forward)
        yield openrouter


def test_the_python_blocks_run_in_order(endpoint: ScriptedOpenRouter, capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    for code in blocks("python"):
        exec(compile(code, "README.md", "exec"), namespace)
    printed = capsys.readouterr().out
    assert "The Humber." in printed
    assert "\n32\n" in printed
    assert "Read from the tool: High tide at Hull is at 14:10." in printed
    assert "['bad', 'good'] 8e-05 []" in printed
    assert "not a valid model ID" in printed
    sent = [request.json for request in endpoint.requests]
    assert sent[1]["temperature"] == 0
    assert sent[1]["provider"] == {"sort": "price"}


def test_the_notebook_cells_run_in_order(endpoint: ScriptedOpenRouter, capsys: pytest.CaptureFixture[str]) -> None:
    shell = InteractiveShell.instance()
    try:
        for cell in blocks("ipython"):
            assert shell.run_cell(cell).success, cell
        reply = shell.user_ns["reply"]
    finally:
        shell.run_line_magic("unload_ext", "orchat")
        InteractiveShell.clear_instance()
    assert reply.text == "The Humber."
    assert reply.cost == pytest.approx(4e-05)
    first, second = [request.json["messages"] for request in endpoint.requests]
    assert first[0] == {"role": "system", "content": "You are a patient teacher."}
    assert second[: len(first)] == first  # a follow-up remembers
    assert second[-1] == {"role": "user", "content": "Say it in one sentence, for a child."}
    assert "The Humber." in capsys.readouterr().out


def test_the_terminal_commands_run(openrouter: ScriptedOpenRouter, tmp_path: Path) -> None:
    openrouter.always(answer)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "OPENROUTER_API_KEY": "sk-or-v1-0123456789abcdef",
        "OPENROUTER_BASE_URL": openrouter.base_url,
    }
    commands = [line for block in blocks("sh") for line in block.splitlines() if "orchat ask" in line]
    assert len(commands) == 2
    for command in commands:
        # The one that reads a diff gets one from this repository, or an empty one where it is no checkout.
        done = subprocess.run(
            command.replace("git diff", "echo a change"),
            shell=True,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "The Humber.\n"


def test_the_two_commands_are_one_line_each_and_ci_runs_the_second() -> None:
    first, second = [line for block in blocks("sh") for line in block.splitlines() if "-m venv" in line]
    assert first.endswith('pip install ".[demo]" && .venv/bin/orchat demo')
    assert second.endswith('pip install -e ".[test]" && .venv/bin/pytest')
    assert "grep -m 1 -F '.venv/bin/pytest' README.md" in (ROOT / ".ci" / "run").read_text(), (
        "CI takes its test command from the README"
    )
