"""Select from a conversation's messages: the tool calls that are pending, and the messages that are sent. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from orchat.errors import ConfigurationError
from orchat.messages import ChatMessage, ChatRole, ReasoningContent, ToolCall
from orchat.messages.parts import CALL_EXTRA, Part, is_blank
from orchat.openrouter.model_names import model_family

_SKIPPED = "This call did not run: nobody decided about it."
_LONGEST_CUT = 20_000


class CallPlace(NamedTuple):
    """The position of a tool call in its turn. It identifies the call, since ids from endpoints may repeat.

    Parameters
    ----------
    response
        The number of its response in the turn, from 0.
    number
        Its number among the calls of that response, from 0.
    """

    response: int
    number: int


def answered_calls(turn: Sequence[ChatMessage]) -> dict[int, CallPlace]:
    """Map each tool result in a turn's messages to the call that it answers.

    A result belongs to the last response before it, and there to the first open call that is the same, or has its id.
    One that fits no call is a call by itself: it joins no other.

    Returns
    -------
    dict
        By the result's index among the messages.

    Examples
    --------
    >>> tide, wipe = ToolCall("tide", {}, "call_0"), ToolCall("wipe", {}, "call_0")
    >>> turn = [ChatMessage.from_assistant(tool_calls=[tide, wipe]), ChatMessage.from_tool("Done.", wipe)]
    >>> answered_calls([*turn, ChatMessage.from_tool("High.", tide)])
    {1: CallPlace(response=0, number=1), 2: CallPlace(response=0, number=0)}
    """
    places: dict[int, CallPlace] = {}
    response, count = -1, 0
    open_calls: dict[int, ToolCall] = {}
    for at, message in enumerate(turn):
        if message.is_from(ChatRole.ASSISTANT):
            response += 1
            open_calls = dict(enumerate(message.tool_calls))
            count = len(open_calls)
        elif message.is_from(ChatRole.TOOL) and (result := message.tool_call_result) is not None:
            number = _open_call(open_calls, result.origin)
            if number is None:
                number, count = count, count + 1
            open_calls.pop(number, None)
            places[at] = CallPlace(max(response, 0), number)
    return places


def _open_call(open_calls: Mapping[int, ToolCall], origin: ToolCall) -> int | None:
    same = [number for number, call in open_calls.items() if call == origin]
    alike = [number for number, call in open_calls.items() if call.id == origin.id]
    return next(iter(same + alike), None)


def pending_indices(messages: Sequence[ChatMessage]) -> list[int]:
    """Return the indices of the results whose calls wait for a decision: only among those that end a conversation."""
    places = []
    for at in reversed(range(len(messages))):
        if not messages[at].is_from(ChatRole.TOOL):
            break
        if messages[at].meta.get("pending") is True and messages[at].tool_call_result is not None:
            places.append(at)
    return places[::-1]


def pending_calls(messages: Sequence[ChatMessage]) -> list[ToolCall]:
    """List the calls that wait for a decision, in order.

    Examples
    --------
    >>> pending_calls([ChatMessage.from_tool("", ToolCall("tide", {}, "call_1"), meta={"pending": True})])[0].id
    'call_1'
    """
    return list(waiting_calls(messages).values())


def waiting_calls(messages: Sequence[ChatMessage]) -> dict[CallPlace, ToolCall]:
    """Return the calls that wait for a decision, by their place in the last turn.

    Examples
    --------
    >>> call = ToolCall("tide", {}, "call_1")
    >>> waiting = ChatMessage.from_tool("", call, meta={"pending": True})
    >>> list(waiting_calls([ChatMessage.from_user("When?"), ChatMessage.from_assistant(tool_calls=[call]), waiting]))
    [CallPlace(response=0, number=0)]
    """
    if not (waiting := pending_indices(messages)):
        return {}
    begin = max((at for at, message in enumerate(messages) if message.is_from(ChatRole.USER)), default=0)
    places = answered_calls(messages[begin:])
    origins = ((at, messages[at].tool_call_result) for at in waiting)
    return {places[at - begin]: result.origin for at, result in origins if result is not None}


def messages_before_failure(turn: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return a turn's messages without the response that failed last; calls and their results stay.

    Examples
    --------
    >>> turn = [ChatMessage.from_user("When?"), ChatMessage.from_assistant("At 14", {"ending": "failed"})]
    >>> [message.text for message in messages_before_failure(turn)]
    ['When?']
    """
    kept = list(turn)
    while kept and not (kept[-1].is_from(ChatRole.TOOL) or kept[-1].is_from(ChatRole.USER)):
        kept.pop()
    return kept


def skip_pending_calls(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Replace the results of pending calls by one that says that the call was skipped."""
    result = list(messages)
    for at in pending_indices(messages):
        [waiting] = messages[at].tool_call_results
        result[at] = ChatMessage.from_tool(_SKIPPED, waiting.origin, error=True)
    return result


def messages_to_send(messages: Iterable[ChatMessage], model: str) -> list[ChatMessage]:
    """Select the messages to send: all but empty answers, with reasoning details of this model only.

    Details that another model signed make a request fail (API section 3.4); nobody accepts an empty answer.

    Examples
    --------
    >>> nothing = ChatMessage.from_assistant(None, {"ending": "failed"})
    >>> [message.text for message in messages_to_send([ChatMessage.from_user("Hi"), nothing], "vendor/m")]
    ['Hi']
    """
    sent = []
    for message in messages:
        if not message.is_from(ChatRole.ASSISTANT):
            sent.append(message)
        elif _is_not_empty(message):
            names = [str(message.meta[name]) for name in ("requested_model", "model") if message.meta.get(name)]
            is_anothers = names and model_family(model) not in map(model_family, names)
            sent.append(strip_model_details(message) if is_anothers else message)
    return sent


def _is_not_empty(message: ChatMessage) -> bool:
    said = any(not is_blank(part) for part in message.parts if not isinstance(part, ReasoningContent))
    return said or bool(message.meta.get("refusal"))


def strip_model_details(message: ChatMessage) -> ChatMessage:
    """Reduce a message's reasoning to its text, and its calls to what every model knows."""
    parts = list(map(_without_details, message.parts))
    if all(new is old for new, old in zip(parts, message.parts, strict=True)):
        return message
    return ChatMessage(message.role, parts, message.name, message.meta)


def _without_details(part: Part) -> Part:
    if isinstance(part, ReasoningContent) and (part.extra or part.came_as):
        return ReasoningContent(part.reasoning_text)
    if isinstance(part, ToolCall) and part.extra and CALL_EXTRA in part.extra:
        extra = {key: value for key, value in part.extra.items() if key != CALL_EXTRA} or None
        return replace(part, extra=extra)
    return part


def truncate_partial(partial: ChatMessage) -> ChatMessage:
    """Remove what is useless if incomplete: tool calls and reasoning details.

    The text of such calls goes to ``meta["cut_calls"]``, for people to read.

    Examples
    --------
    >>> cut = ToolCall("tide", {}, extra={"malformed_arguments": '{"port": "Hu'})
    >>> truncate_partial(ChatMessage.from_assistant("I ask.", tool_calls=[cut])).meta
    {'cut_calls': [{'tool_name': 'tide', 'arguments': '{"port": "Hu'}]}
    """
    message = strip_model_details(partial)
    parts = [part for part in message.parts if not isinstance(part, ToolCall)]
    cut = [
        {"tool_name": call.tool_name, "arguments": _arguments_text(call)[:_LONGEST_CUT]} for call in message.tool_calls
    ]
    return ChatMessage(message.role, parts, message.name, {**message.meta, "cut_calls": cut} if cut else message.meta)


def _arguments_text(call: ToolCall) -> str:
    return call.malformed_arguments or (json.dumps(call.arguments, ensure_ascii=False) if call.arguments else "")


def place_of_waiting_call(key: object, waiting: Mapping[CallPlace, ToolCall]) -> CallPlace:
    """Return the place of a waiting call, by its id or its place.

    Raises
    ------
    ConfigurationError
        None has it, or several have (a ValueError).
    """
    found = [place for place, call in waiting.items() if (place if isinstance(key, CallPlace) else call.id) == key]
    if len(found) > 1:
        names = ", ".join(waiting[place].tool_name for place in found)
        raise ConfigurationError(
            f"{len(found)} waiting tool calls have the id {key!r}: {names}. Which one is meant is not clear.",
            hint="Decide in the calls' forms, or ask again.",
        )
    if not found:
        ids = ", ".join(str(call.id) for call in waiting.values())
        raise ConfigurationError(
            f"No tool call {key!r} waits for a decision.", hint=f"These do: {ids}." if ids else "None does."
        )
    return found[0]


def split_at_questions(messages: Iterable[ChatMessage]) -> tuple[list[ChatMessage], list[list[ChatMessage]]]:
    """Split messages into those before the first user's message, and turns that each begin with one.

    Examples
    --------
    >>> talk = [ChatMessage.from_system("Be brief."), ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Hello.")]
    >>> before, turns = split_at_questions([*talk, ChatMessage.from_user("?")])
    >>> len(before), [len(turn) for turn in turns]
    (1, [2, 1])
    """
    before: list[ChatMessage] = []
    turns: list[list[ChatMessage]] = []
    for message in messages:
        if message.is_from(ChatRole.USER):
            turns.append([message])
        elif turns:
            turns[-1].append(message)
        else:
            before.append(message)
    return before, turns
