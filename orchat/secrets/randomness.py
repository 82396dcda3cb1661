"""Distinguish random text, such as keys, from names, words and placeholders."""

from __future__ import annotations

import re
from itertools import pairwise

_PLACEHOLDER = re.compile(
    r"your|[-_ ]here\b|placeholder|x{4}|\.{3}|…|\*{3}|[<>{}]|%[(s]|^\$[A-Za-z(]|change[-_ ]?me|redacted|^abc123$|\[\^",
    re.IGNORECASE,
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")


def is_placeholder(text: str) -> bool:
    """Whether a text is a placeholder for a secret: ``your-key-here``, ``<token>``, ``$TOKEN``, ``xxxx``.

    Examples
    --------
    >>> [is_placeholder(text) for text in ("your_api_key", "${TOKEN}", "********", "hunter2")]
    [True, True, True, False]
    """
    return _PLACEHOLDER.search(text) is not None or len(set(text)) < 3


def is_random(text: str, least: int = 16) -> bool:
    """Whether letters and digits of a text look random.

    In names the kinds of characters seldom change: a capital begins a word, and within words there are no digits.

    Examples
    --------
    >>> is_random("q7Zx0pT2mB9vK4sL1nR8"), is_random("sk_learn_contrib_version_2")
    (True, False)
    """
    kinds = [_kind(each) for each in text if each.isascii() and each.isalnum()]
    if len(kinds) < least or len(set(text)) < min(8, least // 2) or "0" not in kinds or len(set(kinds)) < 2:
        return False
    changes = sum(one != other and one + other != "Aa" for one, other in pairwise(kinds))
    return changes * 4 >= len(kinds)


def is_digest(text: str) -> bool:
    """Whether a text is a UUID, or as long as a digest in hexadecimal: identifiers of things, mostly.

    Examples
    --------
    >>> is_digest("d41d8cd98f00b204e9800998ecf8427e"), is_digest("q7Zx0pT2mB9vK4sL1nR8")
    (True, False)
    """
    return _UUID.fullmatch(text) is not None or _HEX.fullmatch(text) is not None


def _kind(character: str) -> str:
    return "0" if character.isdigit() else "A" if character.isupper() else "a"
