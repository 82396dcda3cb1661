"""Coroutines on private loops and blocking functions in threads."""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchat import event_loop_wakeup
from orchat.jupyter.kernel.coroutine_runner import CellError, run_in_thread, wake_loop_on_interrupt
from orchat.private_event_loop import run_in_private_loop
from tests.patience import PATIENCE, stretched

place: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="nowhere")


def test_a_private_loop_runs_inside_a_running_one() -> None:
    async def inner() -> str:
        await asyncio.sleep(0.01)
        return place.get()

    async def outer() -> str:
        place.set("here")
        return run_in_private_loop(inner)

    assert asyncio.run(outer()) == "here"


def test_errors_come_out_of_a_private_loop() -> None:
    async def fails() -> None:
        raise CellError("no")

    with pytest.raises(CellError, match="no"):
        run_in_private_loop(fails)


@pytest.mark.parametrize("times", [1, 3])
def test_a_keyboard_interrupt_cancels_what_runs_in_the_private_loop(times: int) -> None:
    waits: queue.SimpleQueue[None] = queue.SimpleQueue()
    cancelled = 0

    async def sleeps() -> str:
        nonlocal cancelled
        while cancelled < times:  # an interrupt behind its end would hit the test
            waits.put(None)
            try:
                await asyncio.sleep(PATIENCE)
            except asyncio.CancelledError:
                cancelled += 1
        return "ended well"

    def interrupt() -> None:
        for _ in range(times):
            waits.get()
            _thread.interrupt_main()

    thread = threading.Thread(target=interrupt)
    thread.start()
    started = time.monotonic()
    assert run_in_private_loop(sleeps) == "ended well"
    assert time.monotonic() - started < stretched(0.3 * times)
    thread.join()
    assert cancelled == times


def test_the_result_and_the_error_of_a_thread_arrive() -> None:
    assert asyncio.run(run_in_thread(lambda: threading.current_thread().daemon)) is True
    with pytest.raises(ZeroDivisionError):
        asyncio.run(run_in_thread(lambda: 1 // 0))


def test_a_cancellation_does_not_wait_for_the_thread() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def slow() -> None:
        go_on.wait(PATIENCE)
        ended.set()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run_in_thread(slow), 0.1)

    asyncio.run(main())
    assert not ended.is_set()
    go_on.set()
    assert ended.wait(PATIENCE)  # it delivers to a loop that is closed, and nothing is raised


async def _woken_by(wake: Callable[[Callable[[], object]], None]) -> None:
    """Await what is scheduled on a quiet loop in a way that does not wake it."""
    woken, loop = asyncio.Event(), asyncio.get_running_loop()
    async with wake_loop_on_interrupt():
        wake(lambda: loop.call_soon(woken.set))
        await asyncio.wait_for(woken.wait(), PATIENCE / 2)


def _schedule_by_signal(schedule: Callable[[], object]) -> None:
    """Schedule as an interrupt's cancellation does."""
    signal.signal(signal.SIGUSR1, lambda *_: schedule())
    threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()


def _schedule_in_thread(schedule: Callable[[], object]) -> None:
    threading.Timer(0.05, schedule).start()


@pytest.fixture
def _own_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.usefixtures("_own_signals")
def test_a_signal_wakes_a_quiet_loop_of_the_main_thread() -> None:
    asyncio.run(_woken_by(_schedule_by_signal))


@pytest.mark.usefixtures("_own_signals")
def test_a_signal_wakes_a_quiet_loop_where_other_code_left_a_closed_descriptor() -> None:
    theirs, other_end = socket.socketpair()
    with theirs, other_end:
        theirs.setblocking(False)
        signal.set_wakeup_fd(theirs.fileno())
    asyncio.run(_woken_by(_schedule_by_signal))


def test_a_timer_wakes_a_quiet_loop_elsewhere_and_where_signals_are_taken() -> None:
    with ThreadPoolExecutor() as threads:
        threads.submit(lambda: asyncio.run(_woken_by(_schedule_in_thread))).result()
    theirs, other_end = socket.socketpair()
    with theirs, other_end:
        theirs.setblocking(False)
        signal.set_wakeup_fd(theirs.fileno())
        try:
            asyncio.run(_woken_by(_schedule_in_thread))
        finally:
            assert signal.set_wakeup_fd(-1) == theirs.fileno()


@pytest.mark.usefixtures("_own_signals")
def test_a_loop_may_move_to_another_thread() -> None:
    with asyncio.Runner() as runner, ThreadPoolExecutor() as threads:
        loop = runner.get_loop()
        loop.run_until_complete(_woken_by(_schedule_by_signal))
        threads.submit(loop.run_until_complete, _woken_by(_schedule_in_thread)).result()


def test_the_wake_ups_end_with_their_block() -> None:
    async def main() -> None:
        async with wake_loop_on_interrupt(), wake_loop_on_interrupt():
            assert [wakeup.users for wakeup in event_loop_wakeup._wakeups.values()] == [2]
        wakeup = next(iter(event_loop_wakeup._wakeups.values()))
        assert wakeup.users == 0
        while wakeup._is_timer_set:
            await asyncio.sleep(event_loop_wakeup.WAKE_INTERVAL)

    with ThreadPoolExecutor() as threads:
        for run in (asyncio.run, lambda main: threads.submit(asyncio.run, main).result()):
            event_loop_wakeup._wakeups.clear()
            run(asyncio.wait_for(main(), PATIENCE))


def test_a_cell_error_never_shows_more_than_a_line() -> None:
    assert CellError("")._render_traceback_() == ["openrouter: the cell ended early"]
    assert CellError("a\nb")._render_traceback_() == ["openrouter: a"]
