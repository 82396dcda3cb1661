"""`CallingTurn`: the turn that waits for a call on a server, as it is reached from the loop of the connections.

A server may tell its progress and ask the person a question while a call runs. Both belong to the turn: to its event
loop, or to the thread that waits.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from orchat.errors import OrchatError
from orchat.event_loop_thread import run_in_waiting_thread, waiting_tasks
from orchat.tools import Tool
from orchat.tools.call_context import CallContext, PersonAnswer, current_call

if TYPE_CHECKING:
    from mcp.types import ElicitRequestParams

_PROGRESS_INTERVAL = 0.1  # seconds between two that are shown
_MOST_WORDS = 2_000


class _Question(Tool):
    """A question of a server, as a form."""

    asks_always = True


class CallingTurn:
    """The turn of one call; made where the call's coroutine runs, whose context knows it.

    Parameters
    ----------
    server
        The name of the server.
    place
        Where the server is, for people.
    timeout
        Seconds that the call may take, without those that a person takes to answer.
    """

    def __init__(self, server: str, place: str, timeout: float | None) -> None:
        self._server = server
        self._place = place
        self._timeout = timeout
        self._context: CallContext | None = current_call.get()
        self._waiting = waiting_tasks()
        self._questions: set[asyncio.Task[PersonAnswer]] = set()
        self._progress: tuple[float | None, str] = (None, "")
        self._timer: asyncio.TimerHandle | None = None
        self._shown_at = 0.0
        self._limit: asyncio.Timeout | None = None

    async def __aenter__(self) -> CallingTurn:
        self._limit = asyncio.timeout(self._timeout)
        await self._limit.__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for question in self._questions:
            question.cancel()
        assert self._limit is not None
        await self._limit.__aexit__(*exc_info)

    async def show_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Show what the server tells of its progress: the last word of each tenth of a second."""
        count = f"{progress:g} of {total:g}" if total else f"{progress:g}"
        self._progress = (progress / total if total else None, f"{count}: {message}" if message else count)
        if self._context is not None and self._timer is None:
            wait = max(0.0, self._shown_at + _PROGRESS_INTERVAL - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._report_progress)

    def _report_progress(self) -> None:
        context, self._timer, self._shown_at = self._context, None, time.monotonic()
        assert context is not None
        report = functools.partial(context.report_progress, *self._progress)
        if context.loop is None:
            if self._waiting is not None:
                self._waiting.put(report)
            return
        with suppress(RuntimeError):  # the loop is closed: nobody looks
            context.loop.call_soon_threadsafe(report)

    async def ask(self, question: ElicitRequestParams) -> PersonAnswer:
        """Ask the person by a form, and wait as long as it takes; cancelled where nobody can be asked."""
        if self._context is None:
            return PersonAnswer("cancel")
        try:
            form, values = self._form(question)
        except OrchatError:
            return PersonAnswer("cancel")
        task = asyncio.ensure_future(self._ask(self._context, form, values))
        self._questions.add(task)
        try:
            if self._limit is not None and not self._limit.expired():
                self._limit.reschedule(None)
            return await task
        except asyncio.CancelledError:
            if task.cancelled() and not asyncio.current_task().cancelling():  # type: ignore[union-attr]
                return PersonAnswer("cancel")  # the call has ended
            raise
        finally:
            self._questions.discard(task)
            if self._limit is not None and not self._limit.expired() and self._timeout is not None:
                self._limit.reschedule(asyncio.get_running_loop().time() + self._timeout)

    async def _ask(self, context: CallContext, form: Tool, values: dict[str, Any]) -> PersonAnswer:
        if context.loop is None:
            if self._waiting is None:
                return PersonAnswer("cancel")
            answer = await run_in_waiting_thread(self._waiting, lambda: context.ask(form, values))
            assert isinstance(answer, PersonAnswer)
            return answer

        async def ask() -> PersonAnswer:
            found = context.ask(form, values)
            return found if isinstance(found, PersonAnswer) else await found

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(ask(), context.loop))

    def _form(self, question: ElicitRequestParams) -> tuple[Tool, dict[str, Any]]:
        """Return a question as a form, and the values that it begins with."""
        schema: dict[str, Any] = {}
        if (url := getattr(question, "url", None)) is None:
            schema = {key: value for key, value in dict(question.requested_schema).items() if key != "title"}  # type: ignore[union-attr]
        known = schema.get("properties")
        properties = known if isinstance(known, Mapping) else {}
        values = {
            name: each["default"]
            for name, each in properties.items()
            if isinstance(each, Mapping) and "default" in each
        }
        words = question.message[:_MOST_WORDS]
        about = f"Open this address if you trust it, then approve: {url}" if url else "Approve sends what stands here."
        place = f"It goes to the MCP server {self._place}. A server must not ask for passwords and keys."
        form = _Question(
            f"answer_{self._server}"[:64],
            f"{words}\n{about} {place}",
            {"type": "object", **schema},
            lambda **answers: answers,
            title=f"{self._server} asks: {words}",
        )
        return form, values
