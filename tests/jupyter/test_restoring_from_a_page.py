"""Conversations rebuilt from what the page shows, saved or not; from the saved file where no page answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.jupyter.kernel import INSTALLED, Kernel
from tests.jupyter.notebook_page import NotebookPage
from tests.jupyter.test_conversations import _an_answer_for_each_question  # noqa: F401 - a fixture
from tests.jupyter.test_magic_options import MIME, ask
from tests.openrouter_server import ScriptedOpenRouter

pytestmark = pytest.mark.slow

FROM_PAGE = "from the page, unsaved changes included\n"


@pytest.fixture
def page(kernel: Kernel) -> NotebookPage:
    return NotebookPage(kernel).greet()


def messages(endpoint: ScriptedOpenRouter) -> Any:
    return endpoint.request.json["messages"]


def forget(page: NotebookPage) -> None:
    page.run("%openrouter reset --all", None)


# In between, requests that come together with a page's answer are lost at times: by the kernel, as by none of these.
@pytest.mark.parametrize("_any_kernel", [INSTALLED, "6.31.0"], indirect=True)
def test_the_page_is_asked_for_its_cells(any_kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    page = NotebookPage(any_kernel, any_kernel.value("__import__('ipykernel').__version__").strip("'")).greet()
    for cell in "ab":
        page.ask(cell, f"%%openrouter\nQuestion {cell}")
    page.ask("c", "%%openrouter\nAnd?")
    before = messages(endpoint)
    for line in (
        "%openrouter restore",
        "\n# All of it:\n%openrouter restore\n\n",
        "import orchat\nawait orchat.restore()",
    ):
        forget(page)
        told = page.ask("d", line)
        assert told == ("" if "await" in line else f"notebook: 3 turns restored\n{FROM_PAGE}")
        page.ask("c", "%%openrouter\nAnd?")
        assert messages(endpoint) == before


def test_what_is_unsaved_counts(page: NotebookPage, endpoint: ScriptedOpenRouter, tmp_path: Path) -> None:
    path = tmp_path / "tides.ipynb"
    page.ask("a", "%%openrouter\nOld")
    page.save(path)
    page.run(f"import os; os.environ['JPY_SESSION_NAME'] = {str(path)!r}")
    try:
        page.ask("a", "%%openrouter\nNew")
        page.ask("b", "%%openrouter\nNewer")
        del page.cells["b"]
        assert page.ask("r", "%openrouter restore") == f"notebook: 1 turn restored\n{FROM_PAGE}"
        page.ask("c", "%%openrouter\nAnd?")
        assert [each["content"] for each in messages(endpoint)] == ["New", "Re: New", "And?"]
        # A file that is named is read, and so it is where the cell has to do more, or no page answers.
        saved = "notebook: 1 turn restored\nfrom tides.ipynb, as it was saved\n"
        assert page.ask("r", f"%openrouter restore {path}") == saved
        assert page.ask("r", "x = 1\n%openrouter restore") == saved
        assert ask(page.kernel, "%openrouter restore").printed == saved
        page.deaf = True
        assert page.ask("r", "%openrouter restore") == saved
        page.ask("c", "%%openrouter\nAnd?")
        assert [each["content"] for each in messages(endpoint)] == ["Old", "Re: Old", "And?"]
        printed = page.ask("r", f"import orchat\nprint(await orchat.restore({str(path)!r}))")
        assert printed == saved
    finally:
        page.run("del os.environ['JPY_SESSION_NAME']")


NOTE = "openrouter: 2 earlier turns of this notebook were not sent: %openrouter restore brings them back.\n"


@pytest.mark.parametrize(("restore", "note", "sent"), [("ask", NOTE, 1), ("never", "", 1), ("auto", "", 5)])
def test_after_a_restart_a_cell_goes_out_with_its_history_or_says_that_it_does_not(
    page: NotebookPage, endpoint: ScriptedOpenRouter, restore: str, note: str, sent: int
) -> None:
    for cell in "abc":
        page.ask(cell, f"%%openrouter\nQuestion {cell}")
    page.run(f"%config OpenRouterMagics.restore = {restore!r}", None)
    new = "get_ipython().magics_manager.registry['OpenRouterMagics'].session.conversations.__init__()"
    try:
        page.run(new, None)
        assert page.ask("a", "%%openrouter\nThe first cell") == ""  # nothing stands before it
        page.run(new, None)
        assert page.ask("c", "%%openrouter\nAnd?") == note
        assert len(messages(endpoint)) == sent
        assert page.ask("d", "%%openrouter\nThen?") == ""  # once is enough
    finally:
        page.run("%config OpenRouterMagics.restore = None", None)


def test_what_cannot_be_restored_is_one_line(page: NotebookPage, tmp_path: Path) -> None:
    page.deaf = True
    printed = page.ask("a", "%openrouter restore")
    assert printed.count("\n") == 1
    assert printed.startswith("No saved conversation in this notebook: no page answers, and its file is not known here")
    with pytest.raises(AssertionError) as raised:
        page.ask("a", f"%openrouter restore {tmp_path}/nowhere.ipynb")
    assert str(raised.value).count("\n") == 0
    assert str(raised.value).startswith("openrouter: ")


def test_a_copy_that_has_not_run_does_not_count_again(page: NotebookPage, endpoint: ScriptedOpenRouter) -> None:
    page.ask("a", "%%openrouter\nA question")
    page.copy("a", "copied")
    page.copy("a", "above", first=True)
    assert page.ask("r", "%openrouter restore") == f"notebook: 1 turn restored\n{FROM_PAGE}"
    # Its first cell is still that which asked, and a copy counts when it is run.
    page.ask("a", "%%openrouter\nAnother question")
    assert len(messages(endpoint)) == 1
    page.ask("copied", "%%openrouter\nA question")
    assert [each["content"] for each in messages(endpoint)][::2] == ["Another question", "A question"]
    assert page.ask("r", "%openrouter restore") == f"notebook: 2 turns restored\n{FROM_PAGE}"
    # Where the first one is gone, its copy is all that there is.
    del page.cells["a"], page.cells["copied"]
    assert page.ask("r", "%openrouter restore") == f"notebook: 1 turn restored\n{FROM_PAGE}"


def test_damaged_cells_of_a_page_lose_only_themselves(page: NotebookPage) -> None:
    page.ask("a", "%%openrouter\nA question")
    page.ask("b", "%openrouter -- Another")
    kept = json.loads(json.dumps(page.last("b")))
    kept["turn"]["messages"][1]["role"] = "system"
    page.outputs["b"] = [{"text/plain": "x", MIME: kept}]
    page.sources["c"], page.outputs["c"], page.cells["c"] = 7, [{MIME: {"turn": []}}], "rubbish"
    told = page.ask("r", "%openrouter restore").splitlines()
    assert told[0] == "notebook: 1 turn restored"
    assert told[1].startswith("2 could not be read: ")
