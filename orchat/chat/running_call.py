"""`RunningCall`: the side of a turn that a running tool reaches, to tell its progress and to ask the person."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from orchat.chat.approval import Answer, Approve, to_decision
from orchat.chat.chat_dependencies import Sink
from orchat.chat.message_selection import CallPlace
from orchat.chat.turn_steps import RunTool
from orchat.messages import ToolCall
from orchat.tools import ProgressUpdate, Tool, watch_progress
from orchat.tools.call_context import CallContext, PersonAnswer, current_call

_log = logging.getLogger(__name__)
_PROGRESS_INTERVAL = 0.1  # seconds between two reports that are shown, the last one excepted


@dataclass(frozen=True)
class RunningCall:
    """A call that runs, and the sink that shows it.

    Parameters
    ----------
    sink
        The sink of the turn; None where nobody sees it, and a question is cancelled.
    run
        The call.
    is_running
        Whether a call still runs: a thread that was left behind may go on reporting.
    """

    sink: Sink | None
    run: RunTool
    is_running: Callable[[CallPlace], bool] = lambda place: True

    @contextmanager
    def in_thread(self, wait: Callable[[Awaitable[Any]], Any]) -> Iterator[None]:
        """Let a tool that runs in this thread reach the turn; ``wait`` runs an awaitable to its end."""

        def ask(form: Tool, arguments: dict[str, Any]) -> PersonAnswer:
            verdict = self._verdict(form, arguments)
            return self._answer(wait(verdict) if inspect.isawaitable(verdict) else verdict, arguments)

        with self._reachable(CallContext(ask, self.show)):
            yield

    @contextmanager
    def on_loop(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Let a tool that is started meanwhile on a loop reach the turn."""

        async def ask(form: Tool, arguments: dict[str, Any]) -> PersonAnswer:
            verdict = self._verdict(form, arguments)
            return self._answer(await verdict if inspect.isawaitable(verdict) else verdict, arguments)

        with self._reachable(CallContext(ask, self.show, loop)):
            yield

    @contextmanager
    def _reachable(self, context: CallContext) -> Iterator[None]:
        token = current_call.set(context)
        shown_at = 0.0

        def report(update: ProgressUpdate) -> None:
            nonlocal shown_at
            now = time.monotonic()
            if now - shown_at < _PROGRESS_INTERVAL and update.part != 1:
                return
            shown_at = now
            if context.loop is None:
                self._show_update(update)
            else:  # a sync tool reports from a thread of its own
                with suppress(RuntimeError):  # the loop is closed: nobody looks
                    context.loop.call_soon_threadsafe(self._show_update, update)

        try:
            with watch_progress(report):
                yield
        finally:
            current_call.reset(token)

    def _show_update(self, update: ProgressUpdate) -> None:
        try:
            self.show(update.part, str(update))
        except Exception:  # noqa: BLE001 - it is no failure of the tool
            _log.exception("The progress of a tool could not be shown.")

    def show(self, part: float | None, text: str) -> None:
        """Show the call as running: the part of 1 that is done, None where nobody knows, and a text."""
        show = getattr(self.sink, "running", None)
        if show is not None and self.is_running(self.run.place):
            show(self.run.call, self.run.place, part, text)

    def _verdict(self, form: Tool, arguments: dict[str, Any]) -> Any:
        return None if self.sink is None else self.sink.ask(ToolCall(form.name, arguments), form, self.run.place)

    def _answer(self, verdict: object, arguments: dict[str, Any]) -> PersonAnswer:
        self.show(None, "")  # the form of the question stood in its place
        match to_decision(verdict):
            case Approve() as decision:
                return PersonAnswer("accept", arguments if decision.arguments is None else decision.arguments)
            case Answer(value=dict() as content):
                return PersonAnswer("accept", content)
            case None:
                return PersonAnswer("cancel")
        return PersonAnswer("decline")
