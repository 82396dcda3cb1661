"""A saved notebook goes through tools that publish it: each shows the answer, with its prices, and nothing of ours."""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from pathlib import Path

import nbformat
import pytest
from nbconvert import (
    ASCIIDocExporter,
    HTMLExporter,
    LatexExporter,
    MarkdownExporter,
    RSTExporter,
)
from nbconvert.exporters import TemplateExporter

from orchat.jupyter.kernel.cell_storage.notebook_file import strip_files
from orchat.jupyter.kernel.output.markdown_sanitizer import safe_markdown
from orchat.jupyter.kernel.output.mime_types import MIME_TYPE, PANEL_MIME_TYPE
from tests.jupyter.kernel import package_folder

ANSWER = "A boat is $5 or $6 a day, $x^2$ and `$7`."
PLAIN = "A boat is $5 or $6 a day"


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    shown = {"text/markdown": safe_markdown(ANSWER), "text/plain": ANSWER}
    bundles = ({**shown, MIME_TYPE: json.dumps({"model": "vendor/m"})}, {**shown, PANEL_MIME_TYPE: "0123abcd"})
    cells = [
        nbformat.v4.new_code_cell(
            "%%openrouter\nWhat is it?",
            execution_count=1,
            metadata={"orchat": {"turns": {"notebook": ["kept words"]}}},
            outputs=[nbformat.v4.new_output("display_data", bundle)],
        )
        for bundle in bundles
    ]
    made = nbformat.v4.new_notebook(cells=cells)
    nbformat.validate(made)
    return made


@pytest.fixture
def pandoc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pandoc is found, as nbconvert does; it is not among the packages of the tests, for nothing else needs it."""
    folder = package_folder("pypandoc-binary-1.17", "pypandoc-binary==1.17") / "pypandoc" / "files"
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("pandoc")
@pytest.mark.parametrize(
    ("exporter", "shown"),
    [
        (HTMLExporter, "A boat is <span>$</span>5 or <span>$</span>6 a day, $x^2$ and <code>$7</code>."),
        (LatexExporter, r"A boat is {\$}5 or {\$}6 a day, \(x^2\) and \texttt{\$7}."),
        (ASCIIDocExporter, "A boat is $5 or $6 a day, latexmath:[x^2] and `$7`."),
        (RSTExporter, "A boat is $5 or $6 a day, :math:`x^2` and ``$7``."),
        (MarkdownExporter, "A boat is <span>&#36;</span>5 or <span>&#36;</span>6 a day, $x^2$ and `$7`."),
    ],
)
def test_nbconvert_shows_prices_formulas_and_nothing_of_ours(
    notebook: nbformat.NotebookNode, exporter: type[TemplateExporter], shown: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nbconvert has not been told of this pandoc
        text, _ = exporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    assert text.count(shown) == 2, text[-3_000:]
    assert not any(words in text for words in ("kept words", "vendor/m", "0123abcd"))


@pytest.mark.usefixtures("pandoc")
@pytest.mark.parametrize("form", ["html", "latex", "gfm", "rst"])
def test_pandoc_shows_the_answer_and_after_strip_no_metadata(
    notebook: nbformat.NotebookNode, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "tides.ipynb"
    nbformat.write(notebook, path)

    def published() -> str:
        return subprocess.run(["pandoc", "-t", form, str(path)], check=True, capture_output=True, text=True).stdout

    text = published()
    assert text.count(PLAIN) == 2
    assert not any(words in text for words in ("vendor/m", "0123abcd"))
    assert ("kept words" in text) == (form in ("html", "gfm"))  # it makes attributes of a cell's metadata
    strip_files([path])
    assert "kept words" not in published()
    assert published().count(PLAIN) == 2
