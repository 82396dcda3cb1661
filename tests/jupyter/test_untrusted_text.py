"""Text from outside on one line, and in a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters, single_line


@given(st.text())
def test_a_line_is_one_and_cannot_steer_a_terminal(text: str) -> None:
    assert len(single_line(text).splitlines()) <= 1
    assert len(single_line(text, 20)) <= 20
    for each in (single_line(text), escape_control_characters(text)):
        assert not any(sign in each for sign in "\x00\x07\x08\x1b\x7f\x9b\u202e\u2066")
