"""The draft of a user's message in a panel: its text, which survives a page's reload, and its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchat.jupyter.panel.file_uploads import Uploads
from orchat.jupyter.panel.turn_grouping import split_question
from orchat.messages import ChatMessage

if TYPE_CHECKING:
    from orchat.jupyter.panel.panel_view_model import PanelViewModel


class QuestionComposer:
    """The draft of the user's message, as the kernel knows it.

    Parameters
    ----------
    view_model
        The view model whose fields show it.

    Examples
    --------
    >>> from orchat.jupyter.panel.panel_view_model import PanelViewModel
    >>> composer = QuestionComposer(PanelViewModel())
    >>> composer.put_back(ChatMessage.from_user("When is high tide?"))
    >>> composer.take("When is high tide?").text
    'When is high tide?'
    """

    def __init__(self, view_model: PanelViewModel) -> None:
        self._view_model = view_model
        self._uploads = Uploads()
        self._draft_number = 0
        self.clear()

    def set_draft(self, text: str) -> None:
        """Store the draft's text, as typed in the page."""
        self._view_model.set(draft={"n": self._draft_number, "text": text})

    def attach(self, content: dict[str, Any]) -> None:
        """Append a piece of an uploaded file."""
        self._uploads.take(content)
        self._show_files()

    def drop(self, number: object) -> None:
        """Remove a file."""
        self._uploads.drop(number)
        self._show_files()

    def take(self, text: str) -> ChatMessage | None:
        """Return the user's message and clear the draft; None where it is empty, or a file is still being uploaded."""
        parts = [*self._uploads.parts, *([text] if text.strip() else [])]
        if not parts or self._uploads.is_incomplete:
            return None
        self.clear()
        return ChatMessage.from_user(content_parts=parts)

    def put_back(self, question: ChatMessage) -> None:
        """Make a draft of an earlier message, to be edited."""
        text_parts, files = split_question(question)
        self._uploads.add(files)
        self._fill(text_parts)

    def clear(self) -> None:
        """Clear the draft."""
        self._uploads.clear()
        self._fill("")

    def _fill(self, text: str) -> None:
        self._draft_number += 1
        self.set_draft(text)
        self._show_files()

    def _show_files(self) -> None:
        self._view_model.set(files=self._uploads.view)
