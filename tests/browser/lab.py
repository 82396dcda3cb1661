"""A real JupyterLab or Notebook 7 on the loopback, and a real Chromium that looks at it."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.error import HTTPError, URLError

import nbformat
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Page

from tests.jupyter.deaf_kernel import is_deaf, may_go_deaf, stack_environment
from tests.jupyter.forked_kernels import ADDRESS, fork_server
from tests.jupyter.forked_kernels import __name__ as FORKED_KERNELS
from tests.jupyter.kernel import INSTALLED, ROOT, ipykernel_folder
from tests.patience import PATIENCE, stretched


class Lab:
    """A JupyterLab server with its own folders, token and environment; it ends with the ``with`` block.

    Parameters
    ----------
    folder
        Everything is kept in here; the notebooks in ``folder / "work"``.
    environment
        What its kernels shall have in their environment.
    extension
        Whether it has our extension: that of the sources, before any copy that an installation has made.
    """

    MODULE, APP, ADDRESS = "jupyterlab", "LabApp", "lab/tree/{}?reset"
    # Extensions that other tests brought, and the parts of them in the server; each page and server would load them,
    # among them Plotly's renderer of 5 MB.
    OTHERS: ClassVar[Mapping[str, str | None]] = {
        "@voila-dashboards": "voila.server_extension",
        "ipyparallel-labextension": "ipyparallel",
        "jupyterlab-jupytext": "jupyterlab_jupytext",
        "jupyterlab-plotly": None,
    }

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None, *, extension: bool = True) -> None:
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        self._log = folder / "server.log"
        self._stacks = folder / "stacks"
        settings = folder / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
        extensions = folder / "share" / "labextensions"
        extensions.mkdir(parents=True)
        for installed in (Path(sys.prefix) / "share" / "jupyter" / "labextensions").iterdir():
            if installed.name not in {*self.OTHERS, _OURS}:
                (extensions / installed.name).symlink_to(installed)
        if extension:
            (extensions / _OURS).symlink_to(ROOT / "orchat" / "jupyter" / "frontend" / "extension")
        page = {"disabledExtensions": dict.fromkeys(_DISABLED, True), "buildCheck": False}
        (folder / "config" / "labconfig").mkdir(parents=True)
        (folder / "config" / "labconfig" / "page_config.json").write_text(json.dumps(page))
        self._token = secrets.token_hex(16)
        self._environment = {
            **os.environ,
            **{f"JUPYTER_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")},
            "JUPYTER_PATH": str(folder / "share"),
            "IPYTHONDIR": str(folder / "ipython"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            ADDRESS: fork_server(),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        extensions = {FORKED_KERNELS: True, **dict.fromkeys(filter(None, self.OTHERS.values()), False)}
        folders = self._environment["JUPYTER_PATH"].split(os.pathsep)
        arguments = [
            "--no-browser",
            "--allow-root",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={self._port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self.work}",
            f"--IdentityProvider.token={self._token}",
            f"--{self.APP}.expose_app_in_browser=True",
            *(f"--{self.APP}.labextensions_path={each}/labextensions" for each in folders),
            f"--ServerApp.jpserver_extensions={extensions}",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.MODULE, *arguments],
                env=self._environment,
                stdout=log,
                stderr=log,
                cwd=self.work,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"{self.MODULE} did not start:\n{self._log.read_text()}")
            time.sleep(0.1)
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(_LONGEST_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.request("GET", "status"))
        except (URLError, ConnectionError):
            return False

    def request(self, method: str, path: str) -> Any:
        """Ask the server's REST interface."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/api/{path}",
            method=method,
            headers={"Authorization": f"token {self._token}"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=PATIENCE) as response:
            body = response.read()
        return json.loads(body) if body else None

    def open(self, page: Page, name: str, *cells: str, ipykernel: str = INSTALLED) -> Notebook:
        """Write a notebook of these code cells and open it, with an idle kernel of some version."""
        kernel = "python3" if ipykernel == INSTALLED else self._install_kernel(ipykernel)
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
        )
        path = self.work / name
        nbformat.write(notebook, path)
        return self.show(page, path)

    def open_beside(self, page: Page, name: str, *cells: str) -> Notebook:
        """Write a notebook and open it on the kernel of the one that is shown; Notebook 7 shows one in a page."""
        path = self.work / name
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), path)
        page.evaluate(_OPEN_BESIDE, name)
        page.wait_for_function(
            "(name) => window.jupyterapp.shell.currentWidget.context.path === name", arg=name, polling=POLLING
        )
        return Notebook(page, path)

    def _install_kernel(self, ipykernel: str) -> str:
        """Let the server know the kernel of another version, and return its name."""
        name = f"ipykernel-{ipykernel}"
        folder = self.work.parent / "data" / "kernels" / name
        folder.mkdir(parents=True, exist_ok=True)
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": name,
            "language": "python",
            "env": {
                "PYTHONPATH": f"{ipykernel_folder(ipykernel)}:{ROOT}",
                **(stack_environment(self._stacks) if may_go_deaf(ipykernel) else {}),
            },
        }
        (folder / "kernel.json").write_text(json.dumps(spec))
        return name

    def load(self, page: Page, path: Path) -> None:
        """Let a page open a notebook; where JupyterLab is loaded and has none, without loading it anew."""
        if page.url.startswith(self._origin) and page.evaluate(_IS_EMPTY):
            page.evaluate(_OPEN, [path.name, self.address(path)])
        else:
            page.goto(self.address(path))

    def show(self, page: Page, path: Path) -> Notebook:
        """Open a notebook that is there already, as `load` does, and wait until its kernel is idle."""
        self.load(page, path)
        try:
            page.wait_for_function(_IDLE, timeout=1000 * stretched(15), polling=POLLING)
        except BrowserError:  # about one page in thirty never sees its kernel become idle
            page.goto(self.address(path))
            page.wait_for_function(_IDLE, polling=POLLING)
        return Notebook(page, path)

    @property
    def _origin(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def address(self, path: Path) -> str:
        """Where a page finds a notebook."""
        return f"{self._origin}/{self.ADDRESS.format(path.name)}&token={self._token}"

    def close_notebooks(self, page: Page) -> bool:
        """Close all that is open in a page, saved or not; return whether JupyterLab is loaded there and can be used."""
        return page.url.startswith(self._origin) and bool(page.evaluate(_CLOSE))

    def has_deaf_kernel(self) -> bool:
        """Whether a kernel that does not run a cell reads no message any more, through no fault of orchat."""
        idle = [each["id"] for each in self.request("GET", "kernels") if each["execution_state"] == "idle"]
        files = [self.work.parent / "runtime" / f"kernel-{each}.json" for each in idle]
        return any(any(self._stacks.glob(f"{file.stem}.*")) and is_deaf(file, self._stacks) for file in files)

    def end_sessions(self) -> None:
        """Shut all kernels down, so that the next test gets a new one."""
        for session in self.request("GET", "sessions"):
            with suppress(HTTPError):  # two sessions may share a kernel
                self.request("DELETE", f"sessions/{session['id']}")


class Notebook7(Lab):
    """The same for Notebook 7."""

    MODULE, APP, ADDRESS = "notebook", "JupyterNotebookApp", "notebooks/{}?"
    OTHERS: ClassVar[Mapping[str, str | None]] = {}  # here all that are installed are seen beside ours


_OURS = "orchat-lab"
_LONGEST_END = 10.0  # seconds: its kernels have ended by then, and rarely it waits for more without end
# Each page draws a moon until it is loaded, lets the server import all exporters (a quarter of a second), and would
# start a Node.js to check the build.
_DISABLED = (
    "@jupyterlab/apputils-extension:splash",
    "@jupyterlab/notebook-extension:export",
    "@jupyterlab/notebook-extension:update-raw-mimetype",
)
POLLING = 50  # milliseconds: to look in each frame keeps the page drawing
_IS_EMPTY = "() => window.jupyterapp && ![...window.jupyterapp.shell.widgets('main')].some((widget) => widget.context)"
# Without `_noref` Notebook 7 opens a window for the notebook; and it leaves the page's address as it is.
_OPEN = """async ([path, address]) => {
    await window.jupyterapp.serviceManager.kernelspecs.refreshSpecs();
    void window.jupyterapp.commands.execute('docmanager:open', {path, options: {ref: '_noref'}});
    if (window.jupyterapp.name !== 'JupyterLab') history.replaceState(null, '', address);
}"""
_OPEN_BESIDE = """async (path) => {
    const {id} = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const panel = await window.jupyterapp.commands.execute('docmanager:open', {path, kernel: {id}});
    await panel.sessionContext.ready;
    window.jupyterapp.shell.activateById(panel.id);
}"""
_CLOSE = """async () => {
    if (!window.jupyterapp || document.querySelector('.jp-Dialog')) return false;
    for (const widget of [...window.jupyterapp.shell.widgets('main')]) widget.dispose();
    return true;
}"""
_IDLE = """() => {
    const panel = window.jupyterapp?.shell?.currentWidget;
    return panel?.content?.model && panel.sessionContext?.session?.kernel?.status === 'idle';
}"""
_PANEL = "window.jupyterapp.shell.currentWidget"


class Notebook:
    """A notebook that is open in the browser."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.path = path
        self.pressed = 0.0  # when the interrupt button was pressed, in `time.monotonic`

    def run(self, *cells: int) -> None:
        """Queue these cells, without waiting for any of them."""
        for cell in cells:
            self.page.evaluate(
                f"""(cell) => {{
                    {_PANEL}.content.activeCellIndex = cell;
                    {_PANEL}.content.deselectAll();
                    void window.jupyterapp.commands.execute('notebook:run-cell');
                }}""",
                cell,
            )

    def interrupt(self, cell: int, words: str) -> float:
        """Press the button; how many seconds pass until these words stand below a cell."""
        self.page.evaluate(
            f"""([cell, words]) => {{
                const output = {_PANEL}.content.widgets[cell].outputArea.node;
                window.seconds = new Promise((resolve) => document.addEventListener('click', async () => {{
                    const started = performance.now();
                    while (!output.innerText.includes(words)) await new Promise(requestAnimationFrame);
                    resolve([(performance.timeOrigin + started) / 1000, (performance.now() - started) / 1000]);
                }}, {{once: true, capture: true}}));
            }}""",
            [cell, words],
        )
        self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) [data-command='notebook:interrupt-kernel']").click()
        pressed, seconds = self.page.evaluate("() => window.seconds")
        self.pressed = time.monotonic() - time.time() + pressed
        return float(seconds)

    def wait(self, cell: int, seconds: float | None = None) -> None:
        """Wait until a cell has ended: that many seconds at most, else as long as the page waits for anything."""
        self.page.wait_for_function(
            f"(cell) => {_PANEL}.content.widgets[cell].model.executionState === 'idle'"
            f" && {_PANEL}.content.widgets[cell].model.executionCount !== null",
            arg=cell,
            timeout=None if seconds is None else seconds * 1_000,
            polling=POLLING,
        )

    def change_theme(self, theme: str) -> None:
        """Show the page in another theme."""
        self.page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        self.page.wait_for_function(
            "(theme) => document.body.dataset.jpThemeName === theme", arg=theme, polling=POLLING
        )

    def watch(self, cell: int, words: str) -> None:
        """Note from now on how long what is to be read below a running cell is, in each frame that changes it.

        Counted is what holds these words, and not yet the line below a whole answer.
        """
        self.page.evaluate(
            f"""([cell, words]) => {{
                const {{outputArea, model}} = {_PANEL}.content.widgets[cell];
                let frame = 0;
                window.lengths = [];
                const note = () => {{
                    frame = 0;
                    const text = outputArea.node.innerText;
                    const grows = model.executionState === 'running' && !text.includes('in / ');
                    if (grows && text.includes(words)) window.lengths.push(text.length);
                }};
                new MutationObserver(() => {{ frame ||= requestAnimationFrame(note); }})
                    .observe(outputArea.node, {{childList: true, characterData: true, subtree: true}});
            }}""",
            [cell, words],
        )

    def lengths(self) -> list[int]:
        """What `watch` has noted."""
        return list(self.page.evaluate("() => window.lengths"))

    def wait_for_text(self, cell: int, words: str, times: int = 1) -> None:
        """Wait until these words stand below a cell so many times: it is drawn some time after it has arrived."""
        self.page.wait_for_function(
            "([cell, words, times]) =>"
            f" {_PANEL}.content.widgets[cell].outputArea.node.innerText.split(words).length > times",
            arg=[cell, words, times],
            polling=POLLING,
        )

    def running(self, cell: int) -> bool:
        """Whether a cell runs."""
        return bool(
            self.page.evaluate(f"(cell) => {_PANEL}.content.widgets[cell].model.executionState === 'running'", cell)
        )

    def outputs(self, cell: int) -> list[dict[str, Any]]:
        """The outputs of a cell, as they would be saved."""
        outputs = self.page.evaluate(f"(cell) => {_PANEL}.content.widgets[cell].model.outputs.toJSON()", cell)
        return list(outputs)

    def text(self, cell: int) -> str:
        """What is to be read below a cell."""
        return str(self.page.evaluate(f"(cell) => {_PANEL}.content.widgets[cell].outputArea.node.innerText", cell))

    def save(self) -> nbformat.NotebookNode:
        """Save it, and read what was saved."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        return nbformat.read(self.path, 4)

    def render(self, markdown: list[str]) -> list[str]:
        """Render texts as a run cell's ``text/markdown`` is, in the page itself, and return the HTML."""
        return list(
            self.page.evaluate(
                f"""async (texts) => {{
                    const mime = {_PANEL}.content.rendermime, rendered = [];
                    for (const text of texts) {{
                        const data = {{'text/markdown': text}};
                        const renderer = mime.createRenderer('text/markdown');
                        await renderer.renderModel(mime.createModel({{data, trusted: true}}));
                        document.body.appendChild(renderer.node);
                        await renderer.latexTypesetter?.typeset(renderer.node);
                        rendered.push(renderer.node.innerHTML);
                        renderer.node.remove();
                        renderer.dispose();
                    }}
                    return rendered;
                }}""",
                markdown,
            )
        )
