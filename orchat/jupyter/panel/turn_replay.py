"""Group a conversation's messages into turns, and present each for the page's view and for the saved transcript."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from orchat.chat.message_selection import CallPlace, answered_calls, pending_calls, waiting_calls
from orchat.chat.message_versions import split_at_questions
from orchat.chat.reply import Ending, Reply
from orchat.chat.state_redaction import secret_of_model
from orchat.configuration import setting
from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.jupyter.kernel.output.answer_footer import footer
from orchat.jupyter.kernel.output.image_bundle import image_bundle
from orchat.jupyter.kernel.output.live_display import output_extras
from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown, safe_markdown
from orchat.jupyter.kernel.output.status_lines import answer_note
from orchat.jupyter.kernel.output.turn_transcript import TurnTranscript, cut_calls_text
from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters, single_line
from orchat.jupyter.panel.call_pictures import find_pictures
from orchat.jupyter.panel.typed_question import sent_values, typed_text
from orchat.messages import (
    ChatMessage,
    ChatRole,
    ImageContent,
    ReasoningContent,
    TextContent,
    ToolCall,
)
from orchat.secrets import redact
from orchat.streaming import StreamingChunk, ToolCallDelta

SECONDS = "seconds"  # in the meta of a turn's last message: how long the turn took
WAITING_LABEL = "a tool call waits for your decision"

_INCOMPLETE_ENDINGS: tuple[Ending, ...] = ("stopped", "interrupted", "failed")
_MAX_SENT_TEXT = 20_000  # characters of a message with values that the page can show
_MAX_PICTURE = 400_000  # characters of base64
_MAX_TRANSCRIPT = 60_000  # characters of a transcript in a saved output
_FILE_TEXT = re.compile(r"The file (.{1,200}):\n\n.*\n\n\(The end of \1\.\)\n\n", re.DOTALL)


def split_turns(messages: Iterable[ChatMessage]) -> list[list[ChatMessage]]:
    """Split messages into turns, each starting with a user's message; messages before the first one are left out.

    Examples
    --------
    >>> talk = [ChatMessage.from_system("Be brief."), ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Hello.")]
    >>> [len(turn) for turn in split_turns([*talk, ChatMessage.from_user("?")])]
    [2, 1]
    """
    return split_at_questions(messages)[1]


def question_view(question: ChatMessage, *, pictures: bool = False) -> dict[str, Any]:
    r"""Return the data of a user's message for the page: its text, and the names of its files.

    Parameters
    ----------
    question
        The message.
    pictures
        Whether attached pictures go along, up to 300 kB each.

    Examples
    --------
    >>> file = TextContent("The file tides.csv:\n\nport,high\n\n(The end of tides.csv.)\n\n")
    >>> question_view(ChatMessage.from_user(content_parts=[file, "When is high tide?"]))
    {'text': 'When is high tide?', 'files': [{'name': 'tides.csv', 'kind': 'text'}]}
    """
    words, files = split_question(question)
    summaries = [file_summary(part) | (_picture(part) if pictures else {}) for part in files]
    view: dict[str, Any] = {"text": escape_control_characters(words), "files": summaries}
    if values := sent_values(question):
        view |= {"values": values, "sent": escape_control_characters(_whole_text(question)[:_MAX_SENT_TEXT])}
    return view


def split_question(question: ChatMessage) -> tuple[str, list[Any]]:
    """Split a user's message into its text, as it was typed, and its attached parts."""
    texts = [part for part in question.parts if isinstance(part, TextContent) and not _is_file(part)]
    files = [part for part in question.parts if not isinstance(part, TextContent) or _is_file(part)]
    typed = typed_text(question, texts)
    return "\n\n".join(part.text for part in texts) if typed is None else typed, files


def _picture(part: Any) -> dict[str, Any]:
    """Return an attached picture for the page; nothing where it is large, or no picture that a page may show."""
    if not isinstance(part, ImageContent) or not 0 < len(part.base64_image) <= _MAX_PICTURE:
        return {}
    bundle = image_bundle(part)
    return {} if bundle is None else {"picture": dict(zip(("type", "data"), next(iter(bundle.items())), strict=True))}


def _whole_text(question: ChatMessage) -> str:
    return "\n\n".join(part.text for part in question.parts if isinstance(part, TextContent) and not _is_file(part))


def file_summary(part: Any) -> dict[str, str]:
    """Return name and kind of an attached part."""
    if isinstance(part, TextContent):
        found = _FILE_TEXT.fullmatch(part.text)
        return {"name": single_line(found[1] if found else "text", 80), "kind": "text"}
    kind = type(part).__name__.removesuffix("Content").lower()
    path = str((getattr(part, "meta", None) or {}).get("file_path") or "")
    name = getattr(part, "filename", None) or path.rpartition("/")[2] or getattr(part, "url", None) or kind
    return {"name": single_line(str(name), 80), "kind": kind}


def _is_file(part: TextContent) -> bool:
    return _FILE_TEXT.fullmatch(part.text) is not None


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


def transcript_text(messages: Iterable[ChatMessage], note: str = "", secrets: Sequence[str] = ()) -> tuple[str, str]:
    """Return a conversation as sanitized Markdown and as plain text, for outputs that are read without a kernel.

    They are saved: a person's words go without their secrets; an answer that holds one is left out, and that is said.

    Examples
    --------
    >>> print(transcript_text([ChatMessage.from_user("Name a river."), ChatMessage.from_assistant("The *Humber*.")])[0])
    **You:** Name a river.
    <BLANKLINE>
    The *Humber*.
    """
    turns = split_turns(messages)
    markdown: list[str] = []
    plain: list[str] = []
    characters_left = _MAX_TRANSCRIPT
    omitted = 0
    for at in reversed(range(len(turns))):
        question = question_view(turns[at][0])
        asked = redact(question["text"], *secrets)
        file_names = ", ".join(redact(file["name"]) for file in question["files"])
        secret = secret_of_model(turns[at], secrets)
        transcript = TurnTranscript(turns[at][:1] if secret else turns[at])
        reply = turn_reply(turns[at])
        if reply.ending in ("stopped", "interrupted", "failed"):
            ending_text = f"({reply.ending})"
        else:
            ending_text = answer_note(reply, in_panel=True)
        if secret:
            ending_text = f"(This answer is not saved: it holds what looks like {secret}.)"
        words = [f"**You:** {safe_markdown(asked)}", file_names and f"*with {escape_markdown(file_names)}*"]
        turn_markdown = "\n\n".join(
            filter(None, [*words, transcript.markdown(), ending_text and f"*{escape_markdown(ending_text)}*"])
        )
        turn_plain = "\n\n".join(
            filter(None, [f"You: {asked}", file_names and f"with {file_names}", transcript.plain(), ending_text])
        )
        characters_left -= len(turn_markdown)
        if characters_left < 0 and markdown:
            omitted = at + 1
            break
        markdown.insert(0, turn_markdown)
        plain.insert(0, turn_plain)
    if omitted:
        earlier = f"({omitted} earlier turns are not shown here.)"
        markdown.insert(0, f"*{earlier}*")
        plain.insert(0, earlier)
    if note:
        markdown.append(f"*{escape_markdown(note)}*")
        plain.append(note)
    return "\n\n".join(markdown), "\n\n".join(plain)
