"""The state machine of one turn: question, responses, tool calls, decisions, results, answer.

It says what is to be done next (`Turn.step`) and is told the outcome. It does no I/O and knows no clock; two short
drivers in `orchat.chat.turn_drivers` do what it says. What it promises:

1. A turn goes on until it has exactly one `Ending`, and ends once.
2. Every tool call is answered from the moment it is known: first by a text that says it did not run, then by its
   result. So the messages can be sent, saved or looked at after any step, whatever interrupts.
3. What did not arrive whole is kept and stamped: ``meta["ending"]`` is ``stopped``, ``interrupted`` or ``failed``.
4. Only what a decision approved runs, with the arguments that were approved; the model is told of a person's change.
5. What must be sent back unchanged (reasoning details, annotations) is not touched, unless another model is asked.
6. Arguments of a wrong type are mended at once, by the rule of `orchat.tools.argument_coercion`: what is shown, decided
   about, run and sent back are the mended ones.
7. Calls are told apart by their place in the turn (`CallPlace`), never by the ids that an endpoint gave them.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchat.chat.approval import Answer, Approve, Decision, Reject
from orchat.chat.exit_conditions import ExitCondition, exit_reason
from orchat.chat.message_selection import (
    CallPlace,
    answered_calls,
    pending_calls,
    pending_indices,
    place_of_waiting_call,
    truncate_partial,
    waiting_calls,
)
from orchat.chat.reply import Ending, Reply
from orchat.chat.tool_execution import (
    ToolOutcome,
    argument_error,
    call_error,
    mend_arguments,
    prepend_note,
    replace_arguments,
    result_content,
)
from orchat.chat.tool_hooks import ToolHooks
from orchat.chat.turn_steps import AskApproval, CallModel, RunTool, RunTools, Step, TurnEnded
from orchat.errors import ConfigurationError, ResponseLimitError
from orchat.message_assembly import warn, was_cut
from orchat.messages import ChatMessage, ChatRole, ToolCall
from orchat.tools import Tool

_log = logging.getLogger(__name__)

MAX_TOOL_RUNS = 250
"""How many tool calls a turn makes at most, unless its chat says otherwise."""

_NOT_YET = "This call has not run."
_WAITS = "This call has not run: it waits for a person's decision."
_CUT = {
    "stopped": "the answer was stopped by a person",
    "interrupted": "the answer was interrupted",
    "failed": "the turn failed",
}


class Turn:
    """The state machine of a turn: its messages so far, and its next step.

    Parameters
    ----------
    messages
        The question; or the messages of a parked turn, from its question on.
    tools
        By name.
    max_rounds
        How many responses may call tools; then one more is asked for, without.
    max_tool_runs
        How many tool calls it may make.
    exit_conditions
        When it ends with one more answer without tools.
    hooks
        What the chat's author does before and after calls.

    Examples
    --------
    >>> turn = Turn([ChatMessage.from_user("Hi")])
    >>> turn.step()
    CallModel(is_last=False)
    >>> _ = turn.responded(ChatMessage.from_assistant("Hello."))
    >>> turn.step()
    TurnEnded(ending='finished')
    """

    def __init__(
        self,
        messages: Sequence[ChatMessage],
        tools: Mapping[str, Tool] | None = None,
        max_rounds: int = 25,
        max_tool_runs: int = MAX_TOOL_RUNS,
        exit_conditions: Sequence[ExitCondition] = (),
        hooks: ToolHooks = ToolHooks(),  # noqa: B008 - immutable
    ) -> None:
        self.messages = list(messages)
        self.ending: Ending | None = None
        self.tools = dict(tools or {})
        self._max_rounds = max_rounds
        self._rounds = 0
        self._max_tool_runs = max_tool_runs
        self._exit_conditions = tuple(exit_conditions)
        self._hooks = hooks
        self._exit: tuple[Ending, str] | None = None  # how and why it ends with the next response
        self._looked_at = 0  # the messages at which the exit conditions were looked at last
        self._number_of_calls = sum(len(message.tool_calls) for message in messages)
        self._failed_before: set[tuple[str, str | None, str]] = set()
        self._undecided: dict[CallPlace, ToolCall] = {}
        self._wrong: dict[CallPlace, str] = {}  # what is wrong with calls that a person may mend
        self._approved: dict[CallPlace, RunTool] = {}
        self._started: set[CallPlace] = set()
        answered = answered_calls(self.messages)
        self._results = {answered[at]: at for at in pending_indices(self.messages)}  # where each one's result stands

    # -- what is to be done -------------------------------------------------------------------------------------

    def step(self) -> Step:
        """Return the next step; calling it again changes nothing."""
        if self.ending is None and not self._undecided and not self._approved:
            if pending_calls(self.messages):
                self.ending = "parked"
            elif self.messages[-1].is_from(ChatRole.ASSISTANT):
                self.ending = "finished"
        if self.ending is not None:
            return TurnEnded(self.ending)
        if self._undecided:
            return AskApproval(dict(self._undecided))
        if self._approved:
            return RunTools(tuple(self._approved.values()))
        if self._exit is None and self.messages[-1].is_from(ChatRole.TOOL) and self._looked_at < len(self.messages):
            self._looked_at = len(self.messages)
            why = exit_reason(self._exit_conditions, self.reply)
            self._exit = ("exit_condition", why) if why is not None else None
        return CallModel(is_last=self._exit is not None)

    @property
    def last_calls(self) -> dict[CallPlace, ToolCall]:
        """The tool calls of the last response, by place."""
        responses = [message for message in self.messages if message.is_from(ChatRole.ASSISTANT)]
        calls = responses[-1].tool_calls if responses else []
        return {CallPlace(len(responses) - 1, number): call for number, call in enumerate(calls)}

    @property
    def reply(self) -> Reply:
        """The turn so far, as a `Reply`."""
        responses = [message for message in self.messages if message.is_from(ChatRole.ASSISTANT)]
        # Even an answer of which nothing arrived says how it ended.
        nothing = ChatMessage.from_assistant(None, {"ending": self.ending} if self.ending in _CUT else {})
        last = responses[-1] if responses else nothing
        pending = tuple(pending_calls(self.messages))
        return Reply(last, tuple(self.messages), pending, self.ending or ("parked" if pending else "interrupted"))

    @property
    def is_empty(self) -> bool:
        """Whether the question has no response."""
        return not any(message.is_from(ChatRole.ASSISTANT) for message in self.messages)

    # -- outcomes of steps --------------------------------------------------------------------------------------

    def responded(
        self, message: ChatMessage, mends: Callable[[str], bool] = lambda name: False
    ) -> dict[CallPlace, ChatMessage]:
        """Add a whole response, and return the error results of its calls that cannot run.

        Parameters
        ----------
        message
            The response.
        mends
            Whether a person may be asked to mend a call of this tool whose arguments do not fit.

        Raises
        ------
        ResponseLimitError
            Its calls are more than the turn may make; none of them runs, and the turn has ended.
        """
        self._rounds += 1
        self.messages.append(message)
        calls = self.last_calls
        for call in calls.values():
            if (tool := self.tools.get(call.tool_name)) is not None and (note := mend_arguments(call, tool)):
                warn(message, note)
        self._results = {}
        for place, call in calls.items():
            self._results[place] = len(self.messages)
            self.messages.append(ChatMessage.from_tool(_NOT_YET, call, error=True))
        self._number_of_calls += len(calls)
        if self._number_of_calls > self._max_tool_runs and self._exit is None:
            raise self._end_over_limit(message, calls)
        errors = {place: call_error(call, self.tools) for place, call in calls.items()}
        if (stop := self._exit or self._stop_reason(message, calls, errors, mends)) is not None:
            return self._stop(message, calls, *stop)
        told = {}
        for place, call in calls.items():
            wrong = errors[place]
            if wrong is not None and not mends(call.tool_name):
                told[place] = self._answer(place, call, ToolOutcome(wrong, error=True))
                continue
            if wrong is None and (ended := self._run_hook_before(message, place, call)) is not None:
                told[place] = ended
                continue
            self._undecided[place] = call
            if wrong is not None:
                self._wrong[place] = wrong
        return told

    def _stop(
        self, message: ChatMessage, calls: Mapping[CallPlace, ToolCall], ending: Ending, why: str
    ) -> dict[CallPlace, ChatMessage]:
        """End the turn with this response; or with one more, if it is one round of tool calls too many."""
        if ending == "max_rounds" and self._exit is None:
            self._exit = (ending, why)
        else:
            self.ending = ending
            warn(message, f"{why} {self._rounds} responses cost {self.reply.spent}." if self._rounds > 1 else why)
            _log.warning("%s", message.meta["warnings"][-1])
        outcome = ToolOutcome(f"This call did not run: {why}", error=True)
        return {place: self._answer(place, call, outcome) for place, call in calls.items()}

    def _run_hook_before(self, message: ChatMessage, place: CallPlace, call: ToolCall) -> ChatMessage | None:
        """Let the chat's author change a call; return its result where that ends it."""
        match self._hooks.before_call(call, self.tools[call.tool_name]):
            case Reject() as decision:
                text = f"This call was rejected and did not run. {decision.reason}".strip()
                return self._answer(place, call, ToolOutcome(text, error=True), decision="rejected")
            case Answer() as decision:
                return self._answer(place, call, ToolOutcome(result_content(decision.value)), decision="answered")
            case dict() as arguments:
                replace_arguments(call, arguments)
                warn(message, f"The arguments for `{call.tool_name}` were changed by before_tool_call.")
        return None

    def _end_over_limit(self, message: ChatMessage, calls: Mapping[CallPlace, ToolCall]) -> ResponseLimitError:
        """End the turn before the calls of a response, and return the error that says why."""
        why = f"The turn is over a limit: more than {self._max_tool_runs:,} tool calls in one turn."
        for place, call in calls.items():
            self._answer(place, call, ToolOutcome(f"This call did not run: {why}", error=True))
        self.ending = message.meta["ending"] = "failed"
        hint = f"If so many make sense, raise the limit: Chat(max_tool_runs={2 * self._max_tool_runs})."
        return ResponseLimitError(why, partial=message, hint=hint)

    def _stop_reason(
        self,
        message: ChatMessage,
        calls: Mapping[CallPlace, ToolCall],
        errors: Mapping[CallPlace, str | None],
        mends: Callable[[str], bool],
    ) -> tuple[Ending, str] | None:
        """Return the ending and its reason where another request would not help; None to continue."""
        failed = {place: call for place, call in calls.items() if errors[place] is not None}
        if failed and was_cut(message):
            return "cut", "The answer was cut at its token limit in the middle of a tool call: raise max_tokens."
        alone = [call for call in failed.values() if not mends(call.tool_name)]
        marks = {(call.tool_name, call.malformed_arguments, _as_text(call.arguments)) for call in alone}
        again = sorted(name for name, *_ in marks & self._failed_before)
        self._failed_before = marks
        if again:
            why = next(filter(None, errors.values()))
            return "repeated", f"`{again[0]}` was called twice in a row in a way that cannot run: {why}"
        if calls and self._rounds >= self._max_rounds:
            return "max_rounds", f"{self._max_rounds} rounds are the limit."
        return None

    def resume(self, decisions: Mapping[Any, Decision]) -> None:
        """Continue a parked turn with decisions on its calls, by their ids or by their `CallPlace`.

        Raises
        ------
        ConfigurationError
            No such call waits, or several do that have the same id; its tool is not there, or changed arguments do not
            fit it; nothing has changed then (a ValueError).
        """
        waiting = waiting_calls(self.messages)
        decided = {place_of_waiting_call(key, waiting): decision for key, decision in decisions.items()}
        for place, decision in decided.items():
            self._check(waiting[place], decision)
        self.ending = None
        self._undecided = {place: waiting[place] for place in decided}
        self.decided(decided)

    def decided(self, decisions: Mapping[CallPlace, Decision | None]) -> dict[CallPlace, ChatMessage]:
        """Apply a decision to each undecided call; None leaves the call pending, and parks the turn.

        A call that nobody mended cannot wait: what the model is told of those is returned.

        Raises
        ------
        ConfigurationError
            Changed arguments do not fit the tool (a ValueError).
        """
        for place, decision in decisions.items():
            self._check(self._undecided[place], decision)
        told = {}
        for place, decision in decisions.items():
            call, wrong = self._undecided.pop(place), self._wrong.pop(place, None)
            match decision:
                case None if wrong is not None:
                    told[place] = self._answer(place, call, ToolOutcome(wrong, error=True))
                case None:
                    self._put(place, ChatMessage.from_tool(_WAITS, call, error=True, meta={"pending": True}))
                case Reject():
                    text = f"This call was rejected and did not run. {decision.reason or wrong or ''}".strip()
                    self._answer(place, call, ToolOutcome(text, error=True), decision="rejected")
                case Answer():
                    self._answer(place, call, ToolOutcome(result_content(decision.value)), decision="answered")
                case Approve():
                    # A copy: what was shown is what runs, and a tool may do with it what it likes.
                    tool, arguments = self.tools[call.tool_name], copy.deepcopy(call.arguments)
                    if decision.arguments is not None:  # they fit, so that only 3.0 becomes 3
                        arguments = tool.coerce_arguments(copy.deepcopy(decision.arguments)).values
                    self._put(place, ChatMessage.from_tool(_NOT_YET, call, error=True))
                    self._approved[place] = RunTool(place, call, tool, arguments)
        return told

    def started(self, place: CallPlace) -> None:
        """Record that a tool has begun to run."""
        self._started.add(place)

    def is_running(self, place: CallPlace) -> bool:
        """Return whether a tool has begun to run and not returned."""
        return place in self._started

    def returned(self, place: CallPlace, outcome: ToolOutcome) -> ChatMessage:
        """Add the outcome of a tool, and return its message."""
        run = self._approved[place]
        outcome = self._hooks.after_call(run.call, run.arguments, outcome)
        del self._approved[place]
        self._started.discard(place)
        if _as_text(run.arguments) == _as_text(run.call.arguments):
            return self._answer(place, run.call, outcome, decision="approved")
        text = json.dumps(run.arguments, ensure_ascii=False)
        note = f"A person changed the arguments before the call ran. It ran with: {text}"
        changed = replace(outcome, content=prepend_note(outcome.content, note))
        return self._answer(place, run.call, changed, decision="edited", arguments=run.arguments)

    def cut(self, ending: Ending, partial: ChatMessage | None = None) -> None:
        """End the turn early; keep the part of a response that had arrived."""
        if self.ending is not None:
            return
        self.ending = ending
        if partial is not None and partial.parts:
            self.messages.append(truncate_partial(partial))
        for place, call in [*self._undecided.items(), *((at, run.call) for at, run in self._approved.items())]:
            begun = place in self._started
            text = "This call was cut off, and what it did is not known" if begun else "This call did not run"
            self._answer(place, call, ToolOutcome(f"{text}: {_CUT[ending]}.", error=True))
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
        if (
            wrong := argument_error(tool, call.arguments if decision.arguments is None else decision.arguments)
        ) is not None:
            raise ConfigurationError(wrong, hint="Nothing has run.")

    def _answer(self, place: CallPlace, call: ToolCall, outcome: ToolOutcome, **meta: Any) -> ChatMessage:
        if outcome.details:
            meta["details"] = outcome.details
        if outcome.pictures:
            meta["pictures"] = list(outcome.pictures)
        message = ChatMessage.from_tool(outcome.content, call, outcome.error, meta)
        self._put(place, message)
        return message

    def _put(self, place: CallPlace, message: ChatMessage) -> None:
        self.messages[self._results[place]] = message


def _as_text(arguments: Mapping[str, Any]) -> str:
    """Serialize arguments for comparison: 1, 1.0 and True differ, as they do to a model."""
    return json.dumps(arguments, sort_keys=True, default=str)
