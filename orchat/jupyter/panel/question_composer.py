"""The draft of a user's message in a panel: its text, which survives a page's reload, its files, and their secrets.

A secret in the draft is named by the field ``warning``, ``{"n": its number, "text": ...}``, while it is typed. A
message is sent only with the number of the warning that the page shows: so no secret goes out, redacted or not, that
was not named before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchat.jupyter.kernel.output.text_escaping import single_line
from orchat.jupyter.kernel.prompt.typed_secrets import secret_kinds, secret_line, without_secrets
from orchat.jupyter.panel.file_uploads import Uploads
from orchat.jupyter.panel.turn_grouping import split_question
from orchat.messages import ChatMessage, TextContent

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
    >>> composer.take().text
    'When is high tide?'
    >>> composer.set_draft("Is AKIAIOSFODNN7EXAMPLE a key?")
    >>> composer.is_warned(0), composer.is_warned(1), composer.take().text
    (False, True, 'Is [redacted] a key?')
    """

    def __init__(self, view_model: PanelViewModel) -> None:
        self._view_model = view_model
        self._uploads = Uploads()
        self._draft_number = self._warning_number = 0
        self._text = ""
        self.clear()

    def set_draft(self, text: str) -> None:
        """Store the draft's text, as typed in the page."""
        self._text = text
        self._view_model.set(draft={"n": self._draft_number, "text": text})
        self._warn()

    def is_warned(self, number: object) -> bool:
        """Whether the warning of that number is the one about this draft; any is where nothing is to be warned of."""
        warning = self._view_model.field("warning")
        return warning is None or warning["n"] == number

    def attach(self, content: dict[str, Any]) -> None:
        """Append a piece of an uploaded file."""
        self._uploads.take(content)
        self._show_files()

    def drop(self, number: object) -> None:
        """Remove a file."""
        self._uploads.drop(number)
        self._show_files()

    def take(self, *, allow_secrets: bool = False) -> ChatMessage | None:
        """Return the user's message and clear the draft; None where it is empty, or a file is still being uploaded.

        Parameters
        ----------
        allow_secrets
            Whether secrets stay in it; else they are redacted.
        """
        parts = [*self._uploads.parts, *([TextContent(self._text)] if self._text.strip() else [])]
        if not parts or self._uploads.is_incomplete:
            return None
        self.clear()
        return ChatMessage.from_user(
            content_parts=parts if allow_secrets else [without_secrets(each) for each in parts]
        )

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
        self._warn()

    def _warn(self) -> None:
        """Name the secrets of the draft; the same ones keep their number."""
        found = [("Your message", kinds)] if (kinds := secret_kinds(self._text)) else []
        text = " ".join(
            f"{single_line(secret_line(name, kinds), 300)}." for name, kinds in [*found, *self._uploads.secrets]
        )
        if not text:
            self._view_model.set(warning=None)
        elif (self._view_model.field("warning") or {}).get("text") != text:
            self._warning_number += 1
            self._view_model.set(warning={"n": self._warning_number, "text": text})
