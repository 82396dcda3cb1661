"""`ChatPanel`, the public class: a chat in the output of a cell. The cell returns at once, and the panel goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Literal

from orchat.default_factories import Chat
from orchat.errors import ConfigurationError
from orchat.jupyter.kernel.cell_storage.metadata_bridge import get_bridge
from orchat.jupyter.kernel.cell_storage.storage_target import StorageState
from orchat.jupyter.kernel.coroutine_runner import CellError, deliver_comms_while_awaiting, wake_loop_on_interrupt
from orchat.jupyter.kernel.live_view.live_view import shows_widgets
from orchat.jupyter.kernel.live_view.widget_channel import make_widget
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.jupyter.panel.panel_controller import ENTRY_MODULE, PanelController
from orchat.jupyter.panel.panel_storage import PanelStorage
from orchat.jupyter.panel.suggested_prompts import suggested_prompts
from orchat.jupyter.panel.tool_output_capture import runs_cell
from orchat.jupyter.panel.turn_thread import TurnThread

if TYPE_CHECKING:
    from decimal import Decimal

    from anywidget import AnyWidget

    from orchat.chat.approval import Policy
    from orchat.chat.conversation import Question
    from orchat.chat.money import Budget
    from orchat.chat.reply import Reply
    from orchat.messages import ChatMessage
    from orchat.openrouter.completion_request import Tools
    from orchat.openrouter.generator import OpenRouterChatGenerator


class ChatPanel:
    """A chat in the output of a cell; as a cell's last line it displays itself.

    It streams while later cells run, also while they compute or sleep; asks about tool calls by forms, and saves its
    conversation in the cell's metadata, so that it is restored when the cell is run after a restart. What is restored
    is data: generator, tools and the approval policy come from these arguments only.

    Its turns have a thread of their own. Functions of the `Chat` (an approval policy, hooks, history, exit conditions)
    are called in it, synchronous tools each in another thread. Asynchronous tools, those of the kernel's variables
    included, and observers run on the event loop of cells: they wait for a cell that blocks it.

    Parameters
    ----------
    generator_or_chat
        A generator, a model's name, or a `Chat` to continue. Default: the default model.
    system, tools, approve
        As for `Chat`; a panel of a `Chat` takes them from there. ``tools="notebook"`` lets it read the notebook and
        propose changes of it, ``"analyst"`` use the kernel's variables as well.
    name
        The key of the panel's saved conversation; default: its position among the panels of the cell.
    restore
        Whether to continue the saved conversation.
    height
        The maximum height of the conversation, as a CSS length.
    prompts
        Questions to begin with, offered in an empty chat. Default: about the newest data frame and the last error.
    state
        Where the conversation is saved: in the ``"cell"``, in a sidecar ``"file"``, or nowhere (``"none"``).
        Default: the setting (``%config OpenRouterMagics.state``).
    max_cost, generation_kwargs
        As for `Chat`.

    Raises
    ------
    ConfigurationError
        A value is invalid (a ValueError).

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
        tools: Tools | Literal["notebook", "analyst"] | None = None,
        approve: Policy = "ask",
        *,
        name: str | None = None,
        restore: bool = True,
        height: str = "28rem",
        prompts: Sequence[str] | None = None,
        state: StorageState | None = None,
        max_cost: float | Decimal | Budget | None = None,
        generation_kwargs: dict[str, Any] | None = None,
    ) -> None:
        from IPython.core.getipython import get_ipython

        if name is not None and (not name or single_line(name, 60) != name or name.isdigit()):
            raise ConfigurationError(f"name={name!r:.80} makes no sense.", hint="It is a short text, and no number.")
        shell = get_ipython()
        if isinstance(tools, str):
            from orchat.jupyter.kernel.notebook_tools import tool_set

            tools = tool_set(tools)
        if isinstance(generator_or_chat, Chat):
            chat = generator_or_chat
            if system or tools is not None or approve != "ask" or max_cost is not None or generation_kwargs:
                raise ConfigurationError("A panel of a Chat takes system, tools and the like from that chat.")
        else:
            chat = Chat(
                generator_or_chat, system, tools, approve, max_cost, generation_kwargs=generation_kwargs, show=False
            )
        if shell is not None:
            get_bridge(shell)  # it sends from the thread that makes it
            runs_cell(shell)  # from now on that is known
        offered = suggested_prompts(shell) if prompts is None else [single_line(each, 300) for each in prompts]
        thread = self._thread = TurnThread(shell)
        self._controller = thread.call(
            lambda: PanelController(
                shell,
                chat,
                PanelStorage(shell, state, name),
                restore=restore,
                height=str(height)[:40],
                prompts=offered,
                thread=thread,
            )
        )

    @property
    def chat(self) -> Chat:
        """The chat that is displayed."""
        return self._controller.conversations.current_chat

    @property
    def messages(self) -> list[ChatMessage]:
        """The messages of the displayed chat."""
        return self.chat.messages

    @property
    def is_running(self) -> bool:
        """Whether a turn is running."""
        return self._controller.is_running

    @property
    def widget(self) -> AnyWidget:
        """The panel as a widget, to be put beside others: ``VBox([title, panel.widget])``.

        Raises
        ------
        ConfigurationError
            No event loop runs here, as in a script: there is no page that could show it (a ValueError).
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError(
                "A panel is a widget only in a notebook.", hint="In a script use orchat.Chat."
            ) from None
        from IPython.core.getipython import get_ipython

        is_first = get_ipython() is None and not self._controller.has_channel
        made = make_widget(ENTRY_MODULE) if is_first else None  # marimo knows its page in the thread of cells only
        widget = self._thread.call(lambda: self._controller.open_channel(made)).widget
        assert widget is not None
        return widget

    def __repr__(self) -> str:
        return f"ChatPanel({self.chat!r})"

    def _ipython_display_(self) -> None:
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
        as_widget = shell is not None and shows_widgets(shell)
        self._thread.call(lambda: self._controller.display(as_widget=as_widget))

    def _display_(self) -> AnyWidget:  # marimo's protocol
        return self.widget

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, Any]:
        return self._thread.call(self._controller.bundle)

    async def send(self, question: Question) -> Reply:
        """Send a user's message, and show the turn in the panel.

        Parameters
        ----------
        question
            As of `orchat.Chat`: a text, a part, a path, a user's message, or a list of what is asked about.

        Raises
        ------
        APIError
            The endpoint refused or failed; the panel shows the error, too.
        TurnInProgressError
            A turn is running.
        """
        from orchat.chat.conversation import _message

        return await self._run_in_cell(lambda: self._controller.requests.ask(_message(question)))

    async def regenerate(self, model: str | None = None) -> Reply:
        """Ask the last question again; the earlier answer stays as a version of the turn (`Chat.versions`).

        Parameters
        ----------
        model
            Another model, for this turn only.

        Raises
        ------
        ConfigurationError
            There is no user's message (a ValueError).
        """
        return await self._run_in_cell(lambda: self._controller.requests.regenerate(model))

    def stop(self) -> None:
        """Stop the running turn; the response so far stays."""
        self._thread.call(self._controller.stop)

    async def retry(self) -> Reply:
        """Repeat the request that failed last; no answer is replaced, and no tool call runs twice.

        Raises
        ------
        ConfigurationError
            Nothing has failed (a ValueError).
        """
        return await self._run_in_cell(self._controller.requests.retry)

    def undo(self) -> None:
        """Take the last turn back; its cost stays counted, and `redo` brings it back."""
        self._change_turns(self._controller.versions.undo)

    def redo(self) -> None:
        """Bring back the turn that was taken back last."""
        self._change_turns(self._controller.versions.redo)

    def _change_turns(self, change: Callable[[], object]) -> None:
        def change_and_publish() -> None:
            self._controller.change_turns(change)
            self._controller.publish_changes(True)

        self._thread.call(change_and_publish)

    def new_chat(self, name: str | None = None) -> Chat:
        """Start another chat in the panel, with the system message and the tools of the panel's arguments."""

        def new_chat() -> Chat:
            self._controller.check_free()
            chat = self._controller.conversations.new_chat(name)
            self.refresh()
            return chat

        return self._thread.call(new_chat)

    def switch_chat(self, name: str) -> None:
        """Display another chat of the panel.

        Raises
        ------
        ConfigurationError
            There is no chat of that name (a ValueError).
        """

        def switch_chat() -> None:
            self._controller.check_free()
            self._controller.conversations.switch_chat(name)
            self.refresh()

        self._thread.call(switch_chat)

    def refresh(self) -> None:
        """Display the conversation anew, after code has changed it."""

        def refresh() -> None:
            self._controller.show_chat()
            self._controller.publish_changes(True)

        self._thread.call(refresh)

    def observe(self, function: Callable[[Reply], object]) -> Callable[[], None]:
        """Call a function with the reply of each turn that ends, in the thread of cells, when none blocks it.

        Returns
        -------
        callable
            Removes the observer.
        """
        return self._controller.observers.add(function)

    def close(self) -> None:
        """Stop the running turn, save the conversation, and close the widget; the transcript stays."""
        self._thread.call(self._controller.close)

    async def _run_in_cell(self, turn: Callable[[], Coroutine[Any, Any, Reply]]) -> Reply:
        """Await a turn in a cell, whose interrupt stops it as well."""
        async with wake_loop_on_interrupt(), deliver_comms_while_awaiting():
            try:
                return await self._thread.run(turn)
            except asyncio.CancelledError:
                raise CellError("interrupted; what had arrived is kept") from None
