"""``orchat demo`` with a real JupyterLab, a real kernel and the real model; and that nothing of it is left."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from orchat import cli, quickstart_launcher
from tests.browser.lab import Lab
from tests.command_line import command_line
from tests.patience import PATIENCE, wait_until

ROOT = Path(__file__).parents[1]
# Extensions of the server that other tests brought: each JupyterLab would import them.
OTHERS = ("notebook", *filter(None, Lab.OTHERS.values()))

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups are those of POSIX here")


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to an empty folder, without a key and without anybody's Jupyter settings."""
    for name in ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "ORCHAT_MODEL", "ORCHAT_LOCAL_URL", "ORCHAT_LOCAL_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(folder / "jupyter"))
    (folder / "jupyter").mkdir()
    off = {"ServerApp": {"jpserver_extensions": dict.fromkeys(OTHERS, False)}}
    (folder / "jupyter" / "jupyter_server_config.json").write_text(json.dumps(off))
    monkeypatch.chdir(folder)


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(tmp_path, monkeypatch)


@contextmanager
def _default_hangup() -> Iterator[None]:
    """A process that is started in here ends with SIGHUP, even where the tests run under ``nohup`` and ignore it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


class Demo:
    """A running ``orchat demo``: what it printed, and the processes below it."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "orchat.cli", "demo", *arguments]
        # A session of its own, so that a signal to the group is what Ctrl-C is in a terminal.
        with _default_hangup():
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout is not None
        self.printed = ""
        for line in self.process.stdout:
            self.printed += line
            if line.startswith("Ctrl-C"):
                break
        address = re.search(r"(http://127\.0\.0\.1:\d+)(/lab/\S+)\?token=(\S+)", self.printed)
        assert address, self.printed
        self.origin, self.page, self.token = address.groups()

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        answer = httpx.request(
            method, self.origin + path, headers={"Authorization": f"token {self.token}"}, timeout=PATIENCE, **arguments
        )
        answer.raise_for_status()
        return answer

    def start_kernel(self) -> psutil.Process:
        """Start a kernel as the notebook does, and return its process."""
        kernel = self.ask("POST", "/api/kernels", json={}).json()["id"]
        (process,) = [child for child in self.family() if kernel in command_line(child)]
        return process

    def family(self) -> list[psutil.Process]:
        """Return all that it started and that still runs."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if command_line(child)]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def running(weights: Path) -> Iterator[Demo]:
    """A demo that a test may end."""
    started = Demo("--no-browser")
    yield started
    started.close()


@pytest.fixture(scope="module")
def lasting(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Path]]:
    """A demo that goes on, and the folder in which it was started."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter(folder, monkeypatch)
        started = Demo("--no-browser")
    yield started, folder
    started.close()


@pytest.mark.slow
def test_the_notebook_opens_with_the_embedded_model(lasting: tuple[Demo, Path]) -> None:
    running, folder = lasting
    assert (folder / "orchat-demo" / quickstart_launcher.QUICKSTART).read_bytes() == (
        ROOT / "notebooks" / quickstart_launcher.QUICKSTART
    ).read_bytes()
    assert "JupyterLab" in running.ask("GET", running.page).text
    there = {entry["name"] for entry in running.ask("GET", "/api/contents").json()["content"]}
    assert there == {notebook.name for notebook in (ROOT / "notebooks").glob("*.ipynb")}
    kernel = running.start_kernel().environ()
    assert kernel["ORCHAT_MODEL"] == "local/smollm2-135m-instruct"
    models = httpx.get(
        kernel["ORCHAT_LOCAL_URL"] + "/models", headers={"Authorization": f"Bearer {kernel['ORCHAT_LOCAL_KEY']}"}
    )
    assert models.json()["data"][0]["id"] == "smollm2-135m-instruct"


@pytest.mark.slow
def test_nobody_is_asked_about_news(lasting: tuple[Demo, Path]) -> None:
    running, _ = lasting
    page = running.ask("GET", running.page).text
    assert '"@jupyterlab/apputils-extension:announcements"' in page[page.index("disabledExtensions") :][:2000]


@pytest.mark.slow
def test_the_extension_of_this_version_is_there(lasting: tuple[Demo, Path]) -> None:
    running, _ = lasting
    page = running.ask("GET", running.page).text
    assert '"name": "orchat-lab"' in page[page.index("federated_extensions") :]
    served = running.ask("GET", "/lab/extensions/orchat-lab/static/metadata_bridge.js").text
    extension = ROOT / "orchat" / "jupyter" / "frontend" / "extension"
    assert served == (extension / "static" / "metadata_bridge.js").read_text()


@pytest.mark.slow
def test_nobody_gets_in_without_the_token(lasting: tuple[Demo, Path]) -> None:
    running, _ = lasting
    assert httpx.get(running.origin + "/api/contents").status_code == 403
    assert httpx.get(running.origin + running.page).status_code == 302  # to the login page
    secrets = {
        running.token,
        *(process.environ().get("ORCHAT_LOCAL_KEY", running.token) for process in running.family()),
    }
    lines = " ".join(command_line(process) for process in [psutil.Process(running.process.pid), *running.family()])
    assert not any(secret in lines for secret in secrets)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_everything_ends_with_it(running: Demo, name: str) -> None:
    ending = signal.Signals[name]
    running.start_kernel()
    family = running.family()
    assert len(family) >= 3  # the model's server, JupyterLab and the kernel
    if name == "SIGINT":
        os.killpg(running.process.pid, ending)
    else:
        running.process.send_signal(ending)
    assert running.process.wait(PATIENCE) == (-ending if name == "SIGKILL" else 0)
    # An orphan that nobody collects is a zombie: it has ended.
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.slow
def test_with_a_key_the_embedded_model_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-0123456789abcdef")
    monkeypatch.setenv("ORCHAT_MODEL", "vendor/model")
    started = Demo("--no-browser")
    try:
        kernel = started.start_kernel().environ()
        assert kernel["ORCHAT_MODEL"] == "vendor/model"
        assert "ORCHAT_LOCAL_URL" not in kernel
        assert "sk-or" not in started.printed
    finally:
        started.close()


@pytest.mark.slow
def test_the_browser_is_opened(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = tmp_path / "browser"
    browser.write_text(
        f"#!/bin/sh\nprintf %s \"$1\" > '{tmp_path}/opened.part'\nmv '{tmp_path}'/opened.part '{tmp_path}/opened'\n"
    )
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    started = Demo("--port", "0")
    try:
        assert wait_until((tmp_path / "opened").exists)
        page = httpx.URL((tmp_path / "opened").read_text())
        assert started.page in Path(page.path).read_text()  # Jupyter's redirecting file: no token on a command line
    finally:
        started.close()


def test_a_notebook_that_is_there_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    mine = quickstart_launcher._copy_notebooks(folder)
    assert json.loads(mine.read_text())["nbformat"] == 4
    mine.write_text("my changes")
    assert quickstart_launcher._copy_notebooks(folder) == mine
    assert mine.read_text() == "my changes"


def test_a_folder_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-0123456789abcdef")
    (tmp_path / "file").write_text("")
    assert cli.main(["demo", "file"]) == 1
    assert re.fullmatch(
        r"orchat: The notebooks cannot be put at .*: File exists\. Name another .*\n", capsys.readouterr().err
    )


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert cli.main(["demo", "--port", str(port)]) == 1
    assert re.fullmatch(rf"orchat: Port {port} cannot be used: .*--port.*\n", capsys.readouterr().err)
    assert cli.main(["demo", "--port", "99999"]) == 1
    assert "99999 is no port" in capsys.readouterr().err


def test_the_next_free_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(quickstart_launcher, "_FIRST_PORT", other.getsockname()[1])
        assert quickstart_launcher._free_port(None) > other.getsockname()[1]


@pytest.mark.parametrize("missing", ["jupyterlab", "ipykernel"])
def test_the_missing_extra_is_named(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert cli.main(["demo"]) == 1
    assert capsys.readouterr().err == (
        f'orchat: The demo needs {missing}, which is not installed. Run `pip install "orchat-jupyter[demo]"`.\n'
    )


@pytest.mark.slow
def test_a_jupyterlab_that_cannot_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-0123456789abcdef")
    (tmp_path / "jupyter" / "jupyter_server_config.py").write_text("raise SystemExit('a broken configuration')\n")
    assert cli.main(["demo", "--no-browser"]) == 1
    assert re.search(r"JupyterLab did not start\. .*broken configuration", capsys.readouterr().err)
