"""The state that the magics of a shell share from cell to cell: conversations, and the chats of their parked turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from orchat.configuration import resolve_model_alias, setting
from orchat.jupyter.kernel.cell_storage.executing_cell import current_cell
from orchat.jupyter.kernel.output.answer_formats import CODE_WANTED
from orchat.jupyter.kernel.prompt.prompt_namespace import PromptNamespace

if TYPE_CHECKING:
    from argparse import Namespace

    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat import Chat
    from orchat.chat.reply import Reply
    from orchat.jupyter.kernel.cell_storage.metadata_bridge import MetadataBridge
    from orchat.jupyter.kernel.conversations.notebook_conversations import (
        CellTurn,
        History,
        NotebookConversation,
        NotebookConversations,
    )
    from orchat.mcp import McpToolset
    from orchat.messages import ChatMessage
    from orchat.tools import Tool, Toolset


@dataclass(frozen=True)
class ConversationStart:
    """The start of a turn: its conversation, and the history that is sent with it.

    Parameters
    ----------
    conversation
        The conversation of the turn.
    turn
        The turn, not yet added to the conversation.
    history
        The turns before it.
    messages
        The messages that are sent before the user's.
    remembers
        Whether the turn is added to the conversation.
    """

    conversation: NotebookConversation
    turn: CellTurn
    history: History
    messages: tuple[ChatMessage, ...]
    remembers: bool = True


class MagicSession:
    """The state that the magics of one shell share.

    Parameters
    ----------
    shell
        The running IPython.
    mark_reply_shown
        Called with a reply that was streamed, so that it does not display itself again.
    """

    def __init__(self, shell: InteractiveShell, mark_reply_shown: Callable[[Reply], None]) -> None:
        self.shell = shell
        self.mark_reply_shown = mark_reply_shown
        # The last error of the user's own, where one of ours hides it.
        self.hidden_error: BaseException | None = None
        # Notes that were printed: each is printed once.
        self.printed_notes: set[str] = set()
        # The MCP servers that `%openrouter mcp add` has connected, by name.
        self.mcp_toolsets: dict[str, McpToolset] = {}
        # The chat of each parked turn: it has the tools that wait for a decision.
        self.chats_by_turn: WeakKeyDictionary[CellTurn, Chat] = WeakKeyDictionary()

    @property
    def bridge(self) -> MetadataBridge:
        """The metadata bridge to the notebook's cells."""
        from orchat.jupyter.kernel.cell_storage.metadata_bridge import get_bridge

        return get_bridge(self.shell)

    @cached_property
    def conversations(self) -> NotebookConversations:
        """The notebook's conversations."""
        from orchat.jupyter.kernel.conversations.notebook_conversations import NotebookConversations

        return NotebookConversations()

    @property
    def conversation_names(self) -> list[str]:
        """The names of the conversations, without loading their module."""
        return [conversation.name for conversation in self.conversations] if "conversations" in self.__dict__ else []

    def prompt_namespace(self, local: Mapping[str, Any] | None = None) -> PromptNamespace:
        """Return the namespace in which a prompt's placeholders are looked up."""
        return PromptNamespace(self.shell, local)

    def conversation_start(self, options: Namespace) -> ConversationStart:
        """Return conversation, history and messages for a new turn of the running cell.

        Parameters
        ----------
        options
            The result of `orchat.jupyter.magic.option_parser.parse_options`.
        """
        from orchat.default_factories import context_length
        from orchat.jupyter.kernel.conversations.notebook_conversations import (
            DEFAULT_CONVERSATION,
            CellTurn,
            TurnLocation,
        )

        max_tokens = int(setting("history_tokens"))
        if (length := context_length(resolve_model_alias(options.model))) is not None:
            max_tokens = min(max_tokens, length // 2)
        conversation = self.conversations[options.chat or DEFAULT_CONVERSATION]
        location = TurnLocation(current_cell(self.shell).id, self.shell.execution_count)
        turn = CellTurn(location, system=options.system, begins=options.new or options.no_history)
        history = conversation.history(turn, max_tokens)
        messages = history.with_instruction(CODE_WANTED) if options.format == "code" else history.messages
        return ConversationStart(conversation, turn, history, messages, remembers=not options.no_history)

    @property
    def named_tools(self) -> Mapping[str, Tool | Toolset | list[Tool]]:
        """The tools that ``-T`` finds without a variable: the kernel's own, and those of the MCP servers by server."""
        return {**self.kernel_tools, **self.mcp_toolsets}

    @cached_property
    def kernel_tools(self) -> Mapping[str, Tool | list[Tool]]:
        """The kernel's own tools by name, and sets of them, which need no variable."""
        from orchat.jupyter.kernel.notebook_tools import tool_sets

        sets = tool_sets(self.shell)
        return {**{tool.name: tool for tools in sets.values() for tool in tools}, **sets}
