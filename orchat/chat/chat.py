"""`Chat`: a conversation with a model, its tools and its budget.

It holds the messages, starts turns, and gives them to a driver (`orchat.chat.turn_drivers`) for threads or for event
loops. Higher layers provide the default generator and the sinks (`orchat.chat.chat_dependencies`). It is long
because it is the door: each way to ask stands here with its documentation, and the work in other modules.
"""

from __future__ import annotations

import copy
import json
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any, NoReturn, Unpack

from orchat.chat import state
from orchat.chat.approval import Decision, Decisions, Policy, check_policy, to_decisions
from orchat.chat.chat_dependencies import Sink, make_default_generator, price_lookup, shared_budget, sink_for
from orchat.chat.conversation import Conversation, Question, check_question
from orchat.chat.exit_conditions import ExitCondition, read_exit_conditions
from orchat.chat.history_policies import HistoryPolicy, read_history_policies
from orchat.chat.money import Budget, Cost
from orchat.chat.reply import Reply
from orchat.chat.request_estimate import Price
from orchat.chat.result_store import ResultStore
from orchat.chat.tool_hooks import AfterToolCall, BeforeToolCall, ToolHooks
from orchat.chat.turn import MAX_TOOL_RUNS, Turn
from orchat.chat.turn_context import TurnContext
from orchat.chat.turn_drivers import AsyncTurnDriver, TurnDriver
from orchat.chat.turn_streams import AsyncChatStream, ChatStream, TurnOptions
from orchat.errors import ConfigurationError
from orchat.messages import ChatMessage
from orchat.openrouter.completion_request import Tools, read_generation_kwargs
from orchat.openrouter.dialect import DEFAULT_BASE_URL, is_openrouter
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.tools import Tool
from orchat.tools.decorator import as_tools
from orchat.tools.toolset import flatten


class Chat(Conversation):
    """A conversation with a model: it keeps messages, calls tools after approval, counts cost, and can be saved.

    Parameters
    ----------
    generator_or_model
        A generator, a model's name, or None for the default model (both need ``from orchat import Chat``).
    system
        The system message.
    tools
        Tools that the model may call; a plain function is made a tool. Default: the generator's.
    approve
        The approval policy for tool calls: ``"ask"`` a person, ``"always"``, ``"never"``, a function of a `ToolCall`
        that returns a decision (`Approve`, `Reject`, `Answer`, True, False, or None to ask), or a dict of these by tool
        name (``"*"`` for the others). Where no person can be asked the turn parks: see `resume`.
    max_cost
        The chat's spending limit in USD, or a `Budget` that it shares. A guard that works with estimates.
    name
        A display name.
    max_rounds
        The largest number of responses in a turn that may call tools; then it ends with one more answer without tools.
    max_tool_runs
        The largest number of tool calls in a turn; a response with more ends it with a `ResponseLimitError`.
    exit_conditions
        When a turn ends with one more answer without tools: names of tools (one was called), and functions of the
        `Reply` so far that return a reason, such as `orchat.chat.cost_limit` and `orchat.chat.total_tokens_limit` make.
    before_tool_call
        A function of each `ToolCall` that fits, run before anybody decides about it. It returns other arguments,
        `Reject` or `Answer` to end the call, or None.
    after_tool_call
        A function of a `ToolCall` as it ran and its result; it returns another result, or None.
    history
        Which earlier messages are sent: a function of the earlier messages, or several, such as
        `orchat.chat.last_turns`, `orchat.chat.drop_tool_results` and `orchat.chat.SummarizeOlder` make. Default: all.
        The chat keeps all of them, and the reply's warnings say what was not sent.
    result_store
        An `orchat.chat.ResultStore` keeps long results of tools whole, and gives the model their head and a tool to
        read on. Without one what is longer than about 8,000 tokens is cut.
    generation_kwargs
        Laid over the generator's: ``temperature``, ``max_tokens`` ...
    session
        Requests of one session stay with one provider (API section 3.4). Default: one of its own.
    show
        Whether a notebook displays its turns as they run.
    price
        Model and `orchat.openrouter.prices.RequestSize` -> USD or None: what `max_cost` estimates with.

    Raises
    ------
    ConfigurationError
        A value makes no sense (a ValueError).
    TypeError
        The first argument is neither a generator nor a name.

    Examples
    --------
    >>> chat = Chat("vendor/m", system="Be brief.")
    >>> [message.text for message in chat.messages]
    ['Be brief.']
    """

    def __init__(
        self,
        generator_or_model: OpenRouterChatGenerator | str | None = None,
        system: str | None = None,
        tools: Tools | None = None,
        approve: Policy = "ask",
        max_cost: float | Decimal | Budget | None = None,
        name: str | None = None,
        max_rounds: int = 25,
        *,
        generation_kwargs: dict[str, Any] | None = None,
        session: str | None = None,
        show: bool = True,
        price: Price | None = None,
        max_tool_runs: int = MAX_TOOL_RUNS,
        exit_conditions: Sequence[str | ExitCondition] = (),
        before_tool_call: BeforeToolCall | None = None,
        after_tool_call: AfterToolCall | None = None,
        result_store: ResultStore | None = None,
        history: HistoryPolicy | Sequence[HistoryPolicy] | None = None,
    ) -> None:
        super().__init__(() if system is None or system == "" else [ChatMessage.from_system(system)], name)
        given = generator_or_model
        if given is not None and not isinstance(given, str) and not hasattr(given, "stream_async"):
            raise TypeError(f"A chat takes a generator or a model's name, not {type(given).__name__}.")
        for limit, value in (("max_rounds", max_rounds), ("max_tool_runs", max_tool_runs)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"{limit}={value!r} makes no sense.", hint="It is a whole number, 1 or more.")
        self._model = given if isinstance(given, str) else None
        self._generator = None if given is None or isinstance(given, str) else given
        self._connects = self._generator is None
        self.tools = as_tools(tools)
        self.approve = check_policy(approve)
        self.max_rounds = max_rounds
        self.max_tool_runs = max_tool_runs
        self.exit_conditions = read_exit_conditions(exit_conditions)
        self.history = read_history_policies(history)
        self.hooks = ToolHooks(before_tool_call, after_tool_call, result_store)
        self.generation_kwargs = read_generation_kwargs(generation_kwargs)
        self.price = price
        self.budget = Budget.of(max_cost)
        self.cost = Cost()
        self.show = show
        self._session = session or uuid.uuid4().hex
        self._driver: TurnDriver | AsyncTurnDriver | None = None
        self._unknown: dict[str, Any] = {}
        flatten(self.tools)

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        return f"Chat({name}model={self.model!r}, messages={len(self.messages)}, cost={self.cost!s})"

    # -- asking -------------------------------------------------------------------------------------------------

    def __call__(self, question: Question, **options: Unpack[TurnOptions]) -> Reply:
        """Run one turn, tool calls included, and return the reply.

        Parameters
        ----------
        question
            A text, a part, the path of a file, or a user's ChatMessage; or a list of texts, parts, paths and whatever
            else is asked about: figures, images, data frames, bytes of an image (`orchat.rendering.question_parts`).
        **options
            For this turn only: ``generation_kwargs``, ``max_cost``, ``park``, ``whole``, ``version_of``: `TurnOptions`.

        Raises
        ------
        APIError
            The endpoint refused or failed; the part of the response that had arrived is kept.
        BudgetExceededError
            The next request may cost more than the budget allows.
        TurnInProgressError
            The chat is busy.
        """
        stream = ChatStream(self, check_question(question), options, sink_for(self))
        return stream.drain()

    async def ask(self, question: Question, **options: Unpack[TurnOptions]) -> Reply:
        """Run one turn on the running event loop; parallel tool calls run concurrently."""
        stream = AsyncChatStream(self, check_question(question), options, sink_for(self, awaited=True))
        return await stream.drain()

    def stream(self, question: Question, **options: Unpack[TurnOptions]) -> ChatStream:
        """Run one turn as an iterator of chunks, tool results included; its ``reply`` is the whole.

        Leaving the loop and closing the iterator stops the turn.
        """
        return ChatStream(self, check_question(question), options)

    def stream_async(self, question: Question, **options: Unpack[TurnOptions]) -> AsyncChatStream:
        """Run one turn as an asynchronous iterator of chunks, for ``async for`` and ``async with``."""
        return AsyncChatStream(self, check_question(question), options)

    def resume(self, decisions: Mapping[str, Decision | bool]) -> Reply:
        """Continue a parked turn with decisions on its tool calls.

        Parameters
        ----------
        decisions
            By call id (`pending`): ``Approve()``, ``Approve(arguments=...)``, ``Reject(reason)`` or ``Answer(value)``.
            Calls without a decision stay pending.

        Raises
        ------
        ConfigurationError
            No pending call has that id, several have it, or arguments do not fit; no tool has run (a ValueError).
        """
        return ChatStream(self, to_decisions(decisions), {}, sink_for(self)).drain()

    async def resume_async(self, decisions: Mapping[str, Decision | bool]) -> Reply:
        """Continue a parked turn on the running event loop; parameters as of `resume`."""
        return await AsyncChatStream(self, to_decisions(decisions), {}, sink_for(self, awaited=True)).drain()

    def retry(self, **options: Unpack[TurnOptions]) -> Reply:
        """Ask again for the response that failed or was stopped; tool calls that ran before it do not run again.

        What had arrived of that response stays as another version of the turn (`versions`).

        Parameters
        ----------
        **options
            As of `__call__`.

        Raises
        ------
        ConfigurationError
            The last turn has not failed (a ValueError).
        """
        return ChatStream(self, None, options, sink_for(self)).drain()

    async def retry_async(self, **options: Unpack[TurnOptions]) -> Reply:
        """Ask again for the response that failed, on the running event loop; parameters as of `retry`."""
        return await AsyncChatStream(self, None, options, sink_for(self, awaited=True)).drain()

    def stop(self) -> None:
        """Stop the running turn, from any thread or task: close its connection, and keep the response so far.

        A sync turn waits for the running tool; an async one does not: its thread runs on, and the result is dropped.
        """
        if (driver := self._driver) is not None:
            driver.stop()

    @property
    def arrived(self) -> list[ChatMessage]:
        """The part of the running response that has arrived, as if it had been cut now: one message, or none."""
        driver = self._driver  # another thread may end the turn now
        return [] if driver is None else driver.arrived

    # -- model and generator --------------------------------------------------------------------------------------

    @property
    def model(self) -> str | None:
        """The model's name; None for the default model before the first turn."""
        if "model" in self.generation_kwargs:
            return str(self.generation_kwargs["model"])
        return self._model or (self._generator.model if self._generator is not None else None)

    @model.setter
    def model(self, model: str | None) -> None:
        with self._locked():
            self.generation_kwargs.pop("model", None)
            self._model = model
            if self._connects:  # another model may be answered elsewhere
                self._generator = None

    @property
    def generator(self) -> OpenRouterChatGenerator:
        """The generator; the default one is made on first use."""
        if self._generator is None:
            self._generator = make_default_generator(self._model)
        return self._generator

    def offered_tools(self) -> list[Tool]:
        """Return the tools that the model may call in the next turn."""
        return flatten(self.generator.tools if self.tools is None else self.tools)

    def fork(self, name: str | None = None) -> Chat:
        """Return an independent copy of the chat: its cost starts at 0, its budget is shared."""
        twin = Chat.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._messages, twin._versions = self._deep_copy()
        twin.generation_kwargs = copy.deepcopy(self.generation_kwargs)
        twin.name, twin.cost, twin._session = name, Cost(), uuid.uuid4().hex
        twin._lock, twin._pair_lock = threading.Lock(), threading.Lock()
        twin._turn, twin._driver = None, None
        twin._unknown = copy.deepcopy(self._unknown)
        return twin

    def __copy__(self) -> Chat:
        return self.fork(self.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Chat:
        return self.fork(self.name)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A Chat has locks and connections, and cannot be pickled. `chat.to_dict()` makes data of it, and "
            "`Chat.from_dict(data)` a chat of that, in another process as well."
        )

    # -- as data ------------------------------------------------------------------------------------------------

    def to_dict(self, max_bytes: int | None = None) -> dict[str, Any]:
        """Serialize the chat to JSON data without secrets (`orchat.chat.state`).

        Secrets in people's words and tools' results are redacted. A model's words, reasoning and calls are never
        altered: a turn where they hold a secret is left out, and ``left_out["secrets"]`` counts them.

        Parameters
        ----------
        max_bytes
            The largest size as JSON text: beyond it media are left out, then the oldest turns; ``left_out`` says so.

        Raises
        ------
        StateError
            Not even the last turn fits.
        """
        inherited = self._generator.generation_kwargs if self._generator is not None else {}
        parameters = {**inherited, **self.generation_kwargs}
        saved = state.ChatState(
            self.messages, self.name, self.model, parameters, self.cost, self._unknown, self.hidden_turns()
        )
        return state.to_dict(saved, secrets=state.secrets_of(self._generator), max_bytes=max_bytes)

    @classmethod
    def from_dict(
        cls,
        data: Mapping[str, Any],
        generator: OpenRouterChatGenerator | str | None = None,
        tools: Tools | None = None,
        approve: Policy = "ask",
        max_cost: float | Decimal | Budget | None = None,
        max_rounds: int = 25,
        *,
        price: Price | None = None,
        max_tool_runs: int = MAX_TOOL_RUNS,
    ) -> Chat:
        """Restore a chat from `to_dict`'s form. The data sets messages, the model and sampling parameters, no more.

        A model and parameters that ``generator`` sets win over the data's; all else comes from the arguments.

        Raises
        ------
        StateError
            The data is of a newer version, or damaged; it stays as it is.
        """
        saved = state.from_dict(data)
        chat = cls(
            generator, None, tools, approve, None, saved.name, max_rounds, price=price, max_tool_runs=max_tool_runs
        )
        chat.restore_messages(saved.messages, saved.versions)
        chat.restore_settings(saved)
        chat.cost = saved.cost
        chat.budget = Budget.of(max_cost, saved.cost)
        chat._unknown = saved.unknown
        return chat

    def restore_settings(self, saved: state.ChatState) -> str:
        """Take over the saved model and parameters that the code leaves open, and describe them.

        Parameters
        ----------
        saved
            A saved chat; its author may be a stranger.
        """
        restored: dict[str, Any] = {}
        if saved.model and self.model is None:
            self._model = saved.model
            restored["model"] = saved.model
        ours = self._generator.generation_kwargs if self._generator is not None else {}
        parameters = {k: v for k, v in saved.parameters.items() if k not in ours and k not in self.generation_kwargs}
        self.generation_kwargs = {**parameters, **self.generation_kwargs}
        restored |= parameters
        words = {name: value if isinstance(value, str) else json.dumps(value) for name, value in restored.items()}
        return ", ".join(f"{name} {value}" for name, value in words.items())

    # -- for the streams ----------------------------------------------------------------------------------------

    def _begin_turn(
        self, question: Question | Decisions | None, version_of: int | None
    ) -> AbstractContextManager[Turn]:
        tools = self.offered_tools()  # connected first: a missing key must not cost a decision
        if tools and self.hooks.results is not None:
            tools.append(self.hooks.results.read_result)
        named = {tool.name: tool for tool in tools}
        return self._turn_in_progress(
            question, named, self.max_rounds, self.max_tool_runs, self.exit_conditions, self.hooks, version_of
        )

    def _turn_context(self, options: TurnOptions, sink: Sink | None) -> TurnContext:
        """Assemble the context of a turn: generator, tools, policy, budgets and sink."""
        generator = self.generator
        kwargs = {**self.generation_kwargs, **read_generation_kwargs(options.get("generation_kwargs"))}
        if self._model is not None and self._model != generator.model:
            kwargs.setdefault("model", self._model)
        model = kwargs.get("model", generator.generation_kwargs.get("model", generator.model))
        if is_openrouter(generator.api_base_url or DEFAULT_BASE_URL):
            # Keeps the rounds of a tool loop on one provider, which signed its reasoning (API section 3.4).
            kwargs.setdefault("session_id", self._session)
        budgets = (self.budget, Budget.of(options.get("max_cost")), shared_budget())
        return TurnContext(
            generator=generator,
            model=str(model),
            generation_kwargs=kwargs,
            history=self._messages,
            history_policies=self.history,
            tools=self._turn.tools if self._turn is not None else {},
            policy=self.approve,
            sink=sink,
            budgets=[budget for budget in budgets if budget is not None],
            price=self.price or price_lookup(),
            parks=options.get("park", True),
            whole=options.get("whole", False),
            charge=self._charge,
        )

    def _charge(self, cost: Cost) -> None:
        self.cost += cost
