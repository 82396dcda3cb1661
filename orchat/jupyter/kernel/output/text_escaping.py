"""Escape text from models, upstreams and files for one line, and for a terminal: it is untrusted."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def single_line(text: str, longest: int = 200) -> str:
    """Text from outside on one line, without control characters and not too long."""
    text = " ".join(_CONTROL.sub(" ", text).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def escape_control_characters(text: str) -> str:
    r"""Take the control characters out of a text, which could move a terminal's cursor or set its title.

    Examples
    --------
    >>> escape_control_characters("one\x1b[2J\n\ttwo\x07")
    'one[2J\n\ttwo'
    """
    return _CONTROL.sub("", text)
