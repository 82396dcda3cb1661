"""One turn, as a machine: from a question to its answer, through responses, tool calls, decisions and results.

It says what is to be done next (`Turn.step`) and is told what came of it. It does no I/O and knows no clock; two short
drivers in `orchat.chat.driving` do what it says. What it promises:

1. A turn goes on until it has exactly one `Ending`, and ends once.
2. Every tool call is answered from the moment it is known: first by a text that says it did not run, then by what came
   of it. So the messages can be sent, saved or looked at after any step, whatever interrupts.
3. What did not arrive whole is kept and stamped: ``meta["ending"]`` is ``stopped``, ``interrupted`` or ``failed``.
4. Only what a decision approved runs, with the arguments that were approved; the model is told of a person's change.
5. What must be sent back unchanged (reasoning details, annotations) is not touched, unless another model is asked.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from orchat.chat.approval import Answer, Approve, Decision, Reject
from orchat.chat.calling import Outcome, content_of, misfit, problem, with_note
from orchat.chat.history import pending_calls, pending_places, shortened
from orchat.chat.reply import Ending, Reply
from orchat.errors import ConfigurationError
from orchat.messages import ChatMessage, ChatRole, ToolCall
from orchat.tools import Tool

_NOT_YET = "This call has not run."
_WAITS = "This call has not run: it waits for a person's decision."
_CUT = {
    "stopped": "the answer was stopped by a person",
    "interrupted": "the answer was interrupted",
    "failed": "the turn failed",
}


@dataclass(frozen=True)
class Request:
    """Ask the model, and tell `Turn.responded`."""


@dataclass(frozen=True)
class Decide:
    """Find a decision for each of these calls, and tell `Turn.decided`."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True)
class Run:
    """A tool to run with these arguments; what came of it goes to `Turn.returned`."""

    call: ToolCall
    tool: Tool
    arguments: dict[str, Any]


@dataclass(frozen=True)
class RunAll:
    """Run these, in any order."""

    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Ended:
    """Nothing more is to be done."""

    ending: Ending


Step: TypeAlias = Request | Decide | RunAll | Ended


class Turn:
    """A turn on its way.

    Parameters
    ----------
    messages
        The question; or the messages of a parked turn, from its question on.
    tools
        By name.
    max_rounds
        How many responses it may take.

    Examples
    --------
    >>> turn = Turn([ChatMessage.from_user("Hi")])
    >>> turn.step()
    Request()
    >>> _ = turn.responded(ChatMessage.from_assistant("Hello."))
    >>> turn.step()
    Ended(ending='finished')
    """

    def __init__(
        self, messages: Sequence[ChatMessage], tools: Mapping[str, Tool] | None = None, max_rounds: int = 25
    ) -> None:
        self.messages = list(messages)
        self.ending: Ending | None = None
        self.tools = dict(tools or {})
        self._max_rounds = max_rounds
        self._rounds = 0
        self._undecided: dict[str, ToolCall] = {}
        self._wrong: dict[str, str] = {}  # what is wrong with calls that a person may mend
        self._approved: dict[str, Run] = {}
        self._started: set[str] = set()
        self._places = {_id_of(self.messages[at]): at for at in pending_places(self.messages)}

    # -- what is to be done -------------------------------------------------------------------------------------

    def step(self) -> Step:
        """Say what is to be done next; asking again changes nothing."""
        if self.ending is None and not self._undecided and not self._approved:
            if pending_calls(self.messages):
                self.ending = "parked"
            elif self.messages[-1].is_from(ChatRole.ASSISTANT):
                self.ending = "finished"
        if self.ending is not None:
            return Ended(self.ending)
        if self._undecided:
            return Decide(tuple(self._undecided.values()))
        if self._approved:
            return RunAll(tuple(self._approved.values()))
        return Request()

    @property
    def reply(self) -> Reply:
        """The turn so far, as users see it."""
        responses = [message for message in self.messages if message.is_from(ChatRole.ASSISTANT)]
        # Even an answer of which nothing arrived says how it ended.
        nothing = ChatMessage.from_assistant(None, {"ending": self.ending} if self.ending in _CUT else {})
        last = responses[-1] if responses else nothing
        pending = tuple(pending_calls(self.messages))
        return Reply(last, tuple(self.messages), pending, self.ending or ("parked" if pending else "interrupted"))

    @property
    def is_empty(self) -> bool:
        """Whether nothing came of the question."""
        return not any(message.is_from(ChatRole.ASSISTANT) for message in self.messages)

    # -- what came of it ----------------------------------------------------------------------------------------

    def responded(self, message: ChatMessage, mends: Callable[[str], bool] = lambda name: False) -> list[ChatMessage]:
        """Take a whole response, and return what the model is told at once of calls that cannot run.

        Parameters
        ----------
        message
            The response.
        mends
            Whether a person may be asked to mend a call of this tool whose arguments do not fit.
        """
        self._rounds += 1
        self.messages.append(message)
        self._places = {}
        for call in message.tool_calls:
            self._places[str(call.id)] = len(self.messages)
            self.messages.append(ChatMessage.from_tool(_NOT_YET, call, error=True))
        if message.tool_calls and self._rounds >= self._max_rounds:
            self.ending = "max_rounds"
            text = f"This call did not run: {self._max_rounds} rounds are the limit."
            return [self._answer(call, Outcome(text, error=True)) for call in message.tool_calls]
        told = []
        for call in message.tool_calls:
            wrong = problem(call, self.tools)
            if wrong is not None and not mends(call.tool_name):
                told.append(self._answer(call, Outcome(wrong, error=True)))
                continue
            self._undecided[str(call.id)] = call
            if wrong is not None:
                self._wrong[str(call.id)] = wrong
        return told

    def resume(self, decisions: Mapping[str, Decision]) -> None:
        """Take what was decided about calls of a parked turn.

        Raises
        ------
        ConfigurationError
            No such call waits, its tool is not there, or changed arguments do not fit it; nothing has changed then
            (a ValueError).
        """
        waiting = {str(call.id): call for call in pending_calls(self.messages)}
        if unknown := [call_id for call_id in decisions if call_id not in waiting]:
            raise ConfigurationError(
                f"No tool call {unknown[0]!r} waits for a decision.",
                hint=f"These do: {', '.join(waiting)}." if waiting else "None does.",
            )
        for call_id, decision in decisions.items():
            self._check(waiting[call_id], decision)
        self.ending = None
        self._undecided = {call_id: waiting[call_id] for call_id in decisions}
        self.decided(decisions)

    def decided(self, decisions: Mapping[str, Decision | None]) -> list[ChatMessage]:
        """Take a decision about each call that waits for one; None leaves the call waiting, and parks the turn.

        A call that nobody mended cannot wait: what the model is told of those is returned.

        Raises
        ------
        ConfigurationError
            Changed arguments do not fit the tool (a ValueError).
        """
        for call_id, decision in decisions.items():
            self._check(self._undecided[call_id], decision)
        told = []
        for call_id, decision in decisions.items():
            call, wrong = self._undecided.pop(call_id), self._wrong.pop(call_id, None)
            match decision:
                case None if wrong is not None:
                    told.append(self._answer(call, Outcome(wrong, error=True)))
                case None:
                    self._put(call, ChatMessage.from_tool(_WAITS, call, error=True, meta={"pending": True}))
                case Reject():
                    text = f"This call was rejected and did not run. {decision.reason or wrong or ''}".strip()
                    self._answer(call, Outcome(text, error=True), decision="rejected")
                case Answer():
                    self._answer(call, Outcome(content_of(decision.value)), decision="answered")
                case Approve():
                    # A copy: what was shown is what runs, and a tool may do with it what it likes.
                    arguments = copy.deepcopy(call.arguments if decision.arguments is None else decision.arguments)
                    self._put(call, ChatMessage.from_tool(_NOT_YET, call, error=True))
                    self._approved[call_id] = Run(call, self.tools[call.tool_name], arguments)
        return told

    def started(self, call: ToolCall) -> None:
        """Take note that a tool has begun to run."""
        self._started.add(str(call.id))

    def returned(self, call: ToolCall, outcome: Outcome) -> ChatMessage:
        """Take what a tool ended with, and return it as a message."""
        run = self._approved.pop(str(call.id))
        self._started.discard(str(call.id))
        if _as_text(run.arguments) == _as_text(call.arguments):
            return self._answer(call, outcome, decision="approved")
        text = json.dumps(run.arguments, ensure_ascii=False)
        note = f"A person changed the arguments before the call ran. It ran with: {text}"
        changed = Outcome(with_note(outcome.content, note), outcome.error)
        return self._answer(call, changed, decision="edited", arguments=run.arguments)

    def cut(self, ending: Ending, partial: ChatMessage | None = None) -> None:
        """End the turn before its time; what had arrived of a response is kept."""
        if self.ending is not None:
            return
        self.ending = ending
        if partial is not None and partial.parts:
            self.messages.append(shortened(partial))
        for call_id, call in [*self._undecided.items(), *((i, run.call) for i, run in self._approved.items())]:
            begun = call_id in self._started
            text = "This call was cut off, and what it did is not known" if begun else "This call did not run"
            self._answer(call, Outcome(f"{text}: {_CUT[ending]}.", error=True))
        self._undecided, self._approved = {}, {}
        last = next((message for message in reversed(self.messages) if message.is_from(ChatRole.ASSISTANT)), None)
        if last is not None:
            last.meta["ending"] = ending

    # -- answering calls ----------------------------------------------------------------------------------------

    def _check(self, call: ToolCall, decision: Decision | None) -> None:
        if not isinstance(decision, Approve):
            return
        if (tool := self.tools.get(call.tool_name)) is None:
            raise ConfigurationError(
                f"The tool `{call.tool_name}` is not there, so that its call cannot be approved.",
                hint="Give it with tools=, or reject or answer the call.",
            )
        if (wrong := misfit(tool, call.arguments if decision.arguments is None else decision.arguments)) is not None:
            raise ConfigurationError(wrong, hint="Nothing has run.")

    def _answer(self, call: ToolCall, outcome: Outcome, **meta: Any) -> ChatMessage:
        message = ChatMessage.from_tool(outcome.content, call, outcome.error, meta)
        self._put(call, message)
        return message

    def _put(self, call: ToolCall, message: ChatMessage) -> None:
        self.messages[self._places[str(call.id)]] = message


def _id_of(message: ChatMessage) -> str:
    result = message.tool_call_result
    assert result is not None
    return str(result.origin.id)


def _as_text(arguments: Mapping[str, Any]) -> str:
    """Write arguments so that 1, 1.0 and True are three things, as they are to a model."""
    return json.dumps(arguments, sort_keys=True, default=str)
