"""Coroutines on private loops and blocking functions in threads."""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import threading
import time

import pytest

from orchat import event_loop_wakeup
from orchat.jupyter.kernel.coroutine_runner import CellError, run_in_thread, wake_loop_periodically
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
    seen: list[str] = []
    began = threading.Event()

    async def sleeps() -> str:
        try:
            began.set()
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.append("cancelled")
        return "ended well"

    def interrupt() -> None:
        began.wait()
        for _ in range(times):
            time.sleep(0.15)
            _thread.interrupt_main()

    thread = threading.Thread(target=interrupt)
    thread.start()
    started = time.monotonic()
    try:
        assert run_in_private_loop(sleeps) == "ended well"
        assert time.monotonic() - started < stretched(0.15 + 0.3)
    finally:
        for _ in range(times):  # those that come later hit this thread
            try:
                thread.join()
                time.sleep(0.1)
            except KeyboardInterrupt:
                pass
    assert seen == ["cancelled"]


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


def test_a_quiet_loop_is_woken_for_what_wakes_it_not_itself() -> None:
    async def main() -> float:
        woken, loop = asyncio.Event(), asyncio.get_running_loop()
        async with wake_loop_periodically():
            threading.Timer(0.05, lambda: loop.call_soon(woken.set)).start()  # as an interrupt's cancellation
            started = time.monotonic()
            await asyncio.wait_for(woken.wait(), PATIENCE)
            return time.monotonic() - started

    assert asyncio.run(main()) < PATIENCE


def test_the_wake_ups_end_with_their_block() -> None:
    async def main() -> None:
        async with wake_loop_periodically(), wake_loop_periodically():
            assert [timer.users for timer in event_loop_wakeup._timers.values()] == [2]
        timer = next(iter(event_loop_wakeup._timers.values()))
        assert timer.users == 0
        while timer.is_set:
            await asyncio.sleep(event_loop_wakeup.WAKE_INTERVAL)

    event_loop_wakeup._timers.clear()
    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_a_cell_error_never_shows_more_than_a_line() -> None:
    assert CellError("")._render_traceback_() == ["openrouter: the cell ended early"]
    assert CellError("a\nb")._render_traceback_() == ["openrouter: a"]
