"""A file is written whole or not at all, and nothing stays beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchat.files import replace_file


def test_rights_and_links_stay(tmp_path: Path) -> None:
    (tmp_path / "tides.txt").write_text("old")
    (tmp_path / "tides.txt").chmod(0o640)
    (tmp_path / "link").symlink_to("tides.txt")
    replace_file(tmp_path / "link", [b"new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "tides.txt").read_text() == "new"
    assert (tmp_path / "tides.txt").stat().st_mode & 0o777 == 0o640
    replace_file(tmp_path / "secret", [b""])
    replace_file(tmp_path / "shared", [b""], mode=0o644)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("secret", "shared")] == [0o600, 0o644]


def test_what_fails_on_the_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "tides.txt").write_text("old")

    def blocks() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(tmp_path / "tides.txt", blocks())
    assert (tmp_path / "tides.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["tides.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_where_there_is_no_room_the_old_file_stays_and_nothing_is_left(tmp_path: Path) -> None:
    code = """
        import resource, sys
        from orchat.files import replace_file
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        for _ in range(5):
            try:
                replace_file(sys.argv[1], [b"x" * 40_000, b"y" * 40_000])
            except OSError as error:
                print(error.strerror)
    """
    (tmp_path / "tides.txt").write_text("old")
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "tides.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n" * 5
    assert (tmp_path / "tides.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["tides.txt"]
