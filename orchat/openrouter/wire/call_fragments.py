"""Assign the fragments of streamed tool calls to their calls, by index, id and name (API section 4.3). Pure."""

from __future__ import annotations

import json
from typing import Any

_MOST_PIECES = 10_000


class CallSorter:
    """Assigns each fragment to a tool call.

    Examples
    --------
    >>> sorter = CallSorter()
    >>> sorter.place(0, "call_1", "tide", "", None), sorter.place(0, "call_9", "", '{"port": ', None)
    ((0, 'tide', 'call_1'), (0, None, None))
    """

    def __init__(self) -> None:
        self._ids: list[str | None] = []
        self._aliases: dict[str, int] = {}  # ids that a call changed to on the way
        self._names: list[str] = []
        self._pieces: list[list[str]] = []
        self._at: dict[int | None, list[int]] = {}  # the endpoint's index -> our calls at it, the latest last

    def place(
        self, index: Any, call_id: str | None, name: str, text: str, position: int | None
    ) -> tuple[int, str | None, str | None] | None:
        """Return the number of a fragment's call, and name and id where they are new; None for an empty fragment."""
        if not isinstance(index, int):
            index = position
        number = self._find(index, call_id, name, text)
        if number is None:
            if not (call_id or name or text.strip()):
                return None
            number = len(self._ids)
            self._ids.append(None)
            self._names.append("")
            self._pieces.append([])
            self._at.setdefault(index, []).append(number)
        new_id = call_id if self._ids[number] is None else None
        new_name = name if not self._names[number] else ""
        self._ids[number] = self._ids[number] or call_id
        self._names[number] = self._names[number] or name
        self._pieces[number].append(text)
        return number, new_name or None, new_id

    def _find(self, index: int | None, call_id: str | None, name: str, text: str) -> int | None:
        here = range(len(self._ids)) if index is None else self._at.get(index, ())
        if not here:
            return None
        number = here[-1]
        if call_id and call_id != self._ids[number]:
            if known := [other for other in here if self._ids[other] == call_id]:
                number = known[-1]
            elif (alias := self._aliases.get(call_id)) is not None and alias in here and not name:
                number = alias
            elif self._ids[number] is not None:
                # Another id begins another call, unless it comes without a name in the middle of the arguments.
                if name or _is_complete(self._pieces[number]):
                    return None
                self._aliases[call_id] = number
            # Otherwise it is the id of a call that had none yet.
        if name and self._names[number]:
            # A name that comes again is the same call's, unless it is another name or that call had all it needs.
            ended = bool(text.strip()) and _is_complete(self._pieces[number])
            if ended or name != self._names[number]:
                return None
        return number


def _is_complete(pieces: list[str]) -> bool:
    if len(pieces) > _MOST_PIECES:  # joining that many for each piece would take for ever
        return False
    if pieces[-1].rstrip()[-1:] not in {"}", ""}:  # spares most of the joining
        return False
    try:
        json.loads("".join(pieces))
    except (ValueError, RecursionError):
        return False
    return True
