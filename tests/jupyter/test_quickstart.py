"""The quickstart notebook, as somebody with a key runs it; nbmake runs it with the embedded model."""

from __future__ import annotations

import json

import nbformat
import pytest
from nbclient import NotebookClient

from tests.jupyter.conftest import KEY
from tests.jupyter.kernel import ROOT
from tests.openrouter_server import Answer, Request, ScriptedOpenRouter, call, calls, text
from tests.python_path import PYTHON_PATH

NOTEBOOK = ROOT / "notebooks" / "01-quickstart.ipynb"


def _answer(request: Request) -> Answer:
    if request.json.get("tools"):
        return calls(call("get_weather", {"city": "Paris"}))
    if request.json.get("response_format"):
        return text(json.dumps({"name": "Anna", "age": 31, "hobbies": ["chess", "climbing"]}))
    return text("A river is water on its way.")


def test_it_is_stored_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, 4)
    nbformat.validate(notebook)
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in notebook.cells)


@pytest.mark.slow
def test_it_runs_from_top_to_bottom(endpoint: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint.always(_answer)
    monkeypatch.setenv("OPENROUTER_BASE_URL", endpoint.base_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.delenv("ORCHAT_MODEL", raising=False)
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)
    notebook = nbformat.read(NOTEBOOK, 4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    shown = json.dumps([cell.outputs for cell in notebook.cells if cell.cell_type == "code"])
    assert "A river is water on its way." in shown
    assert "Person(name='Anna', age=31, hobbies=['chess', 'climbing'])" in shown
    assert "It is sunny in Paris, 21 degrees." in shown
    assert "Cost in USD:   4e-05" in shown
    assert KEY not in shown
