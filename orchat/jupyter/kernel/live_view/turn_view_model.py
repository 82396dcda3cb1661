"""The view model of a turn: chunks, images, sources and tool calls become events for views.

Text is buffered and processed only when a batch is due: then it is sanitized, its finished blocks are split off, and
the event holds only the change of the rest.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from orchat.chat.message_selection import CallPlace
from orchat.jupyter.kernel.live_view.call_index import CallIndex, StreamedCall
from orchat.jupyter.kernel.live_view.markdown_blocks import split_blocks
from orchat.jupyter.kernel.live_view.markdown_html import to_html
from orchat.jupyter.kernel.live_view.streaming_calls import StreamingCalls
from orchat.jupyter.kernel.live_view.turn_clock import TurnClock
from orchat.jupyter.kernel.live_view.view_reducer import Event, State, initial_state, reduce_events, text_change
from orchat.jupyter.kernel.output.answer_formats import render_as
from orchat.jupyter.kernel.output.image_bundle import image_bundle
from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown
from orchat.jupyter.kernel.output.source_links import link_titles
from orchat.jupyter.kernel.output.turn_transcript import call_text, result_text
from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters, single_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from orchat.chat.reply import Citation
    from orchat.messages import ImageContent, ToolCall, ToolCallResult
    from orchat.streaming import StreamingChunk, ToolCallDelta
    from orchat.tools import Tool

_MOST_ARGUMENTS = 20_000  # characters of arguments that still arrive
_MOST_RESULT = 4_000
_MOST_DETAILS = 3_000
_DETAILS = "\n\nThe tool wrote, of which no model is told:\n"
_LONG_BLOCK = 10_000  # characters


class TurnViewModel:
    """The state of a turn, and the events that update its views (a `widget_channel.ViewModel`).

    Parameters
    ----------
    answer_format
        The format of the answer, one of `orchat.jupyter.kernel.output.answer_formats.FORMATS`.

    Examples
    --------
    >>> from orchat.streaming import StreamingChunk
    >>> view_model = TurnViewModel()
    >>> for text in ("The *Hum", "ber*."):
    ...     _ = view_model.add(StreamingChunk(text, index=0))
    >>> _ = view_model.pending()
    >>> view_model.snapshot(html=False)["items"][0]["tail"]
    'The *Humber*.'
    """

    def __init__(self, answer_format: str = "markdown") -> None:
        self._answer_format = answer_format
        self._state = initial_state()
        self._events: list[Event] = []
        self._count = 0  # of items, including those in `_events`
        self._html = False
        self._text_item: int | None = None  # the item of the open text, its unfinished text, and its shown tail
        self._open_text = ""
        self._split_from = 0  # its length from which on finished blocks are split off
        self._tail = ""
        self._continues_list = False  # whether the tail continues the list above it
        self._dirty = False
        self._reasoning_item: int | None = None
        self._additions: dict[tuple[int, str], list[str]] = {}
        self._calls = CallIndex()
        self._streaming_calls = StreamingCalls()
        self._form_lookup: Callable[[str], Tool | None] = lambda name: None
        self._links: dict[str, str] = {}
        self.clock = TurnClock()
        self._is_retrying = False
        self._drafts: dict[int, Callable[[], dict[str, Any]]] = {}

    # -- a turn -------------------------------------------------------------------------------------------------

    def start(self, label: str) -> None:
        """Set the label: the model's name."""
        self.clock = TurnClock()
        self._is_retrying = False
        self._events.append({"e": "turn", "set": {"label": single_line(label), "retry": ""}})

    def retrying(self, text: str) -> None:
        """Show, until the next chunk, that the request will be sent again."""
        self._is_retrying = True
        self._events.append({"e": "turn", "set": {"retry": single_line(text)}})

    def set_actions(self, *, stop: bool, cell: bool, fixes: Sequence[int] = ()) -> None:
        """Set the available actions: stop the turn, insert code as a new cell, replace one of these cells."""
        more = {"fixes": list(fixes)} if fixes else {}
        self._events.append({"e": "turn", "set": {"stop": stop, "cell": cell, **more}})

    def add(self, chunk: StreamingChunk) -> bool:
        """Add a chunk; return whether it changes the view."""
        is_visible = True
        if self._is_retrying:
            self._is_retrying = False
            self._events.append({"e": "turn", "set": {"retry": ""}})
        if chunk.content:
            self._add_text(chunk.content)
        elif chunk.reasoning is not None:
            self._add_reasoning(chunk.reasoning.reasoning_text)
        elif chunk.tool_calls:
            for delta in chunk.tool_calls:
                self._add_call_delta(delta)
        elif chunk.tool_call_result is not None:
            self._add_result(chunk.tool_call_result, chunk.meta.get("place"), chunk.meta.get("details"))
        else:
            is_visible = False
        if chunk.finish_reason is not None:
            self._calls.end_response()
        if extras := chunk.meta.get("extras"):
            is_visible |= self._add_extras(extras)
        return is_visible

    def end(self, footer: str, ending: str, *, note: str = "", details: Mapping[str, Any] | None = None) -> None:
        """End the turn, with its footer and what that shows when it is opened, and a note in the place of its text."""
        if note:
            self._close_blocks()
            self._add_text(f"*{escape_markdown(note)}*")
        self._close_blocks()
        for item in self._calls.unsettled:
            self._drop_form(item)
            self.set(item, status="cut")
        self._events.append(
            {"e": "turn", "set": {"phase": "ended", "footer": footer, "ending": ending, "details": details}}
        )

    # -- tool calls ---------------------------------------------------------------------------------------------

    def set_form_lookup(self, form_lookup: Callable[[str], Tool | None]) -> None:
        """Show incomplete calls that need approval as forms.

        Parameters
        ----------
        form_lookup
            Returns the tool of a name if its calls need approval, else None.
        """
        self._form_lookup = form_lookup

    def called(self, calls: Mapping[CallPlace, ToolCall], indexes: Sequence[int] = ()) -> None:
        """Show the calls of a whole response: from now on an item shows what would run, not the streamed text.

        Parameters
        ----------
        calls
            The calls by their places in the turn.
        indexes
            The stream index of each call; none where it arrived in one piece.
        """
        streamed = self._calls.take_streamed()
        for (place, call), index in zip_longest(calls.items(), indexes):
            known = streamed.pop(index, None)
            if known is not None:
                self._calls.bind(place, known.item)
                if known.name != call.tool_name:
                    self._drop_form(known.item)
            self._show_call(self._item_of(place, call), call)
        for known in streamed.values():  # duplicates, which count once
            self._drop_form(known.item)
            self._calls.settle(known.item)
            self.set(known.item, status="twice")

    def running(self, call: ToolCall, place: CallPlace, part: float | None, text: str) -> None:
        """Show a call as running, with what its tool tells of its progress: the part of 1, or None, and a text."""
        shown = None if part is None else min(1.0, max(0.0, part))
        self.set(
            self.attach_call(place, call), status="running", progress={"part": shown, "text": single_line(text, 120)}
        )

    def attach_call(self, place: CallPlace, call: ToolCall) -> int:
        """Return the item of a call that is asked about or answered, a new one if it has none."""
        item = self._item_of(place, call)
        self._calls.settle(item)
        self._streaming_calls.take(item)
        self._show_call(item, call)
        return item

    def _item_of(self, place: CallPlace, call: ToolCall) -> int:
        item = self._calls.find(place)
        if item is None:
            self._close_blocks()
            item = self._new_item(
                {"kind": "call", "name": single_line(call.tool_name), "args": "", "status": "waiting"}
            )
            self._calls.bind(place, item)
        return item

    def _show_call(self, item: int, call: ToolCall) -> None:
        self.set(item, name=single_line(call.tool_name), text=call_text(call))

    def set(self, item: int, **fields: Any) -> None:
        """Set fields of an item."""
        self._events.append({"e": "set", "i": item, "set": fields})

    def preview(self, item: int, markdown: str) -> None:
        """Set the preview of a call's form, as safe Markdown."""
        self.set(item, preview={"md": markdown} | ({"html": to_html(markdown)} if self._html else {}))

    def set_draft(self, item: int, make: Callable[[], dict[str, Any]] | None) -> None:
        """Set what is typed into a call's form, made for each view that comes; None for nothing.

        The view in which it was typed has it already, so that no event tells of it.
        """
        if make is None:
            self._drafts.pop(item, None)
        else:
            self._drafts[item] = make

    # -- for the channel ----------------------------------------------------------------------------------------

    def pending(self) -> list[Event]:
        """Return the events since the last call."""
        self._flush_text()
        for (item, field), pieces in self._additions.items():
            self._events.append(
                {"e": "add", "i": item, "field": field, "text": escape_control_characters("".join(pieces))}
            )
        self._additions = {}
        for item, form in self._streaming_calls.take_due_forms():
            self.set(item, form=form)
        events, self._events = self._events, []
        self._state = reduce_events(self._state, events)
        return events

    def seconds_until_due(self) -> float | None:
        """Return the seconds until more events are `pending` without new chunks; None without any."""
        return self._streaming_calls.seconds_until_due()

    def snapshot(self, *, html: bool) -> State:
        """Return the whole state; with ``html`` it and all later events include HTML."""
        if html and not self._html:
            self._html = self._dirty = True
        self.pending()
        if self._html:
            self._state = {**self._state, "items": [_with_html(item) for item in self._state["items"]]}
        items = self._state["items"]
        if self._drafts:
            items = [
                {**each, "draft": self._drafts[at]()} if at in self._drafts else each for at, each in enumerate(items)
            ]
        return {**self._state, "items": items, "elapsed": round(self.clock.seconds, 2)}

    # -- text and reasoning -------------------------------------------------------------------------------------

    def _new_item(self, item: Mapping[str, Any]) -> int:
        if not self._count:
            self._events.append({"e": "turn", "set": {"phase": "running"}})
        self._events.append({"e": "item", "item": dict(item)})
        self._count += 1
        return self._count - 1

    def _add_text(self, text: str) -> None:
        if self._text_item is None:
            self._close_blocks()
            self._text_item = self._new_item({"kind": "text", "blocks": [], "tail": ""})
        self._open_text += text.replace("\r", "")
        self._dirty = True

    def _flush_text(self) -> None:
        if self._text_item is None or not self._dirty:
            return
        self._dirty = False
        finished: list[dict[str, Any]] = []
        rest = self._open_text
        if self._answer_format in ("markdown", "code") and len(self._open_text) >= self._split_from:
            blocks, last = split_blocks(self._open_text)
            for block in blocks:
                finished.append(self._block(block.text, self._continues_list or block.continues))
                self._continues_list = False
            if blocks:
                self._continues_list = last.continues
            self._open_text = rest = last.text
            # A long open block is not parsed for each batch: that would take longer with each of them.
            self._split_from = len(rest) * 9 // 8 if len(rest) > _LONG_BLOCK else 0
        tail = self._block(rest, self._continues_list)
        keep, added = text_change(self._tail, tail["md"])
        self._tail = tail["md"]
        self._events.append(
            {"e": "text", "i": self._text_item, "keep": keep, "add": added}
            | ({"done": finished} if finished else {})
            | {key: tail[key] for key in ("html", "goes_on") if key in tail}
        )

    def _block(self, text: str, continues_list: bool) -> dict[str, Any]:
        shown: dict[str, Any] = {"md": render_as(self._answer_format, text)}
        if self._html:
            shown["html"] = to_html(shown["md"])
        return shown | {"goes_on": True} if continues_list else shown

    def _add_reasoning(self, text: str) -> None:
        if self._reasoning_item is None:
            self._close_blocks()
            self._reasoning_item = self._new_item({"kind": "reasoning", "text": "", "live": True})
        self._append(self._reasoning_item, "text", text)

    def _append(self, item: int, field: str, text: str) -> None:
        self._additions.setdefault((item, field), []).append(text)

    def _close_blocks(self) -> None:
        """Close the open text or reasoning item: the next chunk begins a new one."""
        if self._text_item is not None:
            self._flush_text()
            self._text_item, self._open_text, self._tail, self._continues_list = None, "", "", False
            self._split_from = 0
        if self._reasoning_item is not None:
            self.set(self._reasoning_item, live=False)
            self._reasoning_item = None

    # -- calls, pictures, sources -------------------------------------------------------------------------------

    def _add_call_delta(self, delta: ToolCallDelta) -> None:
        streamed = self._calls.find_streamed(delta.index)
        if streamed is None:
            self._close_blocks()
            item = self._new_item({"kind": "call", "name": "", "args": "", "status": "writing"})
            streamed = self._calls.add_streamed(delta.index, item)
        item, arguments = streamed.item, delta.arguments or ""
        if delta.tool_name and delta.tool_name != streamed.name:
            self._set_call_name(streamed, delta.tool_name)
        streamed.length += len(arguments)
        if item in self._streaming_calls:  # the form already shows its text
            self._streaming_calls.add(item, arguments)
            return
        if not streamed.name:
            streamed.arguments_before_name.append(arguments)
        if arguments and streamed.length <= _MOST_ARGUMENTS:
            self._append(item, "args", arguments)

    def _set_call_name(self, streamed: StreamedCall, name: str) -> None:
        """Set the name of an incomplete call: the first name may begin its form, a changed one ends it."""
        if streamed.name:
            self._drop_form(streamed.item)
        elif (tool := self._form_lookup(name)) is not None:
            self._streaming_calls.begin(streamed.item, tool)
            self._streaming_calls.add(streamed.item, "".join(streamed.arguments_before_name))
        streamed.name, streamed.arguments_before_name = name, []
        self.set(streamed.item, name=single_line(name))

    def _drop_form(self, item: int) -> None:
        """Replace the form of an incomplete call by its text: it needs no decision."""
        if (streamed := self._streaming_calls.take(item)) is not None:
            self.set(item, form=None, args=escape_control_characters(streamed[:_MOST_ARGUMENTS]))

    def _add_result(self, result: ToolCallResult, place: CallPlace | None, details: str | None = None) -> None:
        self._close_blocks()
        self._calls.end_response()
        # A result without a place gets an item of its own.
        item = self.attach_call(CallPlace(-1, self._count) if place is None else CallPlace(*place), result.origin)
        status = "failed" if result.error else "done"
        text = _result_as_text(result, f"{_DETAILS}{details[-_MOST_DETAILS:]}" if details else "")
        self.set(item, status=status, result=text, line=result_text(result), form=None)

    def _add_extras(self, extras: Mapping[str, Any]) -> bool:
        from orchat.chat.reply import Reply
        from orchat.message_assembly import build_message

        new_extras = {key: extras[key] for key in ("images", "annotations") if isinstance(extras.get(key), list)}
        if not new_extras:
            return False
        reply = Reply(build_message(text=None, reasoning=None, calls=[], extras=new_extras, meta={}))
        self._add_images(reply.images)
        self._add_sources(reply.citations)
        return True

    def _add_images(self, images: Iterable[ImageContent]) -> None:
        for image in images:
            if (bundle := image_bundle(image)) is not None:
                self._close_blocks()
                kind, data = next(iter(bundle.items()))
                self._new_item({"kind": "picture", "type": kind, "data": data})

    def _add_sources(self, citations: Iterable[Citation]) -> None:
        self._links = link_titles(citations, self._links)  # some endpoints repeat all of them in each chunk
        links = [{"url": url, "title": title} for url, title in self._links.items()]
        self._events.append({"e": "turn", "set": {"sources": links}})


def _with_html(item: Mapping[str, Any]) -> dict[str, Any]:
    if preview := item.get("preview"):
        return {**item, "preview": {**preview, "html": to_html(preview["md"])}}
    if item["kind"] != "text":
        return dict(item)
    blocks = [block if "html" in block else {**block, "html": to_html(block["md"])} for block in item["blocks"]]
    return {**item, "blocks": blocks, "html": to_html(item["tail"])}


def _result_as_text(result: ToolCallResult, details: str) -> str:
    content = result.result
    if not isinstance(content, str):
        content = "\n".join(str(getattr(part, "text", f"[{type(part).__name__}]")) for part in content)
    content = escape_control_characters(content + details)
    return content if len(content) <= _MOST_RESULT else content[: _MOST_RESULT - 1] + "…"
