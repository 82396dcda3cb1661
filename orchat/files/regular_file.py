"""Read regular files of bounded size: no device, pipe or folder, and nothing that waits or has no end.

A path may come from a notebook of somebody else, and a link may lead anywhere. So the kind of the file is checked
before it is opened, since opening alone makes some devices act, and again afterwards; it is opened so that nothing
waits; and the size counts while it is read, for files of ``/proc`` say that they have none, and may be
without end.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

MOST_BYTES = 1_000_000_000

_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)
) | getattr(os, "O_BINARY", 0)
_KINDS = (
    (stat.S_ISDIR, errno.EISDIR, "it is a folder"),
    (stat.S_ISFIFO, errno.EINVAL, "it is a pipe, not a file"),
    (stat.S_ISSOCK, errno.EINVAL, "it is a socket, not a file"),
)
_BLOCK = 1 << 20
_MOST_OF_NONE = 1_000_000  # bytes of a file whose size is said to be 0: the system makes them, at its own pace
_LONGEST_NAME = 120


def read_regular_file(path: str | os.PathLike[str], most_bytes: int = MOST_BYTES) -> bytes:
    """Return the bytes of a regular file.

    Parameters
    ----------
    path
        The file, or a link to it.
    most_bytes
        The largest size.

    Raises
    ------
    OSError
        There is no such file, it is no regular file, it is larger, or cannot be read now; ``strerror`` says so.

    Examples
    --------
    >>> read_regular_file(os.devnull)
    Traceback (most recent call last):
    ...
    OSError: [Errno 22] it is a device, not a file: '/dev/null'
    """
    with open_regular_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            most_bytes = min(most_bytes, _MOST_OF_NONE)
        blocks: list[bytes] = []
        read = 0
        while read <= most_bytes and size <= most_bytes:
            block = file.read(_BLOCK)
            if block is None:
                raise BlockingIOError(errno.EAGAIN, "it has nothing to read now, and might never have", str(path))
            if not block:
                return b"".join(blocks)
            blocks.append(block)
            read += len(block)
        raise OSError(errno.EFBIG, f"it has more than {most_bytes:,} bytes", str(path))


def open_regular_file(path: str | os.PathLike[str]) -> io.FileIO:
    """Open a regular file to read, without buffer and without waiting.

    Raises
    ------
    OSError
        There is no such file, it is no regular file, or it cannot be opened.
    """
    try:
        _check_kind(os.stat(path).st_mode, path)
        handle = os.open(path, _FLAGS)
    except FileNotFoundError as error:
        if os.path.islink(path):
            error.strerror = f"it is a link to {shortened_path(os.readlink(path))}, which does not exist"
        raise
    except (ValueError, UnicodeError):
        raise OSError(errno.EINVAL, "no file can have that name", ascii(os.fspath(path))) from None
    try:
        _check_kind(os.fstat(handle).st_mode, path)
        return io.FileIO(handle)
    except BaseException:
        os.close(handle)
        raise


def shortened_path(path: str | os.PathLike[str]) -> str:
    """Return a path for people: a long one without its middle, one that cannot be shown with escapes.

    Examples
    --------
    >>> shortened_path("data/tides.csv"), len(shortened_path("x" * 5000))
    ('data/tides.csv', 121)
    """
    text = str(Path(path))
    if len(text) > _LONGEST_NAME:
        text = f"{text[: _LONGEST_NAME // 2]}…{text[-_LONGEST_NAME // 2 :]}"
    return text if text.isprintable() else ascii(text)[1:-1]


def _check_kind(mode: int, path: str | os.PathLike[str]) -> None:
    if stat.S_ISREG(mode):
        return
    for is_kind, number, text in _KINDS:
        if is_kind(mode):
            raise OSError(number, text, str(path))
    raise OSError(errno.EINVAL, "it is a device, not a file", str(path))
