"""Both ways to drive a chat, and what must be true of every conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from orchat.chat import Chat, Reply
from orchat.messages import ChatMessage, ChatRole
from orchat.streaming import StreamingChunk

KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"


class Way:
    """Asks a chat with threads or with an event loop."""

    def __init__(self, name: str) -> None:
        self.is_async = name == "async"
        self.runner = asyncio.Runner()

    def ask(self, chat: Chat, question: Any = "Hi", **options: Any) -> Reply:
        """Ask, and return the reply."""
        return self.runner.run(chat.ask(question, **options)) if self.is_async else chat(question, **options)

    def resume(self, chat: Chat, decisions: Any) -> Reply:
        """Go on with a parked turn."""
        return self.runner.run(chat.resume_async(decisions)) if self.is_async else chat.resume(decisions)

    def retry(self, chat: Chat) -> Reply:
        """Ask again for the response that failed."""
        return self.runner.run(chat.retry_async()) if self.is_async else chat.retry()

    def stream(self, chat: Chat, question: Any = "Hi", leave_after: int | None = None) -> tuple[list[Any], Reply]:
        """Iterate, perhaps leaving early; the chunks and the reply."""
        if self.is_async:
            return self.runner.run(self._stream(chat, question, leave_after))
        chunks: list[StreamingChunk] = []
        with chat.stream(question) as stream:
            for chunk in stream:
                chunks.append(chunk)
                if len(chunks) == leave_after:
                    break
        return chunks, stream.reply

    @staticmethod
    async def _stream(chat: Chat, question: Any, leave_after: int | None) -> tuple[list[Any], Reply]:
        chunks: list[StreamingChunk] = []
        async with chat.stream_async(question) as stream:
            async for chunk in stream:
                chunks.append(chunk)
                if len(chunks) == leave_after:
                    break
        return chunks, stream.reply


def check_sendable(messages: Sequence[ChatMessage]) -> None:
    """Fail unless a provider would take this conversation: each call answered at once, each result called for."""
    open_ids: list[str | None] = []
    for at, message in enumerate(messages):
        wire = message.to_openai_dict_format()
        if message.is_from(ChatRole.TOOL):
            assert wire["tool_call_id"] in open_ids, f"message {at} answers no call"
            open_ids.remove(wire["tool_call_id"])
            continue
        assert not open_ids, f"message {at} follows calls without results: {open_ids}"
        assert not message.is_from(ChatRole.SYSTEM) or at == 0
        open_ids = [call.id for call in message.tool_calls]
        assert len(set(open_ids)) == len(open_ids)
    assert not open_ids, f"calls without results: {open_ids}"
