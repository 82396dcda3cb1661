"""A turn as people read it: what was thought, said and called, in the order it happened. Pure.

It grows chunk by chunk while a turn goes on, or is made of a reply's messages; what it shows is safe Markdown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchat.jupyter.kernel.output.answer_formats import render_as
from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown
from orchat.jupyter.kernel.output.status_lines import reasoning_status
from orchat.jupyter.kernel.output.text_escaping import escape_control_characters, single_line
from orchat.messages import ChatMessage, ChatRole, ReasoningContent, TextContent, ToolCall, ToolCallResult

if TYPE_CHECKING:
    from orchat.streaming import StreamingChunk

_ARGUMENT_SHOWN = 60  # characters
_RESULT_SHOWN = 160
_CUT_SHOWN = 2_000  # of arguments that were still being written
_REASONING_KEPT = 2_000  # of its end, of which the live line shows some


@dataclass
class _Text:
    text: str


@dataclass
class _Thought:
    text: str
    live: bool = False


@dataclass
class _Result:
    result: ToolCallResult
    waits: bool = False


@dataclass
class _Cut:
    name: str
    written: str


class TurnTranscript:
    """What is shown of a turn.

    Parameters
    ----------
    messages
        The turn's messages so far; users' and system messages are not shown.

    Examples
    --------
    >>> call = ToolCall("tide", {"port": "Hull"}, "call_1")
    >>> turn = TurnTranscript([ChatMessage.from_tool("4.2 m", call), ChatMessage.from_assistant("It is *high*.")])
    >>> print(turn.markdown())
    > **tide**(port="Hull") → 4.2 m
    <BLANKLINE>
    It is *high*.
    """

    def __init__(self, messages: Iterable[ChatMessage] = ()) -> None:
        self._pieces: list[_Piece] = []
        self._calling: list[str] = []
        self._called = False  # whether results of these calls have come
        for message in messages:
            if message.is_from(ChatRole.ASSISTANT) or message.is_from(ChatRole.TOOL):
                self._read(message)

    def __len__(self) -> int:
        return sum(len(piece.text) for piece in self._pieces if isinstance(piece, _Text))

    def __bool__(self) -> bool:
        return bool(self._pieces or self._calling)

    def add(self, chunk: StreamingChunk) -> bool:
        """Take in what arrived; say whether that can be seen."""
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, _Result) and self._called and chunk.tool_call_result is None:
            self._calling, self._called = [], False  # the next response begins
        if chunk.content:
            if isinstance(last, _Thought):
                last.live = False
            if isinstance(last, _Text):
                last.text += chunk.content
            else:
                self._pieces.append(_Text(chunk.content))
        elif chunk.reasoning is not None:
            if not isinstance(last, _Thought):
                last = _Thought("", live=True)
                self._pieces.append(last)
            last.text += chunk.reasoning.reasoning_text
        elif chunk.tool_calls:
            names = [call.tool_name for call in chunk.tool_calls if call.tool_name]
            self._calling += names
            return bool(names)
        elif chunk.tool_call_result is not None:
            if (name := chunk.tool_call_result.origin.tool_name) in self._calling:
                self._calling.remove(name)  # the others go on
            self._pieces.append(_Result(chunk.tool_call_result))
            self._called = True
        else:
            return False
        return True

    def markdown(self, form: str = "markdown") -> str:
        """Return it as Markdown that is safe to show.

        Parameters
        ----------
        form
            How the model's words are shown, one of `orchat.jupyter.kernel.output.answer_formats.FORMATS`.
        """
        blocks = [self._block(piece, form) for piece in self._pieces]
        if self._calling:
            blocks.append(f"> *calls {escape_markdown(single_line(', '.join(self._calling)))} …*")
        return "\n\n".join(filter(None, blocks))

    def plain(self) -> str:
        """Return it as plain text: what was said and called."""
        return "\n\n".join(filter(None, map(_plain, self._pieces)))

    def _read(self, message: ChatMessage) -> None:
        for part in message.parts:
            if isinstance(part, TextContent) and part.text:
                self._pieces.append(_Text(part.text))
            elif isinstance(part, ReasoningContent) and part.reasoning_text:
                self._pieces.append(_Thought(part.reasoning_text))
            elif isinstance(part, ToolCallResult):
                self._pieces.append(_Result(_as_it_ran(part, message.meta), message.meta.get("pending") is True))
        self._pieces += [_Cut(name, written) for name, written in cut_calls_text(message)]

    def _block(self, piece: _Piece, form: str) -> str:
        if isinstance(piece, _Text):
            return render_as(form, piece.text)
        if isinstance(piece, _Thought):
            return reasoning_status(piece.text[-_REASONING_KEPT:] if piece.live else piece.text, live=piece.live)
        if isinstance(piece, _Cut):
            return f"> **{escape_markdown(single_line(piece.name))}**{escape_markdown(_cut_text(piece))}"
        name, text = single_line(piece.result.origin.tool_name), result_text(piece.result, waits=piece.waits)
        return f"> **{escape_markdown(name)}**{escape_markdown(text.removeprefix(name))}"


_Piece = _Text | _Thought | _Result | _Cut


def _plain(piece: _Piece) -> str:
    match piece:
        case _Text():
            return escape_control_characters(piece.text)
        case _Result():
            return result_text(piece.result, waits=piece.waits)
        case _Cut():
            return single_line(piece.name) + _cut_text(piece)
    return ""


def _cut_text(cut: _Cut) -> str:
    return f"({single_line(cut.written, _CUT_SHOWN)} … was still being written"


def cut_calls_text(message: ChatMessage) -> list[tuple[str, str]]:
    """List the calls that were still being written when a message was cut: name, and the arguments so far.

    Examples
    --------
    >>> cut_calls_text(ChatMessage.from_assistant(None, {"cut_calls": [{"tool_name": "tide", "arguments": '{"po'}]}))
    [('tide', '{"po')]
    """
    noted = message.meta.get("cut_calls")
    found = [each for each in noted if isinstance(each, dict)] if isinstance(noted, list) else []
    return [(str(each.get("tool_name", "")), str(each.get("arguments", ""))) for each in found]


def call_text(call: ToolCall) -> str:
    """Return a call as people write one, on one line.

    Examples
    --------
    >>> call_text(ToolCall("tide", {"port": "Hull", "days": [1, 2]}))
    'tide(port="Hull", days=[1, 2])'
    """
    if call.malformed_arguments is not None:
        return single_line(f"{call.tool_name}({call.malformed_arguments})")
    arguments = [
        f"{single_line(name, _ARGUMENT_SHOWN)}={single_line(json.dumps(value, ensure_ascii=False), _ARGUMENT_SHOWN)}"
        for name, value in call.arguments.items()
    ]
    return f"{single_line(call.tool_name)}({', '.join(arguments)})"


def result_text(result: ToolCallResult, *, waits: bool = False) -> str:
    """Return a call and what came of it, on one line.

    Parameters
    ----------
    result
        What came of it.
    waits
        Whether that is still open.

    Examples
    --------
    >>> result_text(ToolCallResult("4.2 m", ToolCall("tide", {"port": "Hull"}), error=False))
    'tide(port="Hull") → 4.2 m'
    """
    if waits:
        came = "waits for your decision"
    elif isinstance(result.result, str):
        came = result.result
    else:
        came = " ".join(part.text if isinstance(part, TextContent) else f"[{_kind(part)}]" for part in result.result)
    return f"{call_text(result.origin)} → {single_line(came, _RESULT_SHOWN) or 'nothing'}"


def _as_it_ran(result: ToolCallResult, meta: dict[str, Any]) -> ToolCallResult:
    """Return a result with the arguments that a person gave, and without the note that tells the model of them."""
    arguments = meta.get("arguments")
    if meta.get("decision") != "edited" or not isinstance(arguments, dict):
        return result
    came = result.result.partition("\n\n")[2] if isinstance(result.result, str) else result.result[1:]
    origin = ToolCall(f"{result.origin.tool_name} (edited)", arguments, result.origin.id)
    return ToolCallResult(came, origin, result.error)


def _kind(part: object) -> str:
    return type(part).__name__.removesuffix("Content").lower()
