"""The embedded server's process: what it answers, and that it never outlives its owner."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from orchat.errors import ConfigurationError
from orchat.local import LocalServer, ServerAddress, server, shared_server
from orchat.secret import Secret
from tests.command_line import command_line
from tests.patience import PATIENCE, wait_until

Started = Callable[[], set[psutil.Process]]

posix = pytest.mark.skipif(os.name != "posix", reason="signals, forks and process groups are those of POSIX here")
LONG = {"messages": [{"role": "user", "content": "Count to a thousand."}], "stream": True, "max_tokens": 2000}
# A process that owns a server, says where it is, and keeps an answer streaming.
OWNER = f"""
import httpx, sys
from orchat.local import LocalServer
server = LocalServer()
server.start()
print(server.base_url, flush=True)
headers = {{"Authorization": "Bearer " + server.api_key.resolve_value()}}
with httpx.stream("POST", server.base_url + "/chat/completions", json={LONG!r}, headers=headers) as answer:
    for line in answer.iter_lines():
        print("token", flush=True)
"""


def listens(url: str) -> bool:
    address = httpx.URL(url)
    try:
        socket.create_connection((address.host, address.port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


def gone(url: str) -> bool:
    return wait_until(lambda: not listens(url), every=0.05)


def child_processes() -> set[psutil.Process]:
    folder = str(Path(server.__file__).parent)
    return {child for child in psutil.Process().children() if folder in command_line(child)}


@pytest.fixture
def started() -> Started:
    """Say which server processes were started since the test began and run."""
    before = child_processes()
    return lambda: child_processes() - before


def headers(running: LocalServer) -> dict[str, str]:
    return {"Authorization": f"Bearer {running.api_key.resolve_value()}"}


@pytest.fixture
def own_server(weights: Path) -> Iterator[LocalServer]:
    running = LocalServer(weights)
    yield running
    running.stop()


@pytest.mark.slow
def test_it_streams_an_answer(local_server: LocalServer) -> None:
    body = {"messages": [{"role": "user", "content": "Say hello."}], "stream": True, "max_tokens": 8, "seed": 1}
    url = local_server.base_url + "/chat/completions"
    with httpx.stream("POST", url, json=body, headers=headers(local_server), timeout=300) as answer:
        events = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert events[-1] == "[DONE]"
    deltas = [choice["delta"] for event in events[:-1] for choice in json.loads(event)["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas).strip()


@pytest.mark.slow
def test_it_answers_nobody_without_the_key(local_server: LocalServer) -> None:
    url = local_server.base_url + "/chat/completions"
    for wrong in ({}, {"Authorization": "Bearer guess"}):
        assert httpx.post(url, json={"messages": []}, headers=wrong).status_code == 401
    assert httpx.URL(url).host == "127.0.0.1"


@pytest.mark.slow
def test_the_key_shows_nowhere(own_server: LocalServer, started: Started) -> None:
    own_server.start()
    key = own_server.api_key.resolve_value()
    assert key is not None
    (process,) = started()
    assert key not in " ".join(process.cmdline())
    assert key not in repr(own_server) + repr(vars(own_server)) + repr(own_server.endpoint)


@pytest.mark.slow
def test_it_can_be_used_again(own_server: LocalServer, started: Started) -> None:
    with own_server as running:
        first = running.endpoint
        assert running.running
        assert first.base_url in repr(running)
    assert gone(first.base_url)
    assert not own_server.running
    with own_server as running:
        assert running.api_key != first.api_key
        assert httpx.get(running.base_url + "/models", headers=headers(running)).status_code == 200
    assert not started()


@pytest.mark.slow
def test_threads_that_start_it_together_get_one(own_server: LocalServer, started: Started) -> None:
    with ThreadPoolExecutor(8) as pool:
        endpoints = {future.result() for future in [pool.submit(own_server.start) for _ in range(8)]}
    assert len(endpoints) == 1
    assert len(started()) == 1


@pytest.mark.slow
def test_start_replaces_a_process_that_died(own_server: LocalServer, started: Started) -> None:
    first = own_server.start()
    (process,) = started()
    process.kill()
    process.wait()
    assert not own_server.running
    assert own_server.start() != first
    assert httpx.get(own_server.base_url + "/models", headers=headers(own_server)).status_code == 200


@pytest.mark.slow
def test_it_ends_with_the_object(weights: Path) -> None:
    running = LocalServer(weights)
    url = running.start().base_url
    del running
    gc.collect()
    assert gone(url)


@posix
@pytest.mark.slow
@pytest.mark.parametrize("ending", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_it_ends_with_its_process_even_in_the_middle_of_an_answer(weights: Path, ending: str) -> None:
    environment = os.environ | {"ORCHAT_LOCAL_MODEL": str(weights)}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().strip()
        assert owner.stdout.readline() == "token\n"
        owner.send_signal(signal.Signals[ending])
        owner.wait(PATIENCE)
        assert gone(url)


@posix
@pytest.mark.slow
def test_an_interrupt_of_the_process_group_does_not_reach_it(weights: Path) -> None:
    script = """
import os, signal, time
from orchat.local import LocalServer
with LocalServer() as server:
    try:
        os.killpg(0, signal.SIGINT)
        time.sleep(10)
    except KeyboardInterrupt:
        time.sleep(0.5)
        print(server.running)
"""
    environment = os.environ | {"ORCHAT_LOCAL_MODEL": str(weights)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, start_new_session=True, timeout=300, check=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


@posix
@pytest.mark.slow
def test_a_forked_process_neither_has_it_nor_keeps_it_alive(weights: Path) -> None:
    script = """
import os, sys, time
from orchat.local import LocalServer
server = LocalServer()
server.start()
print(server.base_url, flush=True)
if os.fork() == 0:
    print(server.running, flush=True)
    server.stop()
    sys.stdin.read()  # outlives the parent, until the test ends
    os._exit(0)
time.sleep(1)
os._exit(0 if server.running else 1)
"""
    environment = os.environ | {"ORCHAT_LOCAL_MODEL": str(weights)}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert parent.stdout.readline() == "False\n"
        assert parent.wait(PATIENCE) == 0
        assert gone(url)


@pytest.mark.slow
def test_files_in_the_current_folder_are_not_imported(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("xllamacpp.py", "pathlib.py"):
        (tmp_path / name).write_text("raise SystemExit('taken from the current folder')\n")
    with LocalServer(weights) as running:
        assert running.running


@pytest.mark.slow
def test_one_shared_server_for_a_process(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORCHAT_LOCAL_URL", raising=False)
    monkeypatch.setenv("ORCHAT_LOCAL_MODEL", str(weights))
    try:
        assert shared_server() == shared_server()
        assert listens(shared_server().base_url)
    finally:
        server._shared.stop()


def test_a_server_that_runs_already_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHAT_LOCAL_URL", "http://127.0.0.1:1/api/v1/")
    monkeypatch.setenv("ORCHAT_LOCAL_KEY", "from-the-environment")
    assert shared_server() == ServerAddress("http://127.0.0.1:1/api/v1", Secret.from_env_var("ORCHAT_LOCAL_KEY"))
    monkeypatch.delenv("ORCHAT_LOCAL_KEY")
    with pytest.raises(ConfigurationError, match="ORCHAT_LOCAL_URL is set and ORCHAT_LOCAL_KEY is not"):
        shared_server()


def test_a_damaged_model_gives_the_servers_own_words(tmp_path: Path, started: Started) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ConfigurationError, match=r"(?s)ended while starting .*Failed to init server.*local download"):
        LocalServer(damaged).start()
    assert not started()


@pytest.mark.slow
def test_a_start_that_takes_too_long(weights: Path, started: Started) -> None:
    with pytest.raises(ConfigurationError, match=r"did not answer within 0\.02 s"):
        LocalServer(weights, timeout=0.02).start()
    assert not started()


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ConfigurationError, match=r'pip install "orchat-jupyter\[local\]"'):
        LocalServer(tmp_path / "any.gguf").start()


def test_a_server_that_was_not_started_has_no_address() -> None:
    idle = LocalServer()
    with pytest.raises(ConfigurationError, match="not running"):
        _ = idle.base_url
    idle.stop()
    assert repr(idle) == "<LocalServer not running>"
