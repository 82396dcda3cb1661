"""Show the messages of a turn in a view model, as they were shown when they arrived."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from orchat.chat.message_selection import CallPlace, answered_calls, pending_calls, waiting_calls
from orchat.chat.reply import Ending, Reply
from orchat.configuration import setting
from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.jupyter.kernel.output.answer_footer import footer
from orchat.jupyter.kernel.output.live_display import output_extras
from orchat.jupyter.kernel.output.status_lines import answer_note
from orchat.jupyter.kernel.output.turn_transcript import cut_calls_text
from orchat.jupyter.panel.call_pictures import find_pictures
from orchat.messages import (
    ChatMessage,
    ChatRole,
    ImageContent,
    ReasoningContent,
    TextContent,
    ToolCall,
)
from orchat.streaming import StreamingChunk, ToolCallDelta

SECONDS = "seconds"  # in the meta of a turn's last message: how long the turn took
WAITING_LABEL = "a tool call waits for your decision"

_INCOMPLETE_ENDINGS: tuple[Ending, ...] = ("stopped", "interrupted", "failed")


def replay_turn(view_model: TurnViewModel, turn: Sequence[ChatMessage]) -> None:
    """Fill a view model with a finished turn, from its messages.

    Examples
    --------
    >>> view = TurnViewModel()
    >>> replay_turn(view, [ChatMessage.from_user("Hi"), ChatMessage.from_assistant("*Hello.*", {"ending": "stopped"})])
    >>> state = view.snapshot(html=False)
    >>> state["items"][0]["tail"], state["phase"], state["footer"]
    ('*Hello.*', 'ended', 'stopped')
    """
    replay_messages(view_model, turn)
    reply = turn_reply(turn)
    for place, call in waiting_calls(turn).items():
        view_model.attach_call(place, call)
    if reply.pending:
        view_model.start(WAITING_LABEL)
        return
    end_view(view_model, reply)


def end_view(view_model: TurnViewModel, reply: Reply) -> None:
    """End the view of a turn: below its text stand what it lacks, its footer and all details."""
    seconds = reply.message.meta.get(SECONDS)
    if not reply.messages[1:]:  # nothing arrived
        footer_line, details = "", {}
    elif isinstance(seconds, int | float):
        footer_line = footer(reply, seconds, style=str(setting("footer")))
        details = output_extras(reply, seconds, model=str(reply.message.meta.get("requested_model") or ""))
    else:  # it was restored: usage and cost are not known any more
        footer_line, details = footer(reply, 0.0, style="model"), {}
    view_model.end(footer_line, reply.ending, note=answer_note(reply, in_panel=True), details=details)


def replay_messages(view_model: TurnViewModel, turn: Sequence[ChatMessage]) -> None:
    """Show the messages of a turn that may go on."""
    places = answered_calls(turn)
    responses = count()
    for at, message in enumerate(turn):
        if message.is_from(ChatRole.TOOL):
            if message.meta.get("pending") is not True and (result := message.tool_call_result) is not None:
                details, pictures = message.meta.get("details"), find_pictures(message.meta.get("pictures"))
                shown = {"place": places[at], "details": details if isinstance(details, str) else None}
                view_model.add(StreamingChunk("", shown, index=at, tool_call_result=result))
                if pictures:
                    view_model.set(view_model.attach_call(places[at], result.origin), pictures=pictures)
        elif message.is_from(ChatRole.ASSISTANT):
            _replay_response(view_model, message, next(responses))


def turn_reply(turn: Sequence[ChatMessage]) -> Reply:
    """Return the reply of a finished turn, from its messages."""
    messages = [message for message in turn if message.is_from(ChatRole.ASSISTANT)]
    last = messages[-1] if messages else ChatMessage.from_assistant()
    pending = tuple(pending_calls(turn))
    ending: Ending = "parked" if pending else "finished"
    for cut in _INCOMPLETE_ENDINGS:
        if last.meta.get("ending") == cut:
            ending = cut
    return Reply(last, tuple(turn), pending, ending)


def _replay_response(view_model: TurnViewModel, message: ChatMessage, response: int) -> None:
    calls = count()
    for number, part in enumerate(message.parts):
        if isinstance(part, ToolCall):
            view_model.called({CallPlace(response, next(calls)): part})
        elif isinstance(part, TextContent):
            view_model.add(StreamingChunk(part.text, index=number))
        elif isinstance(part, ReasoningContent):
            view_model.add(StreamingChunk("", index=number, reasoning=part))
        elif isinstance(part, ImageContent) and part.base64_image:
            url = f"data:{part.mime_type};base64,{part.base64_image}"
            view_model.add(StreamingChunk("", {"extras": {"images": [{"image_url": {"url": url}}]}}, index=number))
    for number, (name, written) in enumerate(cut_calls_text(message)):
        view_model.add(StreamingChunk("", index=number, tool_calls=[ToolCallDelta(number, name, written)]))
    if isinstance(notes := message.meta.get("annotations"), list):
        view_model.add(StreamingChunk("", {"extras": {"annotations": notes}}))
