"""What a path may lead to: a regular file is read, anything else is a clear error within a second."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from orchat.files import read_regular_file, shortened_path
from tests.files.odd_paths import ODD, make_odd
from tests.patience import stretched

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")


def test_a_file_and_a_link_to_it_are_read(tmp_path: Path) -> None:
    (tmp_path / "tides.csv").write_bytes(b"Hull,14:10\n")
    (tmp_path / "link.csv").symlink_to("tides.csv")
    assert read_regular_file(tmp_path / "link.csv") == b"Hull,14:10\n"
    assert read_regular_file(tmp_path / "tides.csv", 11) == b"Hull,14:10\n"
    assert read_regular_file("/proc/self/cmdline")  # it says that it has no bytes
    (tmp_path / "nothing").touch()
    assert read_regular_file(tmp_path / "nothing") == b""


@pytest.mark.parametrize("kind", ODD)
def test_anything_else_is_an_error_within_a_second(tmp_path: Path, kind: str) -> None:
    path = make_odd(kind, tmp_path)
    started = time.monotonic()
    with pytest.raises(OSError) as raised:  # noqa: PT011 - any kind of it; its words are looked at below
        read_regular_file(path, 1000)
    assert time.monotonic() - started < stretched(1)
    assert ODD[kind] in str(raised.value.strerror)


def test_a_socket_is_none(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        old = Path.cwd()
        os.chdir(tmp_path)  # the path of a socket is short
        try:
            listener.bind("socket")
            with pytest.raises(OSError, match="it is a socket, not a file"):
                read_regular_file("socket")
        finally:
            os.chdir(old)


def test_a_file_that_grows_is_read_to_its_limit_only(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(OSError, match="it has more than 1,000,000,000 bytes"):
        read_regular_file(tmp_path / "sparse")
    with pytest.raises(OSError, match="it has more than 1,000,000 bytes"):
        read_regular_file("/proc/self/pagemap")  # it has no size, and is a terabyte or so


def test_a_path_is_shown_shortened_and_escaped() -> None:
    assert shortened_path("a\nb\x1b[2J") == r"a\nb\x1b[2J"
    assert shortened_path("é ☂") == "é ☂"
    assert len(shortened_path("/x" * 5000)) == 121
