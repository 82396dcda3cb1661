"""`question_parts`: the values that somebody asks about, as the content parts of one message."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from typing import Any

from orchat.errors import ConfigurationError
from orchat.messages import FileContent, ImageContent
from orchat.messages.media import guess_media_type
from orchat.messages.message import UserPart
from orchat.messages.openai_format import part_from_openai
from orchat.messages.parts import Part
from orchat.rendering.attachments import attachment
from orchat.rendering.value_renderer import render_value

# Haystack's own, whose package need not be here.
_HAYSTACK_PARTS = frozenset({"TextContent", "ImageContent", "FileContent"})
_OPENAI_PARTS = {"text": str, "image_url": Mapping, "file": Mapping, "input_audio": Mapping, "video_url": Mapping}


def question_parts(values: Iterable[Any]) -> list[Any]:
    """Convert the values of a question to content parts, in their order.

    Parameters
    ----------
    values
        Texts and content parts (Haystack's, too) go as they are, those of the OpenAI format as ours. Of a path goes the
        file, of bytes the image or PDF, and of anything else what `render` makes of it: a figure or a PIL image goes as
        an image, a data frame as its first rows.

    Raises
    ------
    ConfigurationError
        A file cannot be read, is too large, or is of a type that no model can read; bytes are neither image nor PDF; a
        part of the OpenAI format is not valid.
    TypeError
        One of the values is None, or a message.

    Examples
    --------
    >>> question_parts(["Which is the highest?", {"Hull": 7.1, "Goole": 5.6}])
    ['Which is the highest?', TextContent(text='{"Hull": 7.1, "Goole": 5.6}', cache_control=None)]
    """
    parts: list[Any] = []
    for value in values:
        if is_part(value) or isinstance(value, str | Part):  # what no question may hold the message refuses
            parts.append(value)
        elif isinstance(value, os.PathLike):
            parts.append(attachment(os.fsdecode(value)))
        elif isinstance(value, bytes | bytearray):
            parts.append(_part_of_bytes(bytes(value)))
        elif value is None:
            raise TypeError("None is nothing that a question can hold.")
        elif type(value).__name__ == "ChatMessage" or (isinstance(value, Mapping) and {"role", "content"} <= {*value}):
            what = f"{value!r:.100} is a message, not a part of one."
            raise TypeError(f"{what} Earlier messages are the chat's own (Chat(messages=...)); ask the last one.")
        elif _is_openai_part(value):
            parts.append(part_from_openai(value))
        else:
            parts += render_value(value).parts
    return parts


def is_part(value: object) -> bool:
    """Whether something is a content part of a user's message, of orchat or of Haystack."""
    return isinstance(value, UserPart) or (type(value).__name__ in _HAYSTACK_PARTS and hasattr(value, "to_dict"))


def _is_openai_part(value: object) -> bool:
    if not isinstance(value, Mapping) or not isinstance(kind := value.get("type"), str):
        return False
    return isinstance(value.get(kind), _OPENAI_PARTS.get(kind, ()))


def _part_of_bytes(data: bytes) -> UserPart:
    mime_type = guess_media_type(data)
    if mime_type is None:
        raise ConfigurationError(
            f"These {len(data):,} bytes are neither an image nor a PDF.",
            hint="Of a sound, a video or a text give the path of its file, or its content part.",
        )
    text = base64.b64encode(data).decode("ascii")
    return FileContent(text, mime_type) if mime_type == "application/pdf" else ImageContent(text, mime_type)
