"""`CallContext`: how a running tool reaches the turn that called it, to tell its progress and to ask the person.

A turn sets it around each call; a tool that is called by itself has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from orchat.tools.definition import Tool


class PersonAnswer(NamedTuple):
    """A person's answer to a question of a tool: ``decline`` is a no, ``cancel`` that nobody has answered."""

    action: Literal["accept", "decline", "cancel"]
    content: dict[str, Any] | None = None


@dataclass(frozen=True)
class CallContext:
    """The turn of a running tool.

    Parameters
    ----------
    ask
        Asks the person by a form; a tool describes it: its title, its preview and the schema of the answer. The
        dictionary holds the values that the form begins with.
    report_progress
        Shows how far the call is: the part of 1, None where that is not known, and a text.
    loop
        The event loop on which both are called; None where they belong to the thread that waits for the tool.
    """

    ask: Callable[[Tool, dict[str, Any]], PersonAnswer | Awaitable[PersonAnswer]]
    report_progress: Callable[[float | None, str], None]
    loop: asyncio.AbstractEventLoop | None = None


current_call: ContextVar[CallContext | None] = ContextVar("current_call", default=None)
"""The context of the call that runs here."""
