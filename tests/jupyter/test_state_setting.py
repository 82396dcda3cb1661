"""Where people want their conversations: in the notebook, in a file beside it, or nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from orchat.jupyter.kernel.cell_storage.sidecar_file import SidecarFile
from orchat.jupyter.kernel.output.mime_types import read_extras
from tests.jupyter.conftest import KEY
from tests.jupyter.kernel import Ended, Kernel
from tests.jupyter.panel_page import PANEL, Page
from tests.jupyter.test_conversations import in_cell
from tests.jupyter.test_magic_options import MIME, ask
from tests.jupyter.test_tool_calls import DEFINED, HULL
from tests.openrouter_server import ScriptedOpenRouter, calls, text

pytestmark = pytest.mark.slow

TOLD = "openrouter: This turn is kept in the memory of this kernel only: "


@pytest.fixture
def beside(kernel: Kernel, tmp_path: Path) -> Iterator[Path]:
    """Where the kernel's notebook is; conversations go into the file beside it."""
    path = tmp_path / "the tides.ipynb"
    ask(kernel, f"import os; os.environ['JPY_SESSION_NAME'] = {str(path)!r}")
    ask(kernel, "%config OpenRouterMagics.state = 'file'")
    yield path
    ask(kernel, "del os.environ['JPY_SESSION_NAME']")
    ask(kernel, "%config OpenRouterMagics.state = None")


def save(path: Path, *cells: tuple[str, str, Ended]) -> None:
    """Save a notebook as a page would."""
    made = []
    for name, source, ended in cells:
        cell = nbformat.v4.new_code_cell(source, id=name)
        cell.outputs = [nbformat.v4.new_output("display_data", ended.bundles[-1])]
        made.append(cell)
    nbformat.write(nbformat.v4.new_notebook(cells=made), path)


def test_nothing_is_kept_where_nobody_wants_that(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    ask(kernel, "%config OpenRouterMagics.state = 'none'")
    try:
        assert "state            none " in ask(kernel, "%openrouter params").printed
        ended = in_cell(kernel, "a", "%%openrouter\nHi")
        assert "turn" not in read_extras(ended.bundles[-1])
        assert ended.bundles[-1]["text/markdown"]
        assert ended.printed == ""
        # In this kernel it goes on.
        in_cell(kernel, "b", "%%openrouter\nGo on.")
        assert len(endpoint.request.json["messages"]) == 3
    finally:
        ask(kernel, "%config OpenRouterMagics.state = None")
    assert "turn" in read_extras(in_cell(kernel, "a", "%%openrouter\nHi").bundles[-1])


def test_a_file_beside_the_notebook_keeps_what_the_outputs_leave_out(
    kernel: Kernel, endpoint: ScriptedOpenRouter, beside: Path
) -> None:
    asked = '%%openrouter -s "Be brief.\\nPlease." -T tide --approve always\nWhen is it high? My key is ' + KEY
    loop = "for port in ('York', 'Goole'):\n    %openrouter -- And in {port}?"
    ask(kernel, DEFINED)
    endpoint.answers(calls(HULL), text("At 14:10."), text("At noon."), text("At one."))
    first, second = in_cell(kernel, "a", asked), in_cell(kernel, "b", loop)
    pointer = read_extras(first.bundles[-1])["turn"]
    assert pointer == {
        "entry": pointer["entry"],
        "beside": True,
        "cell": "a",
        "thread": "notebook",
        "ids": ["call_1"],
    }
    written = beside.with_suffix(".orchat.jsonl").read_text()
    assert set(SidecarFile(str(beside)).part("turns")) == {"a", "b"}
    # A loop in a cell adds its turns one by one.
    assert [list(json.loads(line))[-1] for line in written.splitlines()] == ["version", "value", "value", "add"]
    assert KEY not in written
    assert "call_1" not in written
    save(beside, ("a", asked, first), ("b", loop, second))
    notebook = nbformat.read(beside, 4)
    bundles = [bundle for bundle in second.bundles if MIME in bundle]
    notebook.cells[1].outputs = [nbformat.v4.new_output("display_data", bundle) for bundle in bundles]
    nbformat.write(notebook, beside)
    in_cell(kernel, "c", "%%openrouter\nThank you.")
    before = endpoint.request.json["messages"]
    assert [message["role"] for message in before][:5] == ["system", "user", "assistant", "tool", "assistant"]
    ask(kernel, "%openrouter reset --all")
    told = ask(kernel, "%openrouter restore").printed
    assert told == "notebook: 3 turns restored\nfrom the tides.ipynb, as it was saved\n"
    in_cell(kernel, "c", "%%openrouter\nThank you.")
    assert endpoint.request.json["messages"] == json.loads(json.dumps(before).replace(KEY, "[redacted]"))
    # A file that is damaged stays as it is, and nothing comes of it.
    beside.with_suffix(".orchat.jsonl").write_text("{rubbish")
    ask(kernel, "%openrouter reset --all")
    assert (
        "3 could not be read: the tides.orchat.jsonl is damaged in line 1."
        in ask(kernel, "%openrouter restore").printed
    )
    ended = in_cell(kernel, "a", "%%openrouter\nAnd now?")
    hint = "Move it elsewhere, and a new one is begun."
    assert ended.printed == f"{TOLD}the tides.orchat.jsonl is damaged in line 1. It stays untouched. {hint}\n"
    assert "turn" not in read_extras(ended.bundles[-1])
    assert beside.with_suffix(".orchat.jsonl").read_text() == "{rubbish"


def test_where_no_notebook_is_known_it_is_told_once(kernel: Kernel) -> None:
    ask(kernel, "%config OpenRouterMagics.state = 'file'")
    try:
        first, second = (in_cell(kernel, cell, "%%openrouter\nHi") for cell in "ab")
        assert (first.printed, second.printed) == (f"{TOLD}no notebook is known.\n", "")
        assert "turn" not in read_extras(first.bundles[-1])
    finally:
        ask(kernel, "%config OpenRouterMagics.state = None")


def test_what_is_too_large_to_be_kept_is_told(kernel: Kernel) -> None:
    ask(kernel, "%config OpenRouterMagics.state_limit = 4000")
    ask(kernel, "value = 'word ' * 1000")
    try:
        ended = in_cell(kernel, "a", "%%openrouter\nWhat is it?")
        assert "turn" in read_extras(ended.bundles[-1])
        assert ended.printed == ""
        ended = in_cell(kernel, "b", "%%openrouter\nWhat is {value}?")
        assert "turn" not in read_extras(ended.bundles[-1])
        assert ended.printed.startswith(f"{TOLD}The last turn alone takes more than 4")
    finally:
        ask(kernel, "%config OpenRouterMagics.state_limit = None")
    assert "turn" in read_extras(in_cell(kernel, "b", "%%openrouter\nWhat is {value}?").bundles[-1])


def test_a_panel_goes_where_it_is_set(endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("One."))
    environment = {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": KEY, "ORCHAT_STATE": "none"}
    with Kernel(environment) as kernel:
        page = Page(kernel, "none")
        page.run(PANEL + 'panel = ChatPanel("some/model")\npanel')
        assert page.fields["where"] == "Kept in the memory of this kernel only, as you wished."
        page.ask("First?")
        page.listen(2.5)
        assert page.metadata is None
        page = Page(kernel, "cell")
        page.run(PANEL + 'panel = ChatPanel("some/model", state="cell")\npanel')
        page.until(lambda: page.fields["where"].startswith("Kept in the metadata of this cell"))
        (wrong,) = kernel.run("import os; os.environ['ORCHAT_STATE_LIMIT'] = 'much'\n" + PANEL + "ChatPanel('m')")
        assert "ORCHAT_STATE_LIMIT='much' makes no sense. It is a whole number, 1 or more." in wrong.content["evalue"]
