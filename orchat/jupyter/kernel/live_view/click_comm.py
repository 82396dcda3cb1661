"""The comm by which a page's clicks are heard while a cell blocks the kernel's main thread.

The page opens it in a subshell (ipykernel 7), whose thread handles its messages. ipykernel 7.4 delivers a message of a
comm to the thread that last sent on it: so nothing but the handler below ever sends on this comm, one word when it is
opened, by which the page knows that it is heard. All else goes to the page on the widget's own comm.

A page has one such comm for all views; a message names its channel: ``{"channel": ..., "content": ...}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comm.base_comm import BaseComm
    from IPython.core.interactiveshell import InteractiveShell

TARGET = "orchat.clicks"

_listeners: dict[str, Callable[[Any], None]] = {}


def listen_for_clicks(channel: str, receive: Callable[[Any], None]) -> None:
    """Call a function, in the subshell's thread, with the messages to a channel."""
    from comm import get_comm_manager

    _listeners[channel] = receive
    get_comm_manager().register_target(TARGET, _open_comm)


def hears_clicks_while_blocked(shell: InteractiveShell) -> bool:
    """Return whether a page may be heard while a cell blocks the main thread: whether the kernel has subshells."""
    information: Mapping[str, Any] = getattr(getattr(shell, "kernel", None), "kernel_info", None) or {}
    return "kernel subshells" in information.get("supported_features", ())


def ignore_clicks(channel: str) -> None:
    """Ignore further messages to a channel."""
    _listeners.pop(channel, None)


def _open_comm(comm: BaseComm, _message: object) -> None:
    comm.on_msg(_handle_message)
    comm.send({"heard": True})


def _handle_message(message: Mapping[str, Any]) -> None:
    data = message["content"].get("data")
    if not isinstance(data, Mapping):
        return
    receive = _listeners.get(name) if isinstance(name := data.get("channel"), str) else None
    if receive is not None:
        receive(data.get("content"))
