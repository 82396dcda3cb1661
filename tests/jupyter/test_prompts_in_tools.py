"""Prompts stay the user's words in other tools: formatters, text formats of notebooks, IPython's own history."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

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
CODE_AS_PROMPT = "%%openrouter some/model\nimport sys\nimport os\nfrom a import (c, b)\nx=1"
IMPORTS = "import sys\nimport os"
CODE = "x=1"


def notebook(tag: str = "") -> nbformat.NotebookNode:
    sources = [IMPORTS, PROMPT, CODE_AS_PROMPT, CODE]
    cells = [nbformat.v4.new_code_cell(source, id=f"c{at}") for at, source in enumerate(sources)]
    for cell in cells[1:3] if tag else ():
        cell.metadata.tags = [tag]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.mark.parametrize("form", ["py:percent", "py:light", "py:hydrogen", "md", "md:myst"])
def test_text_formats_of_jupytext_keep_a_prompt_to_the_letter(form: str) -> None:
    import jupytext

    written = jupytext.writes(notebook(), fmt=form)
    assert PROMPT in [cell.source for cell in jupytext.reads(written, fmt=form).cells]


# isort reads no notebooks, but what nbQA hands to it. They are no packages of the tests, for nothing else needs them.
NBQA = ("nbqa==1.9.1", "isort==9.0.2", "tokenize-rt==6.2.0", "autopep8==2.3.2", "pycodestyle==2.15.0", "tomli==2.5.0")


@pytest.mark.parametrize(
    "command",
    [["ruff", "format"], ["ruff", "check", "--fix", "--select", "ALL"], ["black", "--quiet"], ["nbqa", "isort"]],
)
def test_formatters_and_linters_of_notebooks_leave_a_prompt_alone(tmp_path: Path, command: list[str]) -> None:
    import jupytext

    path = tmp_path / "tides.ipynb"
    nbformat.write(notebook(), path)
    # In a script of jupytext's, prompts are text that is no Python, or worse, is: with this tag they are comments.
    script = tmp_path / "tides.py"
    script.write_text(jupytext.writes(notebook("active-ipynb"), fmt="py:light"))
    is_isort = "isort" in command
    nbqa = {"PYTHONPATH": str(package_folder("nbqa-1.9.1", *NBQA))} if is_isort else {}
    for arguments in (
        ([*command, str(path)], ["isort", str(script)]) if is_isort else ([*command, str(path), str(script)],)
    ):
        run = subprocess.run(  # ruff finds something, and says so by its status
            [sys.executable, "-m", *arguments],
            cwd=tmp_path,
            env={**os.environ, **nbqa},
            capture_output=True,
            text=True,
            check=False,
        )
    tagged = [cell.source for cell in jupytext.reads(script.read_text(), fmt="py:light").cells]
    assert {PROMPT.replace("tabbed  ", "tabbed"), CODE_AS_PROMPT} <= {
        each.replace("tabbed  ", "tabbed") for each in tagged
    }
    imports, prompt, code_as_prompt, code = nbformat.read(path, 4).cells
    assert prompt.source == PROMPT, run.stderr
    assert code_as_prompt.source == CODE_AS_PROMPT, run.stderr
    assert (code.source == "x = 1") == ("format" in command or "black" in command), run.stderr  # they did work
    assert (imports.source == IMPORTS) == ("format" in command or "black" in command), run.stderr


def test_a_script_that_nbconvert_makes_is_python_with_the_whole_prompt() -> None:
    from nbconvert import PythonExporter

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
