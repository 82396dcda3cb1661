"""`ChatMessage`, its parts, and their JSON (Haystack's, with additions that appear only when used)."""

from orchat.messages.media import AudioContent, FileContent, ImageContent, VideoContent
from orchat.messages.message import ChatMessage, ChatRole
from orchat.messages.parts import ReasoningContent, TextContent, ToolCall, ToolCallResult

__all__ = [
    "AudioContent",
    "ChatMessage",
    "ChatRole",
    "FileContent",
    "ImageContent",
    "ReasoningContent",
    "TextContent",
    "ToolCall",
    "ToolCallResult",
    "VideoContent",
]
