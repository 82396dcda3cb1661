"""Texts that a regular expression may read slowly, made from its own parse tree.

A slow pattern has a place where it repeats something, and can repeat it in many ways or from many beginnings; a text
shows it that brings the pattern there, goes on with what it repeats, and ends in something that fits nowhere.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any

_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)
_SINGLE = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN)
_MANY = 16  # times that something must be repeatable to be worth it
_CHARACTERS = [chr(code) for code in range(1, 127)] + list("\x1b\x85\xa0éß\u2028\u200b漢\ud800\uff01😀")
_FAILS = ("", "\x00", "\n\x00", "!\n")


@dataclass(frozen=True)
class Text:
    """A text of any length."""

    before: str
    again: str
    after: str

    def of(self, size: int) -> str:
        """Return it in that many characters, or a few more."""
        return self.before + self.again * (size // len(self.again) + 1) + self.after


def hostile_texts(pattern: re.Pattern[str], most: int) -> list[Text]:
    """Return up to that many texts for a pattern, always the same ones."""
    sure, more = _Maker(pattern).texts()
    chosen = random.Random(ascii(pattern.pattern))
    for texts in (sure, more):
        chosen.shuffle(texts)
    return list(dict.fromkeys([*sure[: most * 3 // 4], *more]))[:most]


class _Maker:
    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._tree = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
        self._random = random.Random(ascii(pattern.pattern))
        self._members: dict[str, list[str]] = {}
        self._groups: dict[int, str] = {}
        self._alphabet = self._letters()

    def texts(self) -> tuple[list[Text], list[Text]]:
        """Return those that follow the pattern, and those that only use its letters."""
        sure: list[Text] = []
        for _ in range(3):
            whole = self._sample(self._tree)
            for again in {whole, whole[:-1], whole[1:]}:
                sure += [Text("", again, after) for after in _FAILS[:2] if again]
            for before, low, body in self._repeats(self._tree, ""):
                for again in {self._sample(body) for _ in range(4)} - {""}:
                    sure += [Text(before, again, after) for after in _FAILS]
                    sure += [Text("", before + again, after) for after in _FAILS[:2]]
                    sure += [Text("", before, after) for after in _FAILS[:2] if before]
                    sure += [Text(before, again, before)]
                    if low > 2:  # once less than it must
                        sure += [Text("", before + again * (low - 1) + after, "") for after in ("\x00", "\n")]
        letters = self._alphabet
        befores = [before for before, _, _ in self._repeats(self._tree, "")] or [""]
        more = [Text("", letter, after) for letter in letters for after in _FAILS[:2]]
        more += [Text("", a + b, "\x00") for a in letters for b in letters]
        more += [Text(self._random.choice(befores), a + b, "\x00") for a in letters for b in letters]
        return sure, more

    def _repeats(self, tree: Any, before: str) -> Iterator[tuple[str, int, Any]]:
        """Give what is repeated: a text that leads there, how often it must be, and what it is."""
        for index, (kind, value) in enumerate(tree):
            here = before + self._sample(tree[:index])
            if kind in _REPEATS:
                if value[1] >= _MANY:
                    yield here, value[0], value[2]
                yield from self._repeats(value[2], here)
            else:
                for inner in _inner(kind, value):
                    yield from self._repeats(inner, here)

    def _sample(self, tree: Any) -> str:
        """Return a text that fits, what is looked ahead for left out of account."""
        return "".join(self._one(kind, value) for kind, value in tree)

    def _one(self, kind: Any, value: Any) -> str:
        if kind in _SINGLE:
            return self._random.choice(self._fitting(kind, value))
        if kind in _REPEATS:
            low, high, body = value
            times = self._random.choice([low, max(low, 1), min(high, low + 2)])
            return "".join(self._sample(body) for _ in range(min(times, 300)))
        if kind is _constants.GROUPREF:
            return self._groups.get(value, "")
        if kind is _constants.ASSERT:
            return self._sample(value[1]) if value[0] < 0 else ""
        if kind is _constants.ASSERT_NOT:
            return ""
        inner = _inner(kind, value)
        text = self._sample(self._random.choice(inner)) if inner else ""
        if kind is _constants.SUBPATTERN and value[0] is not None:
            self._groups[value[0]] = text
        return text

    def _fitting(self, kind: Any, value: Any) -> list[str]:
        key = repr((kind, value))
        if key not in self._members:
            single = _compiler.compile(_parser.SubPattern(self._tree.state, [(kind, value)]))
            fitting = [each for each in _CHARACTERS if single.fullmatch(each)]
            if not fitting:
                fitting = [chr(code) for code in range(0x3000) if single.fullmatch(chr(code))][:1] or [
                    _first(kind, value)
                ]
            self._members[key] = fitting
        return self._members[key]

    def _letters(self) -> list[str]:
        """Return one character of each kind that the pattern tells apart."""
        singles = list(_singles(self._tree))
        kinds: dict[tuple[bool, ...], str] = {}
        fitting = [set(self._fitting(kind, value)) for kind, value in singles]
        for each in "a1 " + "".join(_CHARACTERS):
            kinds.setdefault(tuple(each in some for some in fitting), each)
        return list(kinds.values())[:24]


def _first(kind: Any, value: Any) -> str:
    if kind is _constants.LITERAL:
        return chr(value)
    return next((chr(low) for inner, (low, _) in value if inner is _constants.RANGE), "x")


def _inner(kind: Any, value: Any) -> list[Any]:
    if kind is _constants.BRANCH:
        return list(value[1])
    if kind is _constants.SUBPATTERN:
        return [value[3]]
    if kind is _constants.ATOMIC_GROUP:
        return [value]
    if kind in (_constants.ASSERT, _constants.ASSERT_NOT):
        return [value[1]]
    if kind is _constants.GROUPREF_EXISTS:
        return [branch for branch in value[1:] if branch is not None]
    return []


def _singles(tree: Any) -> Iterator[tuple[Any, Any]]:
    for kind, value in tree:
        if kind in _SINGLE:
            yield kind, value
        elif kind in _REPEATS:
            yield from _singles(value[2])
        else:
            for inner in _inner(kind, value):
                yield from _singles(inner)
