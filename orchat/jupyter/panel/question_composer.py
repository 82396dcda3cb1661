"""The draft of a user's message in a panel: its text, which survives a page's reload, its files, and their secrets.

A secret in the draft is named by the field ``warning``, ``{"n": its number, "text": ...}``, while it is typed. A
message is sent only with the number of the warning that the page shows: so no secret goes out, redacted or not, that
was not named before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from orchat.configuration import setting
from orchat.errors import ConfigurationError
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.jupyter.kernel.prompt.mention_completion import complete_mention
from orchat.jupyter.kernel.prompt.placeholder_completion import complete_placeholder
from orchat.jupyter.kernel.prompt.typed_secrets import secret_kinds, secret_line, without_secrets
from orchat.jupyter.panel.file_uploads import Uploads
from orchat.jupyter.panel.question_view import split_question
from orchat.jupyter.panel.typed_question import typed_meta
from orchat.messages import ChatMessage
from orchat.prompt_language.interpolation import Prompt, interpolate
from orchat.prompt_language.placeholder_parser import find_placeholders
from orchat.rendering import render_value
from orchat.secrets import redact

if TYPE_CHECKING:
    from orchat.jupyter.panel.panel_view_model import PanelViewModel
    from orchat.jupyter.panel.turn_thread import TurnThread


_MAX_LISTED = 50  # completions


class DraftContent(NamedTuple):
    """What is in a draft at some moment: its text and its files."""

    text: str
    files: list[Any]


class ComposedQuestion(NamedTuple):
    """A user's message, and a warning about placeholders that went out as they were typed."""

    message: ChatMessage
    warning: str | None


class QuestionComposer:
    """The draft of the user's message, as the kernel knows it.

    Parameters
    ----------
    view_model
        The view model whose fields show it.
    names
        The namespace of placeholders in the text, ``{name}``.
    thread
        The way to the thread of cells, which change what the names mean.
    on_wait
        Called with True when a cell keeps values of variables waiting, and with False when they are read.

    Examples
    --------
    >>> import asyncio
    >>> from orchat.jupyter.panel.panel_view_model import PanelViewModel
    >>> composer = QuestionComposer(PanelViewModel())
    >>> composer.put_back(ChatMessage.from_user("When is high tide?"))
    >>> asyncio.run(composer.take(composer.content)).message.text
    'When is high tide?'
    >>> composer.set_draft("Is AKIAIOSFODNN7EXAMPLE a key?")
    >>> composer.is_warned(0), composer.is_warned(1), asyncio.run(composer.take(composer.content)).message.text
    (False, True, 'Is [redacted] a key?')
    """

    def __init__(
        self,
        view_model: PanelViewModel,
        names: Mapping[str, object] | None = None,
        thread: TurnThread | None = None,
        on_wait: Callable[[bool], object] = lambda waits: None,
    ) -> None:
        self._view_model = view_model
        self._names = names or {}
        self._thread = thread
        self._on_wait = on_wait
        self._uploads = Uploads()
        self._draft_number = self._warning_number = 0
        self._text = ""
        self._waiting: tuple[str, list[Any]] | None = None  # a question whose values a cell keeps waiting
        self.clear()

    def set_draft(self, text: str) -> None:
        """Store the draft's text, as typed in the page."""
        self._text = text
        self._view_model.set(draft={"n": self._draft_number, "text": text})
        self._warn()

    def complete(self, before: str, after: str, number: int) -> None:
        """Answer the page's request for completions of the placeholder, or of the ``@`` mention, at the cursor.

        Parameters
        ----------
        before, after
            The draft on both sides of the cursor.
        number
            The page's number of the request.
        """
        fragment, mentions = complete_mention(before, self._names)
        if fragment:
            shown = [each for each in mentions[:_MAX_LISTED] if each.placeholder.isprintable()]
            texts = [single_line(each.placeholder, 120) for each in shown]
            notes = [single_line(each.note, 100) for each in shown]
            self._view_model.set(
                completions={"n": number, "length": len(fragment), "list": texts, "notes": notes, "whole": True}
            )
            return
        fragment, found = complete_placeholder(before, after, self._names)
        listed = [single_line(each, 120) for each in found[:_MAX_LISTED] if each.isprintable()]
        self._view_model.set(completions={"n": number, "length": len(fragment), "list": listed})

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

    @property
    def content(self) -> DraftContent | None:
        """What would be sent now; None where the draft is empty, or a file is still being uploaded."""
        if not (self._text.strip() or self._uploads.parts) or self._uploads.is_incomplete:
            return None
        return DraftContent(self._text, self._uploads.parts)

    async def take(self, draft: DraftContent, *, allow_secrets: bool = False) -> ComposedQuestion:
        """Return the user's message, and clear the draft of what is in it.

        Values of variables are read among cells: none changes them meanwhile. Where a cell lets them wait, the draft is
        cleared at once, and put back if there will be no message.

        Parameters
        ----------
        draft
            The draft as it was sent (`content`): what is typed before this runs belongs to the next message.
        allow_secrets
            Whether secrets stay in it; else they are redacted.

        Raises
        ------
        ConfigurationError
            A placeholder is misspelt, or more than a variable (a ValueError). The draft stays.
        """
        text, files = draft

        def show_wait(waits: bool) -> None:
            self._on_wait(waits)
            if waits:
                self.clear()
                self._waiting = text, files

        try:
            prompt = await self._interpolate(text if allow_secrets else redact(text), allow_secrets, show_wait)
            if prompt.refusal is not None:
                raise ConfigurationError(prompt.refusal)
        except BaseException:
            if self._waiting is not None:
                self._uploads.add(files)
                self._fill(text)
            raise
        else:
            if self._waiting is None:  # what was typed or attached meanwhile belongs to the next message
                self._uploads.discard(files)
                if self._text == text:
                    self._fill("")
                else:
                    self._show_files()
        finally:
            self._waiting = None
        if not allow_secrets:
            files = [without_secrets(each) for each in files]
        parts = [*files, *(prompt.parts if text.strip() else ())]
        message = ChatMessage.from_user(
            content_parts=parts, meta=typed_meta(text if allow_secrets else redact(text), prompt)
        )
        return ComposedQuestion(message, prompt.warning)

    @property
    def draft(self) -> ChatMessage | None:
        """The draft, or a question that waits for its values, as a message that `put_back` takes; None without one."""
        text, files = self._waiting or (self._text, self._uploads.parts)
        parts = [*files, *([text] if text.strip() else [])]
        return ChatMessage.from_user(content_parts=parts) if parts else None

    async def _interpolate(self, text: str, allow_secrets: bool, on_wait: Callable[[bool], object]) -> Prompt:
        privacy = setting("privacy")

        async def interpolate_text() -> Prompt:
            return interpolate(
                text,
                self._names,
                lambda value: render_value(value, privacy=privacy, allow_secrets=allow_secrets),
                allow_secrets=allow_secrets,
                way_out="`{{...}}` sends it as it stands.",
            )

        if self._thread is None or not find_placeholders(text):
            return await interpolate_text()
        return await self._thread.run_among_cells(interpolate_text, on_wait)

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
