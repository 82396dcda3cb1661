"""A conversation as a list of messages: which calls wait in it, and what of it is sent. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from orchat.messages import ChatMessage, ChatRole, ReasoningContent, ToolCall
from orchat.messages.parts import Part

_PASSED_OVER = "This call did not run: nobody decided about it."
_LONGEST_CUT = 20_000


class CallPlace(NamedTuple):
    """Which tool call of a turn: this is what tells calls apart, for the ids that endpoints give repeat.

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
    """Tell of each tool result in the messages of a turn which call it answers.

    A result belongs to the last response before it, and there to the first open call that is the same, or has its id.
    One that fits no call is a call by itself: it joins no other.

    Returns
    -------
    dict
        By the result's place among the messages.

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
    """Tell where calls wait for a decision: among the results that end a conversation, and nowhere else."""
    places = []
    for at in reversed(range(len(messages))):
        if not messages[at].is_from(ChatRole.TOOL):
            break
        if messages[at].meta.get("pending") is True and messages[at].tool_call_result is not None:
            places.append(at)
    return places[::-1]


def pending_calls(messages: Sequence[ChatMessage]) -> list[ToolCall]:
    """List the calls that wait for a decision.

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


def skip_pending_calls(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return a conversation that goes on without a decision about the calls that waited for one."""
    result = list(messages)
    for at in pending_indices(messages):
        [waiting] = messages[at].tool_call_results
        result[at] = ChatMessage.from_tool(_PASSED_OVER, waiting.origin, error=True)
    return result


def messages_to_send(messages: Iterable[ChatMessage], model: str) -> list[ChatMessage]:
    """Return what is sent of a conversation: all but empty answers, and reasoning details of this model only.

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
        elif _says_something(message):
            models = [message.meta[name] for name in ("requested_model", "model") if message.meta.get(name)]
            sent.append(strip_reasoning_details(message) if models and model not in models else message)
    return sent


def _says_something(message: ChatMessage) -> bool:
    said = any(not isinstance(part, ReasoningContent) for part in message.parts) and message.text != ""
    return said or bool(message.tool_calls or message.images or message.audio or message.meta.get("refusal"))


def strip_reasoning_details(message: ChatMessage) -> ChatMessage:
    """Return a message whose reasoning is words only."""
    if message.reasoning is None or not message.reasoning.extra:
        return message
    parts: list[Part] = [
        ReasoningContent(part.reasoning_text) if isinstance(part, ReasoningContent) else part for part in message.parts
    ]
    return ChatMessage(message.role, parts, message.name, message.meta)


def truncate_partial(partial: ChatMessage) -> ChatMessage:
    """Take off what is of no use in pieces: calls without all their arguments, details without their signature.

    What was written of such calls is noted in ``meta["cut_calls"]``, for people to read.

    Examples
    --------
    >>> cut = ToolCall("tide", {}, extra={"malformed_arguments": '{"port": "Hu'})
    >>> truncate_partial(ChatMessage.from_assistant("I ask.", tool_calls=[cut])).meta
    {'cut_calls': [{'tool_name': 'tide', 'arguments': '{"port": "Hu'}]}
    """
    kept = strip_reasoning_details(partial)
    parts = [part for part in kept.parts if not isinstance(part, ToolCall)]
    cut = [{"tool_name": call.tool_name, "arguments": _written(call)[:_LONGEST_CUT]} for call in kept.tool_calls]
    return ChatMessage(kept.role, parts, kept.name, {**kept.meta, "cut_calls": cut} if cut else kept.meta)


def _written(call: ToolCall) -> str:
    return call.malformed_arguments or (json.dumps(call.arguments, ensure_ascii=False) if call.arguments else "")
