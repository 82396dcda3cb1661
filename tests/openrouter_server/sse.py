"""An event stream as bytes: its items, and how they are written.

Pure, no socket: a test of a parser calls `sse_bytes` and is done. An *item* of a stream is one of

========  ==========================================================================================
dict      one ``data:`` line of JSON
str       lines to be sent as they are and closed by an empty line (`comment`, `done`, `data`)
bytes     sent verbatim, also under another newline style
`Pause`   wait so many seconds
`Hold`    wait until the test sets an event
========  ==========================================================================================
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pause:
    """Nothing is sent for ``seconds``."""

    seconds: float


@dataclass(frozen=True)
class Hold:
    """Nothing is sent until ``gate`` is set."""

    gate: threading.Event


Item = dict[str, Any] | str | bytes | Pause | Hold


def comment(text: str = "OPENROUTER PROCESSING") -> str:
    """Keep-alive: a line that carries nothing."""
    return f": {text}"


def done() -> str:
    """``data: [DONE]``."""
    return "data: [DONE]"


def data(text: str) -> str:
    """A ``data:`` line with any text, for instance broken JSON."""
    return f"data: {text}"


def pause(seconds: float) -> Pause:
    """Silence for some seconds."""
    return Pause(seconds)


def hold(gate: threading.Event) -> Hold:
    """Silence until the test sets ``gate``: sooner and surer than a pause."""
    return Hold(gate)


def sse_item(item: Item, newline: str = "\n") -> bytes:
    """The bytes of one item; waits have none."""
    match item:
        case dict():
            text = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
            return f"data: {text}{newline * 2}".encode()
        case str():
            return (item.replace("\n", newline) + newline * 2).encode()
        case bytes():
            return item
        case _:
            return b""


def sse_bytes(*items: Item | Iterable[Item], newline: str = "\n") -> bytes:
    r"""The body of an event stream, for tests that need no server.

    Examples
    --------
    >>> sse_bytes(comment(), done())
    b': OPENROUTER PROCESSING\n\ndata: [DONE]\n\n'
    """
    return b"".join(sse_item(item, newline) for item in flattened(items))


def flattened(items: Iterable[Item | Iterable[Item]]) -> list[Item]:
    """Items and lists of items as one list."""
    flat: list[Any] = []
    for item in items:
        flat += [item] if isinstance(item, dict | str | bytes | Pause | Hold) else item
    return flat
