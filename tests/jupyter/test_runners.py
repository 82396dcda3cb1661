"""``%%openrouter`` in notebooks that run without anybody: nbclient, nbmake, papermill."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.jupyter.conftest import KEY
from tests.openrouter_server import ScriptedOpenRouter, error, text
from tests.python_path import PYTHON_PATH

pytestmark = pytest.mark.slow

MIME = "application/vnd.orchat.v1"
LINE = "openrouter: AuthenticationError: "

Runner = Callable[[Path, dict[str, str]], tuple[str, nbformat.NotebookNode]]
"""Runs a notebook with an environment; gives what was said when it failed, and the notebook as it was saved."""


def nbclient(path: Path, environment: dict[str, str]) -> tuple[str, nbformat.NotebookNode]:
    notebook = nbformat.read(path, 4)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3")
    try:
        client.execute(env=environment)
    except CellExecutionError as failure:
        return str(failure), notebook
    return "", notebook


def nbmake(path: Path, environment: dict[str, str]) -> tuple[str, nbformat.NotebookNode]:
    options = ["--nbmake", "--overwrite", "-p", "no:cacheprovider", "--rootdir", path.parent, path]
    return _command(environment, "pytest", *options), nbformat.read(path, 4)


def papermill(path: Path, environment: dict[str, str]) -> tuple[str, nbformat.NotebookNode]:
    saved = path.with_stem("saved")
    options = [path, saved, "-p", "city", "Goole", "-k", "python3", "--no-progress-bar"]
    return _command(environment, "papermill", *options), nbformat.read(saved, 4)


def _command(environment: dict[str, str], module: str, *options: str | Path) -> str:
    command = [sys.executable, "-m", module, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.fixture
def environment(endpoint: ScriptedOpenRouter, tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENROUTER_", "ORCHAT_"))}
    ours = {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": KEY, "IPYTHONDIR": str(tmp_path / "i")}
    return {**kept, **ours, "PYTHONPATH": PYTHON_PATH, "JUPYTER_PLATFORM_DIRS": "1"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A notebook with a parameter, a question and a cell behind it."""
    cells = [
        "city = 'Hull'",
        "%load_ext orchat",
        "%openrouter restore",
        "%%openrouter -o reply\nWhere is {city}?",
        "print(reply.text, 7)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.cells[0].metadata.tags = ["parameters"]
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "cities.ipynb")
    return tmp_path / "cities.ipynb"


runners = pytest.mark.parametrize("runner", [nbclient, nbmake, papermill])


@runners
def test_a_notebook_runs(runner: Runner, path: Path, environment: dict[str, str], endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("On the estuary. " * 20).paced(0.01))
    failure, saved = runner(path, environment)
    assert failure == ""
    city = "Goole" if runner is papermill else "Hull"
    assert endpoint.request.json["messages"][-1]["content"] == f"Where is {city}?"
    *_, asked, behind = saved.cells
    (answer,) = asked.outputs
    assert set(answer.data) == {"text/markdown", "text/plain", MIME}
    assert answer.data["text/markdown"].startswith("On the estuary.")
    assert behind.outputs[0].text.endswith("On the estuary.  7\n")


@runners
def test_an_error_makes_it_fail_and_is_saved(
    runner: Runner, path: Path, environment: dict[str, str], endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(error(401, "No auth credentials found"))
    failure, saved = runner(path, environment)
    assert LINE in failure
    assert "orchat/" not in failure  # no frame of ours
    *_, asked, behind = saved.cells
    card, failed = asked.outputs
    assert "No auth credentials found" in card.data["text/markdown"]
    assert failed.output_type == "error"
    assert failed.traceback[0].startswith(LINE)
    assert len(failed.traceback) == 1
    assert behind.outputs == []
    assert KEY not in failure + nbformat.writes(saved)
