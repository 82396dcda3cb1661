"""The versions of a conversation's turns: a tree of turns, of which one path is shown and sent.

A question that is asked again or edited makes a sibling of its turn; what followed the old turn stays below it. The
conversation itself holds the messages of the shown path; this module holds the other turns, and which turn each of them
follows. Pure data: no message is ever changed here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from orchat.messages import ChatMessage

MAX_HIDDEN_TURNS = 1_000
_START = 0  # the parent of all first turns


@dataclass(frozen=True)
class HiddenTurn:
    """A turn that is not shown, as it is saved.

    Parameters
    ----------
    messages
        Its messages, the question first.
    after
        The number of shown turns before it; where it follows another hidden turn, None.
    inside
        The position in the list of hidden turns of the one that it follows, or None.
    is_newer
        Whether it is newer than the shown turn in its place.
    comes_along
        Whether it comes back together with the hidden turn that it follows.
    order
        Its place in the order in which turns were hidden, from 1; None where that is its place in the list.
    """

    messages: Sequence[ChatMessage]
    after: int | None = None
    inside: int | None = None
    is_newer: bool = False
    comes_along: bool = False
    order: int | None = None


@dataclass
class _Turn:
    parent: int
    messages: list[ChatMessage]
    hidden_at: int  # what was hidden at the same time comes back at the same time


class MessageVersions:
    """The tree of a conversation's turns: the path that is shown, and the turns that are hidden.

    Turns of the path are known by their position alone; `sync` tells how many there are.

    Examples
    --------
    >>> versions = MessageVersions()
    >>> versions.sync(1)
    >>> versions.hide(0, [[ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Hello.")]])
    >>> versions.sync(1)  # another turn has taken its place
    >>> versions.position(0), [turn[0].text for turn in versions.show(0, 0, [[ChatMessage.from_user("Hey")]])]
    ((1, 2), ['Hi'])
    """

    def __init__(self) -> None:
        self._path: list[int] = []
        self._hidden: dict[int, _Turn] = {}
        self._count = 0  # of turns so far, and of times that one was hidden

    def __bool__(self) -> bool:
        return bool(self._hidden)

    def copy(self, *, deep: bool = False) -> MessageVersions:
        """Return an independent copy; the messages are the same objects unless it is ``deep``."""
        twin = MessageVersions()
        twin._path, twin._count = list(self._path), self._count
        twin._hidden = copy.deepcopy(self._hidden) if deep else dict(self._hidden)
        return twin

    def clear(self) -> None:
        """Forget all turns."""
        self._path, self._hidden = [], {}

    def sync(self, turns: int, same: int | None = None) -> None:
        """Take note of the turns that are shown now; versions that follow a turn that is gone are forgotten.

        Parameters
        ----------
        turns
            The number of shown turns.
        same
            How many of them are those of before; default: as many as there are.
        """
        kept = len(self._path) if same is None else same
        if min(turns, kept) < len(self._path):
            del self._path[min(turns, kept) :]
            self._drop_orphans()
        while len(self._path) < turns:
            self._path.append(self._next())

    # -- reading ------------------------------------------------------------------------------------------------

    def position(self, at: int) -> tuple[int, int]:
        """Return the position of the shown turn among its versions, and their number; -1 where none is shown."""
        siblings = self._siblings(at)
        shown = self._path[at] if at < len(self._path) else None
        return (siblings.index(shown) if shown is not None else -1), len(siblings)

    def positions(self) -> dict[int, tuple[int, int]]:
        """Return the `position` of each shown turn that has other versions."""
        forks = {turn.parent for turn in self._hidden.values()}
        parents = [_START, *self._path[:-1]]
        return {at: self.position(at) for at, parent in enumerate(parents) if at < len(self._path) and parent in forks}

    def turns(self, at: int) -> list[list[ChatMessage] | None]:
        """Return the messages of all versions of a turn in order of time; None stands for the shown one."""
        return [self._hidden[key].messages if key in self._hidden else None for key in self._siblings(at)]

    @property
    def can_redo(self) -> bool:
        """Whether a turn was taken back at the end."""
        return self._last_hidden(self._path[-1] if self._path else _START) is not None

    # -- changing -----------------------------------------------------------------------------------------------

    def hide(self, at: int, turns: Sequence[list[ChatMessage]]) -> None:
        """Hide the shown turns from a position on.

        Parameters
        ----------
        at
            The position of the first of them.
        turns
            Their messages.
        """
        parent = self._path[at - 1] if at else _START
        stamp = self._next()
        for key, messages in zip(self._path[at:], turns, strict=True):
            self._hidden[key] = _Turn(parent, messages, stamp)
            parent = key
        del self._path[at:]
        self._drop_oldest()

    def show(self, at: int, number: int, turns: Sequence[list[ChatMessage]]) -> list[list[ChatMessage]]:
        """Show another version of a turn and what followed it, in place of the shown turns; return their messages.

        Parameters
        ----------
        at
            The position of the turn.
        number
            The position of the version among all of that turn, from 0.
        turns
            The messages of the shown turns from ``at`` on, which are hidden.
        """
        key: int | None = self._siblings(at)[number]
        if key not in self._hidden:
            return list(turns)
        self.hide(at, turns)
        shown = []
        hidden_at = self._hidden[key].hidden_at
        while key is not None and self._hidden[key].hidden_at == hidden_at:
            shown.append(self._take(key))
            key = self._last_hidden(key, hidden_at)
        return shown

    def redo(self) -> list[ChatMessage] | None:
        """Show the turn that was taken back last at the end, and return its messages; None where there is none."""
        key = self._last_hidden(self._path[-1] if self._path else _START)
        return None if key is None else self._take(key)

    # -- as data ------------------------------------------------------------------------------------------------

    def to_hidden_turns(self) -> list[HiddenTurn]:
        """Return the hidden turns: those older than the shown turn in their place first, then by age.

        Each follows a shown turn, or a hidden one that stands before it in the list.
        """
        places = {_START: 0, **{key: number for number, key in enumerate(self._path, 1)}}
        shown = [*self._path, 0]  # by place; none behind the last one

        def is_older(key: int) -> bool:
            place = places.get(self._hidden[key].parent)
            return place is not None and not 0 < shown[place] < key

        indices: dict[int, int] = {}
        found: list[HiddenTurn] = []
        for key in sorted(self._hidden, key=lambda key: (not is_older(key), key)):
            turn = self._hidden[key]
            indices[key] = len(found)
            if (after := places.get(turn.parent)) is not None:
                found.append(HiddenTurn(turn.messages, after, is_newer=not is_older(key)))
            else:
                along = self._hidden[turn.parent].hidden_at == turn.hidden_at
                found.append(HiddenTurn(turn.messages, None, indices[turn.parent], comes_along=along))
        times = [self._hidden[key].hidden_at for key in indices]
        if times == sorted(times):
            return found
        orders = {hidden_at: order for order, hidden_at in enumerate(sorted(set(times)), 1)}
        return [replace(turn, order=orders[hidden_at]) for turn, hidden_at in zip(found, times, strict=True)]

    @classmethod
    def from_hidden_turns(cls, hidden: Iterable[HiddenTurn], turns: int) -> MessageVersions:
        """Make the tree from `to_hidden_turns`; turns that follow none of these are left out.

        Parameters
        ----------
        hidden
            The hidden turns.
        turns
            The number of shown turns.
        """
        versions = cls()
        listed = list(hidden)
        older: dict[int | None, list[int]] = {}
        for index, turn in enumerate(listed):
            if turn.inside is None and not turn.is_newer:
                older.setdefault(turn.after, []).append(index)
        keys: dict[int, int] = {}
        for place in range(turns + 1):  # each turn is younger than the one that it follows
            keys |= {index: versions._next() for index in older.get(place, ())}
            versions.sync(min(place + 1, turns))
        keys |= {index: versions._next() for index in range(len(listed)) if index not in keys}
        for index, turn in enumerate(listed):
            if turn.inside is not None:
                parent = keys[turn.inside] if turn.inside < index and keys[turn.inside] in versions._hidden else None
            elif turn.after is not None and turn.after <= turns:
                parent = versions._path[turn.after - 1] if turn.after else _START
            else:
                parent = None
            if parent is not None:
                stamp = versions._hidden[parent].hidden_at if turn.comes_along and parent in versions._hidden else None
                stamp = stamp or turn.order or index + 1
                versions._hidden[keys[index]] = _Turn(parent, list(turn.messages), stamp)
                versions._count = max(versions._count, stamp)
        versions._drop_oldest()
        return versions

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _siblings(self, at: int) -> list[int]:
        parent = self._path[at - 1] if at else _START
        keys = [key for key, turn in self._hidden.items() if turn.parent == parent]
        return sorted([*keys, *self._path[at : at + 1]])

    def _last_hidden(self, parent: int, hidden_at: int | None = None) -> int | None:
        """Return the turn behind another one that was hidden last, or at that time."""
        found = [
            (turn.hidden_at, key)
            for key, turn in self._hidden.items()
            if turn.parent == parent and hidden_at in (None, turn.hidden_at)
        ]
        return max(found)[1] if found else None

    def _take(self, key: int) -> list[ChatMessage]:
        self._path.append(key)
        return self._hidden.pop(key).messages

    def _drop_orphans(self) -> None:
        known = {_START, *self._path}
        size = -1
        while size != len(known):
            size = len(known)
            known |= {key for key, turn in self._hidden.items() if turn.parent in known}
        self._hidden = {key: turn for key, turn in self._hidden.items() if key in known}

    def _drop_oldest(self) -> None:
        """Forget the turns that were hidden first beyond the limit, those that no other one follows."""
        while len(self._hidden) > MAX_HIDDEN_TURNS:
            parents = {turn.parent for turn in self._hidden.values()}
            leaves = ((turn.hidden_at, -key) for key, turn in self._hidden.items() if key not in parents)
            del self._hidden[-min(leaves)[1]]
