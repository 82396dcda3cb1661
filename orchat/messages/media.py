"""Content parts that carry media: images, files, audio and video, inline as base64 or by address.

An address is never fetched from here: the model's provider does that. So a part made `from_url` costs nothing to
build, and a part made `from_file_path` holds the file's bytes.
"""

from __future__ import annotations

import base64
import binascii
import logging
import mimetypes
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from orchat.errors import ConfigurationError
from orchat.files import read_regular_file
from orchat.messages.data_copy import QuicklyCopied

_log = logging.getLogger(__name__)

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
)


def guess_media_type(data: bytes) -> str | None:
    """Return the type of an image or a PDF by its first bytes; None for all else.

    Examples
    --------
    >>> guess_media_type(b"GIF89a")
    'image/gif'
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for signature, mime in _SIGNATURES if data.startswith(signature)), None)


def _check_base64_text(data: object, what: str) -> None:
    """Raise where bytes are given in the place of their base64 text: they would be sent as the text of their repr."""
    if not isinstance(data, str):
        raise TypeError(
            f"The {what} is a {type(data).__name__}, where its base64 text is needed: for bytes give "
            "base64.b64encode(data).decode(), for a file from_file_path(path)."
        )


def _decode(data: str, what: str) -> bytes:
    _check_base64_text(data, what)
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigurationError(
            f"The base64 text of the {what} is not valid: {error}.",
            hint="Give the bare base64 text, without a `data:` prefix.",
        ) from None


class _Media(QuicklyCopied):
    """The base of the media parts: their dictionary form, and a short repr."""

    # Fields that Haystack does not have: written only when used, so that plain parts stay readable there.
    _ADDED = ("url", "cache_control")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: Haystack's keys, and ``url`` or ``cache_control`` where they are set."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return {k: v for k, v in values.items() if k not in self._ADDED or v is not None}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read `to_dict`'s form."""
        return cls(**data)

    def __repr__(self) -> str:
        shown = []
        for name, value in self.to_dict().items():
            if name == "validation":
                continue
            long = isinstance(value, str) and len(value) > 100
            shown.append(f"{name}={(value[:100] + '...' if long else value)!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(repr=False)
class ImageContent(_Media):
    """An image part, inline or by URL.

    Parameters
    ----------
    base64_image
        The bytes as base64, without a ``data:`` prefix; empty for an image by address.
    mime_type
        Such as ``image/png``; guessed from the bytes when not given.
    detail
        ``auto``, ``low`` or ``high``, for models that know it.
    meta
        Anything you want to keep beside it; never sent.
    validation
        Whether to check the base64 text and the type.
    url
        An http(s) address that the provider fetches.
    cache_control
        A prompt-caching breakpoint, ``{"type": "ephemeral"}`` (API section 2.3).

    Raises
    ------
    ConfigurationError
        The base64 text is not valid, or the type is not an image's (a ValueError).

    Examples
    --------
    >>> ImageContent.from_url("https://example.org/cat.png", detail="low").to_dict()["url"]
    'https://example.org/cat.png'
    """

    base64_image: str = ""
    mime_type: str | None = None
    detail: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    validation: bool = True
    url: str | None = None
    cache_control: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.validation or self.url is not None:
            return
        data = _decode(self.base64_image, "image")
        if not self.mime_type:
            self.mime_type = guess_media_type(data)
            if self.mime_type is None:
                _log.warning(
                    "The type of an image could not be told from its bytes; give mime_type=, such as image/png."
                )
        # Haystack counts these two as images as well.
        known = ("image/", "application/pdf", "video/mpeg")
        if self.mime_type and not self.mime_type.startswith(known):
            raise ConfigurationError(f"{self.mime_type} is not a valid image MIME type.")

    @classmethod
    def from_url(cls, url: str, *, detail: str | None = None, meta: dict[str, Any] | None = None) -> Self:
        """Refer to an image by its URL; the model's provider fetches it, not this machine."""
        if url.startswith("data:"):
            mime_type, data = split_data_url(url)
            return cls(data, mime_type, detail, meta or {})
        return cls(url=url, detail=detail, meta=meta or {})

    @classmethod
    def from_file_path(
        cls,
        path: str | Path,
        *,
        size: tuple[int, int] | None = None,
        detail: str | None = None,
        meta: dict[str, Any] | None = None,
    ) -> Self:
        """Read an image file.

        Parameters
        ----------
        path
            The file.
        size
            The largest (width, height) in pixels; a larger image is made smaller, keeping its shape (needs pillow).
        detail, meta
            As in the constructor; ``meta`` gets ``file_path``.
        """
        path = Path(path)
        data = read_regular_file(path)
        if size is not None:
            data = _shrink(data, size)
        # Many a file has another name than what it holds, and providers refuse an image under a wrong type.
        mime_type = guess_media_type(data) or mimetypes.guess_type(path.name)[0]
        return cls(base64.b64encode(data).decode(), mime_type, detail, {"file_path": str(path), **(meta or {})})

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:
        """Display the image as a notebook's output; an image by URL is shown as text, so that nothing is fetched."""
        bundle = {"text/plain": repr(self)}
        if self.base64_image and self.mime_type in {"image/png", "image/jpeg", "image/gif"}:
            bundle[self.mime_type] = self.base64_image
        return bundle


def _shrink(data: bytes, size: tuple[int, int]) -> bytes:
    from io import BytesIO

    try:
        from PIL import Image
    except ImportError:
        raise ConfigurationError(
            "Making an image smaller needs the package pillow.", hint="pip install pillow, or leave size= out."
        ) from None
    with Image.open(BytesIO(data)) as image:
        kind = image.format or "PNG"
        image.thumbnail(size)
        buffer = BytesIO()
        image.save(buffer, kind)
    return buffer.getvalue()


@dataclass(repr=False)
class FileContent(_Media):
    """A document part, usually a PDF, inline or by URL.

    Parameters
    ----------
    base64_data
        The bytes as base64; empty for a file by address.
    mime_type
        Such as ``application/pdf``; guessed from the bytes when not given.
    filename
        The name that the model sees.
    extra
        Anything you want to keep beside it; never sent.
    validation
        Whether to check the base64 text.
    url
        An https address that the provider fetches.
    cache_control
        A prompt-caching breakpoint.

    Examples
    --------
    >>> FileContent("JVBERi0xLjQK", filename="a.pdf").mime_type
    'application/pdf'
    """

    base64_data: str = ""
    mime_type: str | None = None
    filename: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    validation: bool = True
    url: str | None = None
    cache_control: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.validation or self.url is not None:
            return
        data = _decode(self.base64_data, "file")
        if not self.mime_type:
            self.mime_type = (mimetypes.guess_type(self.filename)[0] if self.filename else None) or guess_media_type(
                data
            )

    @classmethod
    def from_url(cls, url: str, *, filename: str | None = None) -> Self:
        """Refer to a file by its URL; the model's provider fetches it."""
        if url.startswith("data:"):
            mime_type, data = split_data_url(url)
            return cls(data, mime_type, filename)
        return cls(url=url, filename=filename)

    @classmethod
    def from_file_path(cls, path: str | Path, *, filename: str | None = None) -> Self:
        """Read a file."""
        path = Path(path)
        return cls(base64.b64encode(read_regular_file(path)).decode(), filename=filename or path.name)


@dataclass(repr=False)
class AudioContent(_Media):
    """An audio part, given to a model or spoken by it; inline only (API section 2.3).

    Parameters
    ----------
    base64_audio
        The bytes as base64.
    format
        ``wav``, ``mp3``, ``aiff``, ``aac``, ``ogg``, ``flac``, ``m4a``, ``pcm16`` or ``pcm24``.
    transcript
        What is said in it, where a model told.
    meta
        Anything you want to keep beside it (a model's audio has its ``id`` and ``expires_at`` there).

    Examples
    --------
    >>> AudioContent("UklGRg==", "wav").to_dict()["format"]
    'wav'
    """

    base64_audio: str
    format: str = "wav"
    transcript: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_base64_text(self.base64_audio, "audio")

    @classmethod
    def from_file_path(cls, path: str | Path) -> Self:
        """Read an audio file; its format is the file's extension."""
        path = Path(path)
        return cls(base64.b64encode(read_regular_file(path)).decode(), path.suffix.lstrip(".").lower() or "wav")


@dataclass(repr=False)
class VideoContent(_Media):
    """A video part, inline or by URL (API section 2.3).

    Parameters
    ----------
    base64_video
        The bytes as base64; empty for a video by address.
    mime_type
        Such as ``video/mp4``.
    url
        An address that the provider fetches.
    meta
        Anything you want to keep beside it.

    Examples
    --------
    >>> VideoContent.from_url("https://example.org/tide.mp4").url
    'https://example.org/tide.mp4'
    """

    base64_video: str = ""
    mime_type: str = "video/mp4"
    url: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_base64_text(self.base64_video, "video")

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Refer to a video by its URL; the model's provider fetches it."""
        return cls(url=url)

    @classmethod
    def from_file_path(cls, path: str | Path) -> Self:
        """Read a video file."""
        path = Path(path)
        mime_type = mimetypes.guess_type(path.name)[0] or "video/mp4"
        return cls(base64.b64encode(read_regular_file(path)).decode(), mime_type)


def split_data_url(url: str) -> tuple[str | None, str]:
    """Split a base64 ``data:`` URL into MIME type and data.

    Returns
    -------
    tuple of (str or None, str)
        The MIME type and the base64 text.

    Raises
    ------
    ConfigurationError
        It is no base64 ``data:`` URL.

    Examples
    --------
    >>> split_data_url("data:image/png;base64,iVBORw0=")
    ('image/png', 'iVBORw0=')
    """
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise ConfigurationError(
            f"{url[:60]!r} is not a base64 data URL.", hint="It looks like data:image/png;base64,..."
        )
    return head[5:-7].split(";")[0] or None, data
