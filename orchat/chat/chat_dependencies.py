"""Dependency injection for chats: generator factory, sink factory, price lookup and shared budget.

Chats are a lower layer than the modules for environment, notebooks and catalogs, which register here what a chat
uses of them. Code with its own generator needs none of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from orchat.chat.approval import Verdict
from orchat.chat.message_selection import CallPlace
from orchat.chat.money import Budget
from orchat.chat.reply import Reply
from orchat.chat.request_estimate import Price
from orchat.errors import ConfigurationError
from orchat.messages import ChatMessage, ToolCall
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.streaming import StreamingChunk
from orchat.tools import Tool


class Sink(Protocol):
    """Displays a turn while it runs, and may ask a person about tool calls.

    Seven methods are optional. ``awaited()`` is called first if the turn leaves the event loop free; otherwise the turn
    blocks its thread until it ends. ``expect(tool_to_ask)`` is called when the turn has begun, and tells which calls
    need approval: ``tool_to_ask(name)`` is the tool, or None; it returns whether a person may then be asked to mend a
    call whose arguments do not fit. ``called(calls, indexes)`` is called with the calls of each whole response: by
    `orchat.chat.message_selection.CallPlace`, with the index of each one's deltas
    (`orchat.streaming.ToolCallDelta`), none where it came in one piece. ``retrying(text)`` is called before the wait
    for each retry of a request that did not start; the text says why, and how long the wait is.
    ``running(call, place, part, text)`` is called while a tool runs, with what it tells of its progress: the part of 1,
    or None, and a text. ``ask`` may be called for a running call, too: its tool asks the person a question, by a form
    that is described as a tool. ``call_tool(run, invoke)`` is awaited in the place of ``invoke()`` where an event loop
    runs the turn: it returns the `orchat.chat.tool_execution.ToolOutcome` of that coroutine function, which it may call
    on another loop. ``reading_pause()`` returns for how many seconds nothing that arrives would be displayed: several
    tokens that are read at once cost little more than one.
    """

    def start(self, question: ChatMessage | None) -> None:
        """Begin a turn; the question is None where a turn that was parked or has failed continues."""

    def add(self, chunk: StreamingChunk) -> None:
        """Display a chunk: a piece of the answer, or a tool's result with its call's place in ``meta["place"]``."""

    def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Verdict | Awaitable[Verdict]:
        """Ask a person for a verdict on a call; None where no person can be asked, and the turn parks.

        The call is told from others by its place in the turn, for ids may repeat.
        """

    def end(self, reply: Reply, error: BaseException | None) -> None:
        """Display how the turn ended."""


class ShownChat(Protocol):
    """The chat whose turns a sink displays: the part of `Chat` that a sink may use."""

    show: bool

    @property
    def model(self) -> str | None:
        """The model's name."""

    def offered_tools(self) -> list[Tool]:
        """Return the tools that the model may call."""

    def stop(self) -> None:
        """Stop the running turn."""


GeneratorFactory = Callable[[str | None], OpenRouterChatGenerator]
SinkFactory = Callable[[ShownChat], Sink | None]


class _Dependencies:
    generator_factory: GeneratorFactory | None = None
    sink_factory: SinkFactory | None = None
    price_lookup: Price | None = None
    budget_factory: Callable[[], Budget] | None = None


_dependencies = _Dependencies()


def set_generator_factory(factory: GeneratorFactory | None) -> None:
    """Register the factory that makes a generator for a model's name, or for None the default one."""
    _dependencies.generator_factory = factory


def set_sink_factory(factory: SinkFactory | None) -> None:
    """Register the factory that makes a turn's sink; it returns None for a turn that is not displayed."""
    _dependencies.sink_factory = factory


def set_price_lookup(price: Price | None) -> None:
    """Register the price function that budgets estimate with."""
    _dependencies.price_lookup = price


def set_shared_budget(factory: Callable[[], Budget] | None) -> None:
    """Register the function that returns the budget of all chats of the process."""
    _dependencies.budget_factory = factory


def make_default_generator(model: str | None) -> OpenRouterChatGenerator:
    """Make the generator for a model's name by the registered factory.

    Raises
    ------
    ConfigurationError
        No factory is registered (a ValueError).
    """
    if _dependencies.generator_factory is None:
        raise ConfigurationError(
            "A chat needs a generator here.",
            hint="Give it one, or import Chat from orchat, which knows how to connect.",
        )
    return _dependencies.generator_factory(model)


def sink_for(chat: ShownChat, *, awaited: bool = False) -> Sink | None:
    """Make the sink that displays the next turn of a chat; None without one.

    Parameters
    ----------
    chat
        The chat.
    awaited
        Whether the turn leaves the event loop free.
    """
    factory = _dependencies.sink_factory
    sink = factory(chat) if factory is not None and chat.show else None
    if awaited and (tell := getattr(sink, "awaited", None)) is not None:
        tell()
    return sink


def price_lookup() -> Price | None:
    """Return the registered price function."""
    return _dependencies.price_lookup


def shared_budget() -> Budget | None:
    """Return the budget that all chats of the process share."""
    return None if _dependencies.budget_factory is None else _dependencies.budget_factory()
