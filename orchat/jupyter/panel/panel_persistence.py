"""Restore a panel's conversations from its storage, and make what the storage keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchat.errors import StateError
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.jupyter.panel.panel_conversations import PanelConversations
from orchat.jupyter.panel.panel_serialization import (
    PanelSnapshot,
    encoded_chats,
    from_entry,
    omission_note,
    to_entry,
)
from orchat.jupyter.panel.panel_storage import Encode, PanelStorage
from orchat.jupyter.panel.panel_view_model import PanelViewModel
from orchat.jupyter.panel.turn_thread import TurnThread
from orchat.jupyter.panel.turn_versions import TurnVersions
from orchat.messages import ChatMessage

if TYPE_CHECKING:
    from orchat.chat import Chat

_LONGEST_NOTE = 300  # characters


class PanelPersistence:
    """Connects a panel's conversations with their storage, and tells what could not be restored or has no room.

    Parameters
    ----------
    storage
        Where they are saved.
    conversations, versions
        What is saved: the chats; the draft, and the turn that is edited.
    view_model
        Shows the notes.
    thread
        The thread of turns.
    send_soon
        Sends the view model's changes to the page.
    """

    def __init__(
        self,
        storage: PanelStorage,
        conversations: PanelConversations,
        versions: TurnVersions,
        view_model: PanelViewModel,
        thread: TurnThread,
        send_soon: Callable[[], None],
    ) -> None:
        self._storage = storage
        self._conversations = conversations
        self._versions = versions
        self._view_model = view_model
        self._thread = thread
        self._send_soon = send_soon
        self._encoded = encoded_chats()
        self.note = ""
        """About the restored settings, or the last message."""

    def restore(self) -> PanelSnapshot | None:
        """Continue the saved conversations; those that cannot be read are protected, and the page says so."""
        try:
            entry = self._storage.load()
            if entry is None:
                return None
            snapshot = from_entry(entry)
        except StateError as error:
            self._storage.protect()
            text = single_line(f"{error.message} {error.hint or ''}", 400)
            self._view_model.set(readonly={"text": text, "discard": self._storage.can_overwrite})
            return None
        self.note = single_line(self._conversations.restore(snapshot), _LONGEST_NOTE)
        self._show_omissions(snapshot)
        return snapshot

    def snapshot(self, messages_so_far: Callable[[Chat], list[ChatMessage]]) -> Encode:
        """Return a function that makes the panel's data, as it is now, for storage; any thread may call it."""
        snapshot, secrets = self._conversations.snapshot(messages_so_far)
        snapshot.draft, snapshot.edited = self._versions.draft_to_keep

        def encode() -> dict[str, Any] | None:
            if snapshot.is_empty:
                return None
            entry = to_entry(snapshot, secrets=secrets, encoded=self._encoded)
            self._thread.post(lambda: self._show_omissions(snapshot))
            return entry

        return encode

    def set_note(self, *notes: str) -> None:
        """Show notes about the last message in the place of those before."""
        self.note = single_line(" ".join(filter(None, notes)), _LONGEST_NOTE)
        self._view_model.set(note=self.note)

    def _show_omissions(self, snapshot: PanelSnapshot) -> None:
        self._view_model.set(note=" ".join(filter(None, [self.note, omission_note(snapshot.left_out)])))
        self._send_soon()
