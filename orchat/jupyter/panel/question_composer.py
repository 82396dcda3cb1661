"""The question that is being written: its words, which a reloaded page has again, and the files that go along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchat.jupyter.panel.file_uploads import Uploads
from orchat.jupyter.panel.turn_grouping import split_question
from orchat.messages import ChatMessage

if TYPE_CHECKING:
    from orchat.jupyter.panel.panel_view_model import PanelViewModel


class QuestionComposer:
    """What stands in the field, as the kernel knows it.

    Parameters
    ----------
    log
        Where pages learn of it.

    Examples
    --------
    >>> from orchat.jupyter.panel.panel_view_model import PanelViewModel
    >>> composing = QuestionComposer(PanelViewModel())
    >>> composing.put_back(ChatMessage.from_user("When is high tide?"))
    >>> composing.take("When is high tide?").text
    'When is high tide?'
    """

    def __init__(self, log: PanelViewModel) -> None:
        self._log = log
        self._uploads = Uploads()
        self._number = 0
        self.clear()

    def typed(self, text: str) -> None:
        """Remember what stands in the field; the page that says so knows it already."""
        self._log.set(draft={"n": self._number, "text": text})

    def attach(self, content: dict[str, Any]) -> None:
        """Take a piece of a file."""
        self._uploads.take(content)
        self._show_files()

    def drop(self, number: object) -> None:
        """Take a file away."""
        self._uploads.drop(number)
        self._show_files()

    def take(self, text: str) -> ChatMessage | None:
        """Return the question and empty the field; None where there is nothing to ask, or a file is on its way."""
        parts = [*self._uploads.parts, *([text] if text.strip() else [])]
        if not parts or self._uploads.unfinished:
            return None
        self.clear()
        return ChatMessage.from_user(content_parts=parts)

    def put_back(self, question: ChatMessage) -> None:
        """Put a question into the field, to be changed."""
        words, files = split_question(question)
        self._uploads.add(files)
        self._fill(words)

    def clear(self) -> None:
        """Empty the field."""
        self._uploads.clear()
        self._fill("")

    def _fill(self, text: str) -> None:
        self._number += 1
        self.typed(text)
        self._show_files()

    def _show_files(self) -> None:
        self._log.set(files=self._uploads.shown)
