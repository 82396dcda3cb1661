"""The thread with an event loop, as those who wait for it see it."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import FrameType

import pytest

from orchat.event_loop_thread import EventLoopThread
from tests.patience import PATIENCE


@pytest.mark.parametrize("function", ["run_coroutine_threadsafe", "submit", "add_done_callback"])
def test_an_interrupt_before_the_waiting_begins_cancels_the_coroutine(function: str) -> None:
    loops = EventLoopThread("interrupted")
    began, ended = threading.Event(), threading.Event()

    async def main() -> None:
        began.set()
        try:
            await asyncio.sleep(2 * PATIENCE)
        finally:
            ended.set()

    def interrupt(frame: FrameType, event: str, _: object) -> None:
        """Interrupt this thread, as Ctrl-C does, when it returns from a function and the coroutine runs."""
        if event == "return" and frame.f_code.co_name == function and began.wait(PATIENCE):
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            loops.run(main)
    finally:
        sys.setprofile(None)
    assert ended.wait(PATIENCE)
    loops.close()
