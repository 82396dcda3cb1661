"""The store of answers: what was committed is there, whatever dies, and processes share one file."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from orchat.answer_store import SqliteAnswerStore, StoredAnswer
from orchat.errors import StateError
from orchat.messages import ChatMessage, ReasoningContent
from tests.patience import PATIENCE, wait_until

USAGE = {"prompt_tokens": 14, "cost": 0.00004}


def answer(text: str = "The Humber.", model: str = "vendor/m", cost: str | None = "0.00004") -> StoredAnswer:
    message = ChatMessage.from_assistant(text, {"usage": USAGE, "finish_reason": "stop"})
    return StoredAnswer.of(
        message, host="a.example", model=model, cost=None if cost is None else Decimal(cost), seconds=1.5
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "answers.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteAnswerStore]:
    with closing(SqliteAnswerStore(path)) as store:
        yield store


def test_an_answer_comes_back_as_it_was_before_and_after_its_commit(store: SqliteAnswerStore, path: Path) -> None:
    message = ChatMessage.from_assistant(
        "Größe \U0001f600", {"usage": USAGE, "provider": "P"}, reasoning=ReasoningContent("Hm.")
    )
    given = StoredAnswer.of(message, host="a.example", model="vendor/m", cost=Decimal("1E-7"), seconds=0.25)
    store.put(b"k", given)
    assert store.get(b"k") == given
    store.flush()
    with closing(SqliteAnswerStore(path)) as other:
        assert other.get(b"k") == given
        assert other.get(b"k").message == message  # type: ignore[union-attr]
        assert other.get(b"other") is None


def test_a_commit_comes_by_itself_within_a_quarter_of_a_second_or_so(store: SqliteAnswerStore, path: Path) -> None:
    store.put(b"k", answer())
    with closing(SqliteAnswerStore(path)) as other:
        assert wait_until(lambda: other.get(b"k"))


def test_a_later_answer_takes_the_place_of_an_earlier_one(store: SqliteAnswerStore) -> None:
    for text in ("first", "second"):
        store.put(b"k", answer(text))
        store.flush()
    found = store.get(b"k")
    assert found is not None
    assert found.message.text == "second"
    assert [entry.answers for entry in store.entries()] == [1]


def test_a_large_group_is_written_whole_whatever_its_texts_are(store: SqliteAnswerStore) -> None:
    texts = {str(number).encode(): f"The Humber, H\u00fcmber, \ud800 half, {number}." for number in range(257)}
    for key, text in texts.items():
        store.put(key, answer(text))
    store.flush()
    keys = [*texts]
    found = store.get_many(keys[:200]) | store.get_many(keys[200:])
    assert {key: each.message.text for key, each in found.items()} == texts


def test_the_file_is_for_its_owner_only(store: SqliteAnswerStore, path: Path) -> None:
    store.put(b"k", answer())
    store.flush()
    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {0o600}


def test_what_is_there_is_listed_exactly_and_cleared_by_model_and_age(store: SqliteAnswerStore) -> None:
    for number in range(10):
        store.put(b"a%d" % number, answer(cost="0.1"))
    store.put(b"b", answer(model="vendor/n", cost=None))
    store.flush()
    entries = {entry.model: entry for entry in store.entries()}
    assert entries["vendor/m"].cost == Decimal("1.0")  # exact: ten tenths are one
    assert (entries["vendor/m"].answers, entries["vendor/n"].answers, entries["vendor/n"].unknown) == (10, 1, 1)
    assert entries["vendor/m"].characters == 10 * len(answer().message_json)
    assert store.clear(before=datetime.now(UTC) - timedelta(days=1)) == 0
    assert store.clear(model="vendor/n") == 1
    assert store.clear() == 10
    assert store.entries() == []


def test_the_oldest_answers_make_room_and_the_file_keeps_its_size(path: Path) -> None:
    most = 400_000
    with closing(SqliteAnswerStore(path, most_bytes=most)) as store:
        for number in range(10):
            for part in range(10):
                store.put(b"%d-%d" % (number, part), answer("x" * 10_000))
            store.flush()
        assert path.stat().st_size <= most + 150_000  # and one commit
        assert store.get(b"9-9") is not None
        assert store.get(b"0-0") is None


def test_two_processes_put_into_one_file_and_nothing_is_lost_or_refused(path: Path) -> None:
    code = f"""if True:
        import sys
        from orchat.answer_store import SqliteAnswerStore
        from tests.answer_store.test_sqlite_store import answer
        name = sys.argv[1].encode()
        store = SqliteAnswerStore({str(path)!r})
        for number in range(300):
            store.put(name + b"-%d" % number, answer())
            store.put(b"shared-%d" % number, answer(sys.argv[1]))
            if number % 50 == 0:
                store.flush()
        store.close()
    """
    running = [subprocess.Popen([sys.executable, "-c", code, name]) for name in ("a", "b")]
    assert [process.wait(PATIENCE) for process in running] == [0, 0]
    with closing(SqliteAnswerStore(path)) as store:
        assert [entry.answers for entry in store.entries()] == [900]
        assert store.get(b"a-299")
        assert store.get(b"b-299")


def test_threads_share_one_store(store: SqliteAnswerStore) -> None:
    def work(name: bytes) -> None:
        for number in range(100):
            store.put(b"%b-%d" % (name, number), answer())
            assert store.get(b"%b-%d" % (name, number)) is not None

    threads = [threading.Thread(target=work, args=(name,)) for name in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    store.flush()
    assert [entry.answers for entry in store.entries()] == [300]


def test_what_was_flushed_survives_the_death_of_its_process(path: Path) -> None:
    code = f"""if True:
        from orchat.answer_store import SqliteAnswerStore
        from tests.answer_store.test_sqlite_store import answer
        store = SqliteAnswerStore({str(path)!r})
        for number in range(1_000_000):
            store.put(b"%d" % number, answer())
            if number % 20 == 0:
                store.flush()
                print(number, flush=True)
    """
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        last = [int(process.stdout.readline()) for _ in range(5)][-1]
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with closing(SqliteAnswerStore(path)) as store:
            assert all(store.get(b"%d" % number) for number in range(last + 1))
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_reader_sees_no_lock_of_a_writer(store: SqliteAnswerStore, path: Path) -> None:
    store.put(b"k", answer())
    store.flush()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert store.get(b"k") is not None
        store.put(b"l", answer())  # waits in the thread, and loses nothing
        time.sleep(0.3)
        assert store.get(b"l") is not None
        other.execute("ROLLBACK")
    store.flush()
    assert [entry.answers for entry in store.entries()] == [2]


def test_what_is_no_store_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    text, other, folder = tmp_path / "notes.txt", tmp_path / "other.sqlite", tmp_path / "folder"
    text.write_text("These are notes, and no database. " * 100)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE mine(x)")
    folder.mkdir()
    before = text.read_bytes(), other.read_bytes()
    for place in (text, other, folder):
        with pytest.raises(StateError, match=r"store"):
            SqliteAnswerStore(place)
    assert (text.read_bytes(), other.read_bytes()) == before


def test_a_newer_version_is_refused(path: Path) -> None:
    SqliteAnswerStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StateError, match=r"newer orchat"):
        SqliteAnswerStore(path)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a file's size is Linux's")
def test_a_full_disk_is_told_and_what_was_put_stays_readable(path: Path) -> None:
    code = f"""if True:
        import resource, signal
        from orchat.answer_store import SqliteAnswerStore
        from orchat.errors import StateError
        from tests.answer_store.test_sqlite_store import answer
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = SqliteAnswerStore({str(path)!r})
        store.put(b"first", answer())
        store.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        store.put(b"large", answer("x" * 200_000))
        try:
            store.flush()
        except StateError as error:
            print(error)
        assert store.get(b"large").message.text == "x" * 200_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.put(b"last", answer())
        store.close()
        print([entry.answers for entry in SqliteAnswerStore({str(path)!r}).entries()])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "cannot be used" in done.stdout
    assert done.stdout.splitlines()[-1] == "[3]"


@pytest.mark.timeout(2 * PATIENCE)
def test_a_failure_is_told_each_time_and_nobody_waits_for_a_thread_that_has_ended(path: Path) -> None:
    store = SqliteAnswerStore(path)
    store.put(b"k", answer(model="vendor/\ud800"))  # no text that a file could hold
    for _ in range(2):
        with pytest.raises(StateError, match=r"cannot be used"):
            store.flush()
    store.put(b"k", answer())
    store.close()
    with closing(SqliteAnswerStore(path)) as again:
        assert again.get(b"k") == answer()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.timeout(2 * PATIENCE)
def test_a_forked_process_that_inherits_a_store_writes_what_it_puts(path: Path) -> None:
    code = f"""if True:
        import os
        from orchat.answer_store import SqliteAnswerStore
        from tests.answer_store.test_sqlite_store import answer
        store = SqliteAnswerStore({str(path)!r})
        store.put(b"before", answer())
        store.flush()
        if (child := os.fork()) == 0:
            store.put(b"in the child", answer())
            store.flush()
            os._exit(0)
        print(os.waitpid(child, 0)[1])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout == "0\n"
    with closing(SqliteAnswerStore(path)) as again:
        assert again.get(b"in the child") == answer()


def test_a_damaged_bill_is_unknown_and_a_damaged_answer_is_told(store: SqliteAnswerStore, path: Path) -> None:
    store.put(b"k", answer())
    store.flush()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE answer SET cost = 'x', message = '[1]'")
    found = store.get(b"k")
    assert found is not None
    assert found.cost is None
    assert [(entry.cost, entry.unknown) for entry in store.entries()] == [(0, 1)]
    with pytest.raises(StateError, match=r"`vendor/m` cannot be read"):
        _ = found.message


def test_a_text_that_is_no_unicode_damages_no_answer_beside_it(store: SqliteAnswerStore, path: Path) -> None:
    store.put(b"k", answer())
    store.put(b"l", answer())
    store.flush()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE answer SET cost = CAST(x'ff' AS TEXT), message = CAST(x'ff' AS TEXT) WHERE id = 1")
        connection.execute("UPDATE answer SET cost = x'31' WHERE id = 2")
    found = store.get_many([b"k", b"l"])
    assert found[b"l"] == answer(cost=None)
    assert found[b"k"].cost is None
    with pytest.raises(StateError, match=r"`vendor/m` cannot be read"):
        _ = found[b"k"].message


def test_an_answer_may_be_made_when_it_is_written(store: SqliteAnswerStore, path: Path) -> None:
    store.put(b"k", answer)
    store.put(b"secret", lambda: None)
    assert (store.get(b"k"), store.get(b"secret")) == (answer(), None)
    store.flush()
    with closing(SqliteAnswerStore(path)) as other:
        assert (other.get(b"k"), other.get(b"secret")) == (answer(), None)
