"""How much of a model's context something takes, estimated without a tokenizer, and text made to fit.

The estimate counts characters: four of ASCII to a token, two of other alphabets, one of Chinese, Japanese, Korean and
of everything beyond the basic plane, emoji for instance. Models differ by a quarter either way; money is never
reckoned with it.
"""

from __future__ import annotations

import base64
import math
import re

from orchat.messages import FileContent, ImageContent, TextContent
from orchat.secrets import redact

Part = TextContent | ImageContent | FileContent

# A picture costs about its area over 750, and no more than this: larger ones are made smaller by the providers.
PIXELS_PER_TOKEN = 750
_MOST_PER_IMAGE = 1600

_WIDE = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00010000-\U0010ffff]"
)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# A key that a cut would halve is looked for this far beyond the cut: no key, nor a PEM block, is longer.
_MARGIN = 4096


def estimate_tokens(content: str | Part) -> int:
    """Estimate how many tokens a text, an image or a file takes.

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
        return math.ceil(_quarters(content) / 4)
    if isinstance(content, TextContent):
        return estimate_tokens(content.text)
    if isinstance(content, ImageContent):
        size = png_size(base64.b64decode(content.base64_image[:44])) if content.base64_image else None
        return (
            _MOST_PER_IMAGE if size is None else min(_MOST_PER_IMAGE, math.ceil(size[0] * size[1] / PIXELS_PER_TOKEN))
        )
    return len(content.base64_data) * 3 // 16


def png_size(data: bytes) -> tuple[int, int] | None:
    """Read width and height in pixels from the first bytes of a PNG; None if it is none."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or len(data) < 24:
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def fits_budget(text: str, budget: int) -> bool:
    """Whether a text takes no more than ``budget`` tokens; what is hopelessly long is not even read."""
    return len(text) <= 4 * budget and estimate_tokens(text) <= budget


def shorten_to_budget(text: str, budget: int, *, redacted: bool = False) -> str:
    """Keep the head and the tail of a text that is too long, and say so in between.

    Parameters
    ----------
    text
        Any text; of a huge one only both ends are read.
    budget
        The most tokens the result may take, at least one.
    redacted
        Whether to hide secrets, before the cut, so that no half of one stays.

    Examples
    --------
    >>> print(shorten_to_budget("All day the tide came in. " * 40 + "At last it went.", 30))
    All day the tide came in. All day the tide came in. A
    [... cut, 1,056 characters in all ...]
    e came in. At last it went.
    """
    size = len(text)
    window = 4 * budget + _MARGIN
    if size <= 2 * window:
        head = tail = redact(text) if redacted else text
        if fits_budget(head, budget):
            return head
    else:
        head, tail = text[:window], text[-window:]
        if redacted:
            head, tail = redact(head)[:-_MARGIN], redact(tail)[_MARGIN:]
    mark = f"\n[... cut, {size:,} characters in all ...]\n"
    room = 4 * budget - _quarters(mark)
    if room < 24:
        return _take(head, 4 * budget - 2) + "…"
    first = _take(head, room * 2 // 3)
    return first + mark + _take(tail, room - _quarters(first), from_end=True)


def _quarters(text: str) -> int:
    """Weigh a text in quarters of a token."""
    if text.isascii():
        return len(text)
    return len(text) + len(_NOT_ASCII.findall(text)) + 2 * len(_WIDE.findall(text))


def _take(text: str, quarters: int, *, from_end: bool = False) -> str:
    """Take as much of one end as weighs no more than ``quarters``."""
    piece = text[max(0, len(text) - quarters) :] if from_end else text[:quarters]
    if piece.isascii():
        return piece
    taken = 0
    for character in reversed(piece) if from_end else piece:
        quarters -= _quarters(character)
        if quarters < 0:
            break
        taken += 1
    return piece[len(piece) - taken :] if from_end else piece[:taken]
