"""`MessageContent`: the content parts of a message by their kinds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from orchat.messages.media import AudioContent, FileContent, ImageContent
from orchat.messages.parts import Part, ReasoningContent, TextContent, ToolCall, ToolCallResult

P = TypeVar("P", bound=Part)


class MessageContent:
    """Reads content parts; the base of `orchat.messages.message.ChatMessage`."""

    _content: Sequence[Part]

    def __len__(self) -> int:
        return len(self._content)

    @property
    def parts(self) -> Sequence[Part]:
        """All content parts, in order."""
        return self._content

    @property
    def text(self) -> str | None:
        """The first text."""
        part = self._first_of_type(TextContent)
        return None if part is None else part.text

    @property
    def texts(self) -> list[str]:
        """All texts."""
        return [part.text for part in self._parts_of_type(TextContent)]

    @property
    def tool_call(self) -> ToolCall | None:
        """The first tool call."""
        return self._first_of_type(ToolCall)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """All tool calls."""
        return self._parts_of_type(ToolCall)

    @property
    def tool_call_result(self) -> ToolCallResult | None:
        """The first tool call result."""
        return self._first_of_type(ToolCallResult)

    @property
    def tool_call_results(self) -> list[ToolCallResult]:
        """All tool call results."""
        return self._parts_of_type(ToolCallResult)

    @property
    def image(self) -> ImageContent | None:
        """The first image."""
        return self._first_of_type(ImageContent)

    @property
    def images(self) -> list[ImageContent]:
        """All images."""
        return self._parts_of_type(ImageContent)

    @property
    def file(self) -> FileContent | None:
        """The first file."""
        return self._first_of_type(FileContent)

    @property
    def files(self) -> list[FileContent]:
        """All files."""
        return self._parts_of_type(FileContent)

    @property
    def audio(self) -> AudioContent | None:
        """The first audio part."""
        return self._first_of_type(AudioContent)

    @property
    def reasoning(self) -> ReasoningContent | None:
        """The first reasoning."""
        return self._first_of_type(ReasoningContent)

    @property
    def reasonings(self) -> list[ReasoningContent]:
        """All reasoning parts."""
        return self._parts_of_type(ReasoningContent)

    def _parts_of_type(self, kind: type[P]) -> list[P]:
        return [part for part in self._content if isinstance(part, kind)]

    def _first_of_type(self, kind: type[P]) -> P | None:
        return next((part for part in self._content if isinstance(part, kind)), None)
