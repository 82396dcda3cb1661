"""Show an answer in the cell it belongs to: while it streams, and for good when it ended.

While tokens arrive the output is one display that is painted anew, less often the longer the text is, in Markdown only.
At the end it becomes one static bundle, which shows in every viewer of notebooks without a kernel. In a terminal the
text is written as it comes.
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
from orchat.jupyter.kernel.coroutine_runner import run_in_waiting_thread, runs_on_private_loop
from orchat.jupyter.kernel.output.answer_footer import footer, sources, sources_text
from orchat.jupyter.kernel.output.error_card import error_card, error_text
from orchat.jupyter.kernel.output.image_bundle import picture_bundle
from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown
from orchat.jupyter.kernel.output.status_lines import empty_text, waiting_status
from orchat.jupyter.kernel.output.terminal_approval import ask_in_terminal
from orchat.jupyter.kernel.output.text_escaping import escape_control_characters
from orchat.jupyter.kernel.output.turn_transcript import TurnTranscript, result_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat.approval import Decision, Verdict
    from orchat.chat.message_selection import CallPlace
    from orchat.chat.reply import Reply
    from orchat.messages import ToolCall
    from orchat.streaming import StreamingChunk
    from orchat.tools import Tool

MIME_TYPE = "application/vnd.orchat.v1+json"

_BYTES_PER_SECOND = 12_000  # what the paints of a live answer may cost
_MESSAGE_BYTES = 900  # what a message weighs beside its text
_SHORTEST, _LONGEST = 0.05, 2.0  # seconds between two paints


def refresh_interval(characters: int) -> float:
    """Return how many seconds to leave between two paints of a text that long.

    Every paint sends the whole text, so the period grows with it and the traffic per second stays the same.

    Examples
    --------
    >>> [round(refresh_interval(n), 2) for n in (0, 1_000, 5_000, 100_000)]
    [0.07, 0.16, 0.49, 2.0]
    """
    return min(max((_MESSAGE_BYTES + characters) / _BYTES_PER_SECOND, _SHORTEST), _LONGEST)


class LiveDisplay:
    """One output of a notebook cell that grows with the turn and ends static.

    All methods are called from the thread that the turn runs in.

    Parameters
    ----------
    shell
        The running IPython.
    form
        How the text is shown, one of `orchat.jupyter.kernel.output.answer_formats.FORMATS`.
    caption
        How much the line below the answer says: ``full``, ``model`` or ``none``.
    """

    def __init__(self, shell: InteractiveShell, form: str = "markdown", caption: str = "full") -> None:
        self._shell = shell
        self._form = form
        self._caption = caption
        self.id = f"orchat-{uuid.uuid4().hex}"
        self.final: dict[str, Any] | None = None
        self._shown = False
        self._transcript = TurnTranscript()
        self._label = ""
        self._painted = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, label: str) -> None:
        """Show at once that an answer is on its way, and from whom."""
        self._label = label
        self._paint()

    def add(self, chunk: StreamingChunk) -> None:
        """Take in what arrived; it is painted now or, soon after the last paint, a little later."""
        if not self._transcript.add(chunk) or (self._timer is not None and time.monotonic() < self._timer.when()):
            return
        wait = self._painted + refresh_interval(len(self._transcript)) - time.monotonic()
        if wait <= 0:  # now: in a turn that blocks its thread, there is nobody to paint later
            self._paint()
        else:
            with suppress(RuntimeError):
                self._timer = asyncio.get_running_loop().call_later(wait, self._paint)

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
            What arrived.
        seconds
            How long it took.
        model
            The model that was asked for.
        error
            What went wrong, shown as a card below the partial answer.
        sent
            What went along with the prompt.
        record
            Makes of the output's plain text what is kept besides.
        """
        self._stop_timer()
        transcript = TurnTranscript(reply.messages or (reply.message,))
        markdown = [transcript.markdown(self._form), sources(reply.citations)]
        plain = [transcript.plain()]
        below = footer(reply, seconds, sent=sent, style=self._caption)
        if error is not None:
            markdown.append(error_card(error))
            plain.append(error_text(error))
        elif nothing := empty_text(reply):
            markdown.append(f"*{escape_markdown(nothing)}*")
            plain.append(nothing)
        if below and (error is None or transcript):
            markdown.append(f"*{escape_markdown(below)}*")
            plain.append(below)
        text = "\n\n".join(part for part in plain if part)
        kept = output_extras(reply, seconds, model=model)
        if record is not None:
            kept |= record(text)
        self.final = {
            "text/markdown": "\n\n".join(part for part in markdown if part),
            "text/plain": text,
            MIME_TYPE: kept,
        }
        self._publish(self.final)
        for image in reply.images:
            if (bundle := picture_bundle(image)) is not None:
                self._shell.display_pub.publish(data=bundle, metadata={"orchat": {}})

    def expect(self, asked: Callable[[str], Tool | None]) -> bool:
        """Prepare nothing: nobody is asked."""
        return False

    def called(self, calls: Mapping[CallPlace, ToolCall], indexes: Sequence[int]) -> None:
        """Do nothing: calls are shown with their results."""

    def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Verdict | Awaitable[Verdict]:
        """Ask nobody: the turn parks."""
        return None

    def _paint(self) -> None:
        self._stop_timer()
        self._painted = time.monotonic()
        if _is_captured(self._shell):  # %%capture keeps every paint: only the last one is worth keeping
            return
        shown = self._transcript.markdown(self._form) or waiting_status(self._label)
        self._publish({"text/markdown": shown})

    def _publish(self, bundle: dict[str, Any]) -> None:
        # What is not final says so: a page that was loaded meanwhile still shows it when the turn has ended.
        metadata = {} if bundle is self.final else {"orchat": {"live": self.id}}
        self._shell.display_pub.publish(
            data=bundle, metadata=metadata, transient={"display_id": self.id}, update=self._shown
        )
        self._shown = True

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class TerminalDisplay:
    """The answer in a terminal: written as it comes.

    It has the methods of `LiveDisplay`.
    """

    def __init__(self, caption: str = "full") -> None:
        self._caption = caption
        self._begun = False

    def start(self, label: str) -> None:
        """Nothing to show yet."""

    def add(self, chunk: StreamingChunk) -> None:
        """Write what arrived: text, and on lines of their own what tools were called for."""
        if chunk.content:
            self._begun = True
            self._write(escape_control_characters(chunk.content))
        elif chunk.tool_call_result is not None:
            self._write(("\n" if self._begun else "") + f"[{result_text(chunk.tool_call_result)}]\n")
            self._begun = False

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
        """Write what went wrong and the line below the answer; see `LiveDisplay.end`."""
        if self._begun:
            self._write("\n\n")
        if links := sources_text(reply.citations):
            self._write(f"{links}\n\n")
        if error is not None:
            self._write(error_text(error) + "\n")
        elif nothing := empty_text(reply):
            self._write(nothing + "\n")
        below = footer(reply, seconds, sent=sent, style=self._caption)
        if below and (error is None or reply.text):
            self._write(f"[{below}]\n")

    def expect(self, asked: Callable[[str], Tool | None]) -> bool:
        """Prepare nothing: a call is shown when it is whole, and one line is no place to mend it."""
        return False

    def called(self, calls: Mapping[CallPlace, ToolCall], indexes: Sequence[int]) -> None:
        """Do nothing: a call is shown when somebody is asked, and with its result."""

    def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Decision | Awaitable[Decision | None] | None:
        """Ask whoever sits at the terminal about a call; None where nobody answers."""
        if runs_on_private_loop():
            return run_in_waiting_thread(lambda: ask_in_terminal(call, tool))
        return ask_in_terminal(call, tool)

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def output_extras(reply: Reply, seconds: float, *, model: str) -> dict[str, Any]:
    """Return what the output keeps beside its text: who answered, and the figures.

    Examples
    --------
    >>> from orchat.chat.reply import Reply
    >>> from orchat.messages import ChatMessage
    >>> reply = Reply(ChatMessage.from_assistant("Hello.", meta={"model": "m-2", "finish_reason": "stop"}))
    >>> kept = output_extras(reply, 1.25, model="m")
    >>> kept.pop("orchat") == __version__
    True
    >>> kept
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


def _is_captured(shell: InteractiveShell) -> bool:
    from IPython.core.displaypub import CapturingDisplayPublisher

    return isinstance(shell.display_pub, CapturingDisplayPublisher)
