"""A run that ends in any way goes on where it ended: what was answered is not asked again."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest

import orchat
from orchat.answer_store import SqliteAnswerStore
from tests.jupyter.kernel import Kernel
from tests.mapping.conftest import KEY, question_of, questions
from tests.openrouter_server import Answer, Request, ScriptedOpenRouter, text
from tests.patience import PATIENCE, stretched, wait_until

ROOT = Path(__file__).parents[2]
ROWS = 400
COMMIT = 0.25  # seconds
KILLS = 20

# Children are forked from a process that has loaded everything: a fresh Python takes longer than a run.
FORKS = f"""
import contextlib, os, sqlite3, sys, time
import orchat, orchat.mapping, tqdm.auto, pydantic, httpx, asyncio
from orchat.openrouter.transport import HttpClient
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        result = orchat.map("{{value}}", range({ROWS}), concurrency=8, store=sys.argv[1], progress=False)
        os._exit(len(result.failures))
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    ended, kept = time.monotonic(), 0
    if os.path.exists(sys.argv[1]):
        with contextlib.closing(sqlite3.connect(sys.argv[1])) as connection, contextlib.suppress(sqlite3.Error):
            (kept,) = connection.execute("SELECT count(*) FROM answer").fetchone()
    print(ended, kept, status, flush=True)
"""


@pytest.fixture
def environment(service: ScriptedOpenRouter, home: Path) -> dict[str, str]:
    """The environment of a process that asks the service and shares the store."""
    names = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    return os.environ | names | {"PYTHONPATH": str(ROOT), "OPENROUTER_API_KEY": KEY}


@pytest.mark.skipif(sys.platform != "linux", reason="the clock that two processes share is Linux's")
def test_killed_at_random_moments_no_row_is_paid_twice_but_what_was_in_flight(
    service: ScriptedOpenRouter, environment: dict[str, str], tmp_path: Path
) -> None:
    service.validate = False
    service.always(lambda request: text("Yes.").delayed(0.02))
    command = [sys.executable, "-W", "ignore", "-c", FORKS, str(tmp_path / "killed.sqlite")]
    moments = [random.Random(7).randrange(1, 160) for _ in range(KILLS)]
    lives: list[tuple[float, int, int]] = []
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for moment in [*moments, None]:
            process.stdin.write("go\n")
            child, before = int(process.stdout.readline()), len(service.requests)
            if moment is not None:
                assert wait_until(lambda: len(service.requests) >= before + moment or not _runs(child))  # noqa: B023
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            ended, kept, status = process.stdout.readline().split()
            lives.append((float(ended), int(kept), int(status)))
        process.stdin.close()
    assert lives[-1][1:] == (ROWS, 0)
    arrived = [(request.arrived_at, question_of(request)) for request in service.requests if request.json]
    assert {question for _, question in arrived} == set(map(str, range(ROWS)))
    assert len(arrived) > ROWS  # so that the test tests something
    begun, before, lost = 0.0, 0, 0
    for ended, kept, _ in lives:
        asked = [at for at, _ in arrived if begun < at <= ended]
        # Open, or answered and not yet committed, when its process was killed: all others are asked once.
        lost += len(asked) - (kept - before)
        assert len(asked) - (kept - before) <= sum(at > ended - COMMIT - stretched(0.25) for at in asked)
        begun, before = ended, kept
    assert len(arrived) == ROWS + lost


def _runs(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def test_ctrl_c_keeps_what_was_answered(service: ScriptedOpenRouter, environment: dict[str, str]) -> None:
    gate = threading.Event()

    def reply(request: Request) -> Answer:
        return text("Yes.") if int(question_of(request)) < 30 else text("late").held(gate)

    service.always(reply)
    code = """if True:
        import orchat
        try:
            orchat.map("{value}", range(100), concurrency=4, progress=False)
        except KeyboardInterrupt as interrupt:
            print(type(interrupt).__name__, sum(value is not None for value in interrupt.partial.values))
            print(interrupt.partial.failures[-1]["error"])
    """
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    service.wait_for_requests(1 + 34)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    assert out.splitlines() == ["MapInterruptedError 30", "not asked: interrupted"]
    gate.set()
    service.always(text("Yes."))
    count = len(questions(service))
    assert orchat.map("{value}", range(100), progress=False).values == ["Yes."] * 100
    assert len(questions(service)) == count + 70


def test_two_processes_share_a_store_and_refuse_nothing(
    service: ScriptedOpenRouter, environment: dict[str, str]
) -> None:
    service.validate = False
    service.always(lambda request: text("Yes.").delayed(0.01))
    code = """if True:
        import sys, orchat
        rows = range(120) if sys.argv[1] == "up" else range(119, -1, -1)
        result = orchat.map("{value}", rows, concurrency=8, progress=False)
        print(len(result.failures), result.values == ["Yes."] * 120)
    """
    command = [sys.executable, "-c", code]
    running = [
        subprocess.Popen([*command, way], env=environment, stdout=subprocess.PIPE, text=True) for way in ("up", "down")
    ]
    assert [process.communicate(timeout=PATIENCE)[0] for process in running] == ["0 True\n"] * 2
    assert 120 <= len(questions(service)) <= 240
    count = len(questions(service))
    assert orchat.map("{value}", range(120), progress=False).cost == 0.0
    assert len(questions(service)) == count


def test_a_cancelled_task_keeps_what_was_answered(service: ScriptedOpenRouter) -> None:
    gate = threading.Event()
    service.always(lambda request: text("Yes.") if question_of(request) == "0" else text("late").held(gate))

    async def main() -> None:
        task = asyncio.create_task(orchat.map_async("{value}", range(3), concurrency=2, progress=False))
        while len(questions(service)) < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await task
        assert cancelled.value.partial.values == ["Yes.", None, None]  # type: ignore[attr-defined]

    asyncio.run(main())
    gate.set()
    service.always(text("Yes."))
    assert orchat.map("{value}", range(3), progress=False).values == ["Yes."] * 3
    assert len(questions(service)) == 3 + 2


def test_a_task_that_is_cancelled_among_stored_answers_loses_no_row(service: ScriptedOpenRouter) -> None:
    rows = range(250)
    orchat.map("{value}", rows, progress=False)

    async def main() -> list[str | None]:
        def prompt(row: int) -> str:
            if row == 60:
                task.cancel()
            return str(row)

        task = asyncio.create_task(orchat.map_async(prompt, rows, progress=False))
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await task
        return list((await cancelled.value.partial.retry_async()).values)  # type: ignore[attr-defined]

    assert asyncio.run(main()) == [str(row) for row in rows]


def test_a_store_that_cannot_be_used_is_told_before_and_an_open_one_stays_open(
    service: ScriptedOpenRouter, home: Path
) -> None:
    notes = home / "notes.txt"
    notes.write_text("These are notes, and no database. " * 100)
    with pytest.raises(orchat.errors.StateError, match=r"notes\.txt"):
        orchat.map("{value}", ["a"], store=notes, progress=False)
    assert questions(service) == []
    store = SqliteAnswerStore(home / "mine.sqlite")
    assert orchat.map("{value}", ["a"], store=store, progress=False).values == ["a"]
    assert [entry.answers for entry in store.entries()] == [1]
    store.close()


@pytest.mark.parametrize(
    "damage", ["message = 'garbage'", "message = '{}'", "message = '[1]'", "message = CAST(x'7bff' AS TEXT)"]
)
def test_a_damaged_answer_is_asked_again(service: ScriptedOpenRouter, home: Path, damage: str) -> None:
    path = home / "mine.sqlite"
    orchat.map("{value}", ["a", "b"], store=path, concurrency=1, progress=False)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE answer SET {damage} WHERE id = 1")
    for _ in range(2):
        assert orchat.map("{value}", ["a", "b"], store=path, progress=False).values == ["a", "b"]
    assert questions(service) == ["a", "b", "a"]


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a file's size is Linux's")
def test_a_disk_that_is_full_is_told_and_loses_no_answer(
    service: ScriptedOpenRouter, environment: dict[str, str]
) -> None:
    service.always(text("y" * 100_000))
    service.answers(text("Yes."))
    code = """if True:
        import resource, signal, warnings, orchat
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        orchat.map("{value}", ["a"], progress=False)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            print([value[:4] for value in orchat.map("{value}", ["a", "b", "c"], progress=False).values])
        print("store of answers" in str(told[-1].message))
    """
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.splitlines() == ["['Yes.', 'yyyy', 'yyyy']", "True"]


@pytest.mark.slow
def test_a_cell_is_interrupted_shows_its_bar_and_goes_on(
    service: ScriptedOpenRouter, environment: dict[str, str]
) -> None:
    gate = threading.Event()
    service.always(lambda request: text("Yes.") if int(question_of(request)) < 10 else text("late").held(gate))
    names = ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "OPENROUTER_API_KEY", "OPENROUTER_BASE_URL")
    cell = "import orchat\nanswers = orchat.map('{value}', range(20), concurrency=2)"
    with Kernel({name: environment[name] for name in names}) as kernel:
        (first,) = kernel.run(cell, interrupt_when=lambda _: len(questions(service)) >= 12)
        assert (first.status, first.content["ename"]) == ("error", "MapInterruptedError")
        assert first.content["evalue"] == "interrupted after 10 answers"
        gate.set()
        service.always(text("Yes."))
        (second,) = kernel.run(cell)
        assert second.status == "ok"
        assert kernel.value("(len(answers.failures), answers.values.count('Yes.'))") == "(0, 20)"
        (bar, *_) = second.bundles
        assert "application/vnd.jupyter.widget-view+json" in bar
        (shown,) = kernel.run("answers")
        assert "20 of 20 rows answered" in shown.of("execute_result")[0]["data"]["text/html"]
    assert len(questions(service)) == 22
