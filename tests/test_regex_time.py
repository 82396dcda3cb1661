"""No regular expression of the package takes longer than its text is long, whatever the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from orchat.secrets.formats import FORMATS
from orchat.secrets.services import SERVICES
from tests.patterns.cpu_time import cpu_time
from tests.patterns.hostile_text import Text, hostile_texts
from tests.patterns.pattern_finder import Found, modules_of, patterns_of

# Examples of what functions build regular expressions from. One that is not here fails the test run.
VALUES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "orchat.jupyter.kernel.cell_storage.notebook_file": [{"mark": "0123456789abcdef"}],
    "orchat.prompt_language.placeholder_parser": [{"quote": '"', "run": "```"}, {"quote": "'", "run": "~~~~"}],
    "orchat.jupyter.kernel.coroutine_runner": [{"magic": "openrouter", "line": "line_magic"}],
    "orchat.secrets.detection": [{"branches": [service.pattern for service in SERVICES]}],
}
# What is kept as text and compiled when it is needed.
FORMS = [
    Found(f"orchat.secrets.formats: {each.what}", re.compile(each.pattern), frozenset({"finditer"})) for each in FORMATS
]
MODULES = list(modules_of("orchat"))
FOUND = FORMS + list(
    {
        (found.place, found.pattern): found
        for module in MODULES
        for values in VALUES.get(module.__name__, [{}])
        for found in patterns_of(module, values)
    }.values()
)

_SHORT, _LONG = 3_000, 100_000
_TEXTS = 160
# Seconds of the processor. What grows with the length takes less than 0.1 for the long text; what grows with its square
# takes one and more, and what doubles with each letter does not even end with the short one.
_LIMIT = 0.4
_SLOW_LIMIT = 0.15  # that of those known to be slow, of which each text costs as much until it is given up

_SLOW = [
    # These stood here once; a line of 53 characters took 16 seconds.
    r"(?P<before>(?: {0,3}> ?)*\s*(?:(?:[-*+]|\d{1,9}[.)])\s+)?)(?P<run>`{3,}(?=[^`]*$)|~{3,})",
    r"(?P<quote>(?: {0,3}> ?)*)(?P<indent> *)(?P<bullet>(?:[-*+]|\d{1,9}[.)]) {1,4})?(?P<run>`{3,}(?=[^`]*$)|~{3,})$",
    r"(?: {0,3}> ?){30}",
    r"\\\(\s*((?:[^$`\"\n\\]|\\[^()$`\"\n])+?)\s*\\\)",
    r"<title[^>]*>",
    r"(?s)\s*```\s*\n(.*)\n\s*```\s*",
    # And what is in every book about it.
    r"(a|a)*b",
    r"(a+)+$",
    r"\s+$",
    r"x*x*y",
    r"^(\w+\s?)*$",
    r"a.*b.*c",
    r"(?:(?:ab)?a?b?)*c",
    r"(.*?,){11}P",
]
_QUICK = [r"^(?: {0,3}> )*\S", r"\b\w++\s*+=", r"<[^<>]*>", r"^(a++)++b", r"\"[^\"]*\"", r"x{1,500}y"]


def slow_text(pattern: re.Pattern[str], use: str, limit: float = _LIMIT) -> Text | None:
    """Return a text for which the time grows faster than the length; None where none is found."""

    def time(text: str) -> float:
        return cpu_time(lambda: _use(pattern, use, text), limit)

    took: dict[Text, float] = {}
    for text in hostile_texts(pattern, _TEXTS):
        took[text] = time(text.of(_SHORT))
        if took[text] > limit:
            return text
    for text in sorted(took, key=took.__getitem__, reverse=True)[:4]:
        whole = text.of(_LONG)
        if all(time(whole) > limit for _ in range(2)):
            return text
    return None


def _use(pattern: re.Pattern[str], use: str, text: str) -> object:
    match use:
        case "sub" | "subn":
            return pattern.sub("", text)
        case "finditer" | "findall":
            return sum(1 for _ in pattern.finditer(text))
    return getattr(pattern, use)(text)


@pytest.mark.parametrize("found", FOUND, ids=lambda found: found.place)
def test_a_regular_expression_is_as_quick_as_its_text_is_short(found: Found) -> None:
    assert {use: slow_text(found.pattern, use) for use in found.uses} == dict.fromkeys(found.uses)


@pytest.mark.parametrize("pattern", _SLOW)
def test_one_that_is_slow_is_found(pattern: str) -> None:
    assert slow_text(re.compile(pattern), "finditer", _SLOW_LIMIT) is not None


@pytest.mark.parametrize("pattern", _QUICK)
def test_one_that_is_quick_is_not_found(pattern: str) -> None:
    assert slow_text(re.compile(pattern), "finditer") is None


def test_none_is_missed() -> None:
    assert len(FOUND) > 50
    known = {found.pattern for found in FOUND}
    assert [
        (module.__name__, name)
        for module in MODULES
        for name, value in vars(module).items()
        for pattern in _patterns(value)
        if pattern not in known
    ] == []


def _patterns(value: object) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, Mapping):
        yield from _patterns(list(value.values()))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            yield from _patterns(each)
