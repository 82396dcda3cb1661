"""A file of `orchat.jupyter.kernel.cell_storage.sidecar_lines` that several processes append to.

A line is written at the end, under a lock, and has reached the disk before it counts as kept; lines that count no more
are left out when they are most of the file. So a write takes as long as its value, not as the file; two kernels lose
nothing of each other; what a crash cut off at the end is ignored; and a diff shows what is new. A file that is damaged
elsewhere, or of a newer orchat, stays untouched.
"""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from orchat.chat.state import VERSION
from orchat.errors import StateError
from orchat.files import MOST_BYTES, open_regular_file, replace_file
from orchat.jupyter.kernel.cell_storage.sidecar_lines import (
    HEADER,
    Change,
    Line,
    LineIndex,
    Name,
    apply_line,
    parse_line,
    value_line,
)

_BUFFER = 1 << 18
_LONGEST_LINE = 100_000_000
_MOST_WASTE = 1_000_000  # bytes that count no more, and may stay whatever the size of the rest
_LOCK_TIMEOUT = 5.0  # seconds; a write takes milliseconds
MOVE_HINT = "Move it elsewhere, and a new one is begun."
_MERGE_MARKS = (b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")
_WRITE_FLAGS = os.O_WRONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)

_indexes: dict[Path, LineIndex] = {}
_thread_lock = threading.RLock()


class JsonLinesFile:
    """Values by part and key in one file.

    Parameters
    ----------
    path
        The file, which need not exist; its folder does.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = JsonLinesFile(Path(folder.name, "tides.orchat.jsonl"))
    >>> file.write([Change(("turns", "a1"), {"notebook": [1]})])
    >>> file.write([Change(("turns", "a1"), {"notebook": [1, 2]}, addition={"notebook": [2]})])
    >>> file.read()
    {('turns', 'a1'): {'notebook': [1, 2]}}
    >>> folder.cleanup()
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[Name, Any]:
        """Return all values; one that was removed is None.

        Raises
        ------
        StateError
            The file is no regular one, too large, damaged, or of a newer orchat.
        """
        values: dict[Name, Any] = {}
        with self._open() as file:
            for _, line in self._lines(file, 0) if file is not None else ():
                try:
                    apply_line(values, line)
                except ValueError:
                    raise self._damage() from None
        return values

    def write(self, changes: Iterable[Change], *, mode: int | None = None) -> None:
        """Append changes; when it returns, they outlive a crash of the machine.

        Parameters
        ----------
        changes
            Of different values.
        mode
            The rights of a new file; default: the user's only.

        Raises
        ------
        StateError
            The file is no regular one, too large, damaged, or of a newer orchat; it stays untouched.
        OSError
            The disk is full, say, or another process holds the lock; nothing has changed.
        """
        with _thread_lock, self._file_lock():
            index = self._updated_index()
            lines = list(_changed_lines(changes, index))
            if not lines:
                return
            if index.size + sum(map(len, lines)) > MOST_BYTES or max(map(len, lines)) > _LONGEST_LINE:
                raise OSError(errno.EFBIG, "it would be too large", str(self._path))
            if index.file_id is None:
                replace_file(self._path, [HEADER, *lines], mode=mode)
                index = self._updated_index(own=True)
            else:
                self._append(lines, index)
            with suppress(OSError):  # nothing is lost where it does not work now
                self._leave_out_waste(index)

    # -- the file -----------------------------------------------------------------------------------------------

    @contextmanager
    def _file_lock(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        path = Path(os.path.realpath(self._path))
        name = path.with_name(f".{path.name}.lock")
        lock = FileLock(name, timeout=_LOCK_TIMEOUT)
        try:
            lock.acquire()
        except Timeout:
            raise TimeoutError(errno.ETIMEDOUT, "another kernel is writing it", str(self._path)) from None
        except OSError as error:  # a link is not followed, so that nobody's file is a lock
            raise OSError(error.errno, f"{name.name} cannot be made ({error.strerror})", str(name)) from None
        try:
            yield
        finally:
            if os.name == "posix":  # elsewhere the library does it; one that waits for the lock sees that it is gone
                with suppress(OSError):
                    os.unlink(name)
            lock.release()

    @contextmanager
    def _open(self) -> Iterator[BinaryIO | None]:
        """Open the file to read; None where it does not exist."""
        try:
            file = open_regular_file(self._path)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not self._path.is_symlink():
                yield None
                return
            raise StateError(f"{self._path.name} cannot be read: {error.strerror}. It stays untouched.") from None
        with io.BufferedReader(file, _BUFFER) as buffered:
            yield cast("BinaryIO", buffered)

    def _lines(self, file: BinaryIO, start: int) -> Iterator[tuple[bytes, Line]]:
        """Yield the lines from an offset on, but for one at the end that was cut off: it was never said to be kept."""
        file.seek(start)
        at, number = start, 0
        while text := file.readline(_LONGEST_LINE + 1):
            number += 1
            if at + len(text) > MOST_BYTES or len(text) > _LONGEST_LINE:
                raise StateError(
                    f"{self._path.name} is too large to be read. It stays untouched.",
                    hint=MOVE_HINT,
                )
            try:
                line = parse_line(text) if text.strip() else Line(None, VERSION)
            except (ValueError, RecursionError):
                if at > 0 and not text.endswith(b"\n"):
                    return
                raise self._damage(text, number if start == 0 else None) from None
            if line.name is None and line.value > VERSION:
                raise StateError(f"{self._path.name} is of a newer orchat. It stays untouched.", hint=MOVE_HINT)
            if at == 0 and (line.name is not None or not text.strip()):
                raise self._damage(text, number)
            yield text, line
            at += len(text)

    def _damage(self, text: bytes = b"", number: int | None = None) -> StateError:
        where = f" in line {number}" if number is not None else ""
        hint = "It holds the marks of a merge: take these lines out." if text.startswith(_MERGE_MARKS) else MOVE_HINT
        return StateError(f"{self._path.name} is damaged{where}. It stays untouched.", hint=hint)

    def _updated_index(self, *, own: bool = False) -> LineIndex:
        """Return the index of the file as it is now; what is known of it is not read again.

        With ``own`` all that is new was written by this process.
        """
        known = _indexes.pop(self._path, None)
        with self._open() as file:
            if file is None:
                return LineIndex()
            status = os.fstat(file.fileno())
            is_known = known is not None and _is_same_file(known, file, status)
            index = known if known is not None and is_known else LineIndex((status.st_dev, status.st_ino))
            for text, line in self._lines(file, index.size):
                index.add(text, line, is_own=own)
        _indexes[self._path] = index
        return index

    def _append(self, lines: Iterable[bytes], index: LineIndex) -> None:
        """Append lines, or change nothing."""
        before = HEADER if index.size == 0 else b"" if index.last_line.endswith(b"\n") else b"\n"
        new = [before, *lines] if before else [*lines]
        handle = os.open(self._path, _WRITE_FLAGS)
        try:
            status = os.fstat(handle)
            if (status.st_dev, status.st_ino) != index.file_id:
                raise OSError(errno.EBUSY, "it was replaced meanwhile", str(self._path))
            try:
                os.ftruncate(handle, index.size)  # without a line that was cut off
                os.lseek(handle, index.size, os.SEEK_SET)
                rest = memoryview(b"".join(new))
                while rest:
                    rest = rest[os.write(handle, rest) :]
                os.fsync(handle)
            except BaseException:
                os.ftruncate(handle, index.size)
                raise
        finally:
            os.close(handle)
        for text in new:
            index.add(text, parse_line(text) if text.strip() else Line(None, VERSION), is_own=True)

    def _leave_out_waste(self, index: LineIndex) -> None:
        """Write the file anew without what counts no more, where that is most of it."""
        live_lines = index.live_lines
        live = sum(length for _, length in live_lines)
        if index.size - live <= max(_MOST_WASTE, live):
            return
        with self._open() as file:
            if file is not None:
                replace_file(self._path, _blocks(file, live_lines))


def _blocks(file: BinaryIO, spans: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    yield HEADER
    for start, length in spans:
        file.seek(start)
        yield file.read(length).rstrip(b"\n") + b"\n"


def _changed_lines(changes: Iterable[Change], index: LineIndex) -> Iterator[bytes]:
    """Yield the lines to append: an addition where that is enough, and nothing where nothing is new."""
    for change in changes:
        if change.addition is not None and index.is_last_writer(change.name):
            yield value_line(change, only_addition=True)
            continue
        line = value_line(change)
        if not index.is_written(change.name, line) and (change.value is not None or change.name in index):
            yield line


def _is_same_file(index: LineIndex, file: BinaryIO, status: os.stat_result) -> bool:
    """Whether a file has only grown since it was read: its last line stands where it stood."""
    if index.file_id != (status.st_dev, status.st_ino) or status.st_size < index.size:
        return False
    file.seek(index.size - len(index.last_line))
    return file.read(len(index.last_line)) == index.last_line
