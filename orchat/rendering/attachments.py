"""Attachments of a prompt (``-a``): files and URLs, each as the content part of its type."""

from __future__ import annotations

import base64
import codecs
import difflib
import errno
import mimetypes
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from orchat.errors import ConfigurationError
from orchat.files import read_regular_file, shortened_path
from orchat.messages import AudioContent, FileContent, ImageContent, TextContent, VideoContent
from orchat.messages.media import guess_media_type
from orchat.messages.message import UserPart

MOST_BYTES = 20_000_000
MOST_CHARACTERS = 400_000  # about a hundred thousand tokens
_MOST_COMPARED = 2000  # names of a folder
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\f\r\x1b")  # bytes that no encoding of a text has
_RECOGNIZED_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def attachment(where: str) -> UserPart:
    """Return the content part of a file or URL.

    A URL is never fetched here: the model's provider does that.

    Parameters
    ----------
    where
        A path, or an http(s) URL.

    Raises
    ------
    ConfigurationError
        There is no such file, it is no regular file, too large, or of a type that no model can read.

    Examples
    --------
    >>> attachment("https://example.org/tides.pdf").url
    'https://example.org/tides.pdf'
    """
    if where.startswith(("http://", "https://")):
        return _attachment_from_url(where)
    shown = shortened_path(where)
    try:
        path = Path(where).expanduser()
        return attachment_from_data(path, read_regular_file(path, MOST_BYTES))
    except FileNotFoundError as error:
        if path.is_symlink():
            raise ConfigurationError(f"{shown} cannot be read: {error.strerror}.") from None
        raise ConfigurationError(f"There is no file {shown}.", hint=_similar_path_hint(path)) from None
    except OSError as error:
        hint = f"At most {MOST_BYTES:,} can be sent along." if error.errno == errno.EFBIG else None
        raise ConfigurationError(f"{shown} cannot be read: {error.strerror or error}.", hint=hint) from None
    except RuntimeError:  # of `expanduser`
        raise ConfigurationError(f"{shown} begins with a user who has no home folder here.") from None


def attachment_from_data(path: Path, data: bytes) -> UserPart:
    """Return the content part of a file's bytes.

    Parameters
    ----------
    path
        The file, which need not exist: its name tells the type.
    data
        Its bytes.

    Raises
    ------
    ConfigurationError
        It is of a type that no model can read, or holds too much text.

    Examples
    --------
    >>> attachment_from_data(Path("tides.csv"), b"port,high").text.splitlines()[0]
    'The file tides.csv:'
    """
    if data.startswith(b"%PDF-"):
        return FileContent(base64.b64encode(data).decode(), filename=path.name)
    mime_type, kind = _guess_kind(path.name)
    if kind == "image" and mime_type != "image/svg+xml":
        mime_type = _image_type(path.name, mime_type, data)
        return ImageContent(base64.b64encode(data).decode(), mime_type, meta={"file_path": str(path)})
    if kind == "audio":
        return AudioContent(base64.b64encode(data).decode(), path.suffix.lstrip(".").lower() or "wav")
    if kind == "video" and path.suffix != ".ts":  # which is TypeScript here
        return VideoContent(base64.b64encode(data).decode(), mime_type)
    text = _decode_text(path.name, data)
    if len(text) > MOST_CHARACTERS:
        raise ConfigurationError(
            f"{path.name} has {len(text):,} characters.",
            hint=f"At most {MOST_CHARACTERS:,} can be sent along: send a part.",
        )
    return TextContent(f"The file {path.name}:\n\n{text}\n\n(The end of {path.name}.)\n\n")


def _decode_text(name: str, data: bytes) -> str:
    """Decode a text that is UTF-8, or says by its byte order mark what else it is, as "Unicode text" of Excel does."""
    marked = next((encoding for mark, encoding in _MARKS.items() if data.startswith(mark)), None)
    try:
        text = data.decode(marked or "utf-8-sig")
        if marked and not "".join(text.split()).isprintable():
            text = "\0"  # it begins like one by chance
    except UnicodeDecodeError:
        if not marked and _CONTROLS.isdisjoint(data):
            raise ConfigurationError(
                f"{name} is text in another encoding than UTF-8.",
                hint="Save it as UTF-8, or read it in Python and send the variable: {name}.",
            ) from None
        text = "\0"
    if "\0" in text:
        raise ConfigurationError(f"{name} is neither text, image, PDF, sound nor video, so no model could read it.")
    return text


def attachment_label(where: str, part: UserPart) -> str:
    """Return a short label of an attachment, for the footer.

    Examples
    --------
    >>> attachment_label("plots/tides.png", ImageContent.from_url("https://example.org/tides.png"))
    'tides.png (image)'
    """
    name = Path(urlsplit(where).path).name or where
    return f"{name} ({type(part).__name__.removesuffix('Content').lower()})"


def _guess_kind(name: str) -> tuple[str, str]:
    mime_type = mimetypes.guess_type(name)[0] or ""
    return mime_type, mime_type.partition("/")[0]


def _image_type(name: str, named: str, data: bytes) -> str:
    """Return the type of an image: that of its bytes, for providers refuse an image under a wrong one."""
    found = guess_media_type(data)
    if found is None and named in _RECOGNIZED_IMAGES:
        raise ConfigurationError(
            f"{name} is no image, though it is called one.", hint="Give it the name of what it is."
        )
    return found or named


def _attachment_from_url(url: str) -> UserPart:
    mime_type, kind = _guess_kind(urlsplit(url).path)
    if kind == "image":
        return ImageContent.from_url(url)
    if kind == "video":
        return VideoContent.from_url(url)
    if kind == "audio":
        raise ConfigurationError("Sound cannot be sent by its address.", hint="Save it, and attach the file.")
    if mime_type in {"text/html", "application/json"} or (kind == "text"):
        raise ConfigurationError(f"A page such as {url} cannot be attached.", hint="With --web the model can read it.")
    return FileContent.from_url(url)  # what has no ending is most often a PDF


def _similar_path_hint(path: Path) -> str:
    try:
        names = [entry.name for entry in islice(path.parent.iterdir(), _MOST_COMPARED)]
    except OSError:
        return f"There is no folder {shortened_path(path.parent)} either."
    similar = difflib.get_close_matches(path.name, names, n=1)
    return f"Did you mean {path.parent / similar[0]}?" if similar else f"Paths begin at {Path.cwd()}."
