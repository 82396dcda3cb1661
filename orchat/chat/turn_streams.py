"""Streams of a turn's chunks, sync and async: lock the chat, drive the turn, and pass each chunk to the sink."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any, Protocol, TypedDict, cast

from orchat.chat.approval import Decisions
from orchat.chat.chat_dependencies import Sink
from orchat.chat.conversation import Question
from orchat.chat.money import Budget
from orchat.chat.reply import Reply
from orchat.chat.turn import Turn
from orchat.chat.turn_context import TurnContext
from orchat.chat.turn_drivers import AsyncTurnDriver, TurnDriver
from orchat.event_loop_wakeup import LoopWakeup
from orchat.interruptible_stream import InterruptibleStream
from orchat.messages import ChatMessage
from orchat.streaming import StreamingChunk


class TurnOptions(TypedDict, total=False):
    """The options of one turn.

    Parameters
    ----------
    generation_kwargs
        Laid over the chat's.
    max_cost
        A limit in USD, or a `Budget`, besides the chat's.
    park
        Whether the turn may wait for a decision that nobody can make here (default); otherwise such calls are rejected.
    whole
        Ask for each response in one piece, where an endpoint cannot stream.
    version_of
        The number of an earlier turn, from 0 or, negative, from the end: the question takes its place, and the turn
        stays as another version (`orchat.chat.Chat.versions`), with all that followed it.
    """

    generation_kwargs: dict[str, Any] | None
    max_cost: float | Decimal | Budget | None
    park: bool
    whole: bool
    version_of: int | None


class TurnHost(Protocol):
    """The chat whose turn a stream drives: the part of `Chat` that a stream uses."""

    _driver: TurnDriver | AsyncTurnDriver | None

    @property
    def arrived(self) -> list[ChatMessage]:
        """The part of the running response that has arrived."""

    def _begin_turn(
        self, question: Question | Decisions | None, version_of: int | None
    ) -> AbstractContextManager[Turn]:
        """Lock the chat for one turn."""

    def _turn_context(self, options: TurnOptions, sink: Sink | None) -> TurnContext:
        """Assemble the context of the turn."""


class _Stream:
    def __init__(
        self, chat: TurnHost, question: Question | Decisions | None, options: TurnOptions, sink: Sink | None = None
    ) -> None:
        if unknown := sorted(options.keys() - TurnOptions.__annotations__.keys()):
            raise TypeError(
                f"A question has no option {unknown[0]!r}: there are {', '.join(TurnOptions.__annotations__)}. What "
                f"the endpoint shall get goes into one of them: generation_kwargs={{{unknown[0]!r}: ...}}."
            )
        self._chat = chat
        self._question = question
        self._options = options
        self._sink = sink
        self._turn: Turn | None = None

    @property
    def reply(self) -> Reply:
        """The turn so far as a `Reply`; whole after the last chunk."""
        return Reply(ChatMessage.from_assistant()) if self._turn is None else self._turn.reply

    @property
    def messages(self) -> list[ChatMessage]:
        """The turn's messages so far, with the part of a response that has arrived."""
        return [*self.reply.messages, *self._chat.arrived]

    @contextlib.contextmanager
    def _watched(self) -> Iterator[Turn]:
        """Lock the chat, and notify the sink of the turn's start and end."""
        error: BaseException | None = None
        sink = self._sink
        with self._chat._begin_turn(self._question, self._options.get("version_of")) as turn:
            self._turn = turn
            if sink is not None:
                goes_on = self._question is None or isinstance(self._question, dict)
                sink.start(None if goes_on else turn.messages[0])
            try:
                yield turn
            except BaseException as caught:
                error = caught
                raise
            finally:
                self._chat._driver = None
                if sink is not None:
                    sink.end(turn.reply, error)


class ChatStream(_Stream):
    """A running turn: an iterator of `StreamingChunk`, and a context manager that stops it.

    The turn begins when the first chunk is asked for.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._chunks = self._pump()

    def _pump(self) -> Iterator[StreamingChunk]:
        with self._watched() as turn:
            driver = self._chat._driver = TurnDriver(turn, self._chat._turn_context(self._options, self._sink))
            with contextlib.closing(cast(Any, driver.chunks())) as chunks:
                try:
                    for chunk in chunks:
                        if self._sink is not None:
                            self._sink.add(chunk)
                        yield chunk
                except BaseException as error:
                    driver.reason = error
                    raise

    def drain(self) -> Reply:
        """Run the turn to its end, and return the reply."""
        for _ in self._chunks:
            pass
        return self.reply

    def __iter__(self) -> Iterator[StreamingChunk]:
        return self._chunks

    def __next__(self) -> StreamingChunk:
        return next(self._chunks)

    def close(self) -> None:
        """Stop the turn; `reply` keeps the part that arrived."""
        cast(Any, self._chunks).close()

    def __enter__(self) -> ChatStream:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class AsyncChatStream(_Stream, InterruptibleStream[StreamingChunk]):
    """A running turn as an asynchronous iterator of `StreamingChunk`, for ``async for`` and ``async with``."""

    def __init__(self, *given: Any) -> None:
        _Stream.__init__(self, *given)
        InterruptibleStream.__init__(self, self._pump())

    async def _pump(self) -> AsyncGenerator[StreamingChunk]:
        with self._watched() as turn:
            driver = self._chat._driver = AsyncTurnDriver(turn, self._chat._turn_context(self._options, self._sink))
            async with contextlib.aclosing(cast(Any, driver.chunks())) as chunks:
                try:
                    async for chunk in chunks:
                        if self._sink is not None:
                            self._sink.add(chunk)
                        yield chunk
                except BaseException as error:
                    driver.reason = error
                    raise

    async def drain(self) -> Reply:
        """Run the turn to its end, and return the reply."""
        with LoopWakeup(only_in_kernel=True):
            async for _ in self._items:
                pass
        return self.reply
