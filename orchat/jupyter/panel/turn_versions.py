"""The versions of a panel's turns: which one is shown, two side by side, and the edit of an earlier question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchat.chat.message_selection import split_at_questions
from orchat.errors import ConfigurationError

if TYPE_CHECKING:
    from orchat.chat import Chat
    from orchat.jupyter.panel.panel_conversations import PanelConversations
    from orchat.jupyter.panel.panel_view_model import PanelViewModel, TurnView
    from orchat.jupyter.panel.question_composer import QuestionComposer
    from orchat.messages import ChatMessage

_MAX_BESIDE = 3  # versions beside the shown one


class TurnVersions:
    """Switch between versions of the displayed chat's turns, and keep the page's view of them true.

    Parameters
    ----------
    conversations
        The panel's chats.
    view_model
        The panel's view model.
    composer
        The draft: an edited question goes there.
    """

    def __init__(
        self, conversations: PanelConversations, view_model: PanelViewModel, composer: QuestionComposer
    ) -> None:
        self._conversations = conversations
        self._view_model = view_model
        self._composer = composer
        self._edited: TurnView | None = None
        self._draft_before: ChatMessage | None = None
        self._compared: set[int] = set()  # numbers of turns
        view_model.set(editing=None)

    @property
    def _chat(self) -> Chat:
        return self._conversations.current_chat

    def turns(self) -> list[list[ChatMessage]]:
        """Return the turns that are displayed: those of the chat, and a question that failed."""
        failed = self._conversations.failed
        unanswered = [[failed.question]] if failed is not None and failed.is_shown_as_turn and failed.question else []
        return [*split_at_questions(self._chat.messages)[1], *unanswered]

    def show_all(self) -> None:
        """Display the current chat."""
        self.cancel_edit()
        self._compared.clear()
        self._view_model.show(self.turns())
        self.refresh()

    def show_from(self, at: int) -> None:
        """Display the turns from a position on anew."""
        self._view_model.show_from(at, self.turns()[at:])
        self.refresh()

    def refresh(self) -> None:
        """Tell the page which versions are shown of how many, and the answers beside them."""
        if self._edited is not None and self._view_model.index(self._edited) is None:
            self._edited = None  # another version is shown there: what is typed is a new question
            self._view_model.set(editing=None)
        positions = self._chat.shown_versions()
        self._compared &= set(positions)
        others = {at: self._other_versions(at) for at in self._compared}
        self._view_model.show_versions(positions, others)

    def _other_versions(self, at: int) -> list[tuple[int, list[ChatMessage]]]:
        """Return the versions beside the shown one, with their numbers: the nearest few."""
        shown, _ = self._chat.shown_versions()[at]
        others = [(number, turn) for number, turn in enumerate(self._chat.versions(at)) if number != shown]
        nearest = sorted(others, key=lambda other: abs(other[0] - shown))[:_MAX_BESIDE]
        return sorted(nearest, key=lambda other: other[0])

    def number(self, turn: TurnView) -> int | None:
        """Return a turn's number among those of the chat; None for a question that failed."""
        at = self._view_model.index(turn)
        return at if at is not None and at < len(split_at_questions(self._chat.messages)[1]) else None

    # -- switching ----------------------------------------------------------------------------------------------

    def show_version(self, turn: TurnView, number: int) -> None:
        """Show another version of a turn, and what had followed it."""
        if (at := self.number(turn)) is not None:
            self._chat.show_version(number, at)
            self.show_from(at)

    def compare(self, turn: TurnView, *, on: bool) -> None:
        """Show all versions of a turn side by side, or one again."""
        if (at := self.number(turn)) is not None:
            (self._compared.add if on else self._compared.discard)(at)
            self.refresh()

    def undo(self) -> ChatMessage | None:
        """Take the last turn back, and return its question; one that failed goes into the draft, if that is empty."""
        turns = self.turns()
        failed = self._conversations.failed
        if not turns:
            return None
        if failed is not None and failed.is_shown_as_turn:
            if self._composer.draft is None:
                self._composer.put_back(turns[-1][0])
        else:
            self._chat.undo()
        self._conversations.failed = None
        self.show_from(len(turns) - 1)
        return turns[-1][0]

    def redo(self) -> None:
        """Bring back the turn that was taken back last."""
        if self._chat.redo():
            self.show_from(len(split_at_questions(self._chat.messages)[1]) - 1)

    # -- editing ------------------------------------------------------------------------------------------------

    @property
    def edited(self) -> TurnView | None:
        """The turn whose question is being edited."""
        return self._edited

    @property
    def edited_number(self) -> int | None:
        """The number of the turn whose question is being edited."""
        return None if self._edited is None else self.number(self._edited)

    @property
    def has_draft(self) -> bool:
        """Whether something is typed or attached."""
        return self._composer.draft is not None

    @property
    def draft_to_keep(self) -> tuple[ChatMessage | None, int | None]:
        """The draft as it is saved, and the number of the turn that it edits."""
        return self._composer.draft, self.edited_number

    def edit(self, turn: TurnView) -> None:
        """Put the question of a turn into the draft; what was there comes back afterwards."""
        if self._edited is None:
            self._draft_before = self._composer.draft
        self._edited = turn
        self._composer.clear()
        self._composer.put_back(turn.question)
        self._view_model.set(editing=turn.key)

    def restore_draft(self, draft: ChatMessage, edited: int | None) -> None:
        """Continue with a saved draft."""
        if edited is not None and (turn := self._view_model.turn_at(edited)) is not None:
            self._edited = turn
            self._view_model.set(editing=turn.key)
        self._composer.put_back(draft)

    def cancel_edit(self) -> None:
        """End the edit; the draft of before comes back."""
        if self._edited is not None:
            self._composer.clear()
            self.end_edit()

    def end_edit(self) -> None:
        """End the edit after its question was sent."""
        draft, self._draft_before = self._draft_before, None
        self._edited = None
        self._view_model.set(editing=None)
        if draft is not None:
            self._composer.put_back(draft)

    def find(self, key: object) -> TurnView:
        """Return a turn by its key in the page; the last one where there is no key.

        Raises
        ------
        ConfigurationError
            There is none (a ValueError).
        """
        turn = self._view_model.last if key is None else self._view_model.turn(key)
        if turn is None:
            raise ConfigurationError("There is no such question." if key else "There is no question yet.")
        return turn
