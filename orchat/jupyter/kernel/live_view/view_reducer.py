"""The state of a turn as it is shown, and what each event does to it. Pure; ``static/reduce.js`` is its twin.

A state is JSON data: ``phase`` (waiting, running, ended), ``label``, ``footer``, ``sources``, ``elapsed``, whether one
may ``stop`` it and have code in a new ``cell``, and ``items`` in the order in which
things happened: ``text`` (finished ``blocks`` and a ``tail``), ``reasoning``, ``call``, ``picture``. Events are:

========== =============================== ==================================================================
``turn``   ``set``                         fields of the turn
``item``   ``item``                        a new item behind the others
``set``    ``i``, ``set``                  fields of an item
``add``    ``i``, ``field``, ``text``      text that grows
``text``   ``i``, ``done``, ``keep``,      finished blocks; of the tail ``keep`` UTF-16 units stay, and ``add`` comes
           ``add``, ``html``, ``goes_on``  behind them; the tail's HTML, and whether it belongs to the list above it
========== =============================== ==================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Event = dict[str, Any]
State = dict[str, Any]


def initial_state() -> State:
    """Return the state of a turn before anything happened."""
    nothing = {"label": "", "footer": "", "sources": [], "elapsed": 0, "stop": False, "cell": False}
    return {"phase": "waiting", **nothing, "items": []}


def reduce_events(state: State, events: Iterable[Mapping[str, Any]]) -> State:
    """Return the state after some events; the one before is left as it is.

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
                    "tail": _beginning(item["tail"], event["keep"]) + event["add"],
                    "html": event.get("html", ""),
                    "goes_on": event.get("goes_on", False),
                }
    return state


def text_change(old: str, new: str) -> tuple[int, str]:
    r"""Return how many UTF-16 units of a text stay, and what comes behind them.

    Examples
    --------
    >>> text_change("The \U0001f30a sea", "The \U0001f30a sand")
    (8, 'and')
    """
    if new.startswith(old):
        same = len(old)
    else:
        same, end = 0, min(len(old), len(new))
        while same < end and old[same] == new[same]:
            same += 1
    return utf16_length(new[:same]), new[same:]


def utf16_length(text: str) -> int:
    """Return how long a text is in a browser, which counts UTF-16 units."""
    return len(text) if text.isascii() else len(text) + sum(character > "\uffff" for character in text)


def _beginning(text: str, count: int) -> str:
    if text.isascii():
        return text[:count]
    return text.encode("utf-16-le", "surrogatepass")[: 2 * count].decode("utf-16-le", "surrogatepass")
