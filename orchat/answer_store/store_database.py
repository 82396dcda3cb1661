"""The file of a store: its tables, its transactions, and the patience for the locks of other processes."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from orchat.errors import StateError

T = TypeVar("T")

_PATIENCE = 60.0  # seconds for a lock that another process holds
_RETRY_INTERVAL = 0.05
_APPLICATION_ID = 0x6F726368  # "orch"
_VERSION = 1
_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS answer(
    id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, host TEXT NOT NULL, model TEXT NOT NULL,
    message TEXT NOT NULL, cost TEXT, seconds REAL NOT NULL, created REAL NOT NULL)
""",
    """
CREATE TABLE IF NOT EXISTS job(
    id TEXT NOT NULL, host TEXT NOT NULL, keys BLOB NOT NULL, created REAL NOT NULL, PRIMARY KEY (host, id))
""",
)


def open_database(path: Path) -> sqlite3.Connection:
    """Connect to a store's file; make it where there is none, readable for its owner only.

    Raises
    ------
    StateError
        It is something else, or was made by a newer orchat.
    sqlite3.Error, OSError
        It is damaged, or cannot be written.
    """
    if path.exists() and not path.is_file():
        raise StateError(f"{path} is no regular file.", hint="Name a file for the store.")
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        # A file that exists is not opened here: closing it would take away the locks of all connections to it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(path, _PATIENCE, isolation_level=None, check_same_thread=False)
    connection.text_factory = _text
    try:
        patiently(lambda: _prepare(connection, path))
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check that the file is a store, or make an empty one of it."""
    # The tables first: another process that makes them at this moment sets the identifier with them.
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION_ID and (application or tables):
        raise StateError(f"{path} is a database of something else.", hint="Name another file for the store.")
    if version > _VERSION:
        raise StateError(f"{path} was made by a newer orchat.", hint="Update orchat, or name another file.")
    if not tables:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 16000000")
    if not {"answer", "job"} <= tables:
        with transaction(connection):
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")


def _text(data: bytes) -> str:
    """Return a text of the file; an empty one for one that is damaged, or no other of the same query could be read."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return ""


def patiently(action: Callable[[], T]) -> T:
    """Do something that another process's lock may prevent for a while, such as changing the journal's mode."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise
            if time.monotonic() > deadline:
                raise
        time.sleep(_RETRY_INTERVAL)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a block as one transaction, which waits for those of other processes."""
    patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of the pages that hold something."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def release_pages(connection: sqlite3.Connection) -> None:
    """Give the pages that nothing uses back to the file system."""
    connection.execute("PRAGMA incremental_vacuum").fetchall()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
