"""The view model of a panel: its fields and turns as state and events for the page.

A conversation of a thousand messages must open at once: only the last turns are sent; older ones follow, 20 at a time,
on request.

A state is JSON: ``fields`` by name, ``first`` (how many older turns there are), ``turns``, each ``{"k": its number,
"q": question, "s": state of its answer}`` as `orchat.jupyter.kernel.live_view.view_reducer` describes it. A turn with
several versions has ``"v": [which is shown, from 0, how many]``, and ``"o"`` if the others are shown beside it: ``{"n":
which, "q", "s"}`` of each. Events are:

========= ======================= =====================================================
``panel`` ``set``                 fields
``all``   ``first``, ``turns``    another conversation
``older`` ``first``, ``turns``    turns before the others
``begin`` ``turn``                a turn after the others
``drop``  ``k``                   a turn that is removed
``in``    ``k``, ``list``         events of a turn
``turn``  ``k``, ``set``          fields of a turn
========= ======================= =====================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.jupyter.kernel.live_view.view_reducer import Event, State
from orchat.jupyter.panel.question_view import question_view
from orchat.jupyter.panel.turn_replay import replay_turn
from orchat.messages import ChatMessage

PAGE_SIZE = 20


@dataclass(eq=False)
class TurnView:
    """A turn of the panel; its view model is None until a page shows it."""

    key: int
    question: ChatMessage
    messages: Sequence[ChatMessage] = ()
    view_model: TurnViewModel | None = None
    position: tuple[int, int] | None = None  # among its versions, and their number
    others: list[dict[str, Any]] | None = None  # the other versions, as the page shows them beside it
    others_key: list[tuple[int, int, int]] | None = None  # which ones these are


class PanelViewModel:
    """The fields and turns of a panel; a `orchat.jupyter.kernel.live_view.widget_channel.ViewModel`.

    Parameters
    ----------
    cell
        Whether the page can insert cells.

    Examples
    --------
    >>> view_model = PanelViewModel()
    >>> question = ChatMessage.from_user("Hi")
    >>> view_model.show([[question, ChatMessage.from_assistant("Hello.")]] * 50)
    >>> state = view_model.snapshot(html=False)
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
        """Return a turn by its key."""
        return next((turn for turn in reversed(self._turns) if turn.key == key), None)

    def turn_at(self, number: int) -> TurnView | None:
        """Return a turn by its number in the conversation."""
        return self._turns[number] if 0 <= number < len(self._turns) else None

    def index(self, turn: TurnView) -> int | None:
        """Return the number of a turn in the conversation; None where it is not displayed any more."""
        return self._turns.index(turn) if turn in self._turns else None

    def field(self, name: str) -> Any:
        """Return a field's value."""
        return self._fields.get(name)

    def set(self, **fields: Any) -> None:
        """Set fields; unchanged ones are not sent."""
        changed = {name: value for name, value in fields.items() if self._fields.get(name, _MISSING) != value}
        if changed:
            self._fields |= changed
            self._events.append({"e": "panel", "set": changed})

    def show(self, turns: Sequence[Sequence[ChatMessage]]) -> None:
        """Show another conversation."""
        self._turns = [TurnView(self._next_key(), turn[0], turn) for turn in turns]
        self._first = max(len(self._turns) - PAGE_SIZE, 0)
        self._events.append({"e": "all", "first": self._first, "turns": self._turn_states(self._turns[self._first :])})

    def show_from(self, at: int, turns: Sequence[Sequence[ChatMessage]]) -> None:
        """Show other turns from a position on; those before it stay as they are."""
        dropped = self._turns[at:]
        shown = [TurnView(self._next_key(), turn[0], turn) for turn in turns]
        self._turns = [*self._turns[:at], *shown]
        if at < self._first or len(shown) > PAGE_SIZE:
            self._first = max(len(self._turns) - PAGE_SIZE, 0)
            states = self._turn_states(self._turns[self._first :])
            self._events.append({"e": "all", "first": self._first, "turns": states})
            return
        self._events += [{"e": "drop", "k": turn.key} for turn in dropped]
        self._events += [{"e": "begin", "turn": state} for state in self._turn_states(shown)]

    def show_versions(
        self,
        positions: Mapping[int, tuple[int, int]],
        others: Mapping[int, Sequence[tuple[int, Sequence[ChatMessage]]]],
    ) -> None:
        """Show which version of a turn is displayed, and of how many.

        Parameters
        ----------
        positions
            By the turn's number in the conversation.
        others
            The versions, with their positions, that are shown beside the displayed one, by the turn's number.
        """
        for at, turn in enumerate(self._turns):
            position, beside = positions.get(at), others.get(at)
            key = None if beside is None else [(number, id(messages[0]), len(messages)) for number, messages in beside]
            if (position, key) == (turn.position, turn.others_key):
                continue
            turn.position, turn.others_key = position, key
            turn.others = None if beside is None else [self._other_state(*other) for other in beside]
            if at >= self._first:
                self._events.append({"e": "turn", "k": turn.key, "set": self._version_fields(turn)})

    def older(self) -> None:
        """Show the 20 turns before the first one that is shown."""
        if self._first:
            end, self._first = self._first, max(self._first - PAGE_SIZE, 0)
            turns = self._turn_states(self._turns[self._first : end])
            self._events.append({"e": "older", "first": self._first, "turns": turns})

    def begin(self, question: ChatMessage) -> TurnView:
        """Add a new turn, and return it."""
        turn = TurnView(self._next_key(), question, view_model=TurnViewModel())
        self._turns.append(turn)
        self._events.append({"e": "begin", "turn": self._turn_states([turn])[0]})
        return turn

    def drop(self, turn: TurnView) -> None:
        """Remove a turn."""
        if turn in self._turns:
            if self._turns.index(turn) < self._first:
                self._first -= 1
            self._turns.remove(turn)
            self._events.append({"e": "drop", "k": turn.key})

    def pending(self) -> list[Event]:
        """Return what happened since this was last asked."""
        events, self._events = self._events, []
        for turn in self._turns[self._first :]:
            if turn.view_model is not None and (happened := turn.view_model.pending()):
                events.append({"e": "in", "k": turn.key, "list": happened})
        return events

    def seconds_until_due(self) -> float | None:
        """Return in how many seconds more will be `pending`, although nothing may happen till then; None if nothing."""
        delays = (
            turn.view_model.seconds_until_due() for turn in self._turns[self._first :] if turn.view_model is not None
        )
        return min((wait for wait in delays if wait is not None), default=None)

    def snapshot(self, *, html: bool) -> State:
        """Return the whole state; with ``html`` this and all later states and events contain HTML."""
        self._html |= html
        self._events = []
        return {
            "fields": dict(self._fields),
            "first": self._first,
            "turns": self._turn_states(self._turns[self._first :]),
        }

    def _next_key(self) -> int:
        self._count += 1
        return self._count

    def _turn_states(self, turns: Sequence[TurnView]) -> list[dict[str, Any]]:
        return [
            {
                "k": turn.key,
                "q": question_view(turn.question, pictures=True),
                "s": self._view_model_of(turn).snapshot(html=self._html),
                **({} if turn.position is None else self._version_fields(turn)),
            }
            for turn in turns
        ]

    @staticmethod
    def _version_fields(turn: TurnView) -> dict[str, Any]:
        return {"v": None if turn.position is None else list(turn.position), "o": turn.others}

    def _other_state(self, number: int, messages: Sequence[ChatMessage]) -> dict[str, Any]:
        view_model = TurnViewModel()
        replay_turn(view_model, messages)
        view_model.set_actions(stop=False, cell=self._cell)
        state = view_model.snapshot(html=self._html)
        return {"n": number, "q": question_view(messages[0], pictures=True), "s": {**state, "elapsed": 0.0}}

    def _view_model_of(self, turn: TurnView) -> TurnViewModel:
        if turn.view_model is None:
            turn.view_model = TurnViewModel()
            replay_turn(turn.view_model, turn.messages)
            turn.view_model.set_actions(stop=False, cell=self._cell)
        return turn.view_model


_MISSING = object()
