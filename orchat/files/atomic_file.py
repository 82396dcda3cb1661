"""Replace a file whole or not at all: neither a crash nor a full disk leaves half of it, or anything beside it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def replace_file(path: str | os.PathLike[str], blocks: Iterable[bytes], *, mode: int | None = None) -> None:
    """Write a file whole or not at all; when it returns, the file outlives a crash of the machine.

    A link stays one, and the file that it leads to is replaced. The rights of a file that exists stay as they are.

    Parameters
    ----------
    path
        The file; its folder exists.
    blocks
        The content, in pieces.
    mode
        The rights of a new file; default: the user's only.

    Raises
    ------
    OSError
        The disk is full, say; what was there is unchanged, and nothing is left beside it.

    Examples
    --------
    >>> folder = tempfile.TemporaryDirectory()
    >>> replace_file(Path(folder.name, "tides.txt"), [b"High at ", b"14:10."])
    >>> Path(folder.name, "tides.txt").read_text(), len(os.listdir(folder.name))
    ('High at 14:10.', 1)
    >>> folder.cleanup()
    """
    path = Path(path).resolve()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            for block in blocks:
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            mode = path.stat().st_mode & 0o7777
        if mode is not None:
            os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    sync_folder(path.parent)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Let the names in a folder outlive a crash, where the system can do that."""
    with suppress(OSError):  # not on Windows
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
