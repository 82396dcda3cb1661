"""What arrives becomes events: the chunks of a turn, its pictures and sources, its tool calls.

Text is taken in as it comes and looked at only when a batch is due: then it is made safe, its finished blocks are split
off, and of the rest only what changed goes into the event.
"""

from __future__ import annotations

import re
import time
from itertools import zip_longest
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orchat.chat.message_selection import CallPlace
from orchat.jupyter.kernel.live_view.call_index import CallIndex, Written
from orchat.jupyter.kernel.live_view.markdown_blocks import split_blocks
from orchat.jupyter.kernel.live_view.markdown_html import to_html
from orchat.jupyter.kernel.live_view.streaming_calls import StreamingCalls
from orchat.jupyter.kernel.live_view.view_reducer import Event, State, initial_state, reduce_events, text_change
from orchat.jupyter.kernel.output.answer_formats import render_as
from orchat.jupyter.kernel.output.image_bundle import picture_bundle
from orchat.jupyter.kernel.output.text_escaping import escape_control_characters, single_line
from orchat.jupyter.kernel.output.turn_transcript import call_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from orchat.chat.reply import Citation
    from orchat.messages import ImageContent, ToolCall, ToolCallResult
    from orchat.streaming import StreamingChunk, ToolCallDelta
    from orchat.tools import Tool

_ADDRESS = re.compile(r'[^\x00-\x20<>"`\\\x7f-\xa0\u2028\u2029]+')
_SOURCES_SHOWN = 12
_ARGUMENTS_SHOWN = 20_000  # characters of arguments that still arrive
_RESULT_SHOWN = 4_000


class TurnViewModel:
    """The state of a turn, and the events that bring views up to date (a `widget_channel.ViewModel`).

    Parameters
    ----------
    form
        How the model's words are shown, one of `orchat.jupyter.kernel.output.answer_formats.FORMATS`.

    Examples
    --------
    >>> from orchat.streaming import StreamingChunk
    >>> feed = TurnViewModel()
    >>> for text in ("The *Hum", "ber*."):
    ...     _ = feed.add(StreamingChunk(text, index=0))
    >>> _ = feed.pending()
    >>> feed.snapshot(html=False)["items"][0]["tail"]
    'The *Humber*.'
    """

    def __init__(self, form: str = "markdown") -> None:
        self._form = form
        self._state = initial_state()
        self._events: list[Event] = []
        self._count = 0  # of items, those in `_events` included
        self._html = False
        self._text: int | None = None  # the item that text goes to, its text that is not finished, and what is shown
        self._raw = ""
        self._tail = ""
        self._goes_on = False  # whether its rest belongs to the list above it
        self._dirty = False
        self._thought: int | None = None
        self._grown: dict[tuple[int, str], list[str]] = {}
        self._calls = CallIndex()
        self._drafts = StreamingCalls()
        self._form_for: Callable[[str], Tool | None] = lambda name: None
        self._links: dict[str, dict[str, str]] = {}
        self._started = time.monotonic()

    # -- a turn -------------------------------------------------------------------------------------------------

    def start(self, label: str) -> None:
        """Say who is asked."""
        self._started = time.monotonic()
        self._events.append({"e": "turn", "set": {"label": single_line(label)}})

    def may(self, *, stop: bool, cell: bool) -> None:
        """Say what people may do: stop the turn, have code in a new cell."""
        self._events.append({"e": "turn", "set": {"stop": stop, "cell": cell}})

    def add(self, chunk: StreamingChunk) -> bool:
        """Take in what arrived; say whether it can be seen."""
        seen = True
        if chunk.content:
            self._write(chunk.content)
        elif chunk.reasoning is not None:
            self._think(chunk.reasoning.reasoning_text)
        elif chunk.tool_calls:
            for delta in chunk.tool_calls:
                self._call(delta)
        elif chunk.tool_call_result is not None:
            self._result(chunk.tool_call_result, chunk.meta.get("place"))
        else:
            seen = False
        if chunk.finish_reason is not None:
            self._calls.end_response()
        if extras := chunk.meta.get("extras"):
            seen |= self._extras(extras)
        return seen

    def end(self, footer: str, ending: str) -> None:
        """Say that nothing more comes, and what stands below the turn."""
        self._close_blocks()
        for number in self._calls.unsettled:
            self._drop_draft(number)
            self.set(number, status="cut")
        self._events.append({"e": "turn", "set": {"phase": "ended", "footer": footer, "ending": ending}})

    # -- tool calls ---------------------------------------------------------------------------------------------

    def draft(self, form_for: Callable[[str], Tool | None]) -> None:
        """Show calls as forms while they are written.

        Parameters
        ----------
        form_for
            The tool that a name means, if a person will be asked about a call of it; else None.
        """
        self._form_for = form_for

    def called(self, calls: Mapping[CallPlace, ToolCall], indexes: Sequence[int] = ()) -> None:
        """Take the calls of a response that is whole: from now on an item says what would run, whatever was written.

        Parameters
        ----------
        calls
            By their places in the turn.
        indexes
            The index of the pieces in which each one came; none where it came in one piece.
        """
        written = self._calls.take_written()
        for (place, call), index in zip_longest(calls.items(), indexes):
            known = written.pop(index, None)
            if known is not None:
                self._calls.bind(place, known.number)
                if known.name != call.tool_name:
                    self._drop_draft(known.number)
            self._show_call(self._item_at(place, call), call)
        for known in written.values():  # they came twice, and count once
            self._drop_draft(known.number)
            self._calls.settle(known.number)
            self.set(known.number, status="twice")

    def item_of(self, place: CallPlace, call: ToolCall) -> int:
        """Return the item of a call that is asked about or answered; one that is not shown yet gets an item."""
        number = self._item_at(place, call)
        self._calls.settle(number)
        self._drafts.take(number)
        self._show_call(number, call)
        return number

    def _item_at(self, place: CallPlace, call: ToolCall) -> int:
        number = self._calls.find(place)
        if number is None:
            self._close_blocks()
            number = self._new({"kind": "call", "name": single_line(call.tool_name), "args": "", "status": "waiting"})
            self._calls.bind(place, number)
        return number

    def _show_call(self, number: int, call: ToolCall) -> None:
        self.set(number, name=single_line(call.tool_name), text=call_text(call))

    def set(self, number: int, **fields: Any) -> None:
        """Set fields of an item."""
        self._events.append({"e": "set", "i": number, "set": fields})

    def preview(self, number: int, markdown: str) -> None:
        """Show safe Markdown above the buttons of a call's form."""
        self.set(number, preview={"md": markdown} | ({"html": to_html(markdown)} if self._html else {}))

    # -- for the channel ----------------------------------------------------------------------------------------

    def pending(self) -> list[Event]:
        """Return what happened since this was last asked."""
        self._write_out()
        for (number, field), pieces in self._grown.items():
            self._events.append(
                {"e": "add", "i": number, "field": field, "text": escape_control_characters("".join(pieces))}
            )
        self._grown = {}
        for number, form in self._drafts.due():
            self.set(number, form=form)
        events, self._events = self._events, []
        self._state = reduce_events(self._state, events)
        return events

    def later(self) -> float | None:
        """Return in how many seconds more will be `pending`, although nothing may happen till then; None if nothing."""
        return self._drafts.later()

    def snapshot(self, *, html: bool) -> State:
        """Return everything; whoever wants HTML gets it from now on."""
        if html and not self._html:
            self._html = self._dirty = True
        self.pending()
        if self._html:
            self._state = {**self._state, "items": [_with_html(item) for item in self._state["items"]]}
        return {**self._state, "elapsed": round(time.monotonic() - self._started, 2)}

    # -- text and reasoning -------------------------------------------------------------------------------------

    def _new(self, item: Mapping[str, Any]) -> int:
        if not self._count:
            self._events.append({"e": "turn", "set": {"phase": "running"}})
        self._events.append({"e": "item", "item": dict(item)})
        self._count += 1
        return self._count - 1

    def _write(self, text: str) -> None:
        if self._text is None:
            self._close_blocks()
            self._text = self._new({"kind": "text", "blocks": [], "tail": ""})
        self._raw += text.replace("\r", "")
        self._dirty = True

    def _write_out(self) -> None:
        if self._text is None or not self._dirty:
            return
        self._dirty = False
        done: list[dict[str, Any]] = []
        rest = self._raw
        if self._form in ("markdown", "code"):
            blocks, last = split_blocks(self._raw)
            for block in blocks:
                done.append(self._block(block.text, self._goes_on or block.continues))
                self._goes_on = False
            if blocks:
                self._goes_on = last.continues
            self._raw = rest = last.text
        tail = self._block(rest, self._goes_on)
        keep, added = text_change(self._tail, tail["md"])
        self._tail = tail["md"]
        self._events.append(
            {"e": "text", "i": self._text, "keep": keep, "add": added}
            | ({"done": done} if done else {})
            | {key: tail[key] for key in ("html", "goes_on") if key in tail}
        )

    def _block(self, text: str, goes_on: bool) -> dict[str, Any]:
        shown: dict[str, Any] = {"md": render_as(self._form, text)}
        if self._html:
            shown["html"] = to_html(shown["md"])
        return shown | {"goes_on": True} if goes_on else shown

    def _think(self, text: str) -> None:
        if self._thought is None:
            self._close_blocks()
            self._thought = self._new({"kind": "reasoning", "text": "", "live": True})
        self._grow(self._thought, "text", text)

    def _grow(self, number: int, field: str, text: str) -> None:
        self._grown.setdefault((number, field), []).append(text)

    def _close_blocks(self) -> None:
        """End the run of text or reasoning: what comes next stands below it."""
        if self._text is not None:
            self._write_out()
            self._text, self._raw, self._tail, self._goes_on = None, "", "", False
        if self._thought is not None:
            self.set(self._thought, live=False)
            self._thought = None

    # -- calls, pictures, sources -------------------------------------------------------------------------------

    def _call(self, delta: ToolCallDelta) -> None:
        written = self._calls.open(delta.index)
        if written is None:
            self._close_blocks()
            number = self._new({"kind": "call", "name": "", "args": "", "status": "writing"})
            written = self._calls.begin(delta.index, number)
        number, arguments = written.number, delta.arguments or ""
        if delta.tool_name and delta.tool_name != written.name:
            self._name(written, delta.tool_name)
        written.length += len(arguments)
        if number in self._drafts:  # its text would say the same again
            self._drafts.add(number, arguments)
            return
        if not written.name:
            written.before_name.append(arguments)
        if arguments and written.length <= _ARGUMENTS_SHOWN:
            self._grow(number, "args", arguments)

    def _name(self, written: Written, name: str) -> None:
        """Take the name of a call that is being written: only now a form may begin, and it ends with another name."""
        if written.name:
            self._drop_draft(written.number)
        elif (tool := self._form_for(name)) is not None:
            self._drafts.begin(written.number, tool)
            self._drafts.add(written.number, "".join(written.before_name))
        written.name, written.before_name = name, []
        self.set(written.number, name=single_line(name))

    def _drop_draft(self, number: int) -> None:
        """Show what was written of a call as text: nobody will decide about it."""
        if (written := self._drafts.take(number)) is not None:
            self.set(number, form=None, args=escape_control_characters(written[:_ARGUMENTS_SHOWN]))

    def _result(self, result: ToolCallResult, place: CallPlace | None) -> None:
        self._close_blocks()
        self._calls.end_response()
        # Where nobody knows whose result it is, it stands by itself.
        number = self.item_of(CallPlace(-1, self._count) if place is None else CallPlace(*place), result.origin)
        status = "failed" if result.error else "done"
        self.set(number, status=status, result=_outcome(result), form=None)

    def _extras(self, extras: Mapping[str, Any]) -> bool:
        from orchat.chat.reply import Reply
        from orchat.message_assembly import build_message

        said = {key: extras[key] for key in ("images", "annotations") if isinstance(extras.get(key), list)}
        if not said:
            return False
        reply = Reply(build_message(text=None, reasoning=None, calls=[], extras=said, meta={}))
        self._picture(reply.images)
        self._source(reply.citations)
        return True

    def _picture(self, images: Iterable[ImageContent]) -> None:
        for image in images:
            if (bundle := picture_bundle(image)) is not None:
                self._close_blocks()
                kind, data = next(iter(bundle.items()))
                self._new({"kind": "picture", "type": kind, "data": data})

    def _source(self, citations: Iterable[Citation]) -> None:
        for citation in citations:
            if is_link(citation.url) and len(self._links) < _SOURCES_SHOWN:
                title = single_line(citation.title or "", 80) or urlsplit(citation.url).netloc
                self._links.setdefault(citation.url, {"url": citation.url, "title": title})
        self._events.append({"e": "turn", "set": {"sources": list(self._links.values())}})


def is_link(url: str) -> bool:
    """Say whether an address leads to the web, and is nothing but an address.

    Examples
    --------
    >>> is_link("https://example.org/a?b=(c)"), is_link("javascript:alert(1)"), is_link("https://")
    (True, False, False)
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    whole = len(url) < 2_000 and _ADDRESS.fullmatch(url) is not None
    return whole and parts.scheme in ("http", "https") and bool(parts.netloc)


def _with_html(item: Mapping[str, Any]) -> dict[str, Any]:
    if preview := item.get("preview"):
        return {**item, "preview": {**preview, "html": to_html(preview["md"])}}
    if item["kind"] != "text":
        return dict(item)
    blocks = [block if "html" in block else {**block, "html": to_html(block["md"])} for block in item["blocks"]]
    return {**item, "blocks": blocks, "html": to_html(item["tail"])}


def _outcome(result: ToolCallResult) -> str:
    came = result.result
    if not isinstance(came, str):
        came = "\n".join(str(getattr(part, "text", f"[{type(part).__name__}]")) for part in came)
    came = escape_control_characters(came)
    return came if len(came) <= _RESULT_SHOWN else came[: _RESULT_SHOWN - 1] + "…"
