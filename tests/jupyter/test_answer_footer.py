"""The words around an answer: short, on one line, harmless, and true about what is not known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.chat.reply import Citation, Reply
from orchat.errors import ConfigurationError, MissingKeyError, RateLimitError
from orchat.jupyter.kernel.output.answer_footer import (
    empty_text,
    error_card,
    error_line,
    error_text,
    escape_control_characters,
    footer,
    reasoning_status,
    single_line,
    sources,
    sources_text,
)
from orchat.messages import ChatMessage

USAGE = {"prompt_tokens": 1210, "completion_tokens": 340, "cost": 0.00123}


def reply(text: str | None = "Hi", ending: Any = "finished", **meta: Any) -> Reply:
    return Reply(ChatMessage.from_assistant(text, meta=meta), ending=ending)


@pytest.mark.parametrize(
    ("cost", "shown"),
    [
        (0, "$0"),
        (0.0000004, "$0.0000004"),
        (0.00123456, "$0.00123"),
        (0.5, "$0.5"),
        (1, "$1.00"),
        (12.345, "$12.35"),
        (1e-12, "$0.000000000001"),
    ],
)
def test_a_cost_is_never_in_powers_of_ten(cost: float, shown: str) -> None:
    assert f" · {shown} · " in footer(reply(model="m", usage={"cost": cost}), 1)


def test_an_unknown_cost_is_not_nothing() -> None:
    assert footer(reply(model="m", usage={"prompt_tokens": 5}), 1) == "m · 5 in · 1.0 s"
    assert footer(reply(), 0.04) == "0.0 s"


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0"), (999, "999"), (1_000, "1.0k"), (9_949, "9.9k"), (9_950, "10k"), (999_499, "999k"), (999_500, "1.0M")],
)
def test_counts_have_three_digits(count: int, shown: str) -> None:
    assert footer(reply(usage={"prompt_tokens": count}), 1) == f"{shown} in · 1.0 s"


def test_styles_leave_out_but_never_that_something_is_wrong() -> None:
    whole = reply(model="m", provider="P", usage=USAGE, note="demo model")
    assert footer(whole, 2.13, sent=["x", ""]) == "m · demo model · P · 1.2k in / 340 out · $0.00123 · 2.1 s · with x"
    assert footer(whole, 2.13, style="model") == "m · demo model"
    assert footer(whole, 2.13, style="none") == "demo model"
    assert footer(reply(ending="interrupted", model="m"), 1, style="none") == "interrupted"
    assert footer(reply(finish_reason="length", model="m"), 1, style="none") == "cut at its token limit"
    assert footer(reply(ending="parked", model="m"), 1, style="model") == "waits for your decision · m"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reply(""), "The answer is empty."),
        (reply("", finish_reason="length"), "The answer is empty: its tokens ended before it began. Raise -n."),
        (
            reply("", finish_reason="length", usage={"completion_tokens_details": {"reasoning_tokens": 9}}),
            "The answer is empty: thinking took all its tokens. Raise -n, or think less with --reasoning low.",
        ),
        (reply("Hi"), ""),
        (reply("", ending="interrupted"), ""),
        (reply("", usage={"completion_tokens_details": None}), "The answer is empty."),
    ],
)
def test_an_empty_answer_says_why(answer: Reply, words: str) -> None:
    assert empty_text(answer) == words


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "https://example.org/a b",
        "https://example.org/)](javascript:x)",
        'https://example.org/"onclick=x',
        "https://example.org/<script>",
        "https://example.org/$x$",
        "https://example.org/\x00",
        "https://example.org/" + "a" * 600,
        "//example.org",
        "",
    ],
)
def test_what_is_no_plain_address_is_no_source(url: str) -> None:
    assert sources([Citation(url, "x")]) == ""
    assert sources_text([Citation(url, "x")]) == ""


def test_sources_are_named_once_and_not_without_end() -> None:
    many = [Citation(f"https://example.org/{number % 20}", f"T{number}") for number in range(100)]
    assert sources(many).count("](") == 12
    assert len(sources_text(many).splitlines()) == 13
    hostile = Citation("https://example.org/a", "<img src=x> [x](y) \x1b[2J" + "t" * 900)
    assert "<img" not in sources([hostile])
    assert "\x1b" not in sources_text([hostile])
    assert len(sources_text([hostile])) < 150


@given(st.text())
def test_a_line_is_one_and_cannot_steer_a_terminal(text: str) -> None:
    assert len(single_line(text).splitlines()) <= 1
    assert len(single_line(text, 20)) <= 20
    for each in (single_line(text), escape_control_characters(text)):
        assert not any(sign in each for sign in "\x00\x07\x08\x1b\x7f\x9b\u202e\u2066")


def test_errors_are_short_whatever_is_in_them() -> None:
    long = RateLimitError("<b>*x*</b>\n" * 900, status_code=429, provider_name="<i>" * 200, hint="[y](z) " * 900)
    card = error_card(long)
    assert "<b>" not in card
    assert "<i>" not in card
    assert len(card) < 1_600
    assert len(error_text(long)) < 700
    assert len(error_line(long)) < 150
    assert len(error_text(long).splitlines()) == 1


def test_an_error_without_words_or_hint_is_a_card_too() -> None:
    assert error_card(ConfigurationError("")) == "> **ConfigurationError**"
    assert error_text(ConfigurationError("")) == "ConfigurationError:"
    assert "%%openrouter local/" in error_card(MissingKeyError("x", hint="y"))
    assert "`" not in error_text(MissingKeyError("x", hint="y"))


def test_reasoning_is_one_line() -> None:
    assert reasoning_status("") == ""
    assert len(reasoning_status("a\nb " * 900).splitlines()) == 1
    assert "<img" not in reasoning_status("<img src=x>", live=True)
