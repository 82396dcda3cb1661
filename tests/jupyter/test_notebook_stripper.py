"""Notebooks without what orchat keeps in them, and otherwise byte for byte the same."""

from __future__ import annotations

import copy
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.errors import StateError
from orchat.jupyter.kernel.cell_storage.notebook_file import read_cells, strip_files
from orchat.jupyter.kernel.cell_storage.notebook_stripper import strip_notebook
from tests.files.odd_paths import ODD, make_odd
from tests.patience import stretched

MIME = "application/vnd.orchat.v1"
STATE = {"format": "orchat", "version": 1, "turns": {"notebook": {"messages": ["Wie hoch? ☂"]}}}


def notebook(*, ours: bool = True) -> dict[str, Any]:
    """A notebook of each kind of thing, with or without what is ours."""
    answer: dict[str, Any] = {
        "data": {"text/markdown": ["It is *high*. é\u2028☂"], "text/plain": ["It is high."]},
        "metadata": {},
        "output_type": "display_data",
    }
    other = {
        "data": {"application/json": {"a": 1e5, "b": [], "orchat": 1}},
        "metadata": {},
        "output_type": "display_data",
    }
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": 1,
        "id": "a1",
        "metadata": {"tags": ["tide"]},
        "outputs": [answer, other, {"name": "stdout", "output_type": "stream", "text": ["orchat\n"]}],
        "source": ["%%openrouter\n", "How high is the tide?"],
    }
    text = {"cell_type": "markdown", "id": "b2", "metadata": {}, "source": ['"orchat": {"version": 1}']}
    language = {"language_info": {"name": "python"}}
    whole: dict[str, Any] = {"cells": [cell, text], "metadata": language, "nbformat": 4, "nbformat_minor": 5}
    if ours:
        answer["data"] = {MIME: {"format": "orchat", "model": "m"}, **answer["data"]}
        answer["metadata"] = {"orchat": {"live": "x"}}
        cell["metadata"] = {"orchat": STATE, **cell["metadata"]}
        text["metadata"] = {"orchat": None}
        whole["metadata"] = {**language, "orchat": {"version": 1}}
    return whole


def test_everything_of_ours_goes_and_nothing_else() -> None:
    whole = notebook()
    before = copy.deepcopy(whole)
    assert strip_notebook(whole) == (notebook(ours=False), 5)
    assert whole == before
    assert strip_notebook(notebook(ours=False)) == (notebook(ours=False), 0)


def test_what_was_stripped_is_a_notebook_that_keeps_its_outputs() -> None:
    stripped, _ = strip_notebook(notebook())
    nbformat.validate(nbformat.from_dict(stripped))
    assert stripped["cells"][0]["outputs"][0]["data"]["text/plain"] == ["It is high."]


def test_answers_go_on_request_and_other_outputs_stay() -> None:
    stripped, count = strip_notebook(notebook(), outputs=True)
    assert [output["output_type"] for output in stripped["cells"][0]["outputs"]] == ["display_data", "stream"]
    assert "high" not in json.dumps(stripped["cells"][0]["outputs"])
    assert count == 4


def test_what_a_merge_left_undecided_goes_too() -> None:
    def side(said: str, *other: dict[str, Any]) -> list[dict[str, Any]]:
        words = {"op": "addrange", "key": 0, "valuelist": [said]}
        return [{"op": "patch", "key": "orchat", "diff": [{"op": "patch", "key": "turns", "diff": [words]}]}, *other]

    tags = {"op": "add", "key": "tags", "value": ["tide"]}
    for other in ([], [tags]):
        conflicts = {"local_diff": side("It is low.", *other), "remote_diff": side("Nobody knows.")}
        whole = {"cells": [{"metadata": {"nbdime-conflicts": conflicts}}], "metadata": {}}
        stripped, count = strip_notebook(whole)
        left = {"nbdime-conflicts": {"local_diff": other, "remote_diff": []}} if other else {}
        assert (stripped["cells"][0]["metadata"], count) == (left, 2)


_NAMES = ["cells", "metadata", "nbdime-conflicts", "key", "orchat", "outputs", "data", "output_type", MIME, "x"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["cells", "metadata", "x"]), _JSON))
def test_a_damaged_notebook_is_stripped_as_far_as_it_is_one(damaged: dict[str, Any]) -> None:
    stripped, count = strip_notebook(damaged)
    assert strip_notebook(stripped) == (stripped, 0)
    assert (count == 0) == (stripped == damaged)


LAYOUTS = {
    "nbformat": {"indent": 1, "ensure_ascii": False, "sort_keys": True, "separators": (",", ": ")},
    "two spaces": {"indent": 2, "ensure_ascii": False},
    "tabs, escaped": {"indent": "\t", "ensure_ascii": True},
    "compact": {"indent": None, "ensure_ascii": False, "separators": (",", ":")},
    "python": {"indent": None, "ensure_ascii": True},
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_rest_of_a_file_stays_as_it_was_written(tmp_path: Path, layout: str, end: str, newline: str) -> None:
    def written(content: dict[str, Any]) -> bytes:
        text = json.dumps(content, **LAYOUTS[layout]).replace("\n", newline) + end.replace("\n", newline)  # type: ignore[arg-type]
        return text.replace("100000.0", "1e5").encode()  # as other programs write it

    path = tmp_path / "tide.ipynb"
    path.write_bytes(written(notebook()))
    assert strip_files([path]) == [(path, 5)]
    assert path.read_bytes() == written(notebook(ours=False))


def test_half_a_surrogate_pair_stays_an_escape(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    path.write_text('{"cells": [{"metadata": {"orchat": 1}, "source": "\\ud83d \u2602"}]}', encoding="utf-8")
    assert strip_files([path]) == [(path, 1)]
    assert path.read_text("utf-8") == '{"cells": [{"metadata": {}, "source": "\\ud83d \u2602"}]}'


def test_a_file_that_holds_nothing_of_ours_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "odd.ipynb"
    path.write_text('{ "cells" :[ ],"metadata": {} }')
    os.utime(path, (1, 1))
    assert strip_files([path]) == []
    assert path.stat().st_mtime == 1


def test_a_check_tells_and_writes_nothing(tmp_path: Path) -> None:
    with_ours, without = tmp_path / "a.ipynb", tmp_path / "b.ipynb"
    with_ours.write_text(json.dumps(notebook()))
    without.write_text(json.dumps(notebook(ours=False)))
    before = with_ours.read_bytes()
    assert strip_files([with_ours, without], check=True) == [(with_ours, 5)]
    assert with_ours.read_bytes() == before
    strip_files([with_ours])
    assert strip_files([with_ours], check=True) == []


def test_a_link_stays_a_link_and_rights_stay_as_they_are(tmp_path: Path) -> None:
    path, link = tmp_path / "a.ipynb", tmp_path / "link.ipynb"
    path.write_text(json.dumps(notebook()))
    path.chmod(0o640)
    link.symlink_to(path)
    strip_files([link])
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert strip_files([path]) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.ipynb", "link.ipynb"]


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"worksheets": []}', b"[" * 100_000, None])
def test_what_is_no_notebook_is_said_to_be_none_and_left_alone(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.ipynb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StateError, match=r"x\.ipynb"):
        strip_files([path])
    assert content is None or path.read_bytes() == content


@pytest.mark.parametrize("kind", ODD)
def test_a_path_that_leads_to_no_readable_file_is_told_within_a_second(tmp_path: Path, kind: str) -> None:
    path = make_odd(kind, tmp_path)
    if kind == "large":
        os.truncate(path, 2_000_000_000)
    for read in (lambda: strip_files([path]), lambda: read_cells(path)):
        started = time.monotonic()
        with pytest.raises(StateError) as raised:
            read()
        assert time.monotonic() - started < stretched(1)
        assert ODD[kind] in str(raised.value)
        assert len(str(raised.value)) < 300
