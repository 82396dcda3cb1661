"""What lasts from cell to cell while the magics are loaded: conversations, and who asked in them."""

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
    from orchat.messages import ChatMessage
    from orchat.tools import Tool


@dataclass(frozen=True)
class ConversationStart:
    """Where a turn stands, and what was said before.

    Parameters
    ----------
    thread
        Its conversation.
    turn
        The turn, which is no part of the conversation yet.
    history
        The turns before it.
    messages
        What is sent before the question.
    remembers
        Whether the turn becomes a part of the conversation.
    """

    thread: NotebookConversation
    turn: CellTurn
    history: History
    messages: tuple[ChatMessage, ...]
    remembers: bool = True


class MagicSession:
    """What the magics of one shell share.

    Parameters
    ----------
    shell
        The running IPython.
    shown
        To be told of a reply that was shown live.
    """

    def __init__(self, shell: InteractiveShell, shown: Callable[[Reply], None]) -> None:
        self.shell = shell
        self.shown = shown
        # The last error of the user's own, where one of ours hides it.
        self.failed: BaseException | None = None
        # What needs to be said once.
        self.told: set[str] = set()
        # Who asked: it knows the tools of a turn that waits for a decision.
        self.chats: WeakKeyDictionary[CellTurn, Chat] = WeakKeyDictionary()

    @property
    def bridge(self) -> MetadataBridge:
        """The way to the notebook's cells."""
        from orchat.jupyter.kernel.cell_storage.metadata_bridge import get_bridge

        return get_bridge(self.shell)

    @cached_property
    def threads(self) -> NotebookConversations:
        """The notebook's conversations."""
        from orchat.jupyter.kernel.conversations.notebook_conversations import NotebookConversations

        return NotebookConversations()

    @property
    def thread_names(self) -> list[str]:
        """The names of the conversations; nothing is loaded for it."""
        return [thread.name for thread in self.threads] if "threads" in self.__dict__ else []

    def names(self, local: Mapping[str, Any] | None = None) -> PromptNamespace:
        """Return where the names of a prompt are looked up."""
        return PromptNamespace(self.shell, local)

    def opening(self, options: Namespace) -> ConversationStart:
        """Return where a turn of the running cell stands.

        Parameters
        ----------
        options
            What `orchat.jupyter.magic.option_parser.parse_options` made of the line.
        """
        from orchat.generator_factory import context_length
        from orchat.jupyter.kernel.conversations.notebook_conversations import (
            DEFAULT_CONVERSATION,
            CellTurn,
            TurnLocation,
        )

        most = int(setting("history_tokens"))
        if (length := context_length(resolve_model_alias(options.model))) is not None:
            most = min(most, length // 2)
        thread = self.threads[options.chat or DEFAULT_CONVERSATION]
        place = TurnLocation(current_cell(self.shell).id, self.shell.execution_count)
        turn = CellTurn(place, system=options.system, begins=options.new or options.no_history)
        history = thread.history(turn, most)
        messages = history.with_instruction(CODE_WANTED) if options.format == "code" else history.messages
        return ConversationStart(thread, turn, history, messages, remembers=not options.no_history)

    @cached_property
    def kernel_tools(self) -> Mapping[str, Tool]:
        """Tools that are there without a variable."""
        from orchat.jupyter.kernel.variable_tools import inspect_variable, run_python

        tools = (run_python(self.shell), inspect_variable(self.shell))
        return {tool.name: tool for tool in tools}
