"""Prompts stay the user's words in other tools: formatters, text formats of notebooks, IPython's own history."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbconvert import PythonExporter

from tests.jupyter.kernel import Kernel, package_folder
from tests.openrouter_server import ScriptedOpenRouter, text

PROMPT = (
    "%%openrouter some/model -t 0\n"
    "Is   it 'high' ,or low ?  {sales}\n\n"
    "x=1;y = { 'a':1 }\n"
    "    indented,\ttabbed  \n"
    "# a comment\n%time x\n!ls\nimport os, sys\n"
    "```python\nx  =  1\n```\n"
    "- a: b\n---\n<b>Приливы 🌊</b> \\alpha $x$\n"
    "How high?"
)
IMPORTS = "import sys\nimport os"
CODE = "x=1"


def notebook() -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_code_cell(source, id=f"c{at}") for at, source in enumerate([IMPORTS, PROMPT, CODE])]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.mark.parametrize("form", ["py:percent", "py:light", "py:hydrogen", "md", "md:myst"])
def test_text_formats_of_jupytext_keep_a_prompt_to_the_letter(form: str) -> None:
    written = jupytext.writes(notebook(), fmt=form)
    assert PROMPT in [cell.source for cell in jupytext.reads(written, fmt=form).cells]


# isort reads no notebooks, but what nbQA hands to it. They are no packages of the tests, for nothing else needs them.
NBQA = ("nbqa==1.9.1", "isort==9.0.2", "tokenize-rt==6.2.0", "autopep8==2.3.2", "pycodestyle==2.15.0", "tomli==2.5.0")


@pytest.mark.parametrize(
    "command",
    [["ruff", "format"], ["ruff", "check", "--fix", "--select", "ALL"], ["black", "--quiet"], ["nbqa", "isort"]],
)
def test_formatters_and_linters_of_notebooks_leave_a_prompt_alone(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "tides.ipynb"
    nbformat.write(notebook(), path)
    nbqa = {"PYTHONPATH": str(package_folder("nbqa-1.9.1", *NBQA))} if "nbqa" in command else {}
    run = subprocess.run(  # ruff finds something, and says so by its status
        [sys.executable, "-m", *command, str(path)],
        cwd=tmp_path,
        env={**os.environ, **nbqa},
        capture_output=True,
        text=True,
        check=False,
    )
    imports, prompt, code = nbformat.read(path, 4).cells
    assert prompt.source == PROMPT, run.stderr
    assert (code.source == "x = 1") == ("format" in command or "black" in command), run.stderr  # they did work
    assert (imports.source == IMPORTS) == ("format" in command or "black" in command), run.stderr


def test_a_script_that_nbconvert_makes_is_python_with_the_whole_prompt() -> None:
    script, _ = PythonExporter().from_notebook_node(notebook())  # type: ignore[no-untyped-call]
    compile(script, "tides.py", "exec")
    assert repr(PROMPT.partition("\n")[2] + "\n") in script
    line, _ = PythonExporter().from_notebook_node(  # type: ignore[no-untyped-call]
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("answer = %openrouter -- Say it in one sentence.")])
    )
    assert "answer = get_ipython().run_line_magic('openrouter', '-- Say it in one sentence.')" in line


@pytest.mark.slow
def test_the_history_holds_what_was_typed(kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path) -> None:
    endpoint.always(text("Yes."))

    def run(code: str) -> str:
        (ended,) = kernel.run(code)
        assert ended.status == "ok", ended.content
        return json.dumps(ended.content["payload"]) + ended.printed

    prompt = "%%openrouter -t 0\nIs it 'high' ?\n\n  x=1 {unknown}"
    called = "get_ipython().run_cell_magic('openrouter', '-t 0', \"Is it 'high' ?\\n\\n  x=1 {unknown}\\n\")"
    run(prompt)
    run("%openrouter restore")
    number = int(kernel.value("len(In)")) - 3
    assert prompt in run(f"%history {number}")
    restored = "get_ipython().run_line_magic('openrouter', 'restore')"
    assert run(f"%history -t {number}-{number + 1}").endswith(f"{called}\n{restored}\n")
    assert kernel.value(f"In[{number}]") == repr(called)
    assert json.dumps(prompt) in run(f"%recall {number}")
    run(f"%save -r {tmp_path / 'typed.ipy'} {number}")
    assert prompt in (tmp_path / "typed.ipy").read_text()
    run(f"%save {tmp_path / 'called.py'} {number}")
    assert called in (tmp_path / "called.py").read_text()
    run(f"%notebook {tmp_path / 'all.ipynb'}")
    assert prompt in [cell.source for cell in nbformat.read(tmp_path / "all.ipynb", 4).cells]
    run(f"%rerun {number}")
    assert endpoint.request.json["messages"][-1]["content"] == prompt.partition("\n")[2]
    # Without the extension nothing of it is left.
    run("%unload_ext orchat")
    assert kernel.value("'store_inputs' in vars(get_ipython().history_manager)") == "False"
    run("%load_ext orchat")
