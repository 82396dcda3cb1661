"""Estimate tokens without a tokenizer, and shorten text to a budget of tokens.

The estimate counts characters: four of ASCII to a token, two of other alphabets, one of Chinese, Japanese, Korean and
of everything beyond the basic plane, emoji for instance. Models differ by 25 % either way; costs never depend on it.
"""

from __future__ import annotations

import base64
import math
import re

from orchat.messages import AudioContent, FileContent, ImageContent, TextContent
from orchat.secrets import redact

Part = TextContent | ImageContent | FileContent | AudioContent

# A picture costs about its area over 750, and no more than this: larger ones are made smaller by the providers.
PIXELS_PER_TOKEN = 750
_MAX_PER_IMAGE = 1600

_WIDE = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00010000-\U0010ffff]"
)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# A key that a cut would halve is looked for this far beyond the cut: no key, nor a PEM block, is longer.
_MARGIN = 4096
# A text of at most so many characters is looked through whole: the names of a table's columns stand at its top.
_WHOLE = 1_000_000


def estimate_tokens(content: str | Part) -> int:
    """Estimate the number of tokens of a text, an image, a file or audio.

    Parameters
    ----------
    content
        Text, or a content part. What is inside a file is unknown here: its bytes count like text, four to a token.

    Examples
    --------
    >>> estimate_tokens("High water at Hull is at ten past two."), estimate_tokens("満潮")
    (10, 2)
    """
    if isinstance(content, str):
        return math.ceil(_quarter_tokens(content) / 4)
    if isinstance(content, TextContent):
        return estimate_tokens(content.text)
    if isinstance(content, ImageContent):
        size = png_size(base64.b64decode(content.base64_image[:44])) if content.base64_image else None
        return _MAX_PER_IMAGE if size is None else min(_MAX_PER_IMAGE, math.ceil(size[0] * size[1] / PIXELS_PER_TOKEN))
    return len(content.base64_audio if isinstance(content, AudioContent) else content.base64_data) * 3 // 16


def png_size(data: bytes) -> tuple[int, int] | None:
    """Read width and height in pixels from the first 24 bytes of a PNG; None for other data."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or len(data) < 24:
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def fits_budget(text: str, budget: int) -> bool:
    """Whether a text has at most ``budget`` tokens; a text that is far too long is not read."""
    return len(text) <= 4 * budget and estimate_tokens(text) <= budget


def shorten_to_budget(text: str, budget: int, *, redacted: bool = False) -> str:
    """Shorten a text to its head and tail, with a note in between, if it exceeds the budget.

    Parameters
    ----------
    text
        Any text; of a huge one only both ends are read.
    budget
        The largest number of tokens of the result, at least one.
    redacted
        Whether to redact secrets, before the cut, so that no half of one stays.

    Examples
    --------
    >>> print(shorten_to_budget("All day the tide came in. " * 40 + "At last it went.", 30))
    All day the tide came in. All day the tide came in. A
    [... cut, 1,056 characters in all ...]
    e came in. At last it went.
    """
    size = len(text)
    if redacted and size <= _WHOLE:
        text, redacted = redact(text), False
    window = 4 * budget + _MARGIN
    if len(text) <= 2 * window:
        head = tail = redact(text) if redacted else text
        if fits_budget(head, budget):
            return head
    else:
        head, tail = text[:window], text[-window:]
        if redacted:
            head, tail = redact(head)[:-_MARGIN], redact(tail)[_MARGIN:]
    mark = f"\n[... cut, {size:,} characters in all ...]\n"
    room = 4 * budget - _quarter_tokens(mark)
    if room < 24:
        return _take_end(head, 4 * budget - 2) + "…"
    first = _take_end(head, room * 2 // 3)
    return first + mark + _take_end(tail, room - _quarter_tokens(first), from_end=True)


def _quarter_tokens(text: str) -> int:
    """Return the length of a text in quarters of a token."""
    if text.isascii():
        return len(text)
    return len(text) + len(_NOT_ASCII.findall(text)) + 2 * len(_WIDE.findall(text))


def _take_end(text: str, quarters: int, *, from_end: bool = False) -> str:
    """Return as much of one end of a text as has at most ``quarters`` quarters of a token."""
    piece = text[max(0, len(text) - quarters) :] if from_end else text[:quarters]
    if piece.isascii():
        return piece
    taken = 0
    for character in reversed(piece) if from_end else piece:
        quarters -= _quarter_tokens(character)
        if quarters < 0:
            break
        taken += 1
    return piece[len(piece) - taken :] if from_end else piece[:taken]
