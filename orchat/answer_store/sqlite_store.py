"""`SqliteAnswerStore`: answers in one SQLite file, which several processes may share.

A thread commits what was put in groups, at most a quarter of a second after it came; a commit has reached the disk.
What was not committed when a process or the machine died counts as never answered. The file has a size that it does not
outgrow: the oldest answers make room.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from itertools import chain
from pathlib import Path

from orchat.answer_store.fork_locks import guard_forks
from orchat.answer_store.request_key import KEY_BYTES
from orchat.answer_store.store_database import open_database, patiently, release_pages, transaction, used_bytes
from orchat.answer_store.stored_answer import MakeAnswer, StoredAnswer, StoredJob
from orchat.errors import StateError

MOST_BYTES = 2_000_000_000

_COMMIT_INTERVAL = 0.2
_LARGEST_GROUP = 2_000
_FORK_PATIENCE = 5.0  # seconds for a thread that is within SQLite
_PUT = """
INSERT INTO answer(key, host, model, message, cost, seconds, created) VALUES {}
ON CONFLICT(key) DO UPDATE SET message = excluded.message, cost = excluded.cost, seconds = excluded.seconds,
    created = excluded.created
"""
_ROW = "(?, ?, ?, ?, ?, ?, ?)"
_ROWS_AT_ONCE = 100  # in one statement: each one gives the interpreter to another thread, and must get it back
_GET = "SELECT key, message, host, model, cost, seconds FROM answer WHERE key IN ({})"


@dataclass(frozen=True)
class StoreEntry:
    """What a store holds of one model at one host: the number of answers, their bill and their size.

    ``unknown`` is the number of answers without a known bill, ``characters`` the length of the answers as JSON.
    """

    host: str
    model: str
    answers: int
    cost: Decimal
    unknown: int
    characters: int
    oldest: datetime
    newest: datetime


class SqliteAnswerStore:
    """Answers in an SQLite file; threads may share one, and processes the file.

    Parameters
    ----------
    path
        The file, which is made where there is none, readable for its owner only.
    most_bytes
        The size that the file does not outgrow by more than one commit.

    Raises
    ------
    StateError
        The file is something else, damaged, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from orchat.messages import ChatMessage
    >>> folder = tempfile.TemporaryDirectory()
    >>> with closing(SqliteAnswerStore(Path(folder.name) / "answers.sqlite")) as store:
    ...     store.put(b"key", StoredAnswer.of(ChatMessage.from_assistant("Yes."), host="a.example", model="vendor/m"))
    ...     store.flush()
    ...     store.get(b"key").message.text, [entry.answers for entry in store.entries()]
    ('Yes.', [1])
    >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike[str], *, most_bytes: int = MOST_BYTES) -> None:
        self.path = Path(path).expanduser()
        self.most_bytes = most_bytes
        self._make_locks()
        self._pending: dict[bytes, StoredAnswer | MakeAnswer] = {}
        self._wanted = False  # somebody waits for a commit
        self._is_closing = False
        self._failure: sqlite3.Error | None = None
        self._writer: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        with self._state_errors():
            self._connection = open_database(self.path)
        guard_forks(self)

    def __repr__(self) -> str:
        return f"SqliteAnswerStore({str(self.path)!r})"

    # -- answers --------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> StoredAnswer | None:
        """Return the answer to a request, committed or not; None where there is none."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, StoredAnswer]:
        """Return the answers to those requests that have one, committed or not: a few hundred keys at most."""
        found: dict[bytes, StoredAnswer] = {}
        asked = []
        for key in keys:
            if (pending := self._pending.get(key)) is None:
                asked.append(key)
            elif (made := _made(pending)) is not None:
                found[key] = made
        if asked:
            query = _GET.format(",".join("?" * len(asked)))
            with self._reading, self._state_errors():
                rows = patiently(lambda: self._reader.execute(query, asked).fetchall())
            for key, message, host, model, cost, seconds in rows:
                found[key] = StoredAnswer(message, host, model, _amount(cost), seconds)
        return found

    def put(self, key: bytes, answer: StoredAnswer | MakeAnswer) -> None:
        """Keep an answer; a thread commits it within a quarter of a second, and calls a function that makes it."""
        with self._changed:
            self._pending[key] = answer
            self._start_writer()
            if len(self._pending) in {1, _LARGEST_GROUP}:  # else the thread knows
                self._changed.notify_all()

    def flush(self) -> None:
        """Wait until everything is committed.

        Raises
        ------
        StateError
            It could not be written; it is kept in memory, and written with what comes next.
        """
        with self._changed:
            while self._pending and self._failure is None:
                self._start_writer()  # the last one may have ended with a failure that was told
                self._wanted = True
                self._changed.notify_all()
                self._changed.wait(_COMMIT_INTERVAL)
            if (failure := self._failure) is None:
                return
            self._failure = None
        with self._state_errors():
            raise failure

    def close(self) -> None:
        """Flush, and close the file; errors as of `flush`."""
        try:
            self.flush()
        finally:
            with self._changed:
                self._is_closing = True
                self._changed.notify_all()
                writer = self._writer
            if writer is not None:
                writer.join()
            with self._reading:
                if self._connection is not None:
                    self._connection.close()

    @property
    def _reader(self) -> sqlite3.Connection:
        """The connection of those who read, which a forked process opens anew; the caller holds the lock."""
        if self._connection is None:
            self._connection = open_database(self.path)
        return self._connection

    # -- forks ----------------------------------------------------------------------------------------------------

    def _make_locks(self) -> None:
        self._writing, self._reading, self._changed = threading.Lock(), threading.Lock(), threading.Condition()
        self._held: list[threading.Lock | threading.Condition] = []

    def before_fork(self) -> None:
        """Wait until no thread is within SQLite, and keep it so."""
        locks = (self._writing, self._reading, self._changed)
        self._held = [lock for lock in locks if lock.acquire(timeout=_FORK_PATIENCE)]

    def after_fork_in_parent(self) -> None:
        """Go on."""
        for lock in reversed(self._held):
            lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: the thread that writes is gone, and the connection belongs to the parent."""
        self._make_locks()
        self._inherited = self._connection  # to close it would be to use it
        self._writer = self._connection = None

    # -- batches --------------------------------------------------------------------------------------------------

    def jobs(self, host: str) -> list[StoredJob]:
        """Return the batches at a host whose answers were not picked up yet."""
        query = "SELECT id, keys, created FROM job WHERE host = ? ORDER BY created"
        with self._reading, self._state_errors():
            rows = patiently(lambda: self._reader.execute(query, (host,)).fetchall())
        return [StoredJob(name, host, _cut_keys(keys), created) for name, keys, created in rows]

    def put_job(self, job: StoredJob) -> None:
        """Keep a batch; it is committed when this returns."""
        values = (job.id, job.host, b"".join(job.keys), job.created_at)
        with self._reading, self._state_errors(), transaction(self._reader):
            self._reader.execute("INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?)", values)

    def remove_job(self, job: StoredJob) -> None:
        """Forget a batch whose answers were picked up."""
        with self._reading, self._state_errors(), transaction(self._reader):
            self._reader.execute("DELETE FROM job WHERE host = ? AND id = ?", (job.host, job.id))

    # -- what is there --------------------------------------------------------------------------------------------

    def entries(self) -> list[StoreEntry]:
        """List what is stored by host and model, the newest first."""
        query = "SELECT host, model, cost, length(message), created FROM answer"
        groups: dict[tuple[str, str], StoreEntry] = {}
        with self._reading, self._state_errors():
            for host, model, cost, size, created in self._reader.execute(query):
                moment = datetime.fromtimestamp(created, UTC)
                old = groups.get((host, model)) or StoreEntry(host, model, 0, Decimal(0), 0, 0, moment, moment)
                groups[host, model] = StoreEntry(
                    host,
                    model,
                    old.answers + 1,
                    old.cost + (_amount(cost) or 0),
                    old.unknown + (_amount(cost) is None),
                    old.characters + size,
                    min(old.oldest, moment),
                    max(old.newest, moment),
                )
        return sorted(groups.values(), key=lambda entry: entry.newest, reverse=True)

    def size_on_disk(self) -> int:
        """Return the number of bytes of the file, its log included."""
        names = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(path.stat().st_size for path in names if path.exists())

    def clear(self, *, model: str | None = None, before: datetime | None = None) -> int:
        """Delete all answers, or those of a model, or those that are older; return how many.

        The file shrinks accordingly.
        """
        self.flush()
        conditions: Mapping[str, str | float | None] = {
            "model = ?": model,
            "created < ?": None if before is None else before.timestamp(),
        }
        given = {condition: value for condition, value in conditions.items() if value is not None}
        where = f" WHERE {' AND '.join(given)}" if given else ""
        with self._state_errors(), closing(open_database(self.path)) as connection:
            with transaction(connection):
                count = connection.execute(f"DELETE FROM answer{where}", [*given.values()]).rowcount  # noqa: S608
            release_pages(connection)
        return count

    # -- the thread that writes -----------------------------------------------------------------------------------

    def _start_writer(self) -> None:
        """Start the thread unless it runs; the caller holds the lock."""
        if self._writer is None or not self._writer.is_alive():  # a forked process has none
            self._writer = threading.Thread(target=self._write, name="orchat-answer-store", daemon=True)
            self._writer.start()

    def _write(self) -> None:
        try:
            with self._writing:
                connection = patiently(partial(open_database, self.path))
            try:
                while (group := self._next_group()) is not None:
                    with self._writing:
                        self._commit(connection, group)
            finally:
                with self._writing:
                    connection.close()
        except Exception as error:  # noqa: BLE001 - what is pending stays so, and the next `put` tries again
            with self._changed:
                self._failure = error if isinstance(error, sqlite3.Error) else sqlite3.OperationalError(str(error))
                self._writer = None
                self._changed.notify_all()

    def _next_group(self) -> dict[bytes, StoredAnswer | MakeAnswer] | None:
        """Wait for answers, then a moment for more; None when the store closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._is_closing)
            if not self._pending:
                return None
            self._changed.wait_for(
                lambda: self._wanted or self._is_closing or len(self._pending) >= _LARGEST_GROUP, _COMMIT_INTERVAL
            )
            self._wanted = False
            return dict(self._pending)

    def _commit(self, connection: sqlite3.Connection, group: Mapping[bytes, StoredAnswer | MakeAnswer]) -> None:
        now = time.time()
        made = [(key, found) for key, each in group.items() if (found := _made(each)) is not None]
        rows = [
            (key, a.host, a.model, a.message_json, None if a.cost is None else str(a.cost), a.seconds, now)
            for key, a in made
        ]
        with transaction(connection):
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                part = rows[start : start + _ROWS_AT_ONCE]
                connection.execute(_PUT.format(", ".join([_ROW] * len(part))), [*chain.from_iterable(part)])
        with self._changed:
            for key, answer in group.items():
                if self._pending.get(key) is answer:
                    del self._pending[key]
            self._changed.notify_all()
        self._make_room(connection)

    def _make_room(self, connection: sqlite3.Connection) -> None:
        """Delete the oldest answers while the file is larger than it may be."""
        if used_bytes(connection) <= self.most_bytes:
            return
        while used_bytes(connection) > 0.9 * self.most_bytes:
            with transaction(connection):
                (count,) = connection.execute("SELECT count(*) FROM answer").fetchone()
                if count <= 1:
                    break
                oldest = "SELECT id FROM answer ORDER BY created, id LIMIT ?"
                connection.execute(f"DELETE FROM answer WHERE id IN ({oldest})", (max(1, count // 10),))  # noqa: S608
        release_pages(connection)

    @contextmanager
    def _state_errors(self) -> Iterator[None]:
        """Raise SQLite's errors, and those of the file system, as ours."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StateError(
                f"The store of answers, {self.path}, cannot be used: {error}.",
                hint="Free the disk or mend the file, name another one (`store=`), or give store=False.",
            ) from None


def _made(answer: StoredAnswer | MakeAnswer) -> StoredAnswer | None:
    return answer if isinstance(answer, StoredAnswer) else answer()


def _amount(cost: str | None) -> Decimal | None:
    """Read a bill; one that is damaged is unknown."""
    try:
        return None if cost is None else Decimal(cost)
    except (InvalidOperation, TypeError):  # the latter of one that became bytes
        return None


def _cut_keys(keys: bytes) -> tuple[bytes, ...]:
    return tuple(keys[start : start + KEY_BYTES] for start in range(0, len(keys), KEY_BYTES))
