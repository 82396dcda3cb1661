"""Present a user's message: its text as it was typed, and what is attached to it."""

from __future__ import annotations

import re
from typing import Any

from orchat.jupyter.kernel.output.image_bundle import image_bundle
from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters, single_line
from orchat.jupyter.panel.typed_question import sent_values, typed_text
from orchat.messages import ChatMessage, ImageContent, TextContent

_MAX_SENT_TEXT = 20_000  # characters of a message with values that the page can show
_MAX_PICTURE = 400_000  # characters of base64
_FILE_TEXT = re.compile(r"The file (.{1,200}):\n\n.*\n\n\(The end of \1\.\)\n\n", re.DOTALL)


def question_view(question: ChatMessage, *, pictures: bool = False) -> dict[str, Any]:
    r"""Return the data of a user's message for the page: its text, and the names of its files.

    Parameters
    ----------
    question
        The message.
    pictures
        Whether attached pictures go along, up to 300 kB each.

    Examples
    --------
    >>> file = TextContent("The file tides.csv:\n\nport,high\n\n(The end of tides.csv.)\n\n")
    >>> question_view(ChatMessage.from_user(content_parts=[file, "When is high tide?"]))
    {'text': 'When is high tide?', 'files': [{'name': 'tides.csv', 'kind': 'text'}]}
    """
    words, files = split_question(question)
    summaries = [file_summary(part) | (_picture(part) if pictures else {}) for part in files]
    view: dict[str, Any] = {"text": escape_control_characters(words), "files": summaries}
    if values := sent_values(question):
        view |= {"values": values, "sent": escape_control_characters(_whole_text(question)[:_MAX_SENT_TEXT])}
    return view


def split_question(question: ChatMessage) -> tuple[str, list[Any]]:
    """Split a user's message into its text, as it was typed, and its attached parts."""
    texts = [part for part in question.parts if isinstance(part, TextContent) and not _is_file(part)]
    files = [part for part in question.parts if not isinstance(part, TextContent) or _is_file(part)]
    typed = typed_text(question, texts)
    return "\n\n".join(part.text for part in texts) if typed is None else typed, files


def _picture(part: Any) -> dict[str, Any]:
    """Return an attached picture for the page; nothing where it is large, or no picture that a page may show."""
    if not isinstance(part, ImageContent) or not 0 < len(part.base64_image) <= _MAX_PICTURE:
        return {}
    bundle = image_bundle(part)
    return {} if bundle is None else {"picture": dict(zip(("type", "data"), next(iter(bundle.items())), strict=True))}


def _whole_text(question: ChatMessage) -> str:
    return "\n\n".join(part.text for part in question.parts if isinstance(part, TextContent) and not _is_file(part))


def file_summary(part: Any) -> dict[str, str]:
    """Return name and kind of an attached part."""
    if isinstance(part, TextContent):
        found = _FILE_TEXT.fullmatch(part.text)
        return {"name": single_line(found[1] if found else "text", 80), "kind": "text"}
    kind = type(part).__name__.removesuffix("Content").lower()
    path = str((getattr(part, "meta", None) or {}).get("file_path") or "")
    name = getattr(part, "filename", None) or path.rpartition("/")[2] or getattr(part, "url", None) or kind
    return {"name": single_line(str(name), 80), "kind": kind}


def _is_file(part: TextContent) -> bool:
    return _FILE_TEXT.fullmatch(part.text) is not None
