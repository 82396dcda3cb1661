"""Conversations of a notebook, whose turns belong to cells. Plain data, without front end and network.

A turn belongs to the cell that asked. A second run of the cell replaces its turn in place, and only the turns before it
are sent: so *Run All* sends the same requests the second time. A conversation's system message is the last one of its
turns, and ``--new`` starts the conversation again at one cell.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from orchat.chat.message_selection import CallPlace, skip_pending_calls, waiting_calls
from orchat.chat.money import Cost
from orchat.chat.request_estimate import estimate_message_tokens
from orchat.errors import ConfigurationError
from orchat.messages import ChatMessage, ChatRole, ToolCall

DEFAULT_CONVERSATION = "notebook"
"""The name of the conversation that is used by default."""


@dataclass(frozen=True)
class TurnLocation:
    """The cell and execution count of a turn.

    Parameters
    ----------
    cell
        The front end's identifier of the cell; None where it sent none, as in a terminal: each run is a new cell.
    execution
        The execution count.
    """

    cell: str | None = None
    execution: int = 0

    def replaces(self, other: TurnLocation) -> bool:
        """Return whether this is another run of the same cell."""
        return self.cell is not None and self.cell == other.cell and self.execution != other.execution


@dataclass(eq=False)
class CellTurn:
    """A turn of a conversation: the question of a cell, and the messages that answer it.

    Parameters
    ----------
    location
        The cell and execution that asked.
    messages
        From the question to the last answer.
    system
        The cell's system message; None where it gave none.
    begins
        Whether the conversation starts again with this turn.
    """

    location: TurnLocation
    messages: list[ChatMessage] = field(default_factory=list)
    system: str | None = None
    begins: bool = False

    @property
    def tokens(self) -> int:
        """The estimated size in tokens."""
        return sum(map(estimate_message_tokens, self.messages))


@dataclass(frozen=True)
class History:
    """The earlier messages that are sent with a question.

    Parameters
    ----------
    messages
        The system message, then those of earlier turns.
    turns
        The number of earlier turns.
    left_out
        The number of older turns that did not fit.
    """

    messages: tuple[ChatMessage, ...] = ()
    turns: int = 0
    left_out: int = 0

    def with_instruction(self, instruction: str) -> tuple[ChatMessage, ...]:
        """Return the messages with an instruction added to the system message, for this question alone."""
        if self.messages and self.messages[0].is_from(ChatRole.SYSTEM):
            first, *rest = self.messages
            return (ChatMessage.from_system(f"{first.text}\n\n{instruction}"), *rest)
        return (ChatMessage.from_system(instruction), *self.messages)

    def __str__(self) -> str:
        earlier = f"{self.turns} earlier turn{'' if self.turns == 1 else 's'}" if self.turns else ""
        left_out = f"{self.left_out} older left out" if self.left_out else ""
        return ", ".join(filter(None, (earlier, left_out)))


class NotebookConversation:
    """A named conversation of a notebook.

    Examples
    --------
    >>> conversation = NotebookConversation("notebook")
    >>> for cell in ("a", "b"):
    ...     turn = CellTurn(TurnLocation(cell, 1))
    ...     conversation.add_turn(turn, [ChatMessage.from_user(f"Question {cell}"), ChatMessage.from_assistant("Yes.")])
    >>> str(conversation.history(CellTurn(TurnLocation("c", 3)), 1000))
    '2 earlier turns'
    >>> str(conversation.history(CellTurn(TurnLocation("b", 4)), 1000))
    '1 earlier turn'
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.turns: list[CellTurn] = []
        self.cost = Cost()
        self.session = uuid.uuid4().hex

    def turns_before(self, turn: CellTurn) -> list[CellTurn]:
        """Return the turns before a turn, from the last start of the conversation on."""
        if turn.begins:
            return []
        turns = self.turns[: self._index(turn)]
        starts = [at for at, each in enumerate(turns) if each.begins]
        return turns[starts[-1] :] if starts else turns

    def history(self, turn: CellTurn, most_tokens: int) -> History:
        """Return the earlier messages to send with a turn's question: the system message and the latest turns.

        Parameters
        ----------
        turn
            A turn of the conversation, or a new one.
        most_tokens
            Estimated limit of the turns; whole turns are left out, the oldest first.
        """
        earlier = self.turns_before(turn)
        included: list[CellTurn] = []
        room = most_tokens
        for each in reversed(earlier):
            room -= each.tokens
            if room < 0:
                break
            included.insert(0, each)
        system_texts = [each.system for each in (*earlier, turn) if each.system is not None]
        messages = [message for each in included for message in skip_pending_calls(each.messages)]
        system = [ChatMessage.from_system(system_texts[-1])] if system_texts and system_texts[-1] else []
        return History((*system, *messages), len(included), len(earlier) - len(included))

    def add_turn(self, turn: CellTurn, messages: Sequence[ChatMessage]) -> None:
        """Add a turn at its position, in the place of its cell's turns of an earlier run.

        A turn without an answer changes nothing.
        """
        if not any(message.is_from(ChatRole.ASSISTANT) for message in messages):
            return
        turn.messages = list(messages)
        if turn in self.turns:
            return
        at = self._index(turn)
        later = [each for each in self.turns[at:] if not turn.location.replaces(each.location)]
        self.turns = [*self.turns[:at], turn, *later]

    def undo(self) -> CellTurn | None:
        """Remove and return the last turn; None where there is none."""
        return self.turns.pop() if self.turns else None

    def reset(self) -> None:
        """Remove all turns; their cost stays counted."""
        self.turns = []

    @property
    def parked_turn(self) -> tuple[CellTurn, dict[CallPlace, ToolCall]] | None:
        """The last turn whose tool calls wait for a decision, and these calls."""
        for turn in reversed(self.turns):
            if calls := waiting_calls(turn.messages):
                return turn, calls
        return None

    def _index(self, turn: CellTurn) -> int:
        """Return the position of a turn: that of its cell's earlier turn, else the end."""
        for at, each in enumerate(self.turns):
            if each is turn or turn.location.replaces(each.location):
                return at
        # A loop asks several times in one run of its cell.
        same = [at for at, each in enumerate(self.turns) if turn.location.cell and each.location == turn.location]
        return same[-1] + 1 if same else len(self.turns)


def calls_of(turn: CellTurn) -> list[list[ToolCall]]:
    """Return the tool calls of each response of a turn."""
    return [message.tool_calls for message in turn.messages if message.is_from(ChatRole.ASSISTANT)]


class NotebookConversations:
    """The conversations of a notebook, by name.

    Examples
    --------
    >>> conversations = NotebookConversations()
    >>> conversations["notebook"].name
    'notebook'
    """

    def __init__(self) -> None:
        self._conversations: dict[str, NotebookConversation] = {}

    def __getitem__(self, name: str) -> NotebookConversation:
        """Return the conversation of that name, a new one where there is none."""
        return self._conversations.setdefault(name, NotebookConversation(name))

    def __contains__(self, name: object) -> bool:
        return name in self._conversations

    def __iter__(self) -> Iterator[NotebookConversation]:
        return iter(list(self._conversations.values()))

    def named(self, name: str) -> NotebookConversation:
        """Return an existing conversation.

        Raises
        ------
        ConfigurationError
            No conversation has that name (a ValueError).
        """
        if name not in self._conversations:
            there = ", ".join(self._conversations) or "none yet"
            raise ConfigurationError(f"There is no conversation {name!r}.", hint=f"There are: {there}.")
        return self._conversations[name]

    def fork(self, name: str, new_name: str) -> NotebookConversation:
        """Copy a conversation under another name.

        Raises
        ------
        ConfigurationError
            There is no such conversation, or the new name is taken (a ValueError).
        """
        old = self.named(name)
        if new_name in self._conversations and self._conversations[new_name].turns:
            raise ConfigurationError(f"There is a conversation {new_name!r} already.", hint="Give another name.")
        new = self[new_name]
        new.turns = copy.deepcopy(old.turns)
        return new
