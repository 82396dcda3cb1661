"""A notebook's threads: conversations whose turns belong to cells. Plain data, with no front end and no network.

A turn belongs to the cell that asked. When the cell runs again its turn is replaced where it stands, and what goes
along with the question is the turns before it: so *Run All* says the same the second time as the first. A thread's
system message is the last one that a turn gave, and ``--new`` begins it anew from one cell on.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from orchat.chat.message_selection import CallPlace, pending_calls, skip_pending_calls, waiting_calls
from orchat.chat.money import Cost, estimate_message_tokens
from orchat.errors import ConfigurationError
from orchat.messages import ChatMessage, ChatRole, ToolCall

DEFAULT_THREAD = "notebook"
"""The name of the thread that is used where none is named."""


@dataclass(frozen=True)
class TurnLocation:
    """Where a turn was asked.

    Parameters
    ----------
    cell
        The front end's name of the cell; None where it told none, as in a terminal: then every run is a new cell.
    execution
        The number of the run.
    """

    cell: str | None = None
    execution: int = 0

    def replaces(self, other: TurnLocation) -> bool:
        """Say whether this is a later run of the same cell."""
        return self.cell is not None and self.cell == other.cell and self.execution != other.execution


@dataclass(eq=False)
class CellTurn:
    """A turn of a thread: what a cell asked and what came of it.

    Parameters
    ----------
    place
        Where it was asked.
    messages
        From the question to the last answer.
    system
        The system message that the cell gave; None where it gave none.
    begins
        Whether the thread begins anew with it.
    """

    place: TurnLocation
    messages: list[ChatMessage] = field(default_factory=list)
    system: str | None = None
    begins: bool = False

    @property
    def tokens(self) -> int:
        """An estimate of its size."""
        return sum(map(estimate_message_tokens, self.messages))


@dataclass(frozen=True)
class History:
    """What goes along with a question.

    Parameters
    ----------
    messages
        What was said before, the system message first.
    turns
        How many turns that are.
    left_out
        How many older ones did not fit.
    """

    messages: tuple[ChatMessage, ...] = ()
    turns: int = 0
    left_out: int = 0

    def instructed(self, instruction: str) -> tuple[ChatMessage, ...]:
        """Return the messages with one more instruction in the system message, for this question alone."""
        if self.messages and self.messages[0].is_from(ChatRole.SYSTEM):
            first, *rest = self.messages
            return (ChatMessage.from_system(f"{first.text}\n\n{instruction}"), *rest)
        return (ChatMessage.from_system(instruction), *self.messages)

    def __str__(self) -> str:
        before = f"{self.turns} earlier turn{'' if self.turns == 1 else 's'}" if self.turns else ""
        left_out = f"{self.left_out} older left out" if self.left_out else ""
        return ", ".join(filter(None, (before, left_out)))


class NotebookConversation:
    """A named conversation of a notebook.

    Examples
    --------
    >>> thread = NotebookConversation("notebook")
    >>> for cell in ("a", "b"):
    ...     turn = CellTurn(TurnLocation(cell, 1))
    ...     thread.keep(turn, [ChatMessage.from_user(f"Question {cell}"), ChatMessage.from_assistant("Yes.")])
    >>> str(thread.history(CellTurn(TurnLocation("c", 3)), 1000))
    '2 earlier turns'
    >>> str(thread.history(CellTurn(TurnLocation("b", 4)), 1000))
    '1 earlier turn'
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.turns: list[CellTurn] = []
        self.cost = Cost()
        self.session = uuid.uuid4().hex

    def before(self, turn: CellTurn) -> list[CellTurn]:
        """Return the turns that come before one, from where the thread last began."""
        if turn.begins:
            return []
        turns = self.turns[: self._index(turn)]
        starts = [at for at, each in enumerate(turns) if each.begins]
        return turns[starts[-1] :] if starts else turns

    def history(self, turn: CellTurn, most_tokens: int) -> History:
        """Return what goes along with a turn's question: its system message, and the latest turns that fit.

        Parameters
        ----------
        turn
            A turn of the thread, or one that may become one.
        most_tokens
            How much may go along, by estimate; whole turns are left out, the oldest first.
        """
        earlier = self.before(turn)
        fitting: list[CellTurn] = []
        room = most_tokens
        for each in reversed(earlier):
            room -= each.tokens
            if room < 0:
                break
            fitting.insert(0, each)
        systems = [each.system for each in (*earlier, turn) if each.system is not None]
        said = [message for each in fitting for message in skip_pending_calls(each.messages)]
        system = [ChatMessage.from_system(systems[-1])] if systems and systems[-1] else []
        return History((*system, *said), len(fitting), len(earlier) - len(fitting))

    def keep(self, turn: CellTurn, messages: Sequence[ChatMessage]) -> None:
        """Put a turn where it belongs, in the place of those that its cell asked when it ran before.

        A turn of which nothing came changes nothing.
        """
        if not any(message.is_from(ChatRole.ASSISTANT) for message in messages):
            return
        turn.messages = list(messages)
        if turn in self.turns:
            return
        at = self._index(turn)
        later = [each for each in self.turns[at:] if not turn.place.replaces(each.place)]
        self.turns = [*self.turns[:at], turn, *later]

    def undo(self) -> CellTurn | None:
        """Take the last turn back."""
        return self.turns.pop() if self.turns else None

    def reset(self) -> None:
        """Forget every turn; what they cost stays counted."""
        self.turns = []

    @property
    def waiting(self) -> tuple[CellTurn, dict[CallPlace, ToolCall]] | None:
        """The last turn whose tool calls wait for a decision, and these."""
        for turn in reversed(self.turns):
            if calls := waiting_calls(turn.messages):
                return turn, calls
        return None

    def waits_for(self, turn: CellTurn) -> CellTurn | None:
        """Return the turn that waits for a decision, and with which another one goes on."""
        calls = _calls(turn)
        for each in reversed(self.turns):
            begun = _calls(each)
            same = begun == calls[: len(begun)] and each.messages[0].text == turn.messages[0].text
            if same and pending_calls(each.messages):
                return each
        return None

    def _index(self, turn: CellTurn) -> int:
        """Return where a turn stands or belongs: where its cell's earlier one stands, else behind all others."""
        for at, each in enumerate(self.turns):
            if each is turn or turn.place.replaces(each.place):
                return at
        # A loop asks several times in one run of its cell.
        same = [at for at, each in enumerate(self.turns) if turn.place.cell and each.place == turn.place]
        return same[-1] + 1 if same else len(self.turns)


def _calls(turn: CellTurn) -> list[list[ToolCall]]:
    return [message.tool_calls for message in turn.messages if message.is_from(ChatRole.ASSISTANT)]


class NotebookConversations:
    """The threads of a notebook, by name.

    Examples
    --------
    >>> threads = NotebookConversations()
    >>> threads["notebook"].name
    'notebook'
    """

    def __init__(self) -> None:
        self._threads: dict[str, NotebookConversation] = {}

    def __getitem__(self, name: str) -> NotebookConversation:
        """Return a thread; a new one where there is none of that name."""
        return self._threads.setdefault(name, NotebookConversation(name))

    def __contains__(self, name: object) -> bool:
        return name in self._threads

    def __iter__(self) -> Iterator[NotebookConversation]:
        return iter(list(self._threads.values()))

    def named(self, name: str) -> NotebookConversation:
        """Return a thread that is there already.

        Raises
        ------
        ConfigurationError
            There is none of that name (a ValueError).
        """
        if name not in self._threads:
            there = ", ".join(self._threads) or "none yet"
            raise ConfigurationError(f"There is no conversation {name!r}.", hint=f"There are: {there}.")
        return self._threads[name]

    def fork(self, name: str, new_name: str) -> NotebookConversation:
        """Copy a thread under another name, to go on from here in two ways.

        Raises
        ------
        ConfigurationError
            There is no such thread, or there is one of the new name already (a ValueError).
        """
        old = self.named(name)
        if new_name in self._threads and self._threads[new_name].turns:
            raise ConfigurationError(f"There is a conversation {new_name!r} already.", hint="Give another name.")
        new = self[new_name]
        new.turns = copy.deepcopy(old.turns)
        return new
