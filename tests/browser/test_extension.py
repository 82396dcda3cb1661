"""The front-end extension in a real JupyterLab and a real Notebook 7: state in cells, and answers without a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.lab import ROOT, Lab, Notebook, Notebook7

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

MIME = "application/vnd.orchat.v1+json"
EXTENSION = ROOT / "orchat" / "jupyter" / "labextension"
STATE = {"format": "orchat", "version": 1, "turns": {"notebook": {"messages": ["How high is the tide?"]}}}
BRIDGE = """\
import asyncio
from orchat.jupyter.cell_metadata.bridge import Bridge
from orchat.jupyter.cell_metadata.cell import current_cell
bridge = Bridge(get_ipython())
STATE = {"format": "orchat", "version": 1, "turns": {"notebook": {"messages": ["How high is the tide?"]}}}
def here():
    return current_cell(get_ipython())
"""
SAVED = "print(await bridge.hello(5)); bridge.write(here().id, STATE)"


def _served(kind: type[Lab], folders: pytest.TempPathFactory, *, extended: bool = True) -> Iterator[Lab]:
    folder: Path = folders.mktemp(f"{kind.MODULE}-extension")
    environment = {}
    if extended:  # from the sources, before any copy that an installation has made
        (folder / "share" / "labextensions").mkdir(parents=True)
        (folder / "share" / "labextensions" / "orchat-lab").symlink_to(EXTENSION)
        environment["JUPYTER_PATH"] = str(folder / "share")
    with kind(folder, environment) as server:
        yield server


@pytest.fixture(scope="module", params=[Lab, Notebook7], ids=["lab", "notebook7"])
def front_end(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Each of the two, with the extension."""
    yield from _served(request.param, tmp_path_factory)


@pytest.fixture(autouse=True)
def _no_sessions_left(request: pytest.FixtureRequest, page: Page) -> Iterator[None]:
    yield
    page.goto("about:blank")
    if "front_end" in request.fixturenames:
        request.getfixturevalue("front_end").end_sessions()


def metadata(notebook: Notebook, cell: int) -> Any:
    """What a cell's metadata holds of ours, in the page."""
    return notebook.page.evaluate(
        "(cell) => window.jupyterapp.shell.currentWidget.content.model.cells.get(cell).getMetadata('orchat') ?? null",
        cell,
    )


def wait_for_metadata(notebook: Notebook, cell: int) -> Any:
    """The same, as soon as there is something."""
    notebook.page.wait_for_function(
        "(cell) => window.jupyterapp.shell.currentWidget.content.model.cells.get(cell).getMetadata('orchat')", arg=cell
    )
    return metadata(notebook, cell)


def is_dirty(notebook: Notebook) -> bool:
    return bool(notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.dirty"))


def printed(notebook: Notebook, cell: int) -> str:
    return "".join("".join(output["text"]) for output in notebook.outputs(cell) if output["output_type"] == "stream")


def test_what_is_written_is_in_the_saved_notebook_and_comes_back(page: Page, front_end: Lab) -> None:
    notebook = front_end.open(page, "written.ipynb", BRIDGE, SAVED, "print(here().metadata == STATE)")
    notebook.run(0, 1)
    notebook.wait(1)
    assert printed(notebook, 1) == "open\n"
    assert wait_for_metadata(notebook, 1) == STATE
    assert notebook.save().cells[1].metadata["orchat"] == STATE
    assert not is_dirty(notebook)

    # A restarted kernel is told of it with the next run of the cell.
    notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'", timeout=60_000
    )
    page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.model.cells.get(1).sharedModel.setSource(
            "print(here().metadata == STATE, await bridge.hello(5))")"""
    )
    notebook.run(0, 1)
    page.wait_for_timeout(500)
    notebook.wait(1)
    assert printed(notebook, 1) == "True open\n"
