"""What the floors above lend to this one: who answers, who shows, and what it costs.

A chat stands below the rooms that know environment, notebooks and catalogues. They leave here what it may ask; code
that brings its own generator needs none of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from orchat.chat.approval import Verdict
from orchat.chat.message_selection import CallPlace
from orchat.chat.money import Budget, Price
from orchat.chat.reply import Reply
from orchat.errors import ConfigurationError
from orchat.messages import ChatMessage, ToolCall
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.streaming import StreamingChunk
from orchat.tools import Tool


class Sink(Protocol):
    """Shows a turn while it goes on, and may ask a person about tool calls.

    One that also has a method ``awaited()`` is told by it, before anything else, that the turn leaves the event loop
    free; otherwise the turn blocks its thread until it ends. One that has ``expect(asked)`` is told, when the turn has
    begun, which calls it will be asked about: ``asked(name)`` is the tool, or None; it returns whether a person may
    then be asked to mend a call whose arguments do not fit. One that has ``called(calls, indexes)`` is told of the
    calls of each response when it is whole: by `orchat.chat.message_selection.CallPlace`, and the index of the
    pieces in which each one came (`orchat.streaming.ToolCallDelta`), none where it came in one piece.
    """

    def start(self, question: ChatMessage | None) -> None:
        """Begin a turn; there is no question where a parked one goes on."""

    def add(self, chunk: StreamingChunk) -> None:
        """Show a piece of an answer, or a tool's result: ``meta["place"]`` is then the place of its call."""

    def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Verdict | Awaitable[Verdict]:
        """Ask a person about a call; None where nobody can be asked, and the turn parks.

        The call is told from others by its place in the turn, for ids may repeat.
        """

    def end(self, reply: Reply, error: BaseException | None) -> None:
        """Show how the turn ended."""


class ShownChat(Protocol):
    """What a sink may know of the chat whose turn it shows."""

    show: bool

    @property
    def model(self) -> str | None:
        """The model that is asked."""

    def stop(self) -> None:
        """End the running turn."""


GeneratorFactory = Callable[[str | None], OpenRouterChatGenerator]
SinkFactory = Callable[[ShownChat], Sink | None]


class _Dependencies:
    connect: GeneratorFactory | None = None
    show: SinkFactory | None = None
    price: Price | None = None
    spending: Callable[[], Budget] | None = None


_dependencies = _Dependencies()


def set_generator_factory(factory: GeneratorFactory | None) -> None:
    """Set what makes a generator of a model's name, or of None for the usual one."""
    _dependencies.connect = factory


def set_sink_factory(viewer: SinkFactory | None) -> None:
    """Set what gives each turn its sink; None where it is not to be shown."""
    _dependencies.show = viewer


def set_price_lookup(price: Price | None) -> None:
    """Set where prices come from."""
    _dependencies.price = price


def set_shared_budget(spending: Callable[[], Budget] | None) -> None:
    """Set the purse that all chats of the process spend from."""
    _dependencies.spending = spending


def make_default_generator(model: str | None) -> OpenRouterChatGenerator:
    """Make the generator for a model's name.

    Raises
    ------
    ConfigurationError
        Nobody has told how (a ValueError).
    """
    if _dependencies.connect is None:
        raise ConfigurationError(
            "A chat needs a generator here.",
            hint="Give it one, or import Chat from orchat, which knows how to connect.",
        )
    return _dependencies.connect(model)


def sink_for(chat: ShownChat, *, awaited: bool = False) -> Sink | None:
    """Return what shows the next turn of a chat.

    Parameters
    ----------
    chat
        Whose turn it is.
    awaited
        Whether it leaves the event loop free.
    """
    sink = _dependencies.show(chat) if _dependencies.show is not None and chat.show else None
    if awaited and (tell := getattr(sink, "awaited", None)) is not None:
        tell()
    return sink


def price_lookup() -> Price | None:
    """Return where prices come from."""
    return _dependencies.price


def shared_budget() -> Budget | None:
    """Return the purse that all chats of the process spend from."""
    return None if _dependencies.spending is None else _dependencies.spending()
