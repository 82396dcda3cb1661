"""Assemble the files that a page uploads in pieces, and make message parts of them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchat.errors import ConfigurationError
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.jupyter.kernel.prompt.typed_secrets import secret_kinds_of_part
from orchat.jupyter.panel.question_view import file_summary
from orchat.messages import TextContent
from orchat.rendering.attachments import MOST_BYTES, attachment_from_data

_MAX_FILES = 20


@dataclass
class _Upload:
    name: str
    size: int
    data: bytearray = field(default_factory=bytearray)
    part: Any = None
    error: str = ""
    secrets: list[str] = field(default_factory=list)


class Uploads:
    """The uploaded files of the draft.

    Examples
    --------
    >>> uploads = Uploads()
    >>> uploads.take({"n": 1, "name": "tides.csv", "size": 9, "data": "cG9ydCxoaWdo", "at": 0})
    >>> uploads.view
    [{'n': 1, 'name': 'tides.csv', 'kind': 'text', 'size': 9, 'error': '', 'done': 1.0}]
    >>> uploads.take({"n": 2, "name": "a.bin", "size": 3, "data": "AAAA", "at": 0})
    >>> uploads.view[1]["error"]
    'a.bin is neither text, image, PDF, sound nor video, so no model could read it.'
    >>> [part.text.splitlines()[0] for part in uploads.parts]
    ['The file tides.csv:']
    """

    def __init__(self) -> None:
        self._files: dict[int, _Upload] = {}

    @property
    def parts(self) -> list[Any]:
        """The message parts of the files that are complete and readable."""
        return [each.part for each in self._files.values() if each.part is not None]

    @property
    def secrets(self) -> list[tuple[str, list[str]]]:
        """The names of the files that hold secrets, with what these look like."""
        return [(file_summary(each.part)["name"], each.secrets) for each in self._files.values() if each.secrets]

    @property
    def is_incomplete(self) -> bool:
        """Whether a file is still being uploaded."""
        return any(each.part is None and not each.error for each in self._files.values())

    @property
    def view(self) -> list[dict[str, Any]]:
        """The files as data for the page: name, kind, size in bytes, error, and the uploaded fraction."""
        return [
            {
                "n": key,
                **(file_summary(each.part) if each.part is not None else {"name": each.name, "kind": "file"}),
                "size": each.size,
                "error": each.error,
                "done": 1.0 if each.part is not None else round(len(each.data) / max(each.size, 1), 2),
            }
            for key, each in self._files.items()
        ]

    def add(self, parts: list[Any]) -> None:
        """Add the parts of an earlier message."""
        for part in parts:
            key = min(self._files, default=0) - 1  # a page counts upwards
            self._files[key] = _Upload(
                file_summary(part)["name"], _size(part), part=part, secrets=secret_kinds_of_part(part)
            )

    def take(self, content: dict[str, Any]) -> None:
        """Append a piece of a file."""
        key, size, at = (content.get(name) for name in ("n", "size", "at"))
        if not isinstance(key, int) or not isinstance(size, int) or not isinstance(at, int):
            return
        name = single_line(Path(str(content.get("name"))).name, 120) or "file"
        upload = self._files.get(key)
        if upload is None:
            if len(self._files) >= _MAX_FILES:
                return
            upload = self._files[key] = _Upload(name, size)
        if upload.error or upload.part is not None:
            return
        if not 0 <= size <= MOST_BYTES:
            upload.error = f"{name} has {size:,} bytes; at most {MOST_BYTES:,} can be sent along."
            return
        try:
            chunk = base64.b64decode(str(content.get("data") or ""), validate=True)
        except (binascii.Error, ValueError):
            chunk = b""
        if at != len(upload.data) or len(upload.data) + len(chunk) > size or (not chunk and size):
            upload.error = f"{name} did not arrive whole. Add it again."
            return
        upload.data += chunk
        if len(upload.data) == size:
            self._finish(upload)

    def drop(self, key: object) -> None:
        """Remove a file."""
        if isinstance(key, int):
            self._files.pop(key, None)

    def clear(self) -> None:
        """Remove all files."""
        self._files.clear()

    def discard(self, parts: list[Any]) -> None:
        """Remove the files that these parts were made of, where they are still there."""
        sent = set(map(id, parts))
        self._files = {key: each for key, each in self._files.items() if id(each.part) not in sent}

    def _finish(self, upload: _Upload) -> None:
        try:
            upload.part = attachment_from_data(Path(upload.name), bytes(upload.data))
            upload.secrets = secret_kinds_of_part(upload.part)
        except ConfigurationError as error:
            upload.error = error.message
        except ValueError as error:
            upload.error = f"{upload.name} cannot be read: {type(error).__name__}."
        upload.data = bytearray()


def _size(part: Any) -> int:
    """Return about how many bytes an attached part has; 0 where it is an address."""
    if isinstance(part, TextContent):
        return len(part.text.encode())
    data = getattr(part, "base64_image", "") or getattr(part, "base64_data", "") or ""
    return len(data) * 3 // 4
