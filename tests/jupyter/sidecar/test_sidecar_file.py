"""The file beside a notebook: what was said to be kept is kept whatever happens, and what is not ours stays."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchat.errors import StateError
from orchat.jupyter.kernel.cell_storage import json_lines_file
from orchat.jupyter.kernel.cell_storage.sidecar_file import SidecarFile
from tests.files.odd_paths import make_odd
from tests.patience import stretched

OLD = Path(__file__).parent / "saved-0.1.orchat.json"
WRITER = """
    import resource, sys
    from orchat.jupyter.kernel.cell_storage.sidecar_file import SidecarFile
    def put(key, value, **more):
        return SidecarFile(sys.argv[1]).try_put("turns", key, value, **more)
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "the tides.ipynb"
    path.write_text("{}")
    return path


def beside(notebook: Path) -> Path:
    return notebook.with_suffix(".orchat.jsonl")


def start_writer(notebook: Path, code: str) -> subprocess.Popen[str]:
    """Start a process that writes as a kernel would, as soon as it gets a line."""
    command = [sys.executable, "-c", textwrap.dedent(WRITER) + textwrap.dedent(code), str(notebook)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finished(process: subprocess.Popen[str]) -> str:
    printed, _ = process.communicate("\n", timeout=stretched(60))
    assert process.returncode == 0
    return printed


def test_two_kernels_lose_nothing_of_each_other(notebook: Path) -> None:
    code = "for n in range(100): assert not put(f'{}-{{n}}', {{'notebook': [n]}})"
    writers = [start_writer(notebook, code.format(name)) for name in "ab"]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        finished(writer)
    assert len(SidecarFile(str(notebook)).part("turns")) == 200
    assert sorted(os.listdir(notebook.parent)) == ["the tides.ipynb", "the tides.orchat.jsonl"]


def test_a_cell_belongs_to_the_kernel_that_ran_it_last(notebook: Path) -> None:
    sidecar = SidecarFile(str(notebook))
    sidecar.put("turns", "a", {"notebook": [1]})
    finished(start_writer(notebook, "put('a', {'notebook': ['other']})"))
    sidecar.put("turns", "a", {"notebook": [1, 2]}, addition={"notebook": [2]})
    assert sidecar.part("turns") == {"a": {"notebook": [1, 2]}}
    sidecar.put("turns", "a", {"notebook": [1, 2, 3]}, addition={"notebook": [3]})
    assert sidecar.part("turns") == {"a": {"notebook": [1, 2, 3]}}
    assert b'"add"' in beside(notebook).read_bytes().splitlines()[-1]


def test_what_a_killed_kernel_said_to_be_kept_is_kept(notebook: Path) -> None:
    code = "for n in range(10**6): assert not put(f'c{n}', {'notebook': ['x' * 5000]}); print(n, flush=True)"
    writer = start_writer(notebook, code)
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdin.write("\n")
    writer.stdin.flush()
    told = [writer.stdout.readline() for _ in range(20)]
    writer.send_signal(signal.SIGKILL)
    told += writer.stdout.readlines()
    writer.communicate()
    kept = SidecarFile(str(notebook)).part("turns")
    assert set(kept) >= {f"c{line.strip()}" for line in told if line.endswith("\n")}
    SidecarFile(str(notebook)).put("turns", "after", {"notebook": []})  # the lock of a killed kernel is free
    assert len(SidecarFile(str(notebook)).part("turns")) == len(kept) + 1


def test_it_has_reached_the_disk_before_it_is_said_to_be_kept(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def recorded(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", recorded)
    SidecarFile(str(notebook)).put("turns", "a", {"notebook": []})
    assert synced[-1] == str(notebook.parent)  # the new name in its folder
    SidecarFile(str(notebook)).put("turns", "b", {"notebook": []})
    assert synced[-1] == str(beside(notebook))


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_line_that_a_crash_cut_off_is_ignored_and_the_next_one_is_whole(notebook: Path, cut: int) -> None:
    sidecar = SidecarFile(str(notebook))
    for key in "abc":
        sidecar.put("turns", key, {"notebook": ["☂"]})
    content = beside(notebook).read_bytes()
    beside(notebook).write_bytes(content[:-cut])
    rest = {"a", "b", *("c" if cut == 1 else "")}  # a line without its end is whole
    assert set(sidecar.part("turns")) == rest
    sidecar.put("turns", "d", {"notebook": []})
    assert set(sidecar.part("turns")) == {*rest, "d"}
    assert [json.loads(line) for line in beside(notebook).read_bytes().splitlines()]


def test_a_write_takes_as_long_as_its_value_and_large_files_are_read(notebook: Path) -> None:
    sidecar = SidecarFile(str(notebook))
    sidecar.put("turns", "a", {"notebook": [1]})
    with beside(notebook).open("ab") as file:
        for number in range(70):
            line = {"part": "turns", "key": f"c{number}", "value": {"notebook": ["x" * 1_000_000]}}
            file.write(json.dumps(line).encode() + b"\n")
    sidecar.put("turns", "b", {"notebook": []})
    size, number = beside(notebook).stat().st_size, beside(notebook).stat().st_ino
    started = time.monotonic()
    for key in range(20):
        sidecar.put("turns", f"d{key}", {"notebook": [2]})
    assert time.monotonic() - started < stretched(2)
    assert size > 70_000_000
    assert beside(notebook).stat().st_size - size < 20 * 80
    assert beside(notebook).stat().st_ino == number
    assert len(sidecar.part("turns")) == 92


def test_what_counts_no_more_is_left_out_before_it_is_most_of_the_file(notebook: Path) -> None:
    sidecar = SidecarFile(str(notebook))
    sidecar.put("turns", "a", {"notebook": ["kept"]})
    beside(notebook).chmod(0o640)
    for number in range(100):
        sidecar.put("panels", "1", {"chats": [number, "x" * 100_000]})
        assert beside(notebook).stat().st_size < 1_300_000
    assert sidecar.part("turns") == {"a": {"notebook": ["kept"]}}
    assert sidecar.part("panels")["1"]["chats"][0] == 99
    assert beside(notebook).stat().st_mode & 0o777 == 0o640


def test_the_same_again_is_not_written_and_nothing_removes_a_value(notebook: Path) -> None:
    sidecar = SidecarFile(str(notebook))
    for _ in range(3):
        sidecar.put("panels", "1", {"chats": {}})
        sidecar.put("panels", "2", None)
    assert len(beside(notebook).read_bytes().splitlines()) == 2
    sidecar.put("panels", "1", None)
    assert sidecar.part("panels") == {}


def test_its_rights_are_those_of_the_notebook(notebook: Path) -> None:
    notebook.chmod(0o640)
    SidecarFile(str(notebook)).put("turns", "a", {})
    assert beside(notebook).stat().st_mode & 0o777 == 0o640


# -- files of an earlier orchat --------------------------------------------------------------------------------------


def test_a_file_of_an_earlier_orchat_is_read_and_moves_with_the_first_write(notebook: Path) -> None:
    old = notebook.with_suffix(".orchat.json")
    shutil.copy(OLD, old)
    held = json.loads(OLD.read_text())
    sidecar = SidecarFile(str(notebook))
    assert (sidecar.part("turns"), sidecar.part("panels")) == (held["turns"], held["panels"])
    assert not beside(notebook).exists()
    sidecar.put("turns", "b2", {"notebook": ["new"]})
    assert not old.exists()
    assert sidecar.part("turns") == {**held["turns"], "b2": {"notebook": ["new"]}}
    assert sidecar.part("panels") == held["panels"]
    # It comes back, from another branch say: what is newer stays.
    shutil.copy(OLD, old)
    sidecar.put("turns", "d", {"notebook": []})
    assert sidecar.part("turns")["b2"] == {"notebook": ["new"]}
    assert not old.exists()


# -- files that are not ours, or damaged -----------------------------------------------------------------------------

HEADER = '{"format": "orchat", "version": 1}\n'
LINE = '{"part": "turns", "key": "a", "value": {"notebook": []}}\n'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{rubbish", "is damaged in line 1. It stays untouched. Move it elsewhere, and a new one is begun."),
        ("\n" + HEADER, "is damaged in line 1. It stays untouched."),
        (LINE, "is damaged in line 1. It stays untouched."),
        ('{"format": "other", "version": 1}\n', "is damaged in line 1. It stays untouched."),
        (HEADER + LINE + "rubbish\n" + LINE, "is damaged in line 3. It stays untouched."),
        (HEADER + '{"part": "turns", "key": 1, "value": 2}\n', "is damaged in line 2. It stays untouched."),
        (HEADER + "[" * 100_000 + "\n", "is damaged in line 2. It stays untouched."),
        (HEADER + "<<<<<<< HEAD\n" + LINE, "line 2. It stays untouched. It holds the marks of a merge"),
        (HEADER + LINE.replace("[]", "7") + LINE.replace("value", "add"), "is damaged. It stays untouched."),
        ('{"format": "orchat", "version": 2, "more": 1}\n' + LINE, "is of a newer orchat. It stays untouched. Move it"),
    ],
)
def test_what_is_damaged_or_newer_stays_untouched(notebook: Path, content: str, words: str) -> None:
    beside(notebook).write_text(content)
    sidecar = SidecarFile(str(notebook))
    with pytest.raises(StateError) as raised:
        sidecar.part("turns")
    assert words in str(raised.value)
    if "is damaged. " not in words:  # only reading joins what is added
        assert words in sidecar.try_put("turns", "b", {})
        assert beside(notebook).read_text() == content


def test_two_branches_are_merged_line_by_line(notebook: Path) -> None:
    other = LINE.replace('"a"', '"b"')
    beside(notebook).write_text(HEADER + LINE + HEADER + other + "\n")
    assert set(SidecarFile(str(notebook)).part("turns")) == {"a", "b"}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("folder", "it is a folder"),
        ("pipe", "it is a pipe, not a file"),
        ("link to a device", "it is a device, not a file"),
        ("circular link", "Too many levels of symbolic links"),
        ("dangling link", "it is a link to gone.txt, which does not exist"),
    ],
)
@pytest.mark.parametrize("ending", [".orchat.jsonl", ".orchat.json"])
def test_only_a_regular_file_is_read_or_written(notebook: Path, kind: str, words: str, ending: str) -> None:
    made = make_odd(kind, notebook.parent)
    os.rename(made, notebook.with_suffix(ending))
    if kind == "circular link":
        notebook.with_suffix(ending).unlink()
        notebook.with_suffix(ending).symlink_to(notebook.with_suffix(ending).name)
    started = time.monotonic()
    sidecar = SidecarFile(str(notebook))
    with pytest.raises(StateError, match=words):
        sidecar.part("turns")
    assert words in sidecar.try_put("turns", "a", {"notebook": []})
    assert time.monotonic() - started < stretched(1)
    assert sorted(os.listdir(notebook.parent)) == ["the tides.ipynb", "the tides" + ending]


def test_a_link_to_a_file_elsewhere_is_followed_if_that_is_one_of_ours(notebook: Path, tmp_path: Path) -> None:
    (tmp_path / "synced").mkdir()
    real = tmp_path / "synced" / "tides.jsonl"
    real.write_text(HEADER)
    beside(notebook).symlink_to(real)
    for number in range(40):
        SidecarFile(str(notebook)).put("turns", "a", {"notebook": [number, "x" * 100_000]})
    assert beside(notebook).is_symlink()
    assert SidecarFile(str(notebook)).part("turns")["a"]["notebook"][0] == 39
    real.write_text("export PATH=/bin\n")
    assert "is damaged in line 1" in SidecarFile(str(notebook)).try_put("turns", "a", {})
    assert real.read_text() == "export PATH=/bin\n"


def test_a_file_without_end_is_refused(notebook: Path) -> None:
    with beside(notebook).open("wb") as file:
        file.write(HEADER.encode())
        file.truncate(10**12)
    with pytest.raises(StateError, match="is too large to be read"):
        SidecarFile(str(notebook)).part("turns")


# -- disks and locks -------------------------------------------------------------------------------------------------

FILL = """
    print(put('a', {'notebook': ['x' * 20_000]}))
    for n in range(5): print(put('b', {'notebook': ['y' * 100_000]}))
    print(put('c', {'notebook': ['z' * 1000]}))
"""
FULL = "the tides.orchat.jsonl cannot be written: {}.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_without_room_what_was_kept_stays_and_nothing_is_left_beside(notebook: Path) -> None:
    limited = "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n" + textwrap.dedent(FILL)
    assert finished(start_writer(notebook, limited)) == "\n" + FULL.format("File too large") * 5 + "\n"
    assert set(SidecarFile(str(notebook)).part("turns")) == {"a", "c"}
    assert sorted(os.listdir(notebook.parent)) == ["the tides.ipynb", "the tides.orchat.jsonl"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A disk of 96 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs Linux and its root; the test above limits the file instead")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stays_usable(small_disk: Path) -> None:
    notebook = small_disk / "the tides.ipynb"
    notebook.write_text("{}")
    assert finished(start_writer(notebook, FILL)) == "\n" + FULL.format("No space left on device") * 5 + "\n"
    assert set(SidecarFile(str(notebook)).part("turns")) == {"a", "c"}
    assert sorted(os.listdir(small_disk)) == ["the tides.ipynb", "the tides.orchat.jsonl"]


def test_a_kernel_that_holds_the_lock_is_waited_for_and_then_told(
    notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = start_writer(notebook, "")
    code = """
        from filelock import FileLock
        with FileLock(sys.argv[1].replace('the tides.ipynb', '.the tides.orchat.jsonl.lock')):
            print("held", flush=True); sys.stdin.readline()
    """
    holder.kill()
    holder.communicate()
    holder = start_writer(notebook, code)
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "held\n"
    monkeypatch.setattr(json_lines_file, "_LOCK_TIMEOUT", 0.2)
    put = SidecarFile(str(notebook)).try_put
    assert put("turns", "a", {}) == FULL.format("another kernel is writing it").strip()
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.wait(stretched(20)) == 0
    assert put("turns", "a", {}) == ""
    holder.communicate()


@pytest.mark.parametrize("kind", ["folder", "link to a device", "dangling link", "link to a file"])
def test_what_stands_where_the_lock_should_be_is_named_and_stays(notebook: Path, kind: str) -> None:
    lock = notebook.parent / ".the tides.orchat.jsonl.lock"
    if kind == "link to a file":
        lock.symlink_to(notebook)
    else:
        os.rename(make_odd(kind, notebook.parent), lock)
    told = SidecarFile(str(notebook)).try_put("turns", "a", {})
    assert told.startswith(FULL.partition("{}")[0] + ".the tides.orchat.jsonl.lock cannot be made (")
    assert sorted(os.listdir(notebook.parent)) == [lock.name, notebook.name]
    assert notebook.read_text() == "{}"


# -- whatever is written in whatever order ---------------------------------------------------------------------------

CHANGES = st.tuples(
    st.sampled_from("abc"), st.none() | st.lists(st.text(max_size=3), max_size=3), st.booleans(), st.booleans()
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(changes=st.lists(CHANGES, max_size=12))
def test_the_file_says_what_was_written_last(
    notebook: Path, changes: list[tuple[str, list[str] | None, bool, bool]]
) -> None:
    """Writes of new values and additions, of which some come from a kernel that knows nothing of the file yet."""
    beside(notebook).unlink(missing_ok=True)
    sidecar, values = SidecarFile(str(notebook)), dict[str, Any]()
    for key, items, adds, is_new_kernel in changes:
        if is_new_kernel:
            json_lines_file._indexes.clear()
        if adds and items is not None and key in values:
            values[key] = {"notebook": values[key]["notebook"] + items}
            sidecar.put("turns", key, values[key], addition={"notebook": items})
        elif items is None:
            values.pop(key, None)
            sidecar.put("turns", key, None)
        else:
            values[key] = {"notebook": items}
            sidecar.put("turns", key, values[key])
        assert sidecar.part("turns") == values
