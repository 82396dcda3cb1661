"""Lines that stand for an answer: short, harmless, and with the reason where it is empty."""

from __future__ import annotations

from typing import Any

import pytest

from orchat.chat.reply import Reply
from orchat.jupyter.kernel.output.status_lines import answer_note, reasoning_status
from orchat.messages import ChatMessage


def reply(text: str, ending: Any = "finished", **meta: Any) -> Reply:
    return Reply(ChatMessage.from_assistant(text, meta=meta), ending=ending)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reply(""), "The answer is empty."),
        (reply("", finish_reason="length"), "The answer is empty: its tokens ended before it began. Raise -n."),
        (
            reply("", finish_reason="length", usage={"completion_tokens_details": {"reasoning_tokens": 9}}),
            "The answer is empty: thinking took all its tokens. Raise -n, or use --reasoning low.",
        ),
        (reply("Hi"), ""),
        (reply("Hi", refusal="No."), "The model refused: No."),
        (reply("", ending="stopped", refusal="No."), "The model refused: No."),
        (reply("", ending="interrupted"), ""),
        (reply("", usage={"completion_tokens_details": None}), "The answer is empty."),
    ],
)
def test_an_empty_answer_says_why(answer: Reply, words: str) -> None:
    assert answer_note(answer) == words


def test_an_empty_answer_of_a_panel_names_what_its_settings_have() -> None:
    answer = reply("", finish_reason="length")
    assert answer_note(answer, in_panel=True).endswith("Raise max tokens.")


def test_reasoning_is_one_line() -> None:
    assert reasoning_status("") == ""
    assert len(reasoning_status("a\nb " * 900).splitlines()) == 1
    assert "<img" not in reasoning_status("<img src=x>", live=True)
