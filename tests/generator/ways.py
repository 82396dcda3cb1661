"""The ways to ask a generator, so that one test covers them all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from orchat.messages import ChatMessage
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.streaming import StreamingChunk

KEY: Final = "sk-or-v1-0123456789abcdef0123456789abcdef"
Ask = Callable[..., ChatMessage]


class Way:
    """One way of asking; ``chunks`` and ``stream`` are what the last call gave."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_async = "async" in name
        self.streams = not name.startswith("run") or "callback" in name
        self.runner = asyncio.Runner()
        self.chunks: list[StreamingChunk] = []
        self.stream: Any = None

    def __call__(self, generator: OpenRouterChatGenerator, messages: Any = "Hi", **options: Any) -> ChatMessage:
        """Ask, and return the reply."""
        self.chunks = []
        match self.name:
            case "run":
                [reply] = generator.run(messages, **options)["replies"]
            case "run with callback":
                [reply] = generator.run(messages, self.chunks.append, **options)["replies"]
            case "stream":
                self.stream = generator.stream(messages, **options)
                self.chunks.extend(self.stream)
                reply = self.stream.message
            case _:
                reply = self.runner.run(self._ask(generator, messages, options))
        return reply

    async def _ask(self, generator: OpenRouterChatGenerator, messages: Any, options: dict[str, Any]) -> ChatMessage:
        if self.name == "run_async":
            return (await generator.run_async(messages, **options))["replies"][0]
        if self.name == "run_async with callback":

            async def keep(chunk: StreamingChunk) -> None:
                self.chunks.append(chunk)

            return (await generator.run_async(messages, keep, **options))["replies"][0]
        self.stream = generator.stream_async(messages, **options)
        async for chunk in self.stream:
            self.chunks.append(chunk)
        return self.stream.message

    @property
    def text(self) -> str:
        """The text of all chunks."""
        return "".join(chunk.content for chunk in self.chunks)


WHOLE: Final = ["run", "run_async"]
STREAMING: Final = ["run with callback", "run_async with callback", "stream", "stream_async"]
