"""The requests of a panel's turns: a question, another version of a turn, or again what failed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from orchat.chat.message_selection import messages_before_failure, split_at_questions
from orchat.configuration import resolve_model_alias
from orchat.errors import ConfigurationError
from orchat.jupyter.panel.failed_request import FailedRequest, error_view
from orchat.jupyter.panel.turn_replay import replay_messages, turn_reply
from orchat.messages import ChatMessage

if TYPE_CHECKING:
    from orchat.chat.approval import Decisions
    from orchat.chat.reply import Reply
    from orchat.jupyter.panel.panel_conversations import PanelConversations
    from orchat.jupyter.panel.panel_view_model import PanelViewModel, TurnView
    from orchat.jupyter.panel.turn_versions import TurnVersions

    RunTurn: TypeAlias = Callable[[ChatMessage | Decisions | None, TurnView, int | None, str | None], Awaitable[Reply]]


class TurnRequests:
    """Ask questions of the displayed chat, and know the request that failed.

    Parameters
    ----------
    conversations
        The panel's chats.
    view_model
        The panel's view model.
    versions
        The versions of its turns.
    prepare
        Called before a turn; raises while another one is running.
    run
        Runs a turn: what is asked (a message, decisions, or None to go on after a failure), the turn's view, the number
        of the turn in whose place it is, and another model for it.
    """

    def __init__(
        self,
        conversations: PanelConversations,
        view_model: PanelViewModel,
        versions: TurnVersions,
        prepare: Callable[[], None],
        run: RunTurn,
    ) -> None:
        self._conversations = conversations
        self._view_model = view_model
        self._versions = versions
        self._prepare = prepare
        self._run = run

    async def ask(
        self, question: ChatMessage, *, version_of: TurnView | None = None, model: str | None = None
    ) -> Reply:
        """Run a turn with a user's message, and show it.

        Parameters
        ----------
        question
            The message.
        version_of
            The turn in whose place it is asked; default: behind the last one.
        model
            Another model, for this turn only.
        """
        self._prepare()
        number = None if version_of is None else self._versions.number(version_of)
        self._conversations.failed = None
        self._view_model.show_from(len(self._versions.turns()) if number is None else number, [])
        return await self._run(question, self._view_model.begin(question), number, model)

    async def regenerate(self, model: str | None, key: object = None) -> Reply:
        """Ask the question of a turn again, for another version of it; one that failed is asked as it was.

        Parameters
        ----------
        model
            Another model, for this turn only.
        key
            The turn's key in the page; None for the last one.
        """
        self._prepare()
        turn = self._versions.find(key)
        failed = self._conversations.failed
        model = resolve_model_alias(model) if model else None
        if failed is not None and self._versions.number(turn) is None:
            return await self.ask(turn.question, model=model or failed.model)
        return await self.ask(turn.question, version_of=turn, model=model)

    async def retry(self, model: str | None = None) -> Reply:
        """Repeat the request that failed, and nothing else.

        Parameters
        ----------
        model
            Another model: in the place of the one that was asked for that turn only, or for the chat from now on.

        Raises
        ------
        ConfigurationError
            None has failed (a ValueError).
        """
        self._prepare()
        failed = self._conversations.failed
        if failed is None:
            raise ConfigurationError("Nothing has failed.", hint="Ask a question.")
        turn_model = failed.model
        if model and failed.model:
            turn_model = resolve_model_alias(model)
        elif model:
            self._conversations.set_model(model)
        if failed.question is None:
            return await self._continue_turn(turn_model)
        self._versions.cancel_edit()
        version_of = None if failed.version_of is None else self._view_model.turn_at(failed.version_of)
        return await self.ask(failed.question, version_of=version_of, model=turn_model)

    async def _continue_turn(self, model: str | None) -> Reply:
        """Ask again for the response that failed last; what had arrived of it stays as a version."""
        messages = self._versions.turns()[-1]
        self._conversations.failed = None
        self._view_model.show_from(len(self._view_model) - 1, [])
        turn = self._view_model.begin(messages[0])
        assert turn.view_model is not None
        replay_messages(turn.view_model, messages_before_failure(messages))
        return await self._run(None, turn, None, model)

    def take_note(
        self,
        question: ChatMessage | Decisions | None,
        version_of: int | None,
        model: str | None,
        before: Sequence[ChatMessage],
        failure: BaseException | None,
    ) -> None:
        """Keep a request that failed for *Retry*, and show what there is instead of an answer."""
        messages = self._conversations.current_chat.messages
        is_unchanged = [*map(id, messages)] == [*map(id, before)]
        failed: FailedRequest | None = None
        if isinstance(question, ChatMessage) and is_unchanged:
            failed = FailedRequest(question, version_of, model)
        elif failure is not None and _has_failed(self._versions.turns()[-1]):
            failed = FailedRequest(model=model)
        is_told = isinstance(failure, Exception | SystemExit)  # a policy or a hook may raise the latter
        card = error_view(failure, can_retry=failed is not None) if failure is not None and is_told else None
        self._view_model.set(error=card)
        self._conversations.failed = None if failed is None else replace(failed, error=card)
        if failed is None or not is_unchanged or failed.is_shown_as_turn:
            return
        # The earlier version is shown again, and what was edited is a draft again.
        at = max(len(split_at_questions(messages)[1]) - 1, 0) if failed.version_of is None else failed.version_of
        self._versions.show_from(at)
        earlier = self._view_model.turn_at(at)
        if failed.question is None or earlier is None or self._versions.has_draft:
            return
        if failed.question.parts != earlier.question.parts:
            self._versions.restore_draft(failed.question, at)

    def forget_passed(self) -> None:
        """Forget a request that failed where the conversation has gone another way, and show what there is to retry."""
        failed = self._conversations.failed
        if failed is not None and not failed.is_shown_as_turn:
            turns = self._versions.turns()
            in_place = failed.version_of is not None and failed.version_of < len(turns)
            if not (in_place or (failed.question is None and turns and _has_failed(turns[-1]))):
                self._conversations.failed = failed = None
        self._view_model.set(error=None if failed is None else failed.error)

    def dismiss(self) -> None:
        """Hide the card of the error."""
        if (failed := self._conversations.failed) is not None:
            self._conversations.failed = replace(failed, error=None)
        self._view_model.set(error=None)


def _has_failed(turn: Sequence[ChatMessage]) -> bool:
    return turn_reply(turn).ending in ("failed", "interrupted")
