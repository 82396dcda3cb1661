"""Media: bytes are checked and told apart, addresses are never fetched, megabytes are never shown."""

from __future__ import annotations

import base64
import builtins
import logging
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

import haystack.dataclasses as theirs

from orchat.errors import ConfigurationError
from orchat.messages import AudioContent, FileContent, ImageContent, VideoContent
from orchat.messages.media import split_data_url
from tests.openrouter_server import PNG

PIXEL = PNG.partition(",")[2]


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 20)) -> bytes:
    """A picture's bytes."""
    buffer = BytesIO()
    Image.new("RGB", size).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_the_type_of_a_picture_is_told_from_its_bytes_as_haystack_does(kind: str) -> None:
    data = base64.b64encode(picture(kind)).decode()
    assert ImageContent(data).mime_type == theirs.ImageContent(data).mime_type == f"image/{kind.lower()}"


def test_a_picture_of_no_known_type_warns(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert ImageContent("AAAA").mime_type is None
    assert "mime_type=" in caplog.text


@pytest.mark.parametrize("mime_type", ["image/webp", "application/pdf", "video/mpeg"])
def test_types_that_haystack_counts_as_pictures_are(mime_type: str) -> None:
    assert ImageContent("AAAA", mime_type).mime_type == theirs.ImageContent("AAAA", mime_type).mime_type


@pytest.mark.parametrize("mime_type", ["text/plain", "application/json"])
def test_other_types_are_no_pictures(mime_type: str) -> None:
    with pytest.raises(ValueError, match=mime_type):
        ImageContent("AAAA", mime_type)


@pytest.mark.parametrize("data", ["?", PNG, "AAA", "ü"])
@pytest.mark.parametrize("kind", [ImageContent, FileContent])
def test_text_that_is_no_base64_is_refused_unless_nobody_asked(kind: Any, data: str) -> None:
    with pytest.raises(ConfigurationError, match="base64"):
        kind(data)
    assert kind(data, validation=False).mime_type is None


@pytest.mark.parametrize("part", [ImageContent("A" * 9000, "image/png"), FileContent("A" * 9000)])
def test_megabytes_are_not_shown(part: Any) -> None:
    assert len(repr(part)) < 300
    assert "validation" not in repr(part)


def test_the_type_of_a_file_is_told_from_its_name_then_from_its_bytes() -> None:
    assert FileContent("AAAA", filename="a.csv").mime_type == "text/csv"
    assert FileContent("JVBERi0xLjQK", filename="a.unknown-ending").mime_type == "application/pdf"
    assert FileContent("AAAA").mime_type is None
    assert FileContent("AAAA", "text/x-odd", "a.csv").mime_type == "text/x-odd"


def test_an_address_is_kept_and_not_fetched() -> None:
    for part in (ImageContent.from_url, FileContent.from_url, VideoContent.from_url):
        assert part("http://127.0.0.1:9/never").url == "http://127.0.0.1:9/never"


def test_a_data_url_is_taken_apart() -> None:
    image = ImageContent.from_url(PNG, detail="low", meta={"a": 1})
    assert (image.base64_image, image.mime_type, image.url, image.detail) == (PIXEL, "image/png", None, "low")
    file = FileContent.from_url("data:text/csv;charset=utf-8;base64,YSxi", filename="a.csv")
    assert (file.base64_data, file.mime_type, file.filename) == ("YSxi", "text/csv", "a.csv")
    assert split_data_url("data:;base64,AAAA") == (None, "AAAA")


@pytest.mark.parametrize("url", ["", "https://e.org", "data:image/png;base64", "data:image/svg+xml,<svg/>"])
def test_what_is_no_data_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="data URL"):
        split_data_url(url)


def test_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "odd").write_bytes(picture("GIF"))
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "a.MP3").write_bytes(b"ID3")
    (tmp_path / "a.webm").write_bytes(b"x")
    (tmp_path / "bare").write_bytes(b"x")
    image = ImageContent.from_file_path(str(tmp_path / "a.png"), detail="low", meta={"k": 1})
    assert base64.b64decode(image.base64_image) == picture()
    assert (image.mime_type, image.meta) == ("image/png", {"file_path": str(tmp_path / "a.png"), "k": 1})
    assert ImageContent.from_file_path(tmp_path / "odd").mime_type == "image/gif"
    (tmp_path / "a.jpg").write_bytes(picture())
    assert ImageContent.from_file_path(tmp_path / "a.jpg").mime_type == "image/png"
    file = FileContent.from_file_path(tmp_path / "a.pdf")
    assert (file.mime_type, file.filename) == ("application/pdf", "a.pdf")
    assert FileContent.from_file_path(tmp_path / "a.pdf", filename="b.pdf").filename == "b.pdf"
    assert AudioContent.from_file_path(tmp_path / "a.MP3") == AudioContent("SUQz", "mp3")
    assert AudioContent.from_file_path(tmp_path / "bare").format == "wav"
    assert VideoContent.from_file_path(tmp_path / "a.webm").mime_type == "video/webm"
    assert VideoContent.from_file_path(tmp_path / "bare").mime_type == "video/mp4"


def test_a_picture_that_is_too_large_is_made_smaller_and_keeps_its_shape(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture("JPEG"))
    image = ImageContent.from_file_path(tmp_path / "a.jpg", size=(10, 10))
    with Image.open(BytesIO(base64.b64decode(image.base64_image))) as small:
        assert (small.size, small.format, image.mime_type) == ((10, 5), "JPEG", "image/jpeg")


def test_without_pillow_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    real = builtins.__import__

    def without_pillow(name: str, *args: Any) -> Any:
        if name == "PIL":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(ConfigurationError, match="pip install pillow"):
        ImageContent.from_file_path(tmp_path / "a.png", size=(1, 1))


def test_a_picture_shows_itself_in_a_notebook_and_one_by_address_does_not() -> None:
    assert ImageContent(PIXEL)._repr_mimebundle_()["image/png"] == PIXEL
    for quiet in (ImageContent.from_url("https://e.org/a.png"), ImageContent("AAAA", "image/svg+xml")):
        assert list(quiet._repr_mimebundle_()) == ["text/plain"]


@pytest.mark.parametrize("kind", [ImageContent, FileContent, AudioContent, VideoContent])
def test_bytes_in_the_place_of_their_base64_text_are_refused_with_what_to_write(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"is a bytes, .*b64encode\(data\)\.decode\(\)"):
        kind(b"abcd")
