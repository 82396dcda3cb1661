"""The transcript of a turn for people: reasoning, text and tool calls in order. Pure.

It grows chunk by chunk during a turn, or is made of a reply's messages; its Markdown is safe.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchat.jupyter.kernel.output.answer_formats import render_as
from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown
from orchat.jupyter.kernel.output.status_lines import reasoning_status
from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters, single_line
from orchat.messages import ChatMessage, ChatRole, ReasoningContent, TextContent, ToolCall, ToolCallResult

if TYPE_CHECKING:
    from orchat.streaming import StreamingChunk

_MOST_ARGUMENT = 60  # characters
_MOST_RESULT = 160
_MOST_CUT_ARGUMENTS = 2_000  # of incomplete arguments
_MOST_LIVE_REASONING = 2_000  # of its end, for the live line


@dataclass
class _Text:
    text: str


@dataclass
class _Reasoning:
    text: str
    live: bool = False


@dataclass
class _Result:
    result: ToolCallResult
    is_pending: bool = False


@dataclass
class _CutCall:
    name: str
    arguments: str


class TurnTranscript:
    """The transcript of one turn.

    Parameters
    ----------
    messages
        The turn's messages so far; users' and system messages are left out.

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
        self._open_calls: list[str] = []
        self._has_results = False  # whether a result of these calls has arrived
        for message in messages:
            if message.is_from(ChatRole.ASSISTANT) or message.is_from(ChatRole.TOOL):
                self._add_message(message)

    def __len__(self) -> int:
        return sum(len(piece.text) for piece in self._pieces if isinstance(piece, _Text))

    def __bool__(self) -> bool:
        return bool(self._pieces or self._open_calls)

    def add(self, chunk: StreamingChunk) -> bool:
        """Add a chunk; return whether it changes the transcript."""
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, _Result) and self._has_results and chunk.tool_call_result is None:
            self._open_calls, self._has_results = [], False  # the next response begins
        if chunk.content:
            if isinstance(last, _Reasoning):
                last.live = False
            if isinstance(last, _Text):
                last.text += chunk.content
            else:
                self._pieces.append(_Text(chunk.content))
        elif chunk.reasoning is not None:
            if not isinstance(last, _Reasoning):
                last = _Reasoning("", live=True)
                self._pieces.append(last)
            last.text += chunk.reasoning.reasoning_text
        elif chunk.tool_calls:
            names = [call.tool_name for call in chunk.tool_calls if call.tool_name]
            self._open_calls += names
            return bool(names)
        elif chunk.tool_call_result is not None:
            if (name := chunk.tool_call_result.origin.tool_name) in self._open_calls:
                self._open_calls.remove(name)  # the others go on
            self._pieces.append(_Result(chunk.tool_call_result))
            self._has_results = True
        else:
            return False
        return True

    def markdown(self, answer_format: str = "markdown") -> str:
        """Return the transcript as safe Markdown.

        Parameters
        ----------
        answer_format
            The format of the model's text, one of `orchat.jupyter.kernel.output.answer_formats.FORMATS`.
        """
        return "\n\n".join(markdown for _, markdown in self.parts(answer_format))

    def parts(self, answer_format: str = "markdown") -> list[tuple[str, str]]:
        """Return kind and Markdown of each part: ``text``, ``reasoning``, ``call``, or ``failed`` for a failed call."""
        parts = [(_kind_of(piece), self._block(piece, answer_format)) for piece in self._pieces]
        if self._open_calls:
            parts.append(("call", f"> *calls {escape_markdown(single_line(', '.join(self._open_calls)))} …*"))
        return [(kind, markdown) for kind, markdown in parts if markdown]

    def plain(self) -> str:
        """Return the transcript as plain text: answers and calls."""
        return "\n\n".join(filter(None, map(_plain_text, self._pieces)))

    def _add_message(self, message: ChatMessage) -> None:
        for part in message.parts:
            if isinstance(part, TextContent) and part.text:
                self._pieces.append(_Text(part.text))
            elif isinstance(part, ReasoningContent) and part.reasoning_text:
                self._pieces.append(_Reasoning(part.reasoning_text))
            elif isinstance(part, ToolCallResult):
                self._pieces.append(
                    _Result(_result_as_executed(part, message.meta), message.meta.get("pending") is True)
                )
        self._pieces += [_CutCall(name, arguments) for name, arguments in cut_calls_text(message)]

    def _block(self, piece: _Piece, answer_format: str) -> str:
        if isinstance(piece, _Text):
            return render_as(answer_format, piece.text)
        if isinstance(piece, _Reasoning):
            return reasoning_status(piece.text[-_MOST_LIVE_REASONING:] if piece.live else piece.text, live=piece.live)
        if isinstance(piece, _CutCall):
            return f"> {_tool_name(single_line(piece.name))}{escape_markdown(_cut_call_text(piece))}"
        name, text = single_line(piece.result.origin.tool_name), result_text(piece.result, is_pending=piece.is_pending)
        return f"> {_tool_name(name)}{escape_markdown(text.removeprefix(name))}"


def _tool_name(name: str) -> str:
    return f"**{escape_markdown(name)}**" if name else "*a call that names no tool* "


_Piece = _Text | _Reasoning | _Result | _CutCall


def _kind_of(piece: _Piece) -> str:
    match piece:
        case _Text():
            return "text"
        case _Reasoning():
            return "reasoning"
        case _Result(result=result, is_pending=False) if result.error:
            return "failed"
    return "call"


def _plain_text(piece: _Piece) -> str:
    match piece:
        case _Text():
            return escape_control_characters(piece.text)
        case _Result():
            return result_text(piece.result, is_pending=piece.is_pending)
        case _CutCall():
            return single_line(piece.name) + _cut_call_text(piece)
    return ""


def _cut_call_text(cut: _CutCall) -> str:
    return f"({single_line(cut.arguments, _MOST_CUT_ARGUMENTS)} … was still being written"


def cut_calls_text(message: ChatMessage) -> list[tuple[str, str]]:
    """Return the incomplete calls of a message that was cut: name, and the arguments so far.

    Examples
    --------
    >>> cut_calls_text(ChatMessage.from_assistant(None, {"cut_calls": [{"tool_name": "tide", "arguments": '{"po'}]}))
    [('tide', '{"po')]
    """
    cut_calls = message.meta.get("cut_calls")
    found = [each for each in cut_calls if isinstance(each, dict)] if isinstance(cut_calls, list) else []
    return [(str(each.get("tool_name", "")), str(each.get("arguments", ""))) for each in found]


def call_text(call: ToolCall) -> str:
    """Return a call as Python would write it, on one line.

    Examples
    --------
    >>> call_text(ToolCall("tide", {"port": "Hull", "days": [1, 2]}))
    'tide(port="Hull", days=[1, 2])'
    """
    if call.malformed_arguments is not None:
        return single_line(f"{call.tool_name}({call.malformed_arguments})")
    arguments = [
        f"{single_line(name, _MOST_ARGUMENT)}={single_line(json.dumps(value, ensure_ascii=False), _MOST_ARGUMENT)}"
        for name, value in call.arguments.items()
    ]
    return f"{single_line(call.tool_name)}({', '.join(arguments)})"


def result_text(result: ToolCallResult, *, is_pending: bool = False) -> str:
    """Return a call and its result, on one line.

    Parameters
    ----------
    result
        The result.
    is_pending
        Whether the call still waits for a decision.

    Examples
    --------
    >>> result_text(ToolCallResult("4.2 m", ToolCall("tide", {"port": "Hull"}), error=False))
    'tide(port="Hull") → 4.2 m'
    """
    if is_pending:
        content = "waits for your decision"
    elif isinstance(result.result, str):
        content = result.result
    else:
        content = " ".join(part.text if isinstance(part, TextContent) else f"[{_kind(part)}]" for part in result.result)
    return f"{call_text(result.origin)} → {single_line(content, _MOST_RESULT) or 'nothing'}"


def _result_as_executed(result: ToolCallResult, meta: dict[str, Any]) -> ToolCallResult:
    """Return a result with the person's edited arguments, and without the note about them for the model."""
    arguments = meta.get("arguments")
    if meta.get("decision") != "edited" or not isinstance(arguments, dict):
        return result
    content = result.result.partition("\n\n")[2] if isinstance(result.result, str) else result.result[1:]
    origin = ToolCall(f"{result.origin.tool_name} (edited)", arguments, result.origin.id)
    return ToolCallResult(content, origin, result.error)


def _kind(part: object) -> str:
    return type(part).__name__.removesuffix("Content").lower()
