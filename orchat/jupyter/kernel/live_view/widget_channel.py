"""A widget's way to the page and back: code when it asks, the whole state when a view is ready, then events.

The page asks for code and says that it is ready until it is answered, for its first messages may reach a kernel late.
Events go out in numbered batches, at most 25 a second: a Jupyter server drops what comes faster, and a view that
misses a batch asks for the whole state again. Any number of views may look on.

Messages may come in another thread than the loop's (ipykernel 7.1 to 7.3); here they are only handed over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from orchat.jupyter.kernel.live_view.frontend_modules import loader_source, module_sources, stylesheet

if TYPE_CHECKING:
    from anywidget import AnyWidget

    from orchat.jupyter.kernel.live_view.view_reducer import Event, State

WIDGET_MIME_TYPE = "application/vnd.jupyter.widget-view+json"

_PERIOD = 0.04  # seconds between two batches
_SHARE = 8  # what making a batch took is this part of the time until the next one, at most
_CODE_AGAIN = 1.0  # seconds in which the code is not sent twice
_SIGN = 2.0  # seconds in which a front end that shows views has said something
_ANSWER = 10.0  # seconds in which one that said something is ready


class ViewModel(Protocol):
    """What a channel shows."""

    def pending(self) -> list[Event]:
        """Return what happened since this was last asked."""

    def later(self) -> float | None:
        """Return in how many seconds more will be pending, although nothing may happen till then; None if nothing."""

    def snapshot(self, *, html: bool) -> State:
        """Return everything, `pending` included; ``html`` says that a view cannot render Markdown."""


class WidgetChannel:
    """Keeps the views of one widget up to date. All of it belongs to the loop that runs when it is made.

    Parameters
    ----------
    module
        The entry module below ``jupyter/frontend/``, without ``.js``: ``view/view``.
    source
        What is shown.
    received
        Told of the messages of people: dictionaries whose ``t`` says what they are.
    """

    def __init__(self, module: str, source: ViewModel, received: Callable[[dict[str, Any]], None]) -> None:
        self._module = module
        self._source = source
        self._received = received
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._opened = time.monotonic()
        self._heard = False
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0
        self._code_sent = -_CODE_AGAIN
        self._widget: AnyWidget | None = _widget_class(module)()
        self._widget.on_msg(self._hand_over)

    @property
    def ready(self) -> bool:
        """Whether a view has answered."""
        return self._ready.is_set()

    @property
    def is_heard(self) -> bool:
        """Whether a page has said anything."""
        return self._heard

    @property
    def is_open(self) -> bool:
        """Whether it has not been closed."""
        return self._widget is not None

    @property
    def bundle(self) -> dict[str, Any]:
        """What displays the widget."""
        if self._widget is None:
            return {}
        return {WIDGET_MIME_TYPE: {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}}

    async def answers(self) -> bool:
        """Wait until a view is ready, as long as that can be hoped for; say whether one is."""
        for seconds in (_SIGN, _ANSWER):
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._loop.time() + self._opened + seconds - time.monotonic()):
                    await self._ready.wait()
            if self.ready or not self._heard:
                break
        return self.ready

    def changed(self) -> None:
        """Send what is pending, now or a little later."""
        if self.ready:
            self._flush_in(0.0)

    def flush(self) -> None:
        """Send what is pending."""
        self._stop_timer()
        if not self.ready or self._widget is None:
            return
        started = time.monotonic()
        if events := self._source.pending():
            self._number += 1
            self._widget.send({"t": "events", "n": self._number, "list": events})
        now = time.monotonic()
        self._next = started + max(_PERIOD, (now - started) * _SHARE)
        if (wait := self._source.later()) is not None:
            self._flush_in(wait)

    def close(self) -> None:
        """Take the widget away, here and in the page; again changes nothing."""
        self._stop_timer()
        widget, self._widget = self._widget, None
        if widget is not None:
            layout = widget.layout
            widget.close()
            if layout is not None:
                layout.close()

    def _hand_over(self, _widget: object, content: Any, _buffers: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._take, content)

    def _take(self, content: Any) -> None:
        if self._widget is None or not isinstance(content, dict):
            return
        self._heard = True
        match content.get("t"):
            case "code?":
                self._send_code(self._widget)
            case "ready":
                # What a view that already looks on has not seen yet goes along in the whole state: it must see it too.
                self.flush()
                state = self._source.snapshot(html=content.get("render") != "markdown")
                self._widget.send({"t": "full", "n": self._number, "state": state})
                self._ready.set()
            case _:
                self._received(content)

    def _send_code(self, widget: AnyWidget) -> None:
        if time.monotonic() - self._code_sent < _CODE_AGAIN:
            return
        self._code_sent = time.monotonic()
        module = self._module
        widget.send(
            {
                "t": "code",
                "modules": [list(each) for each in module_sources(module)],
                "css": stylesheet(),
            }
        )

    def _flush_in(self, seconds: float) -> None:
        """Flush then, or as soon as one may; what is to come sooner stays."""
        when = self._loop.time() + max(seconds, self._next - time.monotonic(), 0.0)
        if self._timer is None or when < self._timer.when():
            self._stop_timer()
            self._timer = self._loop.call_at(when, self.flush)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@cache
def _widget_class(module: str) -> type[AnyWidget]:
    from anywidget import AnyWidget

    class View(AnyWidget):
        _esm = loader_source(module)

    return View
