"""Errors as people read them: short, and harmless."""

from __future__ import annotations

from orchat.errors import AuthenticationError, ConfigurationError, MissingKeyError, RateLimitError
from orchat.jupyter.kernel.output.error_card import error_card, error_line, error_text


def test_errors_are_short_whatever_is_in_them() -> None:
    long = RateLimitError("<b>*x*</b>\n" * 900, status_code=429, provider_name="<i>" * 200, hint="[y](z) " * 900)
    card = error_card(long)
    assert "<b>" not in card
    assert "<i>" not in card
    assert len(card) < 1_600
    assert len(error_text(long)) < 800
    assert len(error_line(long)) < 150
    assert len(error_text(long).splitlines()) == 1


def test_what_is_to_be_typed_is_code_and_all_else_is_escaped() -> None:
    card = error_card(AuthenticationError("No *auth*.", status_code=401, hint="Check it."))
    assert card.endswith("> No \\*auth\\*.\n>\n> → Check it. `%openrouter key set` asks for another key.")
    for hostile in ("`$x$` and `y`", "a ` alone", "`<b>`", "`a\\`", "``"):
        assert "`" not in error_card(ConfigurationError(hostile))


def test_an_error_without_words_or_hint_is_a_card_too() -> None:
    assert error_card(ConfigurationError("")) == "> **This cannot be sent**"
    assert error_text(ConfigurationError("")) == "This cannot be sent:"
    assert "%%openrouter local/" in error_card(MissingKeyError("x", hint="y"))
    assert "`" not in error_text(MissingKeyError("x", hint="y"))
