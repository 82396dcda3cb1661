"""orchat: work with language models inside a notebook.

`Chat` is a conversation with a model, `ask` sends one question, `map` asks about each row of a table, ``%load_ext
orchat`` adds ``%%openrouter`` to a notebook, and `OpenRouterChatGenerator` is the generator below them. Errors are in
`orchat.errors`, all message parts in `orchat.messages`, more on tools in `orchat.tools`, decisions on their calls in
`orchat.chat`.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from orchat._version import __version__ as __version__
from orchat.errors import APIError, OrchatError
from orchat.messages import (
    ChatMessage,
    ChatRole,
    FileContent,
    ImageContent,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolCallResult,
)
from orchat.secret import Secret

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat import Chat, Reply, ask
    from orchat.jupyter.magic.conversation_restore import restore
    from orchat.jupyter.panel.chat_panel import ChatPanel
    from orchat.mapping import decide, map, map_async  # noqa: A004 - that is what they do
    from orchat.openrouter.generator import OpenRouterChatGenerator
    from orchat.streaming import FinishReason, StreamingChunk, ToolCallDelta, print_streaming_chunk
    from orchat.tools import Tool, Toolset, create_tool_from_function, tool

__all__ = [
    "APIError",
    "Chat",
    "ChatMessage",
    "ChatPanel",
    "ChatRole",
    "FileContent",
    "FinishReason",
    "ImageContent",
    "OpenRouterChatGenerator",
    "OrchatError",
    "ReasoningContent",
    "Reply",
    "Secret",
    "StreamingChunk",
    "TextContent",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallResult",
    "Toolset",
    "ask",
    "create_tool_from_function",
    "decide",
    "map",
    "map_async",
    "print_streaming_chunk",
    "restore",
    "tool",
]

# What we log is for those who ask for it: a notebook's cells are no place for it by default.
logging.getLogger("orchat").addHandler(logging.NullHandler())

# Loaded when first asked for, so that `%load_ext orchat` costs next to nothing.
_LAZY = {
    "Chat": "orchat.default_factories",  # where a model's name is enough
    "ChatPanel": "orchat.jupyter.panel.chat_panel",
    "FinishReason": "orchat.streaming",
    "OpenRouterChatGenerator": "orchat.openrouter.generator",
    "Reply": "orchat.chat.reply",
    "StreamingChunk": "orchat.streaming",
    "Tool": "orchat.tools",
    "ToolCallDelta": "orchat.streaming",
    "Toolset": "orchat.tools",
    "ask": "orchat.default_factories",
    "create_tool_from_function": "orchat.tools",
    "decide": "orchat.mapping",
    "map": "orchat.mapping",
    "map_async": "orchat.mapping",
    "print_streaming_chunk": "orchat.streaming",
    "restore": "orchat.jupyter.magic.conversation_restore",
    "tool": "orchat.tools",
}

if not TYPE_CHECKING:  # hidden from type checkers, to which a wrong name shall be an error

    def __getattr__(name: str) -> Any:
        if (module := _LAZY.get(name)) is None:
            raise AttributeError(f"module 'orchat' has no attribute {name!r}")
        value = getattr(import_module(module), name)
        if module == "orchat.default_factories":
            _show_in_cells()
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


def _show_in_cells() -> None:
    """Register the cell sink, so that chats display their turns, if IPython runs; replies show themselves anywhere."""
    from orchat.chat.reply import set_safe_markdown

    set_safe_markdown(_safe_markdown)
    ipython = sys.modules.get("IPython")
    if ipython is not None and (shell := ipython.get_ipython()) is not None:
        from orchat.jupyter.kernel.live_view.cell_sink import show_chats

        show_chats(shell)


def _safe_markdown(text: str) -> str:
    from orchat.jupyter.kernel.output.markdown_sanitizer import safe_markdown

    return safe_markdown(text)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register ``%%openrouter`` in a shell; called by ``%load_ext orchat``."""
    from orchat.jupyter import load_ipython_extension as load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Unregister ``%%openrouter`` and everything else that loading added; called by ``%unload_ext orchat``."""
    from orchat.jupyter import unload_ipython_extension as unload

    unload(shell)
