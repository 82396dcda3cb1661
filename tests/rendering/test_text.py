"""Text and tokens: what is kept, what is cut, and that the cut is said."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.errors import ConfigurationError
from orchat.messages import FileContent, ImageContent, TextContent
from orchat.rendering import estimate_tokens, render, render_text, render_value, shorten_to_budget
from tests.secrets.corpus import Made, made_up

KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"


def test_a_str_goes_out_as_it_is_but_for_secrets() -> None:
    text = "  {braces} — ünïcode\n\t"
    assert render(text) == [TextContent(text)]
    assert render(text + KEY) == [TextContent(text + "[redacted]")]
    assert (
        render_value(text + KEY).summary("text") == f"text: text, secrets redacted, {estimate_tokens(text) + 2} tokens"
    )
    assert render_value(text + KEY, allow_secrets=True).text == text + KEY
    assert KEY not in render_value([KEY], allow_secrets=True).text


@pytest.mark.parametrize("made", made_up(), ids=lambda made: made.name)
def test_text_is_guarded_as_well_as_data(made: Made) -> None:
    if made.name.startswith("bare "):
        return
    for value in (made.text, TextContent(made.text), [made.text], {"said": made.text}, json.dumps({"said": made.text})):
        assert made.secret[-12:] not in render_text(value)


def test_json_that_is_a_text_is_guarded_as_data_is() -> None:
    frame = {"columns": ["port", "api_key"], "index": [0], "data": [["Hull", "tide"]]}
    for data in (frame, {"login": {"password": "tide"}}, [{"port": "Hull", "client_secret": "tide"}]):
        for text in (json.dumps(data), json.dumps(data, indent=2)):
            assert "tide" not in render_text(text)
            assert "redacted" in render_text(text)
    plain = '{ "port" : "Hull", "token": 7 , "deep": ' + "[" * 40 + "]" * 40 + "}"
    assert render_text(plain) == plain


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
