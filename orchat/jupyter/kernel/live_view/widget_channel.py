"""Synchronize a widget's views with a view model: code on request, the whole state to a ready view, then events.

The page repeats its requests for code and state until they are answered, as its first messages may reach a kernel late.
Events are sent in numbered batches, at most 25 a second: a Jupyter server drops faster messages, and a view that misses
a batch requests the whole state again. A widget may have any number of views.

Messages may arrive in another thread than the loop's, by the widget's comm (ipykernel 7.1 to 7.3) or by that of clicks
(`orchat.jupyter.kernel.live_view.click_comm`); they are handed over to the loop, with the context of the channel.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from orchat.jupyter.kernel.live_view.click_comm import ignore_clicks, listen_for_clicks
from orchat.jupyter.kernel.live_view.frontend_modules import loader_source, module_sources, stylesheet

if TYPE_CHECKING:
    from anywidget import AnyWidget

    from orchat.jupyter.kernel.live_view.view_reducer import Event, State

WIDGET_MIME_TYPE = "application/vnd.jupyter.widget-view+json"

_BATCH_INTERVAL = 0.04  # seconds between two batches
_BATCH_COST_FACTOR = 8  # the next batch waits at least this many times the time that a batch took
_CODE_INTERVAL = 1.0  # seconds in which the code is not sent twice
_FIRST_MESSAGE_LIMIT = 2.0  # seconds in which a front end with widgets sends its first message
_READY_LIMIT = 10.0  # seconds in which a front end that has sent a message is ready


class ViewModel(Protocol):
    """The state that a channel synchronizes."""

    def pending(self) -> list[Event]:
        """Return the events since the last call."""

    def seconds_until_due(self) -> float | None:
        """Return the seconds until more events are pending without a change; None without any."""

    def snapshot(self, *, html: bool) -> State:
        """Return the whole state, `pending` included; ``html``: for a view that cannot render Markdown."""


class WidgetChannel:
    """Keep the views of one widget up to date, in the event loop that runs when it is made.

    Parameters
    ----------
    module
        The entry module below ``jupyter/frontend/``, without ``.js``: ``view/view``.
    view_model
        The view model.
    on_message
        Called with the other messages of views: dictionaries with their type in ``t``.
    widget
        The widget, where it had to be made in another thread (`make_widget`).
    """

    def __init__(
        self,
        module: str,
        view_model: ViewModel,
        on_message: Callable[[dict[str, Any]], None],
        widget: AnyWidget | None = None,
    ) -> None:
        self._module = module
        self._view_model = view_model
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._ready = asyncio.Event()
        self._opened = time.monotonic()
        self._has_page = False
        self.ready_count = 0
        """How often a view has asked for the whole state."""
        self._batch_number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._next_batch = 0.0
        self._code_sent = -_CODE_INTERVAL
        self._widget: AnyWidget | None = widget or make_widget(module)
        self._name = str(self._widget._clicks)
        self._widget.on_msg(lambda _widget, content, _buffers: self.hand_over(content))
        listen_for_clicks(self._name, self.hand_over)

    @property
    def ready(self) -> bool:
        """Whether a view is ready."""
        return self._ready.is_set()

    @property
    def has_page(self) -> bool:
        """Whether a page has sent a message."""
        return self._has_page

    @property
    def is_open(self) -> bool:
        """Whether the widget is open."""
        return self._widget is not None

    @property
    def widget(self) -> AnyWidget | None:
        """The widget; None when it is closed."""
        return self._widget

    @property
    def widget_id(self) -> str | None:
        """The id of the widget's model; None when it is closed."""
        return self._widget and self._widget.model_id

    def bundle(self, mime_type: str) -> dict[str, Any]:
        """Return the MIME bundle that displays the widget: by itself, and by its id where the page has our extension.

        Parameters
        ----------
        mime_type
            That of the id.
        """
        if self.widget_id is None:
            return {}
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget_id}
        return {WIDGET_MIME_TYPE: view, mime_type: self.widget_id}

    async def wait_until_ready(self) -> bool:
        """Wait for a ready view within time limits; return whether there is one."""
        for seconds in (_FIRST_MESSAGE_LIMIT, _READY_LIMIT):
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._loop.time() + self._opened + seconds - time.monotonic()):
                    await self._ready.wait()
            if self.ready or not self._has_page:
                break
        return self.ready

    def schedule_flush(self) -> None:
        """Send the pending events, now or a little later."""
        if self.ready:
            self._flush_after(0.0)

    def flush(self) -> None:
        """Send the pending events now."""
        self._stop_timer()
        if not self.ready or self._widget is None:
            return
        started = time.monotonic()
        if events := self._view_model.pending():
            self._batch_number += 1
            self._widget.send({"t": "events", "n": self._batch_number, "list": events})
        now = time.monotonic()
        self._next_batch = started + max(_BATCH_INTERVAL, (now - started) * _BATCH_COST_FACTOR)
        if (wait := self._view_model.seconds_until_due()) is not None:
            self._flush_after(wait)

    def send(self, message: dict[str, Any]) -> None:
        """Send a message to all views."""
        if self._widget is not None:
            self._widget.send(message)

    def close(self) -> None:
        """Close the widget, in the page too; a second call changes nothing."""
        self._stop_timer()
        widget, self._widget = self._widget, None
        if widget is not None:
            ignore_clicks(self._name)
            layout = widget.layout
            widget.close()
            if layout is not None:
                layout.close()

    def hand_over(self, content: Any) -> None:
        """Handle a message of a view soon; any thread may call it."""
        with suppress(RuntimeError):  # the loop is closed: no turn runs any more
            self._loop.call_soon_threadsafe(self._handle_message, content, context=self._context.copy())

    def _handle_message(self, content: Any) -> None:
        if self._widget is None or not isinstance(content, dict):
            return
        self._has_page = True
        match content.get("t"):
            case "code?":
                self._send_code(self._widget)
            case "ready":
                # The whole state includes the pending events, so the other views must get them before it.
                self.flush()
                state = self._view_model.snapshot(html=content.get("render") != "markdown")
                self._widget.send({"t": "full", "n": self._batch_number, "state": state})
                self._ready.set()
                self.ready_count += 1
            case _:
                self._on_message(content)

    def _send_code(self, widget: AnyWidget) -> None:
        if time.monotonic() - self._code_sent < _CODE_INTERVAL:
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

    def _flush_after(self, seconds: float) -> None:
        """Schedule a flush, not before the next batch is allowed; an earlier timer stays."""
        when = self._loop.time() + max(seconds, self._next_batch - time.monotonic(), 0.0)
        if self._timer is None or when < self._timer.when():
            self._stop_timer()
            self._timer = self._loop.call_at(when, self.flush)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def make_widget(module: str) -> AnyWidget:
    """Make the widget of an entry module. In marimo that is possible in the thread of cells only."""
    return _widget_class(module)(_clicks=uuid.uuid4().hex)


@cache
def _widget_class(module: str) -> type[AnyWidget]:
    from anywidget import AnyWidget
    from traitlets import Unicode

    class View(AnyWidget):
        _esm = loader_source(module)
        _clicks = Unicode().tag(sync=True)  # the channel's name for the comm of clicks

    return View
