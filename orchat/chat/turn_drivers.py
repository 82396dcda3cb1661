"""The drivers of a turn: execute the steps of `Turn`, one driver for threads, one for event loops.

What they share is in `_TurnDriver`: what a request costs, how a turn ends, how it is stopped from elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from orchat.chat.approval import Decision, Reject, needs_approval, request_decision, to_decision
from orchat.chat.event_loop_runner import EventLoopRunner
from orchat.chat.history_policies import apply_policies
from orchat.chat.message_selection import CallPlace, messages_to_send, truncate_partial
from orchat.chat.money import Cost
from orchat.chat.reply import Ending
from orchat.chat.request_estimate import estimate_request
from orchat.chat.running_call import RunningCall
from orchat.chat.tool_execution import cancelled_outcome, invoke_tool, invoke_tool_async
from orchat.chat.turn import Turn
from orchat.chat.turn_context import TurnContext
from orchat.chat.turn_steps import AskApproval, CallModel, RunTool, TurnEnded
from orchat.errors import APIError
from orchat.message_assembly import warn
from orchat.messages import ChatMessage, ChatRole, ToolCall
from orchat.openrouter.completion_exchange import AsyncChunkStream, ChunkStream
from orchat.openrouter.dialect import DEFAULT_BASE_URL, dialect_of
from orchat.streaming import StreamingChunk
from orchat.tools import Tool


class _TurnDriver:
    """The shared base of both drivers: requests and their cost, the end of a turn, approval, result chunks."""

    def __init__(self, turn: Turn, context: TurnContext) -> None:
        self.turn = turn
        self.context = context
        # What went wrong at whoever takes the pieces, who can only close us.
        self.reason: BaseException | None = None
        self._stopping = False
        self._open = False
        self._history: list[ChatMessage] | None = None
        self._history_note: str | None = None
        self._stream: ChunkStream | AsyncChunkStream | None = None
        self._estimate: Decimal | None = None
        self._on_retry: Callable[[str], object] | None = getattr(context.sink, "retrying", None)
        expect = getattr(context.sink, "expect", None)
        self._can_mend = expect is not None and bool(expect(self._asked_about))

    # -- a request ----------------------------------------------------------------------------------------------

    def _read_history(self) -> None:
        """Select the earlier messages that this turn's requests have."""
        if self._history is None:
            self._history, self._history_note = apply_policies(self.context.history_policies, self.context.history)

    def _asked(self, step: CallModel) -> tuple[list[ChatMessage], dict[str, Any], list[Tool]]:
        """Reserve the estimated cost of the next request, and return the request's arguments."""
        context = self.context
        self._read_history()
        messages = messages_to_send([*(self._history or ()), *self.turn.messages], context.model)
        tools = [tool for tool in context.tools.values() if not tool.is_deferred]
        estimate = None
        if any(budget.limit is not None for budget in context.budgets):
            kwargs = {**context.generator.generation_kwargs, **context.generation_kwargs}
            estimate = estimate_request(context.price, context.model, messages, tools, kwargs)
        with contextlib.ExitStack() as undo:
            for budget in context.budgets:
                budget.reserve(estimate, context.model)
                undo.callback(budget.settle, estimate, Cost())
            undo.pop_all()
        self._estimate, self._open = estimate, True
        return messages, self._kwargs(step), tools

    def _kwargs(self, step: CallModel) -> dict[str, Any]:
        """Return the generation kwargs; a forced ``tool_choice`` is sent once, or the turn would never end."""
        kwargs = self.context.generation_kwargs
        if step.is_last and self.context.tools:  # several providers refuse calls in a history without any tools
            return {**kwargs, "tool_choice": "none"}
        choice = kwargs.get("tool_choice", self.context.generator.generation_kwargs.get("tool_choice"))
        answers_call = self.turn.messages[-1].is_from(ChatRole.TOOL)
        return {**kwargs, "tool_choice": "auto"} if answers_call and choice not in (None, "auto", "none") else kwargs

    def _pause_reading(self, stream: ChunkStream | AsyncChunkStream) -> None:
        """Let the sink say how often it is worth to read."""
        seconds = getattr(self.context.sink, "reading_pause", None)
        if seconds is not None and isinstance(stream, ChunkStream | AsyncChunkStream):  # a generator may be another's
            stream.pause_reading(seconds)

    def _settle(self, cost: Cost) -> None:
        for budget in self.context.budgets:
            budget.settle(self._estimate, cost)
        self.context.charge(cost)
        self._open, self._stream = False, None

    def _take(self, message: ChatMessage) -> list[StreamingChunk]:
        """Add a response to the turn, and return the result chunks of its calls that cannot run."""
        indexes = self._stream.call_indexes if self._stream is not None else []
        self._settle(Cost.of(message.meta.get("usage")))
        message.meta["requested_model"] = self.context.model
        if self._history_note is not None:
            warn(message, self._history_note)
            self._history_note = None
        told = self.turn.responded(message, self._mends)
        if (tell := getattr(self.context.sink, "called", None)) is not None and message.tool_calls:
            tell(self.turn.last_calls, indexes)
        return self._chunks(told)

    def _mends(self, name: str) -> bool:
        return self._can_mend and self._asked_about(name) is not None

    @property
    def arrived(self) -> list[ChatMessage]:
        """The part of the running response that has arrived, as if it had been cut now: one message, or none."""
        stream = self._stream  # another thread may end the response now
        partial = stream.message if stream is not None else None
        if partial is None or not partial.parts:
            return []
        cut = truncate_partial(partial)
        cut.meta.update(ending="interrupted", requested_model=self.context.model)
        return [cut]

    # -- the end ------------------------------------------------------------------------------------------------

    def _end(self, error: BaseException) -> bool:
        """Cut the turn; True if the caller stopped it, and the error need not be raised."""
        cause = self.reason or error
        partial: ChatMessage | None = getattr(cause, "partial", None)
        if self._stream is not None:
            partial = self._stream.message
        elif self._open and self.context.whole:
            # Nobody knows what of it was made, and charged, but where nothing is.
            base_url = getattr(self.context.generator, "api_base_url", None) or DEFAULT_BASE_URL
            partial = dialect_of(base_url, self.context.model).stamp(partial or ChatMessage.from_assistant())
        if partial is not None:
            partial.meta["requested_model"] = self.context.model
        if self._open:
            self._settle(_cost_of_cut_response(partial, cause))
        ending: Ending = "failed"
        if self._stopping or isinstance(cause, GeneratorExit):
            ending = "stopped"
        elif not isinstance(cause, Exception):
            ending = "interrupted"
        self.turn.cut(ending, partial)
        return self._stopping and error is cause

    # -- tools --------------------------------------------------------------------------------------------------

    def _asked_about(self, name: str) -> Tool | None:
        """Return the tool of that name if its calls need a person's approval, else None."""
        tool = self.context.tools.get(name)
        asks = tool is not None and needs_approval(self.context.policy, name, asks_always=tool.asks_always)
        return tool if asks else None

    def _askers(self, place: CallPlace) -> list[Callable[[ToolCall], Any]]:
        """Return the functions that may decide on a call, in order: the policy, then the sink."""
        sink, tools = self.context.sink, self.context.tools
        askers: list[Callable[[ToolCall], Any]] = [
            lambda call: request_decision(self.context.policy, call, asks_always=tools[call.tool_name].asks_always)
        ]
        if sink is not None:
            askers.append(lambda call: sink.ask(call, tools[call.tool_name], place))
        return askers

    @property
    def _undecided(self) -> Decision | None:
        """The decision on a call that neither policy nor person decided; None parks the turn."""
        return None if self.context.parks else Reject("Nobody can be asked about it here.")

    def _chunks(self, told: Mapping[CallPlace, ChatMessage]) -> list[StreamingChunk]:
        return [self._chunk(message, number, place) for number, (place, message) in enumerate(told.items())]

    def _chunk(self, message: ChatMessage, number: int, place: CallPlace) -> StreamingChunk:
        result = message.tool_call_result
        assert result is not None
        meta = {"tool_result": result.result, "tool_call": result.origin, "place": place}
        if details := message.meta.get("details"):
            meta["details"] = details
        return StreamingChunk("", meta, index=number, tool_call_result=result, start=True)


def _cost_of_cut_response(partial: ChatMessage | None, error: BaseException) -> Cost:
    """Return the cost of a request that failed: 0 if it was refused, else from its usage, or unknown."""
    if partial is None:
        return Cost()
    usage = partial.meta.get("usage")
    refused = isinstance(error, APIError) and (error.status_code is not None or error.retryable)
    return Cost() if usage is None and refused and not partial.parts else Cost.of(usage)


_RESULTS_END = StreamingChunk("", {"finish_reason": "tool_call_results"}, finish_reason="tool_call_results")


class TurnStopped(Exception):  # noqa: N818 - a signal, not an error
    """Raised inside a driver to end a turn that `stop` was called for."""


class TurnDriver(_TurnDriver):
    """Executes a turn in the calling thread."""

    def chunks(self) -> Iterator[StreamingChunk]:
        """Execute the turn to its end, and yield its chunks."""
        try:
            with EventLoopRunner() as loop:
                while not isinstance(step := self.turn.step(), TurnEnded):
                    self._check()
                    if isinstance(step, CallModel):
                        yield from self._respond(step)
                    elif isinstance(step, AskApproval):
                        decisions = {place: self._decision(place, call, loop) for place, call in step.calls.items()}
                        yield from self._chunks(self.turn.decided(decisions))
                    else:
                        yield from self._call(step.runs, loop)
        except BaseException as error:
            if not self._end(error):
                raise

    def _respond(self, step: CallModel) -> Iterator[StreamingChunk]:
        messages, kwargs, tools = self._asked(step)
        if self.context.whole:
            replies = self.context.generator.run(messages, None, kwargs, tools=tools, on_retry=self._on_retry)[
                "replies"
            ]
            yield from self._take(replies[0])
            return
        with self.context.generator.stream(messages, kwargs, tools=tools, on_retry=self._on_retry) as self._stream:
            self._pause_reading(self._stream)
            for chunk in self._stream:
                yield chunk
                self._check()
            told = self._take(self._stream.message)
        yield from told

    def _decision(self, place: CallPlace, call: ToolCall, loop: EventLoopRunner) -> Decision | None:
        for ask in self._askers(place):
            verdict = ask(call)
            decision = to_decision(loop.run(verdict) if inspect.isawaitable(verdict) else verdict)
            if decision is not None:
                return decision
        return self._undecided

    def _call(self, runs: Sequence[RunTool], loop: EventLoopRunner) -> Iterator[StreamingChunk]:
        for number, run in enumerate(runs):
            self._check()
            self.turn.started(run.place)
            with RunningCall(self.context.sink, run, self.turn.is_running).in_thread(loop.run):
                outcome = invoke_tool(run.tool, run.arguments, loop.run)
            yield self._chunk(self.turn.returned(run.place, outcome), number, run.place)
        yield _RESULTS_END

    def _check(self) -> None:
        if self._stopping:
            raise TurnStopped

    def stop(self) -> None:
        """Stop the turn, from any thread: a stream at once, a tool when it returns."""
        self._stopping = True
        if isinstance(stream := self._stream, ChunkStream):
            stream.abort()


class AsyncTurnDriver(_TurnDriver):
    """Executes a turn on the running event loop."""

    def __init__(self, turn: Turn, context: TurnContext) -> None:
        super().__init__(turn, context)
        self._loop = asyncio.get_running_loop()
        # The task that waits for us, while it does: only then may a stop cancel it.
        self._waiting: asyncio.Task[Any] | None = None
        self._cancelled: asyncio.Task[Any] | None = None

    async def chunks(self) -> AsyncIterator[StreamingChunk]:
        """Execute the turn to its end, and yield its chunks."""
        try:
            while not isinstance(step := self.turn.step(), TurnEnded):
                self._check()
                if isinstance(step, CallModel):
                    pieces = self._respond(step)
                elif isinstance(step, AskApproval):
                    pieces = self._settle_calls(step.calls)
                else:
                    pieces = self._call(step.runs)
                async with contextlib.aclosing(pieces):  # type: ignore[type-var]
                    async for chunk in pieces:
                        self._waiting = None
                        yield chunk
                        self._check()
        except BaseException as error:
            if not self._end(error) or self._cancelled_by_others(error):
                raise
        finally:
            self._waiting = None

    async def _respond(self, step: CallModel) -> AsyncIterator[StreamingChunk]:
        if self.context.history_policies:  # one may ask a model for a summary
            await asyncio.to_thread(self._read_history)
        messages, kwargs, tools = self._asked(step)
        generator = self.context.generator
        if self.context.whole:
            replies = await generator.run_async(messages, None, kwargs, tools=tools, on_retry=self._on_retry)
            for chunk in self._take(replies["replies"][0]):
                yield chunk
            return
        async with generator.stream_async(messages, kwargs, tools=tools, on_retry=self._on_retry) as self._stream:
            self._pause_reading(self._stream)
            # Those who await the turn keep the loop awake.
            async for chunk in self._stream.chunks if isinstance(self._stream, AsyncChunkStream) else self._stream:
                yield chunk
            told = self._take(self._stream.message)
        for chunk in told:
            yield chunk

    async def _settle_calls(self, calls: Mapping[CallPlace, ToolCall]) -> AsyncIterator[StreamingChunk]:
        for chunk in self._chunks(self.turn.decided(await self._decide(calls))):
            yield chunk

    async def _decide(self, calls: Mapping[CallPlace, ToolCall]) -> dict[CallPlace, Decision | None]:
        """Request the decisions on all calls concurrently; where one fails, cancel the others."""
        asking = [asyncio.ensure_future(self._decision(place, call)) for place, call in calls.items()]
        try:
            decisions = await asyncio.gather(*asking)
        finally:
            for task in asking:
                task.cancel()
        return dict(zip(calls, decisions, strict=True))

    async def _decision(self, place: CallPlace, call: ToolCall) -> Decision | None:
        for ask in self._askers(place):
            verdict = ask(call)
            decision = to_decision(await verdict if inspect.isawaitable(verdict) else verdict)
            if decision is not None:
                return decision
        return self._undecided

    async def _call(self, runs: Sequence[RunTool]) -> AsyncIterator[StreamingChunk]:
        tasks = {}
        call_tool = getattr(self.context.sink, "call_tool", None)
        for run in runs:
            self.turn.started(run.place)
            invoke = functools.partial(invoke_tool_async, run.tool, run.arguments)
            with RunningCall(self.context.sink, run, self.turn.is_running).on_loop(self._loop):
                tasks[asyncio.ensure_future(invoke() if call_tool is None else call_tool(run, invoke))] = run
        try:
            number = 0
            waiting = set(tasks)
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in tasks if task in done]:
                    run = tasks[task]
                    outcome = cancelled_outcome(run.tool) if task.cancelled() else task.result()
                    yield self._chunk(self.turn.returned(run.place, outcome), number, run.place)
                    number += 1
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        yield _RESULTS_END

    def _check(self) -> None:
        if self._stopping:
            raise TurnStopped
        self._waiting = asyncio.current_task()

    def stop(self) -> None:
        """Stop the turn at once, from any task or thread."""
        self._stopping = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: the turn has ended
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._waiting is not None and self._cancelled is None:
            self._cancelled = self._waiting
            self._cancelled.cancel()

    def _cancelled_by_others(self, error: BaseException) -> bool:
        """Undo our own cancellation, and return whether the task was cancelled by other code too."""
        if self._cancelled is not None:
            return self._cancelled.uncancel() > 0
        return isinstance(error, asyncio.CancelledError)
