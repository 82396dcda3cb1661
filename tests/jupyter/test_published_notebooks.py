"""A saved notebook goes through tools that publish it: each shows the answer, with its prices, and nothing of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import nbformat
import pytest

from orchat.errors import StateError
from orchat.jupyter.kernel.cell_storage.notebook_file import read_cells, strip_files
from orchat.jupyter.kernel.conversations.restored_conversations import read_turns
from orchat.jupyter.kernel.output.markdown_sanitizer import safe_markdown
from orchat.jupyter.kernel.output.mime_types import MIME_TYPE, PANEL_MIME_TYPE, write_extras
from tests.jupyter.conversations.test_turn_serialization import stored_cell
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
        ("HTMLExporter", "A boat is <span>$</span>5 or <span>$</span>6 a day, $x^2$ and <code>$7</code>."),
        ("LatexExporter", r"A boat is {\$}5 or {\$}6 a day, \(x^2\) and \texttt{\$7}."),
        ("ASCIIDocExporter", "A boat is $5 or $6 a day, latexmath:[x^2] and `$7`."),
        ("RSTExporter", "A boat is $5 or $6 a day, :math:`x^2` and ``$7``."),
        ("MarkdownExporter", "A boat is <span>&#36;</span>5 or <span>&#36;</span>6 a day, $x^2$ and `$7`."),
    ],
)
def test_nbconvert_shows_prices_formulas_and_nothing_of_ours(
    notebook: nbformat.NotebookNode, exporter: str, shown: str
) -> None:
    import nbconvert

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nbconvert has not been told of this pandoc
        text, _ = getattr(nbconvert, exporter)().from_notebook_node(notebook)
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


def test_nbstripout_takes_all_out_when_it_is_told_so(notebook: nbformat.NotebookNode, tmp_path: Path) -> None:
    path = tmp_path / "tides.ipynb"
    packages = {**os.environ, "PYTHONPATH": str(package_folder("nbstripout-0.9.1", "nbstripout==0.9.1"))}
    for options, keeps in ((["--extra-keys", "cell.metadata.orchat"], False), ([], True)):
        nbformat.write(notebook, path)
        subprocess.run([sys.executable, "-m", "nbstripout", *options, str(path)], check=True, env=packages)
        assert [cell.outputs for cell in nbformat.read(path, 4).cells] == [[], []]
        assert ("kept words" in path.read_text()) == keeps


NBDIME = ("nbdime==4.0.4", "GitPython==3.2.1", "gitdb==4.0.12", "smmap==5.0.3", "colorama==0.4.6")


@pytest.mark.parametrize("strategy", ["inline", "use-local"])
def test_of_a_notebook_that_nbdime_merged_is_restored_what_is_certain(tmp_path: Path, strategy: str) -> None:
    sides = {"base": "high", "local": "low", "remote": "away"}
    for name, word in sides.items():
        cell = stored_cell(f"It is {word}.")
        (output,) = cell["outputs"]
        data = {**output["data"], MIME_TYPE: write_extras(output["data"][MIME_TYPE])}
        made = nbformat.v4.new_code_cell(
            cell["source"],
            id="a",
            metadata={"orchat": cell["metadata"]},
            outputs=[nbformat.v4.new_output("display_data", data)],
        )
        nbformat.write(nbformat.v4.new_notebook(cells=[made]), tmp_path / f"{name}.ipynb")
    packages = {**os.environ, "PYTHONPATH": str(package_folder("nbdime-4.0.4", *NBDIME))}
    command = [sys.executable, "-m", "nbdime.nbmergeapp", "--merge-strategy", strategy, "--out", "merged.ipynb"]
    subprocess.run(
        [*command, *(f"{name}.ipynb" for name in sides)], cwd=tmp_path, env=packages, capture_output=True, check=False
    )
    path = tmp_path / "merged.ipynb"
    found = [
        str(each) if isinstance(each, StateError) else each.turn.messages[-1].text
        for each in read_turns(read_cells(str(path)))
    ]
    lost = "What an output points to is of another answer, as after a merge of two notebooks. Run the cell again."
    assert found == (["It is low."] if strategy == "use-local" else [lost, lost])
    assert ("nbdime-conflicts" in path.read_text()) == (strategy == "inline")
    strip_files([path])
    assert not any(words in path.read_text() for words in ("nbdime-conflicts", '"turn', "messages"))
