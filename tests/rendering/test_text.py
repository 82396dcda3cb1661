"""Text and tokens: what is kept, what is cut, and that the cut is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.errors import ConfigurationError
from orchat.messages import FileContent, ImageContent, TextContent
from orchat.rendering import estimate_tokens, render, render_text, render_value, shorten_to_budget

KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"


def test_a_str_goes_out_as_it_is() -> None:
    text = f"  {{braces}} — ünïcode\n\t{KEY} "
    assert render(text) == [TextContent(text)]
    assert render_value(text).summary("text") == f"text: text, {estimate_tokens(text)} tokens"


def test_a_long_str_keeps_head_and_tail_and_says_so() -> None:
    text = "".join(f"line {number}\n" for number in range(20_000))
    rendered = render_value(text)
    sent = rendered.text
    assert sent.startswith("line 0\nline 1\n")
    assert sent.endswith("line 19999\n")
    assert f"[... cut, {len(text):,} characters in all ...]" in sent
    assert rendered.what == f"text, cut from {len(text):,} characters"
    assert 7_900 < rendered.tokens <= 8_000


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("a", 1), ("four", 1), ("fives", 2), ("Прилив", 3), ("潮の高さ", 4), ("🌊🌊", 2), ("aaaa満", 2)],
)
def test_tokens_are_estimated_by_alphabet(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


@given(st.text(alphabet=st.sampled_from("ab é満🌊\n"), max_size=600), st.integers(1, 60))
def test_what_is_shortened_fits_and_what_fits_is_left_alone(text: str, budget: int) -> None:
    short = shorten_to_budget(text, budget)
    assert estimate_tokens(short) <= budget
    assert (short == text) == (estimate_tokens(text) <= budget)


@given(st.integers(0, 12_000), st.integers(1, 200))
def test_no_part_of_a_key_survives_the_cut_wherever_it_falls(before: int, budget: int) -> None:
    sent = shorten_to_budget("x " * before + KEY + " y" * 9_000, budget, redacted=True)
    assert "sk-or" not in sent
    assert not any(KEY[at : at + 6] in sent for at in range(9, len(KEY) - 6))


def test_only_the_ends_of_a_huge_text_are_read() -> None:
    sent = shorten_to_budget("é" * 200_000_000, 100, redacted=True)
    assert "200,000,000 characters" in sent
    assert estimate_tokens(sent) <= 100


def test_half_a_surrogate_pair_can_be_sent() -> None:
    assert render_text("a\ud83cb") == "a?b"
    assert render_text(["a\ud83cb"]) == '["a?b"]'


@pytest.mark.parametrize("budget", [0, -3])
def test_no_budget_is_refused(budget: int) -> None:
    with pytest.raises(ConfigurationError, match="leaves no room"):
        render("x", budget=budget)


def test_an_unknown_privacy_level_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="schema, head and sample"):
        render("x", privacy="all")  # type: ignore[arg-type]


def test_parts_pass_as_they_are_alone_and_in_lists() -> None:
    image = ImageContent.from_url("https://example.org/cat.png")
    file = FileContent("JVBERi0xLjQK", filename="tides.pdf")
    assert render(image) == [image]
    assert render(file) == [file]
    assert render([TextContent("see"), image, file]) == [TextContent("see"), image, file]
    assert render_text([TextContent("see"), image, file]) == "see\n[https://example.org/cat.png]\n[tides.pdf]"
    assert render_value(file).what == "file"
