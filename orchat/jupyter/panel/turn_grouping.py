"""A conversation as turns: what a page shows of each, and what a saved notebook reads as."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from orchat.chat.message_selection import CallPlace, answered_calls, pending_calls, waiting_calls
from orchat.chat.reply import Ending, Reply
from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.jupyter.kernel.output.answer_footer import footer
from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown, safe_markdown
from orchat.jupyter.kernel.output.text_escaping import escape_control_characters, single_line
from orchat.jupyter.kernel.output.turn_transcript import TurnTranscript, cut_calls_text
from orchat.messages import (
    ChatMessage,
    ChatRole,
    ImageContent,
    ReasoningContent,
    TextContent,
    ToolCall,
)
from orchat.streaming import StreamingChunk, ToolCallDelta

WAITS = "a tool call waits for your decision"

_CUT: tuple[Ending, ...] = ("stopped", "interrupted", "failed")
_SHOWN = 60_000  # characters of a transcript in a saved output
_FILE = re.compile(r"The file (.{1,200}):\n\n.*\n\n\(The end of \1\.\)\n\n", re.DOTALL)


def split_turns(messages: Iterable[ChatMessage]) -> list[list[ChatMessage]]:
    """Return the turns of a conversation, each from its question on; what stands before the first one is left out.

    Examples
    --------
    >>> said = [ChatMessage.from_system("Be brief."), ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Hello.")]
    >>> [len(turn) for turn in split_turns([*said, ChatMessage.from_user("?")])]
    [2, 1]
    """
    turns: list[list[ChatMessage]] = []
    for message in messages:
        if message.is_from(ChatRole.USER):
            turns.append([message])
        elif turns:
            turns[-1].append(message)
    return turns


def question_view(question: ChatMessage) -> dict[str, Any]:
    r"""Return what a page shows of a question: its words, and the names of what went along.

    Examples
    --------
    >>> file = TextContent("The file tides.csv:\n\nport,high\n\n(The end of tides.csv.)\n\n")
    >>> question_view(ChatMessage.from_user(content_parts=[file, "When is high tide?"]))
    {'text': 'When is high tide?', 'files': [{'name': 'tides.csv', 'kind': 'text'}]}
    """
    words, files = split_question(question)
    return {"text": escape_control_characters(words), "files": [file_summary(part) for part in files]}


def split_question(question: ChatMessage) -> tuple[str, list[Any]]:
    """Return the words of a question, and the parts that went along."""
    words = [part.text for part in question.parts if isinstance(part, TextContent) and not _is_file(part)]
    files = [part for part in question.parts if not isinstance(part, TextContent) or _is_file(part)]
    return "\n\n".join(words), files


def file_summary(part: Any) -> dict[str, str]:
    """Return name and kind of something that goes along with a question."""
    if isinstance(part, TextContent):
        found = _FILE.fullmatch(part.text)
        return {"name": single_line(found[1] if found else "text", 80), "kind": "text"}
    kind = type(part).__name__.removesuffix("Content").lower()
    path = str((getattr(part, "meta", None) or {}).get("file_path") or "")
    name = getattr(part, "filename", None) or path.rpartition("/")[2] or getattr(part, "url", None) or kind
    return {"name": single_line(str(name), 80), "kind": kind}


def _is_file(part: TextContent) -> bool:
    return _FILE.fullmatch(part.text) is not None


def replay_turn(feed: TurnViewModel, turn: Sequence[ChatMessage]) -> None:
    """Let a feed show a turn that was, from its messages.

    Examples
    --------
    >>> feed = TurnViewModel()
    >>> replay_turn(feed, [ChatMessage.from_user("Hi"), ChatMessage.from_assistant("*Hello.*", {"ending": "stopped"})])
    >>> state = feed.snapshot(html=False)
    >>> state["items"][0]["tail"], state["phase"], state["footer"]
    ('*Hello.*', 'ended', 'stopped')
    """
    places = answered_calls(turn)
    responses = count()
    for at, message in enumerate(turn):
        if message.is_from(ChatRole.TOOL):
            if message.meta.get("pending") is not True and (result := message.tool_call_result) is not None:
                feed.add(StreamingChunk("", {"place": places[at]}, index=at, tool_call_result=result))
        elif message.is_from(ChatRole.ASSISTANT):
            _replay_response(feed, message, next(responses))
    reply = reply_of(turn)
    for place, call in waiting_calls(turn).items():
        feed.item_of(place, call)
    if not reply.pending:
        feed.end(footer(reply, 0.0, style="model"), reply.ending)
    else:
        feed.start(WAITS)


def reply_of(turn: Sequence[ChatMessage]) -> Reply:
    """Return a turn that was as a reply."""
    said = [message for message in turn if message.is_from(ChatRole.ASSISTANT)]
    last = said[-1] if said else ChatMessage.from_assistant()
    pending = tuple(pending_calls(turn))
    ending: Ending = "parked" if pending else "finished"
    for cut in _CUT:
        if last.meta.get("ending") == cut:
            ending = cut
    return Reply(last, tuple(turn), pending, ending)


def _replay_response(feed: TurnViewModel, message: ChatMessage, response: int) -> None:
    calls = count()
    for number, part in enumerate(message.parts):
        if isinstance(part, ToolCall):
            feed.called({CallPlace(response, next(calls)): part})
        elif isinstance(part, TextContent):
            feed.add(StreamingChunk(part.text, index=number))
        elif isinstance(part, ReasoningContent):
            feed.add(StreamingChunk("", index=number, reasoning=part))
        elif isinstance(part, ImageContent) and part.base64_image:
            url = f"data:{part.mime_type};base64,{part.base64_image}"
            feed.add(StreamingChunk("", {"extras": {"images": [{"image_url": {"url": url}}]}}, index=number))
    for number, (name, written) in enumerate(cut_calls_text(message)):
        feed.add(StreamingChunk("", index=number, tool_calls=[ToolCallDelta(number, name, written)]))
    if isinstance(notes := message.meta.get("annotations"), list):
        feed.add(StreamingChunk("", {"extras": {"annotations": notes}}))


def transcript_text(messages: Iterable[ChatMessage], note: str = "") -> tuple[str, str]:
    """Return a conversation as safe Markdown and as plain text, for outputs that are read without a kernel.

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
    room = _SHOWN
    left = 0
    for at in reversed(range(len(turns))):
        asked = question_view(turns[at][0])
        along = ", ".join(file["name"] for file in asked["files"])
        said = TurnTranscript(turns[at])
        if reply_of(turns[at]).ending in ("stopped", "interrupted", "failed"):
            ended = f"({reply_of(turns[at]).ending})"
        else:
            ended = ""
        words = [f"**You:** {safe_markdown(asked['text'])}", along and f"*with {escape_markdown(along)}*"]
        rich = "\n\n".join(filter(None, [*words, said.markdown(), ended and f"*{ended}*"]))
        bare = "\n\n".join(filter(None, [f"You: {asked['text']}", along and f"with {along}", said.plain(), ended]))
        room -= len(rich)
        if room < 0 and markdown:
            left = at + 1
            break
        markdown.insert(0, rich)
        plain.insert(0, bare)
    if left:
        earlier = f"({left} earlier turns are not shown here.)"
        markdown.insert(0, f"*{earlier}*")
        plain.insert(0, earlier)
    if note:
        markdown.append(f"*{escape_markdown(note)}*")
        plain.append(note)
    return "\n\n".join(markdown), "\n\n".join(plain)
