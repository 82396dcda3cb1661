"""Detect secrets in a text: tokens of services, structured forms, values with the name of a secret, also in tables.

This is the one place that decides, for what is sent, saved, shown and logged. It is measured both ways
(``tests/secrets``): what must be found, and what must not.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from orchat.secrets.assignments import Span, named_values
from orchat.secrets.formats import COOKIES, FORMATS_BY_PART, PAIR, is_cookie
from orchat.secrets.randomness import is_placeholder, is_random
from orchat.secrets.services import SERVICES, Service
from orchat.secrets.tables import table_values


class Found(NamedTuple):
    """A secret in a text.

    Parameters
    ----------
    start
        Where it begins.
    end
        Where it has ended.
    what
        What it looks like, with its article.
    """

    start: int
    end: int
    what: str


# A token begins where a word does, behind an escape of a quoted text, or behind an escape of an address.
_RUN = re.compile(r"[A-Za-z0-9_~.][!#$%+./0-9:=?@A-Z_a-z~&-]{13,}")
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_BOUND = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbfv])|(?<=%[0-9A-Fa-f][0-9A-Fa-f])|(?<=\x1b\[[0-9]m))"

# A text of short words, which holds no token: most are so, and telling that takes a fifth of looking for runs.
_SHORT_WORDS = re.compile(r"(?:[^ ]{0,13}+ )*+[^ ]{0,13}+\Z")

_compiled = lru_cache(maxsize=None)(re.compile)  # when it is looked for: most texts need few of them


@lru_cache(maxsize=1)
def _token_pattern() -> tuple[re.Pattern[str], dict[int, Service]]:
    """Return all tokens as one pattern, and which of its groups is which; those that begin alike are tried together."""
    beginnings: dict[str, list[Service]] = {}
    for service in SERVICES:
        first = service.pattern[0]
        beginnings.setdefault(first if first.isalnum() else "", []).append(service)
    groups: dict[int, Service] = {}
    branches = []
    for first, services in beginnings.items():
        for service in services:
            groups[len(groups) + 1] = service
        rests = "|".join(f"({service.pattern.removeprefix(first)})" for service in services)
        branches.append(f"{first}(?:{rests})")
    return re.compile(f"{_BOUND}(?:{'|'.join(branches)})(?![A-Za-z0-9])"), groups


def find_secrets(text: str) -> list[Found]:
    """Find the secrets in a text, in order and without overlap.

    Examples
    --------
    >>> text = "OPENAI_API_KEY=q7Zx0pT2mB9v and postgres://ada:hunter2@db"
    >>> [(text[each.start : each.end], each.what) for each in find_secrets(text)]
    [('q7Zx0pT2mB9v', 'the value of OPENAI_API_KEY'), ('ada:hunter2', 'the password of an address')]
    """
    if len(text) < 8:
        return []
    return list(_remembered(text) if len(text) <= _SHORT else _find(text))


def _find(text: str) -> tuple[Found, ...]:
    lowered = _lowered(text)
    spans = [*_tokens(text), *_formatted(text, lowered), *named_values(text, lowered), *table_values(text, lowered)]
    if not spans:  # as in most texts
        return ()
    found: list[Found] = []
    for span in sorted(spans, key=lambda span: (span[0], -span[1])):
        if found and span[0] < found[-1].end:
            found[-1] = found[-1]._replace(end=max(found[-1].end, span[1]))
        else:
            found.append(Found(*span))
    return tuple(found)


# A conversation is looked through at every keeping, mostly the same as before.
_SHORT = 16_384
_remembered = lru_cache(maxsize=2048)(_find)


def _lowered(text: str) -> str:
    """Return a text in lower case whose every character stands where it stood."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text.translate(_SMALL)


def _tokens(text: str) -> Iterator[Span]:
    if _SHORT_WORDS.match(text):
        return
    pattern, groups = _token_pattern()
    for run in _RUN.finditer(text):
        for token in pattern.finditer(text, run.start(), run.end()):
            service = groups[token.lastindex or 1]
            if is_placeholder(token[0]) or len(set(token[0])) < 7 or _is_a_name(service, token):
                continue
            yield token.start(), token.end(), service.what


def _is_a_name(service: Service, token: re.Match[str]) -> bool:
    """Whether it only happens to begin like a token; within base64 anything occurs."""
    return service.vague and (not is_random(token[0]) or token.string[token.start() - 1 : token.start()] in ("/", "+"))


def _formatted(text: str, lowered: str) -> Iterator[Span]:
    for part, forms in FORMATS_BY_PART:
        if part not in lowered:
            continue
        for form in forms:
            if form.needle not in lowered or lowered.count(form.needle) < form.times:
                continue
            pattern = _compiled(form.pattern)
            for match in pattern.finditer(text):
                yield from (
                    (*match.span(group), form.what)
                    for group in range(1, pattern.groups + 1)
                    if match[group] is not None and form.test(match[group])
                )
    if "cookie" in lowered:
        for header in COOKIES.finditer(text):
            for pair in PAIR.finditer(text, *header.span(1)):
                if is_cookie(pair[0]):
                    yield pair.start() + pair[0].index("=") + 1, pair.end(), "a cookie"
