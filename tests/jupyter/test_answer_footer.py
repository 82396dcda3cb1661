"""The lines below an answer: short, harmless, and true about what is not known."""

from __future__ import annotations

from typing import Any

import pytest

from orchat.chat.reply import Citation, Reply
from orchat.jupyter.kernel.output.answer_footer import footer, sources, sources_text
from orchat.messages import ChatMessage

USAGE = {"prompt_tokens": 1210, "completion_tokens": 340, "cost": 0.00123}


def reply(text: str | None = "Hi", ending: Any = "finished", **meta: Any) -> Reply:
    return Reply(ChatMessage.from_assistant(text, meta=meta), ending=ending)


@pytest.mark.parametrize(
    ("cost", "shown"),
    [
        (0, "free"),
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
    assert footer(reply(model="m", usage={"prompt_tokens": 5}), 1) == "m · 5 in · cost not reported · 1.0 s"
    assert footer(reply(), 0.04) == "0.0 s"
    free = reply(model="m", usage={"prompt_tokens": 5, "cost": 0})
    assert footer(free, 1) == "m · 5 in · free · 1.0 s"


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0"), (999, "999"), (1_000, "1.0k"), (9_949, "9.9k"), (9_950, "10k"), (999_499, "999k"), (999_500, "1.0M")],
)
def test_counts_have_three_digits(count: int, shown: str) -> None:
    assert footer(reply(usage={"prompt_tokens": count, "cost": 0}), 1) == f"{shown} in · free · 1.0 s"


def test_styles_leave_out_but_never_that_something_is_wrong() -> None:
    whole = reply(model="m", provider="P", usage=USAGE, note="demo model")
    assert footer(whole, 2.13, sent=["x", ""]) == "m · demo model · P · 1.2k in / 340 out · $0.00123 · 2.1 s · with x"
    assert footer(whole, 2.13, style="model") == "m · demo model"
    assert footer(whole, 2.13, style="none") == "demo model"
    assert footer(reply(ending="interrupted", model="m"), 1, style="none") == "interrupted"
    assert footer(reply(finish_reason="length", model="m"), 1, style="none") == "cut at its token limit"
    assert footer(reply(ending="parked", model="m"), 1, style="model") == "waits for your decision · m"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "https://example.org/a b",
        'https://example.org/"onclick=x',
        "https://example.org/<script>",
        "https://example.org/\x00",
        "https://example.org/" + "a" * 600,
        "//example.org",
        "",
    ],
)
def test_what_is_no_plain_address_is_no_source(url: str) -> None:
    assert sources([Citation(url, "x")]) == ""
    assert sources_text([Citation(url, "x")]) == ""


def test_an_address_that_holds_markup_is_escaped() -> None:
    hostile = [Citation("https://example.org/)](javascript:x)", "a"), Citation("https://example.org/$x$_(y)_", "b")]
    assert sources(hostile) == (
        "Sources: [a](https://example.org/%29%5D%28javascript:x%29), [b](https://example.org/%24x%24_%28y%29_)"
    )


def test_sources_are_named_once_and_not_without_end() -> None:
    many = [Citation(f"https://example.org/{number % 20}", f"T{number}") for number in range(100)]
    assert sources(many).count("](") == 12
    assert len(sources_text(many).splitlines()) == 13
    hostile = Citation("https://example.org/a", "<img src=x> [x](y) \x1b[2J" + "t" * 900)
    assert "<img" not in sources([hostile])
    assert "\x1b" not in sources_text([hostile])
    assert len(sources_text([hostile])) < 150
