"""What the page is told of a panel: its fields, and its turns, of which a page sees the newest first.

A conversation of a thousand messages must open at once: only the last turns are sent; older ones follow, a page of them
at a time, when somebody looks for them.

A state is JSON: ``fields`` by name, ``first`` (how many older turns there are), ``turns``, each ``{"k": its number,
"q": question, "s": state of its answer}`` as `orchat.jupyter.kernel.live_view.view_reducer` describes it. Events are:

========= ======================= =====================================================
``panel`` ``set``                 fields
``all``   ``first``, ``turns``    another conversation
``older`` ``first``, ``turns``    turns that stand before the others
``begin`` ``turn``                a turn behind the others
``drop``  ``k``                   a turn that is taken back
``in``    ``k``, ``list``         what happened in a turn
========= ======================= =====================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.jupyter.kernel.live_view.view_reducer import Event, State
from orchat.jupyter.panel.turn_grouping import question_view, replay_turn
from orchat.messages import ChatMessage

PAGE = 20


@dataclass(eq=False)
class TurnView:
    """A turn in the log; its ``feed`` is None as long as no page wanted to see it."""

    key: int
    question: ChatMessage
    messages: Sequence[ChatMessage] = ()
    feed: TurnViewModel | None = None


class PanelViewModel:
    """Fields and turns of a panel; a `orchat.jupyter.kernel.live_view.widget_channel.ViewModel`.

    Parameters
    ----------
    cell
        Whether code may go to a new cell.

    Examples
    --------
    >>> log = PanelViewModel()
    >>> asked = ChatMessage.from_user("Hi")
    >>> log.show([[asked, ChatMessage.from_assistant("Hello.")]] * 50)
    >>> state = log.snapshot(html=False)
    >>> state["first"], len(state["turns"]), state["turns"][-1]["q"]["text"]
    (30, 20, 'Hi')
    """

    def __init__(self, *, cell: bool = False) -> None:
        self._cell = cell
        self._fields: dict[str, Any] = {}
        self._events: list[Event] = []
        self._turns: list[TurnView] = []
        self._first = 0
        self._count = 0
        self._html = False

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def last(self) -> TurnView | None:
        """The last turn."""
        return self._turns[-1] if self._turns else None

    def turn(self, key: object) -> TurnView | None:
        """Return a turn by its number."""
        return next((turn for turn in reversed(self._turns) if turn.key == key), None)

    def field(self, name: str) -> Any:
        """Return a field."""
        return self._fields.get(name)

    def set(self, **fields: Any) -> None:
        """Set fields; what stays the same is not sent."""
        changed = {name: value for name, value in fields.items() if self._fields.get(name, _MISSING) != value}
        if changed:
            self._fields |= changed
            self._events.append({"e": "panel", "set": changed})

    def show(self, turns: Sequence[Sequence[ChatMessage]]) -> None:
        """Show another conversation."""
        self._turns = [TurnView(self._next(), turn[0], turn) for turn in turns]
        self._first = max(len(self._turns) - PAGE, 0)
        self._events.append({"e": "all", "first": self._first, "turns": self._data(self._turns[self._first :])})

    def older(self) -> None:
        """Show the turns that stand before the first one that is shown."""
        if self._first:
            end, self._first = self._first, max(self._first - PAGE, 0)
            turns = self._data(self._turns[self._first : end])
            self._events.append({"e": "older", "first": self._first, "turns": turns})

    def begin(self, question: ChatMessage) -> TurnView:
        """Show a new turn, and return it."""
        turn = TurnView(self._next(), question, feed=TurnViewModel())
        self._turns.append(turn)
        self._events.append({"e": "begin", "turn": self._data([turn])[0]})
        return turn

    def drop(self, turn: TurnView) -> None:
        """Take a turn back."""
        if turn in self._turns:
            if self._turns.index(turn) < self._first:
                self._first -= 1
            self._turns.remove(turn)
            self._events.append({"e": "drop", "k": turn.key})

    def pending(self) -> list[Event]:
        """Return what happened since this was last asked."""
        events, self._events = self._events, []
        for turn in self._turns[self._first :]:
            if turn.feed is not None and (happened := turn.feed.pending()):
                events.append({"e": "in", "k": turn.key, "list": happened})
        return events

    def later(self) -> float | None:
        """Return in how many seconds more will be `pending`, although nothing may happen till then; None if nothing."""
        shown = (turn.feed.later() for turn in self._turns[self._first :] if turn.feed is not None)
        return min((wait for wait in shown if wait is not None), default=None)

    def snapshot(self, *, html: bool) -> State:
        """Return everything; whoever wants HTML gets it from now on."""
        self._html |= html
        self._events = []
        return {"fields": dict(self._fields), "first": self._first, "turns": self._data(self._turns[self._first :])}

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _data(self, turns: Sequence[TurnView]) -> list[dict[str, Any]]:
        return [
            {"k": turn.key, "q": question_view(turn.question), "s": self._feed(turn).snapshot(html=self._html)}
            for turn in turns
        ]

    def _feed(self, turn: TurnView) -> TurnViewModel:
        if turn.feed is None:
            turn.feed = TurnViewModel()
            replay_turn(turn.feed, turn.messages)
            turn.feed.may(stop=False, cell=self._cell)
        return turn.feed


_MISSING = object()
