"""Launch the quickstart notebook in JupyterLab for ``orchat demo``, with the embedded model where there is no key.

Everything it starts, the model's server, JupyterLab and its kernels, ends with it: on Ctrl-C, on SIGTERM, when the
terminal closes, and when it is killed.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NoReturn

from orchat.errors import ConfigurationError
from orchat.secrets import redact

QUICKSTART = "01-quickstart.ipynb"
_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 15.0
_FIRST_PORT = 8888
# JupyterLab, with a thread that asks it to end when stdin does: also when its parent had no time to.
_JUPYTERLAB = """
import os, signal, sys, threading

def end_with_parent():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=end_with_parent, daemon=True).start()
from jupyterlab.labapp import main
sys.exit(main())
"""


def run_demo(folder: Path, *, port: int | None = None, browser: bool = True) -> None:
    """Run JupyterLab with the quickstart notebook until the user ends it.

    Parameters
    ----------
    folder
        Where the notebook is put; one that is there already is kept and opened.
    port
        Where JupyterLab listens; the first free port from 8888 by default.
    browser
        Whether to open a browser.

    Raises
    ------
    ConfigurationError
        Something is missing, the port is taken, or JupyterLab did not start.
    """
    for module in ("jupyterlab", "ipykernel"):
        if find_spec(module) is None:
            raise ConfigurationError(
                f"The demo needs {module}, which is not installed.", hint='Run `pip install "orchat-jupyter[demo]"`.'
            )
    port = _free_port(port)
    environment = dict(os.environ)
    with _end_on_signals(), contextlib.ExitStack() as stack:
        if not os.environ.get("OPENROUTER_API_KEY"):
            environment |= _start_embedded_model(stack)
        notebook = _copy_notebooks(folder)
        config = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchat-demo-")))
        environment |= _disable_news(config, environment) | _provide_extension(config, environment)
        token = secrets.token_urlsafe(24)
        log = stack.enter_context(tempfile.TemporaryFile())
        jupyter = _start_jupyter(notebook, port, token, environment, log, browser=browser)
        stack.callback(_stop_jupyter, jupyter)
        _wait_for_jupyter(jupyter, port, token, log)
        _say(f"Notebook: {notebook}")
        _say(f"Address:  http://127.0.0.1:{port}/lab/tree/{notebook.name}?token={token}")
        _say("Ctrl-C ends it.")
        jupyter.wait()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _end_on_signals() -> Iterator[None]:
    """Make SIGTERM and the terminal's closing end the block as Ctrl-C does, after cleaning up, without a traceback."""

    def interrupt(_signal: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # nohup means it
    before = {number: signal.signal(number, interrupt) for number in handled}
    try:
        yield
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # the terminal may be what went away
            _say("\nEnded.")
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _start_embedded_model(stack: contextlib.ExitStack) -> dict[str, str]:
    """Start the embedded model's server for all kernels, and return its environment variables."""
    from orchat.local import MODEL, LocalServer, download, find_weights, require_runtime

    require_runtime()
    if find_weights() is None:
        _say("Fetching the demo model's weights, once (93 MB) ...")
        download()
    endpoint = stack.enter_context(LocalServer()).endpoint
    _say("Model:    the embedded one, small and often wrong. Set OPENROUTER_API_KEY for any other.")
    key = endpoint.api_key.resolve_value()
    assert key is not None
    return {"ORCHAT_LOCAL_URL": endpoint.base_url, "ORCHAT_LOCAL_KEY": key, "ORCHAT_MODEL": MODEL}


def _disable_news(config: Path, environment: dict[str, str]) -> dict[str, str]:
    """Disable JupyterLab's question about news and its check for updates, so that the demo makes no requests."""
    (config / "labconfig").mkdir()
    disabled = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (config / "labconfig" / "page_config.json").write_text(json.dumps(disabled))
    paths = [str(config), environment.get("JUPYTER_CONFIG_PATH", "")]
    return {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths))}


def _provide_extension(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """Provide our extension to JupyterLab from this package, however that was installed."""
    extension = Path(__file__).parent / "jupyter" / "frontend" / "extension"
    shutil.copytree(extension, folder / "labextensions" / "orchat-lab")
    return {"JUPYTER_PATH": os.pathsep.join(filter(None, [str(folder), environment.get("JUPYTER_PATH")]))}


def _copy_notebooks(folder: Path) -> Path:
    """Copy the notebooks to ``folder``, except existing ones, and return the quickstart's path."""
    package = Path(__file__).parent
    shipped = package / "notebooks"  # in a wheel; else this is a checkout
    source = shipped if (shipped / QUICKSTART).is_file() else package.parent / "notebooks"
    target = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for notebook in sorted(source.glob("*.ipynb")):
            content = notebook.read_bytes()
            with contextlib.suppress(FileExistsError), (target / notebook.name).open("xb") as copy:
                copy.write(content)
    except OSError as error:
        raise ConfigurationError(
            f"The notebooks cannot be put at {target}: {error.strerror}.",
            hint="Name another folder: `orchat demo FOLDER`.",
        ) from error
    return target / QUICKSTART


def _free_port(wanted: int | None) -> int:
    if wanted is not None and not 0 <= wanted < 65536:
        raise ConfigurationError(f"{wanted} is no port.", hint="Choose one up to 65535 with --port, or leave it out.")
    for port in [wanted] if wanted is not None else range(_FIRST_PORT, min(_FIRST_PORT + 50, 65536)):
        try:
            with socket.create_server(("127.0.0.1", port)) as trial:
                return int(trial.getsockname()[1])
        except OSError as error:
            reason = error.strerror
    which = f"Port {wanted} cannot be used" if wanted is not None else f"No port from {_FIRST_PORT} on is free"
    raise ConfigurationError(f"{which}: {reason}.", hint="Choose another with --port, or leave it out.")


def _start_jupyter(
    notebook: Path, port: int, token: str, environment: dict[str, str], log: IO[bytes], *, browser: bool
) -> subprocess.Popen[bytes]:
    options = [f"--ServerApp.root_dir={notebook.parent}", "--ServerApp.ip=127.0.0.1", "--ServerApp.base_url=/"]
    options += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--allow-root"]
    if not browser:
        options.append("--no-browser")
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _JUPYTERLAB, str(notebook), *options],
        # The token goes by the environment, for a command line can be read by everybody on the machine.
        env=environment | {"JUPYTER_TOKEN": token, "JUPYTER_PREFER_ENV_PATH": "1"},
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,  # Ctrl-C is ours: Jupyter would ask whether it is meant
    )


def _wait_for_jupyter(jupyter: subprocess.Popen[bytes], port: int, token: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while not _is_ready(port, token):
        if jupyter.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            last_lines = redact(log.read().decode(errors="replace"), token).strip().splitlines()[-3:]
            raise ConfigurationError(f"JupyterLab did not start. Its last words: {' '.join(last_lines) or 'none'}")
        time.sleep(0.1)


def _is_ready(port: int, token: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/api/status", headers={"Authorization": f"token {token}"})
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False


def _stop_jupyter(jupyter: subprocess.Popen[bytes]) -> None:
    """Make Jupyter shut its kernels down and end; kill it after a timeout."""
    assert jupyter.stdin is not None
    jupyter.stdin.close()
    try:
        jupyter.wait(_STOP_TIMEOUT)
    except BaseException as error:  # also a second Ctrl-C: then without patience
        jupyter.kill()
        jupyter.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
