"""The words of a magic's line, whole and while it is being typed."""

from __future__ import annotations

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.error import UsageError

from orchat.jupyter.magic.line_tokenizer import incomplete_word, split_prompt, split_words

WORDS = st.lists(st.text(alphabet="abz09/-_.:='\"\\ é{}[],", min_size=1, max_size=8), max_size=5)
JSON = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.lists(st.booleans(), max_size=3))


@given(WORDS)
def test_words_in_quotes_come_back(wanted: list[str]) -> None:
    assert split_words(shlex.join(wanted)) == wanted


@given(JSON)
def test_json_needs_no_quotes(value: object) -> None:
    text = json.dumps(value)
    assert split_words(f"-p stop={text} {text} end") == ["-p", f"stop={text}", text, "end"]


@pytest.mark.parametrize("line", ["-s 'Be brief", '-s "Be', "-s a'b", "x \\"])
def test_a_quotation_that_does_not_end(line: str) -> None:
    with pytest.raises(UsageError, match="No closing quotation"):
        split_words(line)


@pytest.mark.parametrize(
    ("line", "whole", "last"),
    [
        ("", [], ""),
        ("   ", [], ""),
        ("--te", [], "--te"),
        ("-m ", ["-m"], ""),
        ("-m\topenai/", ["-m"], "openai/"),
        ("-s 'Be brief.' -", ["-s", "Be brief."], "-"),
        ("-s 'Be br", ["-s"], "'Be br"),
        ('-s "a b"', ["-s"], '"a b"'),
        ('--provider {"sort": ', ["--provider"], '{"sort": '),
        ('--provider {"sort": "price"}', ["--provider"], '{"sort": "price"}'),
        ('--provider {"sort": "price"} -', ["--provider", '{"sort": "price"}'], "-"),
        ('-p stop=["a b", "', ["-p"], 'stop=["a b", "'),
    ],
)
def test_a_line_that_is_being_typed(line: str, whole: list[str], last: str) -> None:
    assert incomplete_word(line) == (whole, last)


@given(st.text(alphabet="ab -'\"\\{}[]:,=", max_size=30))
def test_what_is_being_typed_is_the_end_of_the_line(line: str) -> None:
    _, last = incomplete_word(line)
    assert line.endswith(last)


def test_a_prompt_begins_at_the_first_two_dashes() -> None:
    assert split_prompt("-t 0 -- a -- b") == ("-t 0 ", "a -- b")
    assert split_prompt("--") == ("", "")
    assert split_prompt("models gpt") == ("models gpt", None)
    assert split_prompt("why isn't it blue") == ("why isn't it blue", None)
    with pytest.raises(UsageError):
        split_prompt("-s 'open -- why?")
