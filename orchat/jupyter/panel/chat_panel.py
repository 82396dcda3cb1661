"""`ChatPanel`: a conversation in the output of a cell. The cell returns at once, and the panel goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchat.errors import ConfigurationError
from orchat.generator_factory import Chat
from orchat.jupyter.kernel.coroutine_runner import CellError, deliver_comms_while_awaiting, wake_loop_periodically
from orchat.jupyter.kernel.output.text_escaping import single_line
from orchat.jupyter.panel.panel_controller import PanelController
from orchat.jupyter.panel.panel_storage import PanelStorage, State

if TYPE_CHECKING:
    from decimal import Decimal

    from orchat.chat.approval import Policy
    from orchat.chat.conversation import Question
    from orchat.chat.money import Budget
    from orchat.chat.reply import Reply
    from orchat.messages import ChatMessage
    from orchat.openrouter.generator import OpenRouterChatGenerator, Tools


class ChatPanel:
    """A chat in the output of a cell: as a cell's last line it shows itself.

    It streams while later cells run, asks about tool calls by forms, and keeps its conversation in the cell's metadata,
    so that it is there again when the cell is run after a restart. What is restored is data: who answers, tools and the
    policy of approval come from these arguments only.

    Parameters
    ----------
    generator_or_chat
        Who answers: a generator, a model's name, or a `Chat` to go on with. Default: the usual model.
    system, tools, approve
        As for `Chat`; a panel of a `Chat` takes them from there.
    name
        By which the panel's conversation is found again; otherwise by its place among the panels of the cell.
    restore
        Whether to go on with what is kept.
    height
        How tall the conversation grows, as CSS says it.
    state
        Where the conversation is kept: in the ``"cell"``, in a ``"file"`` beside the notebook, or nowhere (``"none"``).
        Default: what is set (``%config OpenRouterMagics.state``).
    max_cost, generation_kwargs
        As for `Chat`.

    Raises
    ------
    ConfigurationError
        A value makes no sense (a ValueError).

    Examples
    --------
    >>> panel = ChatPanel("vendor/m", system="Be brief.")
    >>> panel.chat.model, [message.text for message in panel.messages]
    ('vendor/m', ['Be brief.'])
    """

    def __init__(
        self,
        generator_or_chat: OpenRouterChatGenerator | Chat | str | None = None,
        system: str | None = None,
        tools: Tools | None = None,
        approve: Policy = "ask",
        *,
        name: str | None = None,
        restore: bool = True,
        height: str = "28rem",
        state: State | None = None,
        max_cost: float | Decimal | Budget | None = None,
        generation_kwargs: dict[str, Any] | None = None,
    ) -> None:
        from IPython.core.getipython import get_ipython

        if name is not None and (not name or single_line(name, 60) != name or name.isdigit()):
            raise ConfigurationError(f"name={name!r:.80} makes no sense.", hint="It is a short text, and no number.")
        if isinstance(generator_or_chat, Chat):
            chat = generator_or_chat
            if system or tools is not None or approve != "ask" or max_cost is not None or generation_kwargs:
                raise ConfigurationError("A panel of a Chat takes system, tools and the like from that chat.")
        else:
            chat = Chat(
                generator_or_chat, system, tools, approve, max_cost, generation_kwargs=generation_kwargs, show=False
            )
        shell = get_ipython()
        keeping = PanelStorage(shell, state, name)
        self._session = PanelController(shell, chat, keeping, restore=restore, height=str(height)[:40])

    @property
    def chat(self) -> Chat:
        """The conversation that is shown."""
        return self._session.conversations.shown

    @property
    def messages(self) -> list[ChatMessage]:
        """What was said in it."""
        return self.chat.messages

    @property
    def is_running(self) -> bool:
        """Whether a turn goes on."""
        return self._session.is_running

    def __repr__(self) -> str:
        return f"ChatPanel({self.chat!r})"

    def _ipython_display_(self) -> None:
        self._session.display()

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, Any]:
        return self._session.bundle()

    async def send(self, question: Question) -> Reply:
        """Ask, and show it in the panel.

        Parameters
        ----------
        question
            A text, a part or a list of them, or a user's message.

        Raises
        ------
        APIError
            The endpoint refused or failed; the panel shows that, too.
        TurnInProgressError
            A turn goes on.
        """
        from orchat.chat.conversation import _message

        return await _awaited(self._session.ask(_message(question)))

    async def regenerate(self, model: str | None = None) -> Reply:
        """Ask the last question again.

        Parameters
        ----------
        model
            Another model, for this turn only.

        Raises
        ------
        ConfigurationError
            There is no question (a ValueError).
        """
        return await _awaited(self._session.ask_again(model))

    def stop(self) -> None:
        """End the turn that goes on; what arrived is kept."""
        self._session.stop()

    def undo(self) -> None:
        """Take the last turn back; what it cost stays counted."""
        self._session.take_back()
        self._session.changed(True)

    def new_chat(self, name: str | None = None) -> Chat:
        """Begin another conversation in the panel, with the system message and the tools that the code set."""
        self._session.check_free()
        self._session.conversations.begin(name)
        self.refresh()
        return self.chat

    def switch_chat(self, name: str) -> None:
        """Show another conversation of the panel.

        Raises
        ------
        ConfigurationError
            There is none of that name (a ValueError).
        """
        self._session.check_free()
        self._session.conversations.switch(name)
        self.refresh()

    def refresh(self) -> None:
        """Show the conversation anew, after code has changed it."""
        self._session.show_chat()
        self._session.changed(True)

    def observe(self, function: Callable[[Reply], object]) -> Callable[[], None]:
        """Call a function with the reply whenever a turn has ended.

        Returns
        -------
        callable
            Ends that.
        """
        observers = self._session.observers
        observers.append(function)

        def end() -> None:
            if function in observers:
                observers.remove(function)

        return end

    def close(self) -> None:
        """Stop what goes on, keep the conversation, and take the widget away; the transcript stays."""
        self._session.close()


async def _awaited(turn: Any) -> Reply:
    """Await a turn in a cell: people may stop it there, too."""
    async with wake_loop_periodically(), deliver_comms_while_awaiting():
        try:
            reply: Reply = await turn
            return reply
        except asyncio.CancelledError:
            raise CellError("interrupted; what had arrived is kept") from None
