"""Files that go along with a prompt, each as the content part of what it holds."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from orchat.errors import ConfigurationError
from orchat.messages import FileContent, ImageContent
from orchat.rendering.attachments import attachment_from_data
from tests.openrouter_server import PNG

PIXEL = base64.b64decode(PNG.partition(",")[2])


@pytest.mark.parametrize(
    ("name", "data", "mime_type"),
    [
        ("tide.png", PIXEL, "image/png"),
        ("tide.jpg", PIXEL, "image/png"),
        ("tide.png", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        ("tide.avif", b"\0\0\0\x20ftypavif", "image/avif"),
    ],
)
def test_an_image_is_of_the_type_of_its_bytes(name: str, data: bytes, mime_type: str) -> None:
    part = attachment_from_data(Path(name), data)
    assert isinstance(part, ImageContent)
    assert part.mime_type == mime_type


def test_a_document_that_is_called_an_image_is_a_document() -> None:
    assert isinstance(attachment_from_data(Path("scan.png"), b"%PDF-1.4"), FileContent)


@pytest.mark.parametrize("data", [b"", b"<html>Not found</html>"])
def test_a_file_that_is_no_image_is_not_sent_as_one(data: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"tide.png is no image, though it is called one. Give it the name"):
        attachment_from_data(Path("tide.png"), data)
