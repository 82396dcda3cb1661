"""The answer is always shown: in consoles, and by executors that carry out no updates of a display."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.jupyter.conftest import KEY
from tests.jupyter.ipython_terminal import end_child
from tests.jupyter.kernel import Ended, Kernel, package_folder
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text
from tests.patience import PATIENCE
from tests.python_path import PYTHON_PATH

pytestmark = pytest.mark.slow

WIDGET = "application/vnd.jupyter.widget-view+json"
TIDE = "def tide(port: str) -> str:\n    '''High tide.'''\n    return f'{port}: 14:10'"
CHAT = "from orchat import Chat\nreply = Chat('some/model')('Hi')"


def environment(endpoint: ScriptedOpenRouter) -> dict[str, str]:
    return {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": KEY}


@pytest.fixture(scope="module")
def server_kernel(endpoint: ScriptedOpenRouter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel of a Jupyter server, which executes its cells itself."""
    notebook = tmp_path_factory.mktemp("server") / "tides.ipynb"
    with Kernel({**environment(endpoint), "JPY_SESSION_NAME": str(notebook)}) as kernel:
        kernel.run("%load_ext orchat\n" + TIDE)
        yield kernel


def displays(ended: Ended) -> list[tuple[str, str]]:
    """The kind and the text of all that a cell displays."""
    kinds = ("display_data", "update_display_data", "execute_result")
    return [
        (each["msg_type"], each["content"]["data"].get("text/plain", ""))
        for each in ended.messages
        if each["msg_type"] in kinds
    ]


def run_as_executor(kernel: Kernel, code: str, *, stdin: bool) -> Ended:
    """Run a cell as jupyter-server-nbmodel (with ``stdin``) and jupyter-server-documents send it."""
    (ended,) = kernel.run(code, allow_stdin=stdin)
    assert ended.status == "ok", ended.content
    return ended


@pytest.mark.parametrize("stdin", [True, False])
@pytest.mark.parametrize(
    "code", ["%%openrouter\nHi", "%openrouter -- Hi", "for _ in 'a':\n    %openrouter -- Hi", CHAT]
)
def test_an_executor_in_a_server_gets_one_whole_display(
    server_kernel: Kernel, endpoint: ScriptedOpenRouter, code: str, stdin: bool
) -> None:
    endpoint.answers(text("The river runs. " * 40).paced(0.003))
    ended = run_as_executor(server_kernel, code, stdin=stdin)
    ((kind, plain),) = displays(ended)
    assert kind == "display_data"
    assert plain.startswith("The river runs. " * 39)
    assert ended.of("comm_open") == []


def test_a_client_that_drops_updates_and_that_nobody_knows_has_the_answer(
    kernel: Kernel, endpoint: ScriptedOpenRouter
) -> None:
    for code in ("%%openrouter\nHi", "%openrouter -- Hi", CHAT):
        endpoint.answers(text("The river runs. " * 40).paced(0.003))
        (ended,) = kernel.run(code)
        (shown,) = (each for each in ended.of("display_data") + ended.of("execute_result"))
        assert shown["data"]["text/plain"].startswith("The river runs. " * 39)
        assert ended.of("update_display_data") == []


def test_an_executor_shows_calls_that_wait_and_errors(server_kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(call("tide", {"port": "Hull"})), text("At 14:10."))
    ended = run_as_executor(server_kernel, "%%openrouter -T tide\nWhen is it high?", stdin=False)
    ((_, plain),) = displays(ended)
    assert "tide" in plain
    assert "%openrouter approve" in ended.printed
    ((_, plain),) = displays(run_as_executor(server_kernel, "%openrouter approve", stdin=False))
    assert "At 14:10." in plain


def test_jupyter_server_nbmodel_shows_and_saves_the_answer(endpoint: ScriptedOpenRouter, tmp_path: Path) -> None:
    # Not beside JupyterLab, whose pages would run their cells by it.
    needs = ["jupyter-server-nbmodel==0.2.9", "jupyter-kernel-client", "jupyter-mimetypes", "websocket-client"]
    path = os.pathsep.join([PYTHON_PATH, str(package_folder("jupyter-server-nbmodel-0.2.9", *needs))])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    options = [f"--ServerApp.port={port}", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={tmp_path}"]
    options += ["--ServerApp.ip=127.0.0.1", "--ServerApp.jpserver_extensions={'jupyter_server_nbmodel': True}"]
    folders = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", *options],
        env={**os.environ, **environment(endpoint), **folders, "PYTHONPATH": path, "IPYTHONDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(method: str, path: str, body: object = None) -> tuple[Any, Any]:
        data = None if body is None else json.dumps(body).encode()
        address = f"http://127.0.0.1:{port}{path}"
        request = urllib.request.Request(address, data, {"Authorization": f"token {token}"}, method=method)
        with opener.open(request, timeout=PATIENCE) as response:
            return response.headers.get("Location") or response.status, json.loads(response.read() or b"null")

    def outputs(code: str) -> list[Any]:
        place, _ = ask("POST", f"/api/kernels/{kernel}/execute", {"code": code})
        while (ended := ask("GET", place))[0] != HTTPStatus.OK:
            time.sleep(0.05)
        return list(json.loads(ended[1]["outputs"]))

    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                about = {
                    "path": "tides.ipynb",
                    "name": "tides.ipynb",
                    "type": "notebook",
                    "kernel": {"name": "python3"},
                }
                kernel = ask("POST", "/api/sessions", about)[1]["kernel"]["id"]
                break
            except urllib.error.URLError:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert outputs("%load_ext orchat") == []
        for code in ("%%openrouter\nHi", "%openrouter -- Hi"):
            endpoint.answers(text("The river runs. " * 40).paced(0.003))
            (output,) = outputs(code)
            assert output["data"]["text/plain"].startswith("The river runs. " * 39)
    finally:
        server.terminate()
        server.wait(PATIENCE)


def test_pages_get_updates_of_one_display(server_kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    """VS Code, Colab, nbclassic 1.3: these are the requests that they send, and nobody answers to widgets."""
    as_colab = "import sys, types\nsys.modules['google.colab'] = types.ModuleType('google.colab')"
    as_nobody = "del sys.modules['google.colab']"
    for prepare, options, leave in (
        ("", {"cell_ids": ["vscode-notebook-cell:/notebooks/tides.ipynb#W1sZmlsZQ%3D%3D"]}, ""),
        (as_colab, {"allow_stdin": True}, as_nobody),
        ("", {"allow_stdin": True, "version": "5.2"}, ""),
    ):
        endpoint.answers(text("The river runs. " * 40).paced(0.003))
        server_kernel.run(prepare)
        (ended,) = server_kernel.run("%%openrouter\nHi", **options)
        server_kernel.run(leave)
        (first, _), *_, (last, plain) = displays(ended)
        assert (first, last) == ("display_data", "update_display_data")
        assert plain.startswith("The river runs. " * 39)
        assert WIDGET not in ended.bundles[-1]


def test_a_console_prints_what_arrives_and_asks(endpoint: ScriptedOpenRouter, tmp_path: Path) -> None:
    console = pexpect.spawn(
        sys.executable,
        ["-m", "jupyter_console", "--simple-prompt", "--ZMQTerminalInteractiveShell.banner="],
        env={
            **os.environ,
            **environment(endpoint),
            "PYTHONPATH": PYTHON_PATH,
            "IPYTHONDIR": str(tmp_path),
            "TERM": "dumb",
        },
        encoding="utf-8",
        timeout=PATIENCE,
        echo=False,
    )
    try:

        def run(line: str) -> str:
            console.expect(r"In \[\d+\]: ")
            console.sendline(line)
            console.expect(r"(?s)(.*)(?=In \[\d+\]: )")
            return str(console.match[1])

        run("%load_ext orchat")
        endpoint.answers(text("The *river* runs."))
        assert "The *river* runs." in run("%openrouter some/model -- Where does it go?")
        endpoint.answers(text("Indeed."))
        assert "Indeed." in run("from orchat import Chat; _ = Chat('some/model')('Hi')")
        console.expect(r"In \[\d+\]: ")
        console.sendline("def tide(port: str): return port + ': 14:10'")
        console.sendline("")
        endpoint.answers(calls(call("tide", {"port": "Hull"})), text("At 14:10."))
        console.expect(r"In \[\d+\]: ")
        console.sendline("%openrouter some/model -T tide -- When is it high?")
        console.expect(r"(?s)tide wants to run.*Run it\?")
        console.sendline("y")
        console.expect("At 14:10.")
    finally:
        end_child(console)


def test_parallel_engines_answer_cells_and_lines(
    endpoint: ScriptedOpenRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_client import jsonutil, session

    monkeypatch.setattr(session, "extract_dates", jsonutil.extract_dates)  # ipyparallel's client replaces it for all
    import ipyparallel

    endpoint.always(text("From an engine."))
    for name, value in {**environment(endpoint), "PYTHONPATH": PYTHON_PATH, "IPYTHONDIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    with ipyparallel.Cluster(n=1, log_level=logging.ERROR) as client:
        engine = client[0]
        for code in ("%load_ext orchat", "%%openrouter -o reply\nHi", "%openrouter -o reply -- Hi"):
            done = engine.execute(code, silent=False)
            done.wait(PATIENCE)
            assert done.wait_for_output(PATIENCE)  # it may come after the result
            assert done.successful(), code
            if "reply" in code:
                assert "From an engine." in str(done.outputs)  # what %%px shows
                assert engine.apply_sync(eval, "get_ipython().user_ns.pop('reply').text") == "From an engine."
