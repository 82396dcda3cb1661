"""`RunningCall`: the side of a turn that a running tool reaches, to tell its progress and to ask the person."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from orchat.chat.approval import Answer, Approve, to_decision
from orchat.chat.chat_dependencies import Sink
from orchat.chat.turn_steps import RunTool
from orchat.messages import ToolCall
from orchat.tools import Tool
from orchat.tools.call_context import CallContext, PersonAnswer, current_call


@dataclass(frozen=True)
class RunningCall:
    """A call that runs, and the sink that shows it.

    Parameters
    ----------
    sink
        The sink of the turn; None where nobody sees it, and a question is cancelled.
    run
        The call.
    """

    sink: Sink | None
    run: RunTool

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
        try:
            yield
        finally:
            current_call.reset(token)

    def show(self, part: float | None, text: str) -> None:
        """Show the call as running: the part of 1 that is done, None where nobody knows, and a text."""
        if (show := getattr(self.sink, "running", None)) is not None:
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
