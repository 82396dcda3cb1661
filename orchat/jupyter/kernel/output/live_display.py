"""Display an answer in its cell: live while it streams, and static when it has ended.

While tokens arrive the output is one display in Markdown, repainted less often the longer the text is. At the end it
becomes one static MIME bundle, which every viewer of notebooks shows without a kernel. In a terminal the text is
written as it arrives; where neither is possible the answer is displayed when it is whole.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from orchat._version import __version__
from orchat.errors import OrchatError
from orchat.jupyter.kernel.output.answer_footer import footer, sources, sources_text
from orchat.jupyter.kernel.output.display_update import update_display
from orchat.jupyter.kernel.output.error_card import error_actions, error_card, error_text
from orchat.jupyter.kernel.output.image_bundle import image_bundle
from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown
from orchat.jupyter.kernel.output.mime_types import MIME_TYPE, write_extras
from orchat.jupyter.kernel.output.status_lines import answer_note, retry_status, waiting_status
from orchat.jupyter.kernel.output.terminal_approval import ask_in_terminal
from orchat.jupyter.kernel.output.turn_transcript import TurnTranscript, result_text
from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters
from orchat.private_event_loop import run_in_waiting_thread, runs_on_private_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat.approval import Decision, Verdict
    from orchat.chat.message_selection import CallPlace
    from orchat.chat.reply import Reply
    from orchat.messages import ToolCall
    from orchat.streaming import StreamingChunk
    from orchat.tools import Tool

_BYTES_PER_SECOND = 12_000  # traffic of the paints of a live answer
_MESSAGE_OVERHEAD = 900  # size of a display message beside its text
_SHORTEST, _LONGEST = 0.05, 2.0  # seconds between two paints
_LONGEST_READING_PAUSE = 0.1  # seconds between two reads of what arrives


def refresh_interval(characters: int) -> float:
    """Return the seconds between two paints of a text of that length.

    Every paint sends the whole text, so the interval grows with it and the traffic per second stays the same.

    Examples
    --------
    >>> [round(refresh_interval(n), 2) for n in (0, 1_000, 5_000, 100_000)]
    [0.07, 0.16, 0.49, 2.0]
    """
    return min(max((_MESSAGE_OVERHEAD + characters) / _BYTES_PER_SECOND, _SHORTEST), _LONGEST)


class LiveDisplay:
    """One output of a notebook cell that grows with the turn and ends static.

    All methods are called from the thread that the turn runs in.

    Parameters
    ----------
    shell
        The running IPython.
    answer_format
        The format of the answer, one of `orchat.jupyter.kernel.output.answer_formats.FORMATS`.
    footer_style
        The content of the footer: ``full``, ``model`` or ``none``.
    """

    def __init__(self, shell: InteractiveShell, answer_format: str = "markdown", footer_style: str = "full") -> None:
        self._shell = shell
        self._answer_format = answer_format
        self._footer_style = footer_style
        self.id = f"orchat-{uuid.uuid4().hex}"
        self.final: dict[str, Any] | None = None
        self._is_published = False
        self._transcript = TurnTranscript()
        self._label = ""
        self._retry_line = ""
        self._last_paint = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, label: str) -> None:
        """Show the waiting line with the model's name."""
        self._label = label
        self._paint()

    def retrying(self, text: str) -> None:
        """Show below what has arrived that the request will be sent again, until the next chunk."""
        self._retry_line = retry_status(text)
        self._paint()

    def add(self, chunk: StreamingChunk) -> None:
        """Add a chunk; it is painted now or, soon after the last paint, a little later."""
        self._retry_line = ""
        if not self._transcript.add(chunk) or (self._timer is not None and time.monotonic() < self._timer.when()):
            return
        wait = self._last_paint + refresh_interval(len(self._transcript)) - time.monotonic()
        if wait <= 0:  # now: in a turn that blocks its thread no timer would paint later
            self._paint()
        else:
            with suppress(RuntimeError):
                self._paint_after(wait)

    def end(
        self,
        reply: Reply,
        seconds: float,
        *,
        model: str,
        error: OrchatError | None = None,
        sent: Sequence[object] = (),
        record: Callable[[str], Mapping[str, Any]] | None = None,
    ) -> None:
        """Replace the live output by the static one.

        Parameters
        ----------
        reply
            The reply, perhaps partial.
        seconds
            The duration of the turn.
        model
            The requested model.
        error
            The error, shown as a card below the partial answer.
        sent
            Values, files and earlier turns sent with the prompt, for the footer.
        record
            Returns further data to store in the output, from its plain text.
        """
        self._stop_timer()
        transcript = TurnTranscript(reply.messages or (reply.message,))
        parts = [*transcript.parts(self._answer_format), ("sources", sources(reply.citations))]
        plain = [transcript.plain()]
        footer_line = footer(reply, seconds, sent=sent, style=self._footer_style)
        if error is not None:
            parts.append(("error", error_card(error)))
            plain.append(error_text(error))
        elif note := answer_note(reply):
            parts.append(("note", f"*{escape_markdown(note)}*"))
            plain.append(note)
        pictures = list(filter(None, map(image_bundle, reply.images)))
        footer_part = [("footer", f"*{escape_markdown(footer_line)}*")] if footer_line else []
        if footer_part and (error is None or transcript) and not pictures:
            parts += footer_part
            plain.append(footer_line)
        text = "\n\n".join(part for part in plain if part)
        parts = [(kind, markdown) for kind, markdown in parts if markdown]
        extras = details = output_extras(reply, seconds, model=model)
        if pictures:  # they are outputs of their own, and the footer stands below them
            extras = {**details, "footer": "below"}
        if error is not None and (actions := error_actions(error)):
            extras["actions"] = actions
        extras["parts"] = _part_sizes(parts)
        if record is not None:
            extras |= record(text)
        self.final = {
            "text/markdown": "\n\n".join(markdown for _, markdown in parts),
            "text/plain": text,
            MIME_TYPE: write_extras(extras),
        }
        self._publish(self.final)
        publish = self._shell.display_pub.publish
        for bundle in pictures:
            publish(data=bundle, metadata={"orchat": {}})
        if pictures and footer_part:
            below = {
                "text/markdown": footer_part[0][1],
                "text/plain": footer_line,
                MIME_TYPE: write_extras({**details, "parts": _part_sizes(footer_part)}),
            }
            publish(data=below, metadata={"orchat": {}})

    def reading_pause(self) -> float:
        """Return half of the seconds between two paints, and no more than what may be lost when the kernel ends."""
        return min(refresh_interval(len(self._transcript)) / 2, _LONGEST_READING_PAUSE)

    def expect(self, tool_to_ask: Callable[[str], Tool | None]) -> bool:
        """Do nothing: this display cannot ask."""
        return False

    def called(self, calls: Mapping[CallPlace, ToolCall], indexes: Sequence[int]) -> None:
        """Do nothing: calls are shown with their results."""

    def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Verdict | Awaitable[Verdict]:
        """Return None: the turn parks."""
        return None

    def _paint(self) -> None:
        self._stop_timer()
        self._last_paint = time.monotonic()
        if _is_captured(self._shell):  # %%capture keeps every paint: only the last one is worth keeping
            return
        parts = filter(None, (self._transcript.markdown(self._answer_format), self._retry_line))
        text = "\n\n".join(parts) or waiting_status(self._label)
        plain = {} if self._is_published else {"text/plain": text.strip("*")}  # once: it is the same text again
        self._publish({"text/markdown": text, **plain})

    def _publish(self, bundle: dict[str, Any]) -> None:
        # Live output is marked: a page that was loaded during the turn still shows it when the turn has ended.
        metadata = {} if bundle is self.final else {"orchat": {"live": self.id}}
        transient = {"display_id": self.id}
        if self._is_published:
            update_display(self._shell, bundle, metadata, transient)
        else:
            self._shell.display_pub.publish(data=bundle, metadata=metadata, transient=transient)
        self._is_published = True

    def _paint_after(self, seconds: float) -> None:
        # One that is due but has not run yet, on a busy machine, would else paint the live text over the final output.
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._paint)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class WholeDisplay(LiveDisplay):
    """One output of a cell that is displayed once, when the turn has ended: for those who carry out no updates."""

    def _paint(self) -> None:
        self._stop_timer()


class TerminalDisplay:
    """Write an answer to a terminal as it arrives, with the methods of `LiveDisplay`.

    Parameters
    ----------
    shell
        The running IPython.
    footer_style
        The content of the footer: ``full``, ``model`` or ``none``.
    """

    def __init__(self, shell: InteractiveShell, footer_style: str = "full") -> None:
        self._shell = shell
        self._footer_style = footer_style
        self._has_text = False

    def start(self, label: str) -> None:
        """Do nothing: a terminal shows no waiting line."""

    def retrying(self, text: str) -> None:
        """Write that the request will be sent again, on a line of its own."""
        self._write(("\n" if self._has_text else "") + f"[{escape_control_characters(text)}]\n")
        self._has_text = False

    def add(self, chunk: StreamingChunk) -> None:
        """Write a chunk: text, or a tool result on a line of its own."""
        if chunk.content:
            self._has_text = True
            self._write(escape_control_characters(chunk.content))
        elif chunk.tool_call_result is not None:
            self._write(("\n" if self._has_text else "") + f"[{result_text(chunk.tool_call_result)}]\n")
            self._has_text = False

    def end(
        self,
        reply: Reply,
        seconds: float,
        *,
        model: str,
        error: OrchatError | None = None,
        sent: Sequence[object] = (),
        record: Callable[[str], Mapping[str, Any]] | None = None,
    ) -> None:
        """Display pictures, of which a terminal tells the size; write the error and the footer (see `LiveDisplay`)."""
        if self._has_text:
            self._write("\n\n")
        for bundle in filter(None, map(image_bundle, reply.images)):
            self._shell.display_pub.publish(data=bundle)
        if links := sources_text(reply.citations):
            self._write(f"{links}\n\n")
        if error is not None:
            self._write(error_text(error) + "\n")
        elif note := answer_note(reply):
            self._write(note + "\n")
        footer_line = footer(reply, seconds, sent=sent, style=self._footer_style)
        if footer_line and (error is None or reply.text):
            self._write(f"[{footer_line}]\n")

    def expect(self, tool_to_ask: Callable[[str], Tool | None]) -> bool:
        """Do nothing: a call is shown when it is whole, and a line of text cannot be mended."""
        return False

    def called(self, calls: Mapping[CallPlace, ToolCall], indexes: Sequence[int]) -> None:
        """Do nothing: a call is shown when a person is asked, and with its result."""

    def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Decision | Awaitable[Decision | None] | None:
        """Ask the person at the terminal about a call; None without an answer."""
        if runs_on_private_loop():
            return run_in_waiting_thread(lambda: ask_in_terminal(call, tool))
        return ask_in_terminal(call, tool)

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def output_extras(reply: Reply, seconds: float, *, model: str) -> dict[str, Any]:
    """Return the data that an output holds beside its text: model, provider, usage, cost.

    Examples
    --------
    >>> from orchat.chat.reply import Reply
    >>> from orchat.messages import ChatMessage
    >>> reply = Reply(ChatMessage.from_assistant("Hello.", meta={"model": "m-2", "finish_reason": "stop"}))
    >>> extras = output_extras(reply, 1.25, model="m")
    >>> extras.pop("orchat") == __version__
    True
    >>> extras
    {'format': 'orchat', 'version': 1, 'requested': 'm', 'model': 'm-2', 'finish_reason': 'stop', 'seconds': 1.25}
    """
    meta = reply.message.meta
    known = {
        "format": "orchat",
        "version": 1,
        "orchat": __version__,
        "requested": model,
        **{key: meta.get(key) for key in ("model", "provider", "id", "finish_reason", "note")},
        "usage": reply.usage,
        "cost": reply.cost,
        "ending": None if reply.ending == "finished" else reply.ending,
        "seconds": round(seconds, 2),
    }
    return {key: value for key, value in known.items() if value not in (None, {})}


def _part_sizes(parts: Iterable[tuple[str, str]]) -> list[list[Any]]:
    """Return kind and length of each part of an output's Markdown."""
    return [[kind, _utf16_length(markdown)] for kind, markdown in parts]


def _utf16_length(text: str) -> int:
    """Return the length of a text as JavaScript counts it."""
    return len(text) + sum(character > "\uffff" for character in text)


def _is_captured(shell: InteractiveShell) -> bool:
    from IPython.core.displaypub import CapturingDisplayPublisher

    return isinstance(shell.display_pub, CapturingDisplayPublisher)
