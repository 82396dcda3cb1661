"""Escape text from models, upstreams and files for one line, and for a terminal: it is untrusted."""

from __future__ import annotations

import re

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def single_line(text: str, most_characters: int = 200) -> str:
    """Return an untrusted text as one line, without control characters and shortened."""
    text = " ".join(_CONTROL_CHARACTERS.sub(" ", text).split())
    return text if len(text) <= most_characters else text[: most_characters - 1] + "…"


def escape_control_characters(text: str) -> str:
    r"""Remove control characters, which could move a terminal's cursor or set its title.

    Examples
    --------
    >>> escape_control_characters("one\x1b[2J\n\ttwo\x07")
    'one[2J\n\ttwo'
    """
    return _CONTROL_CHARACTERS.sub("", text)
