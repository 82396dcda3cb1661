"""Files that a person adds to a question: a page sends them in pieces, the kernel looks at what they are."""

from __future__ import annotations

import base64
import binascii
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchat.errors import ConfigurationError
from orchat.jupyter.kernel.output.text_escaping import single_line
from orchat.jupyter.kernel.prompt.attachments import MOST_BYTES, attachment
from orchat.jupyter.panel.turn_grouping import file_summary

_MOST_FILES = 20


@dataclass
class _Upload:
    name: str
    size: int
    data: bytearray = field(default_factory=bytearray)
    part: Any = None
    error: str = ""


class Uploads:
    """The files of the question that is being written.

    Examples
    --------
    >>> uploads = Uploads()
    >>> uploads.take({"n": 1, "name": "tides.csv", "size": 9, "data": "cG9ydCxoaWdo", "at": 0})
    >>> uploads.shown
    [{'n': 1, 'name': 'tides.csv', 'kind': 'text', 'error': '', 'done': 1.0}]
    >>> uploads.take({"n": 2, "name": "a.bin", "size": 3, "data": "AAAA", "at": 0})
    >>> uploads.shown[1]["error"]
    'a.bin is neither text, image, PDF, sound nor video, so no model could read it.'
    >>> [part.text.splitlines()[0] for part in uploads.parts]
    ['The file tides.csv:']
    """

    def __init__(self) -> None:
        self._files: dict[int, _Upload] = {}

    @property
    def parts(self) -> list[Any]:
        """What goes along: the files that came whole and can be read."""
        return [each.part for each in self._files.values() if each.part is not None]

    @property
    def unfinished(self) -> bool:
        """Whether a file is still on its way."""
        return any(each.part is None and not each.error for each in self._files.values())

    @property
    def shown(self) -> list[dict[str, Any]]:
        """What the page shows of them."""
        return [
            {
                "n": number,
                **(file_summary(each.part) if each.part is not None else {"name": each.name, "kind": "file"}),
                "error": each.error,
                "done": 1.0 if each.part is not None else round(len(each.data) / max(each.size, 1), 2),
            }
            for number, each in self._files.items()
        ]

    def add(self, parts: list[Any]) -> None:
        """Put parts of an earlier question among them."""
        for part in parts:
            number = min(self._files, default=0) - 1  # a page counts upwards
            self._files[number] = _Upload(file_summary(part)["name"], 0, part=part)

    def take(self, content: dict[str, Any]) -> None:
        """Take a piece of a file."""
        number, size, at = (content.get(name) for name in ("n", "size", "at"))
        if not isinstance(number, int) or not isinstance(size, int) or not isinstance(at, int):
            return
        name = single_line(Path(str(content.get("name"))).name, 120) or "file"
        upload = self._files.get(number)
        if upload is None:
            if len(self._files) >= _MOST_FILES:
                return
            upload = self._files[number] = _Upload(name, size)
        if upload.error or upload.part is not None:
            return
        if not 0 <= size <= MOST_BYTES:
            upload.error = f"{name} has {size:,} bytes; at most {MOST_BYTES:,} can be sent along."
            return
        try:
            piece = base64.b64decode(str(content.get("data") or ""), validate=True)
        except (binascii.Error, ValueError):
            piece = b""
        if at != len(upload.data) or len(upload.data) + len(piece) > size or (not piece and size):
            upload.error = f"{name} did not arrive whole. Add it again."
            return
        upload.data += piece
        if len(upload.data) == size:
            self._finish(upload)

    def drop(self, number: object) -> None:
        """Take a file away."""
        if isinstance(number, int):
            self._files.pop(number, None)

    def clear(self) -> None:
        """Take all files away."""
        self._files.clear()

    def _finish(self, upload: _Upload) -> None:
        with tempfile.TemporaryDirectory(prefix="orchat-") as folder:
            path = Path(folder) / upload.name
            try:
                path.write_bytes(upload.data)
                upload.part = attachment(str(path))
            except ConfigurationError as error:
                upload.error = error.message.replace(str(path), upload.name)
            except (OSError, ValueError) as error:
                upload.error = f"{upload.name} cannot be read: {type(error).__name__}."
        if (meta := getattr(upload.part, "meta", None)) and "file_path" in meta:
            meta["file_path"] = upload.name  # the folder is gone
        upload.data = bytearray()
