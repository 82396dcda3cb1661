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
from typing import TYPE_CHECKING, Any

from orchat.errors import OrchatError
from orchat.jupyter.output.caption import error_card, error_text, footer, printable, reasoning_line, waiting_line
from orchat.jupyter.output.formats import shown_as
from orchat.jupyter.output.markdown import escape_markdown
from orchat.jupyter.running import in_kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat.reply import Reply
    from orchat.streaming import StreamingChunk

MIME_TYPE = "application/vnd.orchat.v1+json"

_BYTES_PER_SECOND = 12_000  # what the paints of a live answer may cost
_MESSAGE_BYTES = 900  # what a message weighs beside its text
_SHORTEST, _LONGEST = 0.05, 2.0  # seconds between two paints
_REASONING_KEPT = 2_000  # characters of its end, of which the live line shows some
_EMPTY = "The answer is empty."


def period(characters: int) -> float:
    """Return how many seconds to leave between two paints of a text that long.

    Every paint sends the whole text, so the period grows with it and the traffic per second stays the same.

    Examples
    --------
    >>> [round(period(n), 2) for n in (0, 1_000, 5_000, 100_000)]
    [0.07, 0.16, 0.49, 2.0]
    """
    return min(max((_MESSAGE_BYTES + characters) / _BYTES_PER_SECOND, _SHORTEST), _LONGEST)


class LiveDisplay:
    """One output of a notebook cell that grows with the answer and ends static.

    All methods are called from the loop that the answer runs on.

    Parameters
    ----------
    shell
        The running IPython.
    form
        How the text is shown, one of `orchat.jupyter.output.formats.FORMATS`.
    """

    def __init__(self, shell: InteractiveShell, form: str = "markdown") -> None:
        self._shell = shell
        self._form = form
        self._id = f"orchat-{uuid.uuid4().hex}"
        self._shown = False
        self._text: list[str] = []
        self._reasoning = ""
        self._label = ""
        self._painted = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, label: str) -> None:
        """Show at once that an answer is on its way, and from whom."""
        self._label = label
        self._paint()

    def add(self, chunk: StreamingChunk) -> None:
        """Take in what arrived; it is painted now or, soon after the last paint, a little later."""
        if chunk.content:
            self._text.append(chunk.content)
        elif chunk.reasoning is not None and not self._text:
            # Only its end is shown while it runs.
            self._reasoning = (self._reasoning + chunk.reasoning.reasoning_text)[-_REASONING_KEPT:]
        else:
            return
        if self._timer is None:
            wait = self._painted + period(sum(map(len, self._text))) - time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(max(wait, 0.0), self._paint)

    def end(
        self,
        reply: Reply,
        seconds: float,
        *,
        model: str,
        ending: str | None = None,
        error: OrchatError | None = None,
        sent: Sequence[object] = (),
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
        ending
            ``interrupted`` or ``failed`` when the answer is not whole.
        error
            What went wrong, shown as a card below the partial answer.
        sent
            The values and files that went along with the prompt.
        """
        self._stop_timer()
        line = footer(reply, seconds, ending=ending, sent=sent)
        text = reply.text
        markdown = [reasoning_line(reply.reasoning), shown_as(self._form, text)]
        plain = [printable(text)]
        if error is not None:
            markdown.append(error_card(error))
            plain.append(error_text(error))
        elif not text and ending is None:
            markdown.append(f"*{_EMPTY}*")
            plain.append(_EMPTY)
        if error is None or text:
            markdown.append(f"*{escape_markdown(line)}*")
            plain.append(line)
        self._publish(
            {
                "text/markdown": "\n\n".join(part for part in markdown if part),
                "text/plain": "\n\n".join(part for part in plain if part),
                MIME_TYPE: extras(reply, seconds, model=model, ending=ending),
            }
        )

    def _paint(self) -> None:
        self._stop_timer()
        self._painted = time.monotonic()
        if _is_captured(self._shell):  # %%capture keeps every paint: only the last one is worth keeping
            return
        if self._text:
            text = "".join(self._text)
            self._text = [text]
            shown = shown_as(self._form, text)
        elif self._reasoning:
            shown = reasoning_line(self._reasoning, live=True)
        else:
            shown = waiting_line(self._label)
        self._publish({"text/markdown": shown})

    def _publish(self, bundle: dict[str, Any]) -> None:
        self._shell.display_pub.publish(
            data=bundle, metadata={}, transient={"display_id": self._id}, update=self._shown
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

    def __init__(self) -> None:
        self._begun = False

    def start(self, label: str) -> None:
        """Nothing to show yet."""

    def add(self, chunk: StreamingChunk) -> None:
        """Write the text that arrived."""
        if chunk.content:
            self._begun = True
            self._write(printable(chunk.content))

    def end(
        self,
        reply: Reply,
        seconds: float,
        *,
        model: str,
        ending: str | None = None,
        error: OrchatError | None = None,
        sent: Sequence[object] = (),
    ) -> None:
        """Write what went wrong and the line below the answer; see `LiveDisplay.end`."""
        if self._begun:
            self._write("\n\n")
        if error is not None:
            self._write(error_text(error) + "\n")
        elif not self._begun and ending is None:
            self._write(_EMPTY + "\n")
        if error is None or self._begun:
            self._write(f"[{footer(reply, seconds, ending=ending, sent=sent)}]\n")

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def display_for(shell: InteractiveShell, form: str = "markdown") -> LiveDisplay | TerminalDisplay:
    """Return the display that fits where IPython runs."""
    return LiveDisplay(shell, form) if in_kernel(shell) else TerminalDisplay()


def extras(reply: Reply, seconds: float, *, model: str, ending: str | None = None) -> dict[str, Any]:
    """Return what the output keeps beside its text: who answered, and the figures.

    Examples
    --------
    >>> from orchat.chat.reply import Reply
    >>> from orchat.messages import ChatMessage
    >>> reply = Reply(ChatMessage.from_assistant("Hello.", meta={"model": "m-2", "finish_reason": "stop"}))
    >>> extras(reply, 1.25, model="m")
    {'format': 'orchat', 'version': 1, 'requested': 'm', 'model': 'm-2', 'finish_reason': 'stop', 'seconds': 1.25}
    """
    meta = reply.message.meta
    known = {
        "format": "orchat",
        "version": 1,
        "requested": model,
        **{key: meta.get(key) for key in ("model", "provider", "id", "finish_reason", "note", "usage")},
        "ending": ending,
        "seconds": round(seconds, 2),
    }
    return {key: value for key, value in known.items() if value not in (None, {})}


def _is_captured(shell: InteractiveShell) -> bool:
    from IPython.core.displaypub import CapturingDisplayPublisher

    return isinstance(shell.display_pub, CapturingDisplayPublisher)
