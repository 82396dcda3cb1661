"""Apply events to the shown state of a turn. Pure; ``frontend/view/view_reducer.js`` is its twin.

A state is JSON data: ``phase`` (waiting, running, ended), ``label``, ``retry`` (why the request will be sent again),
``footer``, the ``details`` behind it, ``sources``, ``elapsed``, the actions ``stop`` and ``cell`` (insert code as a new
one), and ``items`` in order of time: ``text`` (finished ``blocks`` and a ``tail``), ``reasoning``, ``call``,
``picture``. Events are:

========== =============================== ==================================================================
``turn``   ``set``                         fields of the turn
``item``   ``item``                        a new item behind the others
``set``    ``i``, ``set``                  fields of an item
``add``    ``i``, ``field``, ``text``      text to append to a field
``text``   ``i``, ``done``, ``keep``,      finished blocks; ``keep`` UTF-16 units of the tail stay, then ``add``;
           ``add``, ``html``, ``goes_on``  the tail's HTML, and whether it continues the list above it
========== =============================== ==================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Event = dict[str, Any]
State = dict[str, Any]


def initial_state() -> State:
    """Return the state of a turn before its first event."""
    nothing = {"label": "", "retry": "", "footer": "", "sources": [], "elapsed": 0, "stop": False, "cell": False}
    return {"phase": "waiting", **nothing, "items": []}


def reduce_events(state: State, events: Iterable[Mapping[str, Any]]) -> State:
    """Return the state after events; the given state is not changed.

    Examples
    --------
    >>> events = [
    ...     {"e": "item", "item": {"kind": "text", "blocks": [], "tail": ""}},
    ...     {"e": "text", "i": 0, "keep": 0, "add": "The Hum"},
    ...     {"e": "text", "i": 0, "keep": 4, "add": "Ouse"},
    ... ]
    >>> reduce_events(initial_state(), events)["items"][0]["tail"]
    'The Ouse'
    """
    state = {**state, "items": list(state["items"])}
    items = state["items"]
    for event in events:
        match event["e"]:
            case "turn":
                state.update(event["set"])
            case "item":
                items.append(event["item"])
            case "set":
                items[event["i"]] = {**items[event["i"]], **event["set"]}
            case "add":
                item = items[event["i"]]
                items[event["i"]] = {**item, event["field"]: item[event["field"]] + event["text"]}
            case "text":
                item = items[event["i"]]
                items[event["i"]] = {
                    **item,
                    "blocks": [*item["blocks"], *event.get("done", ())],
                    "tail": _prefix_of_units(item["tail"], event["keep"]) + event["add"],
                    "html": event.get("html", ""),
                    "goes_on": event.get("goes_on", False),
                }
    return state


def text_change(old: str, new: str) -> tuple[int, str]:
    r"""Return the number of UTF-16 units of a text that stay, and the text after them.

    Examples
    --------
    >>> text_change("The \U0001f30a sea", "The \U0001f30a sand")
    (8, 'and')
    """
    same, end = 0, min(len(old), len(new))
    while same < end:  # compare halves: letter by letter takes long for a long tail
        middle = (same + end + 1) // 2
        if old[same:middle] == new[same:middle]:
            same = middle
        else:
            end = middle - 1
    return utf16_length(new[:same]), new[same:]


def utf16_length(text: str) -> int:
    """Return the length of a text in UTF-16 units, as in a browser."""
    return len(text) if text.isascii() else len(text) + sum(character > "\uffff" for character in text)


def _prefix_of_units(text: str, count: int) -> str:
    if text.isascii():
        return text[:count]
    return text.encode("utf-16-le", "surrogatepass")[: 2 * count].decode("utf-16-le", "surrogatepass")
