"""The controller behind `ChatPanel`: runs turns, handles decisions, updates the page, saves the conversation.

All of it runs in the thread of turns (`orchat.jupyter.panel.turn_thread`). It never prints or displays anything, since
its cell has ended: all output goes through messages of one widget. It is long because all that changes a panel passes
here, so that one place decides what is sent and saved; the work of each part is in a module of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from orchat.chat.message_selection import split_at_questions
from orchat.chat.state import secrets_of
from orchat.errors import ConfigurationError, TurnInProgressError
from orchat.jupyter.kernel.cell_storage.checkpoint_timer import CheckpointTimer
from orchat.jupyter.kernel.cell_storage.metadata_bridge import get_bridge
from orchat.jupyter.kernel.live_view.tool_grants import KERNEL_GRANTS
from orchat.jupyter.kernel.live_view.widget_channel import WidgetChannel
from orchat.jupyter.kernel.prompt.prompt_namespace import PromptNamespace
from orchat.jupyter.panel import message_handlers
from orchat.jupyter.panel.call_decisions import CallDecisions
from orchat.jupyter.panel.conversation_transcript import transcript_text
from orchat.jupyter.panel.failed_request import error_view
from orchat.jupyter.panel.mime_bundle import PanelOutput, transcript_bundle
from orchat.jupyter.panel.model_picker import ModelSearch
from orchat.jupyter.panel.panel_conversations import PanelConversations
from orchat.jupyter.panel.panel_persistence import PanelPersistence
from orchat.jupyter.panel.panel_storage import PanelStorage
from orchat.jupyter.panel.panel_tasks import PanelTasks
from orchat.jupyter.panel.panel_view_model import PanelViewModel, TurnView
from orchat.jupyter.panel.question_composer import DraftContent, QuestionComposer
from orchat.jupyter.panel.reply_callbacks import ReplyObservers
from orchat.jupyter.panel.turn_in_progress import TurnInProgress
from orchat.jupyter.panel.turn_requests import TurnRequests
from orchat.jupyter.panel.turn_thread import QuickThreadSwitches, TurnThread, before_exit
from orchat.jupyter.panel.turn_versions import TurnVersions
from orchat.messages import ChatMessage
from orchat.secrets import HIDDEN

if TYPE_CHECKING:
    from anywidget import AnyWidget
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat import Chat
    from orchat.chat.approval import Decisions
    from orchat.chat.reply import Reply
    from orchat.chat.turn_streams import TurnOptions

ENTRY_MODULE = "panel/panel"
_WAITS_FOR_VALUES = "Your question names variables: it goes out when the running cell has ended, as they are then."
_BYTES_PER_SECOND = 10_000  # what the transcript may cost while a turn goes on


class PanelController:
    """Coordinate a panel's chats, view model and storage; a `orchat.jupyter.panel.message_handlers.PanelActions`.

    Parameters
    ----------
    shell
        The running IPython; None where there is none.
    chat
        The first chat, from the panel's arguments.
    storage
        The storage of its conversations.
    restore
        Whether to continue the saved conversations.
    height
        The maximum height of the conversation, as a CSS length.
    prompts
        Questions to begin with, offered in a chat without a turn.
    thread
        The thread of turns, in which this is made and used.
    """

    def __init__(
        self,
        shell: InteractiveShell | None,
        chat: Chat,
        storage: PanelStorage,
        *,
        restore: bool,
        height: str,
        prompts: Sequence[str],
        thread: TurnThread,
    ) -> None:
        self._shell = shell
        self._thread = thread
        self._storage = storage
        self.start_task = PanelTasks().start
        self.conversations = PanelConversations(chat)
        self.view_model = PanelViewModel(cell=self._can_insert)
        self.view_model.set(height=height, prompts=list(prompts), error=None, readonly=None, note="", running=False)
        names = None if shell is None else PromptNamespace(shell)
        self.composer = QuestionComposer(self.view_model, names, thread, self._show_wait_for_values)
        self.versions = TurnVersions(self.conversations, self.view_model, self.composer)
        self.model_search = ModelSearch(self.start_task, self._show_models)
        self.observers = ReplyObservers(thread)
        self._output = PanelOutput(shell)
        self._channel: WidgetChannel | None = None
        self._decisions = CallDecisions(
            self.conversations, self.view_model, self._send_soon, self.start_task, self._resume_turn
        )
        self.requests = TurnRequests(
            self.conversations, self.view_model, self.versions, self._prepare_turn, self._run_turn
        )
        self._turn_in_progress: TurnInProgress | None = None
        self._composing: asyncio.Task[Any] | None = None  # reads the values of a question
        self._output_checkpoints = CheckpointTimer(self._save_output)
        self._persistence = PanelPersistence(
            storage, self.conversations, self.versions, self.view_model, thread, self._send_soon
        )
        snapshot = self._persistence.restore() if restore and not split_at_questions(chat.messages)[1] else None
        storage.attach(lambda: self._persistence.snapshot(self._messages_so_far), self.detach)
        self.show_chat()
        if snapshot is not None and snapshot.draft is not None:
            self.versions.restore_draft(snapshot.draft, snapshot.edited)

    # -- turns --------------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether a turn is running, or a question waits for its values."""
        return self._turn_in_progress is not None or self._composing is not None

    @property
    def is_editable(self) -> bool:
        """Whether the conversation may be changed: no turn runs, and the saved one is not protected."""
        return not self.is_running and self.view_model.field("readonly") is None

    def check_free(self) -> None:
        """Raise while a turn is running.

        Raises
        ------
        TurnInProgressError
            A turn is running.
        """
        if self.is_running:
            raise TurnInProgressError("The panel is busy with another turn.", hint="Wait for it, or stop() it.")

    def _show_models(self, models: dict[str, Any]) -> None:
        self.view_model.set(models=models)
        self.publish_changes(False)

    def stop(self) -> None:
        """Stop the running turn, or the wait for a question's values."""
        if self._composing is not None:
            self._composing.cancel()
        if self._turn_in_progress is not None:
            self._turn_in_progress.chat.stop()

    def _prepare_turn(self) -> None:
        self.check_free()
        self._decisions.cancel()

    async def _resume_turn(self, decisions: Decisions, turn: TurnView) -> None:
        await self._run_turn(decisions, turn, None, None)

    async def _run_turn(
        self, question: ChatMessage | Decisions | None, turn: TurnView, version_of: int | None, model: str | None
    ) -> Reply:
        from orchat.chat.turn_streams import AsyncChatStream

        if isinstance(question, ChatMessage):
            variables = {} if self._shell is None else self._shell.user_ns
            self.conversations.add_restart_notice(variables, version_of)
        chat, turn_view_model = self.conversations.current_chat, turn.view_model
        assert turn_view_model is not None
        self.view_model.set(error=None, running=True)
        turn_view_model.set_actions(stop=False, cell=self._can_insert)
        approvals = self._decisions.open(turn, turn_view_model)
        turn_in_progress = self._turn_in_progress = TurnInProgress(
            chat,
            turn_view_model,
            approvals,
            self._channel,
            model or self.conversations.model,
            self.publish_changes,
            self._thread,
            self._shell,
        )
        options: TurnOptions = {"version_of": version_of}
        if model:
            options["generation_kwargs"] = {"model": model}
        before = chat.messages
        failure: BaseException | None = None
        try:
            with before_exit(lambda: turn_in_progress.keep_waiting(self._storage.freeze)), QuickThreadSwitches():
                reply = await AsyncChatStream(chat, question, options, turn_in_progress).drain()
        except BaseException as error:
            failure = error
            if turn_in_progress.reply is None:
                turn_view_model.end("", "failed")
            raise
        finally:
            self._decisions.close(turn)
            self._turn_in_progress = None
            self.requests.take_note(question, version_of, model, before, failure)
            self.view_model.set(running=False)
            self.publish_changes(True)
            self.refresh_output()
            if turn_in_progress.reply is not None:
                self.observers.notify(turn_in_progress.reply)
        if reply.pending:
            self._decisions.wait()
        return reply

    def change_turns(self, change: Callable[[], object]) -> None:
        """Switch, take back or bring back turns, and show what follows from it; no turn may be running."""
        self._prepare_turn()
        change()
        self.requests.forget_passed()
        self._decisions.wait()
        self.refresh_output()

    def show_error(self, error: BaseException) -> None:
        """Show an error that is no answer's as a card; *Retry* would repeat nothing."""
        self.view_model.set(error=error_view(error, can_retry=False))

    # -- pending tool calls -------------------------------------------------------------------------------------

    def handle_form_message(self, content: dict[str, Any]) -> None:
        """Handle a message of a form, or of a grant."""
        self._decisions.handle_message(content)
        self._update_fields()

    # -- display ------------------------------------------------------------------------------------------------

    def display(self, *, as_widget: bool) -> None:
        """Display the panel as an output of the running cell, as a widget too where the front end shows some."""
        if as_widget:
            self.open_channel()
        self._output.show(self.bundle())

    @property
    def has_channel(self) -> bool:
        """Whether there is a widget for pages."""
        return self._channel is not None

    def open_channel(self, widget: AnyWidget | None = None) -> WidgetChannel:
        """Return the channel to the pages that show the panel; the first call makes its widget, or takes one."""
        if self._channel is None:
            self._channel = WidgetChannel(
                ENTRY_MODULE, self.view_model, lambda content: message_handlers.handle_message(self, content), widget
            )
            self.view_model.set(widget=self._channel.widget_id)
            self.start_task(self._update_storage_status())
        return self._channel

    def bundle(self) -> dict[str, Any]:
        """Return the panel's MIME bundle."""
        chat = self.conversations.current_chat
        secrets = secrets_of(chat._generator)  # as it is: asking for one would connect
        return transcript_bundle(
            transcript_text(self._messages_so_far(chat), self.view_model.field("note"), secrets), self._channel
        )

    def refresh_output(self) -> None:
        """Update the transcript that is saved with the output."""
        self._output_checkpoints.request(at_once=True)

    def _save_output(self) -> float:
        """Update the transcript, and return for how many seconds a running turn leaves it as it is."""
        bundle = self.bundle()
        self._output.refresh(bundle, self._channel, self.view_model)
        self._send_soon()
        return max(len(bundle["text/markdown"]) / _BYTES_PER_SECOND, 2.0)

    def update_output(self) -> None:
        """Update the output with the transcript, for a page that cannot write into the file."""
        if not self.is_running:
            self._output.update(self.bundle())

    def show_chat(self) -> None:
        """Display the current chat as it is now."""
        self.check_free()
        self._decisions.cancel()
        self.versions.show_all()
        self.requests.forget_passed()
        self._update_fields()
        self._decisions.wait()
        self.refresh_output()

    def publish_changes(self, persist: bool) -> None:
        """Send changes to the page, and save the conversation if asked to."""
        if persist:
            # Only what streams in is written with delays: a kernel may end at any moment, and an answer has been paid.
            if self._turn_in_progress is None:
                self._storage.save()
            elif self._turn_in_progress.is_streaming:
                self._storage.store()
            else:
                self._storage.save_in_this_step()
            self._update_fields()
            if self._turn_in_progress is not None:
                self._output_checkpoints.request()
        self._send_soon()

    def _update_fields(self) -> None:
        self.versions.refresh()
        fields = self.conversations.view_fields()
        self.view_model.set(
            **fields, where=self._storage.status_text, grants=list(KERNEL_GRANTS), cell=self._can_insert
        )

    def _send_soon(self) -> None:
        if self._channel is not None:
            self._channel.schedule_flush()

    async def _update_storage_status(self) -> None:
        if self._shell is not None:
            await get_bridge(self._shell).hello(3.0)
            self._update_fields()
            self._send_soon()

    @property
    def _can_insert(self) -> bool:
        if self._shell is None or self._storage.cell_id is None:
            return False
        return get_bridge(self._shell).status not in ("absent", "mismatch")

    def insert_cell(self, source: str) -> None:
        """Insert a cell below the panel's."""
        if self._shell is not None and self._storage.cell_id is not None:
            get_bridge(self._shell).insert_cell(self._storage.cell_id, source)

    # -- saving and sending --------------------------------------------------------------------------------------

    def allow_overwrite(self) -> None:
        """Write over the saved conversation that could not be read, after a person's confirmation."""
        if self._storage.can_overwrite:
            self._storage.allow_overwrite()
            self.view_model.set(readonly=None)
            self.publish_changes(True)

    def keep_draft(self) -> None:
        """Save the draft after a pause in typing."""
        self._storage.store_soon()

    def detach(self) -> None:
        """Stop the running turn and close the widget, when the panel is closed or another one replaces it."""
        self.stop()
        self._output_checkpoints.cancel()
        self._decisions.cancel()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def close(self) -> None:
        """Save the conversation, stop, and close the widget; the transcript stays."""
        self._storage.save()
        self.detach()
        self.refresh_output()

    def send(self, text: str, *, warning: object, allow_secrets: bool) -> None:
        """Send what a person typed; a secret in it stays behind, unless it is allowed, and is named before.

        Parameters
        ----------
        text
            The text of the draft.
        warning
            The number of the warning that the page shows; None for none.
        allow_secrets
            Whether the person sends it as it is.
        """
        self.composer.set_draft(text)
        draft = self.composer.content
        # Without that number the page shows the warning now, and the next try is about that.
        if self.composer.is_warned(warning) and draft is not None:
            warned = self.view_model.field("warning") is not None
            self._composing = self.start_task(self._compose_and_ask(draft, allow_secrets, warned=warned))

    async def _compose_and_ask(self, draft: DraftContent, allow_secrets: bool, *, warned: bool) -> None:
        try:
            question = await self.composer.take(draft, allow_secrets=allow_secrets)
        except ConfigurationError as error:
            self.show_error(error)
            return
        finally:
            self._composing = None
            self.view_model.set(running=False)
            self.publish_changes(False)
        redacted = f"What looked like a secret went out as {HIDDEN}." if warned and not allow_secrets else ""
        unreplaced = f"{question.warning}." if question.warning else ""
        self._persistence.set_note(redacted, unreplaced)
        edited = self.versions.edited
        self.versions.end_edit()
        await self.requests.ask(question.message, version_of=edited)

    def _show_wait_for_values(self, waits: bool) -> None:
        """Show that a question has been heard, though a cell keeps its values waiting."""
        self.view_model.set(running=waits, note=_WAITS_FOR_VALUES if waits else self._persistence.note)
        self._send_soon()

    def _messages_so_far(self, chat: Chat) -> list[ChatMessage]:
        turn_in_progress = self._turn_in_progress
        return (
            turn_in_progress.messages_so_far()
            if turn_in_progress is not None and turn_in_progress.chat is chat
            else chat.messages
        )
