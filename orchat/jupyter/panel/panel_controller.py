"""What a panel does, from a question to what is kept of its answer: the inside of `ChatPanel`.

A turn is a task on the kernel's loop. It never prints or displays anything, for the cell that it came from has ended:
all that it shows goes through messages of one widget.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from orchat.chat.message_selection import waiting_calls
from orchat.configuration import resolve_model_alias
from orchat.errors import APIError, ConfigurationError, OrchatError, StateError, TurnInProgressError
from orchat.jupyter.kernel.cell_storage.metadata_bridge import get_bridge
from orchat.jupyter.kernel.live_view.live_view import shows_widgets
from orchat.jupyter.kernel.live_view.pending_approvals import PendingApprovals
from orchat.jupyter.kernel.live_view.tool_grants import KERNEL_GRANTS
from orchat.jupyter.kernel.live_view.widget_channel import WIDGET_MIME_TYPE, WidgetChannel
from orchat.jupyter.kernel.output.text_escaping import single_line
from orchat.jupyter.panel import message_handlers
from orchat.jupyter.panel.mime_bundle import PanelOutput, transcript_bundle
from orchat.jupyter.panel.panel_conversations import PanelConversations
from orchat.jupyter.panel.panel_serialization import from_entry, omission_note, to_entry
from orchat.jupyter.panel.panel_storage import PanelStorage
from orchat.jupyter.panel.panel_view_model import PanelViewModel, TurnView
from orchat.jupyter.panel.question_composer import QuestionComposer
from orchat.jupyter.panel.turn_grouping import split_turns, transcript_text
from orchat.jupyter.panel.turn_in_progress import TurnInProgress
from orchat.messages import ChatMessage, ChatRole
from orchat.secrets import redact

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat import Chat
    from orchat.chat.approval import Decisions
    from orchat.chat.reply import Reply

_logger = logging.getLogger(__name__)
_BYTES_PER_SECOND = 10_000  # what the transcript may cost while a turn goes on


class PanelController:
    """The inside of a panel; a `orchat.jupyter.panel.message_handlers.PanelActions`.

    Parameters
    ----------
    shell
        The running IPython; None where there is none.
    chat
        The chat that the code made.
    keeping
        Where it is kept.
    restore
        Whether to go on with what is kept.
    height
        How tall the panel is, as CSS says it.
    """

    def __init__(
        self, shell: InteractiveShell | None, chat: Chat, keeping: PanelStorage, *, restore: bool, height: str
    ) -> None:
        self._shell = shell
        self._keeping = keeping
        self.conversations = PanelConversations(chat)
        self.log = PanelViewModel(cell=self._can_insert)
        self.log.set(height=height, error=None, readonly=None, note="", running=False)
        self.composing = QuestionComposer(self.log)
        self.observers: list[Callable[[Reply], object]] = []
        self._output = PanelOutput(shell)
        self._channel: WidgetChannel | None = None
        self._questions: dict[int, PendingApprovals] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: asyncio.Task[Any] | None = None
        self._asking: TurnInProgress | None = None
        self._refresh_at = 0.0
        self._failed: ChatMessage | None = None  # the last question in the log, of which nothing came
        if restore and not split_turns(chat.messages):
            self._restore()
        keeping.begin(self._entry, self.leave)
        self.show_chat()

    # -- what goes on -------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether a turn goes on."""
        return self._asking is not None

    @property
    def is_free(self) -> bool:
        """Whether nothing goes on, and what is kept may be changed."""
        return not self.is_running and self.log.field("readonly") is None

    def check_free(self) -> None:
        """Raise unless the conversation may be changed.

        Raises
        ------
        TurnInProgressError
            A turn goes on.
        """
        if self.is_running:
            raise TurnInProgressError("The panel is busy with another turn.", hint="Wait for it, or stop() it.")

    def begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """Begin a task; without a loop there is none, and nobody looks on either."""
        try:
            task = asyncio.get_running_loop().create_task(_quietly(work))
        except RuntimeError:
            work.close()
            return None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def stop(self) -> None:
        """End the turn that goes on."""
        if self._asking is not None:
            self._asking.chat.stop()

    async def ask(self, question: ChatMessage, **options: Any) -> Reply:
        """Ask a question, and show it."""
        self.check_free()
        self._cancel_waiting()
        self.conversations.tell_what_is_gone({} if self._shell is None else self._shell.user_ns)
        if self._failed is not None and (last := self.log.last) is not None:
            self.log.drop(last)
        return await self._drive(question, self.log.begin(question), options)

    async def ask_again(self, model: str | None) -> Reply:
        """Ask the last question again; where nothing comes of it, the earlier answer stays."""
        self.check_free()
        chat, before = self.conversations.shown, self.conversations.shown.messages
        if (question := self.take_back()) is None:
            raise ConfigurationError("There is no question to ask again.")
        options = {"generation_kwargs": {"model": resolve_model_alias(model)}} if model else {}
        try:
            return await self.ask(question, **options)
        finally:
            if self._failed is not None and len(before) > len(chat.messages):
                chat.messages = before
                self._failed = None
                self.log.show(split_turns(before))
                self.changed(True)

    async def _drive(self, question: ChatMessage | Decisions, turn: TurnView, options: dict[str, Any]) -> Reply:
        from orchat.chat.turn_streams import AsyncChatStream

        chat, feed = self.conversations.shown, turn.feed
        assert feed is not None
        self._failed = None
        self.log.set(error=None, running=True)
        feed.may(stop=False, cell=self._can_insert)
        questions = self._questions[turn.key] = PendingApprovals(feed, self._show_soon)
        model = str((options.get("generation_kwargs") or {}).get("model") or self.conversations.model)
        asking = self._asking = TurnInProgress(chat, feed, questions, self._channel, model, self.changed)
        asked = _count_questions(chat)
        try:
            reply = await AsyncChatStream(chat, question, options, asking).drain()
        except BaseException as error:
            if asking.reply is None:
                feed.end("", "failed")
            if isinstance(question, ChatMessage) and _count_questions(chat) == asked:
                self._failed = question
            if isinstance(error, Exception):
                self.show_error(error)
            raise
        finally:
            self._questions.pop(turn.key, None)
            self._asking = None
            self.log.set(running=False)
            self.changed(True)
            self.refresh_output()
            if asking.reply is not None:
                self._tell_observers(asking.reply)
        if reply.pending:
            self._wait_for_decisions()
        return reply

    def take_back(self) -> ChatMessage | None:
        """Take the last turn back, and return its question."""
        self.check_free()
        self._cancel_waiting()
        if (turn := self.log.last) is None:
            return None
        if self._failed is None:
            self.conversations.shown.undo()
        self._failed = None
        self.log.drop(turn)
        self.log.set(error=None)
        self.refresh_output()
        return turn.question

    def show_error(self, error: BaseException) -> None:
        """Show what went wrong as a card."""
        title, text, hint = type(error).__name__, str(error), ""
        if isinstance(error, OrchatError):
            text, hint = error.message, error.hint or ""
        if isinstance(error, APIError):
            title = " · ".join(str(each) for each in (title, error.status_code, error.provider_name) if each)
        self.log.set(
            error={
                "title": single_line(title),
                "text": single_line(redact(text), 600),
                "hint": single_line(redact(hint), 300),
            }
        )

    def _tell_observers(self, reply: Reply) -> None:
        for observer in list(self.observers):
            try:
                observer(reply)
            except Exception:
                _logger.exception("An observer of a chat panel failed")

    # -- calls that wait ----------------------------------------------------------------------------------------

    def decide(self, content: dict[str, Any]) -> None:
        """Take what a person did in a form, or with a grant."""
        questions = self._questions.get(content["k"]) if isinstance(content.get("k"), int) else None
        if questions is not None:
            questions.take(content)
        elif content["t"] == "revoke":
            KERNEL_GRANTS.revoke(str(content.get("name")))
        self._show_facts()

    def _wait_for_decisions(self) -> None:
        """Show the calls of a parked turn as forms, and go on when a person has decided about all of them."""
        self._cancel_waiting()
        turn, calls, tools = self.log.last, waiting_calls(self.conversations.shown.messages), self.conversations.tools
        if not calls or turn is None or turn.feed is None:
            return
        if gone := sorted({single_line(call.tool_name, 80) for call in calls.values() if call.tool_name not in tools}):
            self.log.set(
                error={
                    "title": f"A call waits for a tool that is not there: {', '.join(gone)}",
                    "text": "It cannot run.",
                    "hint": "Define the tool and run the cell again, or go on with another question.",
                }
            )
            return
        questions = self._questions[turn.key] = PendingApprovals(turn.feed, self._show_soon)

        async def wait() -> None:
            asked = (questions.ask(call, tools[call.tool_name], place) for place, call in calls.items())
            decisions = await asyncio.gather(*asked)
            self._waiting = None
            await self._drive(dict(zip(calls, decisions, strict=True)), turn, {})

        self._waiting = self.begin(wait())

    def _cancel_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()

    # -- showing ------------------------------------------------------------------------------------------------

    def display(self) -> None:
        """Show the panel as an output of the running cell."""
        if self._channel is None and self._shell is not None and shows_widgets(self._shell):
            self._channel = WidgetChannel(
                "panel/panel", self.log, lambda content: message_handlers.handle_message(self, content)
            )
            self.log.set(widget=self._channel.bundle[WIDGET_MIME_TYPE]["model_id"])
            self.begin(self._tell_where())
        self._output.show(self.bundle())

    def bundle(self) -> dict[str, Any]:
        """Return what displays the panel."""
        return transcript_bundle(
            transcript_text(self._messages_of(self.conversations.shown), self.log.field("note")), self._channel
        )

    def refresh_output(self) -> None:
        """Let what is saved read as the conversation does."""
        bundle = self.bundle()
        self._output.refresh(bundle, self._channel, self.log)
        self._refresh_at = time.monotonic() + max(len(bundle["text/markdown"]) / _BYTES_PER_SECOND, 2.0)
        self._show_soon()

    def page_saves(self) -> None:
        """Learn that a view is there, and puts the transcript into the file."""
        self.refresh_output()

    def show_chat(self) -> None:
        """Show the conversation as it is now, which may be another one than before."""
        self.check_free()
        self._cancel_waiting()
        self._failed = None
        self.log.show(split_turns(self.conversations.shown.messages))
        self.log.set(error=None)
        self._show_facts()
        self._wait_for_decisions()
        self.refresh_output()

    def changed(self, keep: bool) -> None:
        """Show what is new; and keep it."""
        if keep:
            self._keeping.write()
            self._show_facts()
            if self._asking is not None and time.monotonic() > self._refresh_at:
                self.refresh_output()
        self._show_soon()

    def _show_facts(self) -> None:
        facts = self.conversations.facts()
        self.log.set(**facts, where=self._keeping.where, grants=list(KERNEL_GRANTS), cell=self._can_insert)

    def _show_soon(self) -> None:
        if self._channel is not None:
            self._channel.changed()

    async def _tell_where(self) -> None:
        if self._shell is not None:
            await get_bridge(self._shell).hello(3.0)
            self._show_facts()
            self._show_soon()

    @property
    def _can_insert(self) -> bool:
        if self._shell is None or self._keeping.cell_id is None:
            return False
        return get_bridge(self._shell).status not in ("absent", "mismatch")

    def to_cell(self, source: str) -> None:
        """Put something into a new cell below the panel's."""
        if self._shell is not None and self._keeping.cell_id is not None:
            get_bridge(self._shell).insert_cell(self._keeping.cell_id, source)

    # -- keeping ------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Write over what could not be read: a person said so."""
        if self._keeping.may_be_released:
            self._keeping.release()
            self.log.set(readonly=None)
            self.changed(True)

    def leave(self) -> None:
        """End what goes on and take the widget away: another panel takes this one's place, or nobody needs it."""
        self.stop()
        self._cancel_waiting()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def close(self) -> None:
        """Keep what there is, and leave; the transcript stays."""
        self._keeping.write()
        self._keeping.flush()
        self.leave()
        self.refresh_output()

    def _restore(self) -> None:
        try:
            found = self._keeping.found()
            if found is None:
                return
            kept = from_entry(found)
        except StateError as error:
            self._keeping.hold()
            text = single_line(f"{error.message} {error.hint or ''}", 400)
            self.log.set(readonly={"text": text, "discard": self._keeping.may_be_released})
            return
        self.conversations.restore(kept)
        self.log.set(note=omission_note(kept.left_out))

    def _entry(self) -> dict[str, Any] | None:
        """Return what is kept; None where there is nothing worth it."""
        kept, secrets = self.conversations.kept(self._messages_of)
        if kept.is_empty:
            return None
        entry = to_entry(kept, secrets=secrets)
        self.log.set(note=omission_note(kept.left_out))
        return entry

    def _messages_of(self, chat: Chat) -> list[ChatMessage]:
        asking = self._asking
        return asking.messages() if asking is not None and asking.chat is chat else chat.messages


async def _quietly(work: Coroutine[Any, Any, Any]) -> None:
    """Await what nobody waits for: the panel shows its errors."""
    with suppress(OrchatError):
        try:
            await work
        except OrchatError:
            raise
        except Exception:
            _logger.exception("A chat panel's task failed")


def _count_questions(chat: Chat) -> int:
    return sum(message.is_from(ChatRole.USER) for message in chat.messages)
