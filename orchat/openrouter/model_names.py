"""Models' names: what a variant is a variant of, and which names are near a wrong one. Pure (API section 8)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

_LIKE = 0.6
# Rules that may follow any name; unlike these, `:free`, `:extended` and `:thinking` are models of their own.
_RULES = re.compile(r"(?::(?:nitro|floor|exacto|online|batch))+$")
_PRESET = "@preset/"


def base_models(name: str) -> Iterator[str]:
    """Give a name, then the same with ever less at its end: preset, then variants one by one.

    Examples
    --------
    >>> list(base_models("vendor/m:free:online@preset/brief"))
    ['vendor/m:free:online@preset/brief', 'vendor/m:free:online', 'vendor/m:free', 'vendor/m']
    """
    yield name
    base = name.partition(_PRESET)[0]
    if base != name and base:
        yield base
    while base := base.rpartition(":")[0]:
        yield base


def similar_names(name: str, names: Iterable[str], count: int) -> list[str]:
    """Return the names most like one that may be mistyped, lack its vendor, or be what people say.

    Parameters
    ----------
    name
        The wrong one.
    names
        Those that there are.
    count
        How many to return at most.

    Examples
    --------
    >>> similar_names("gpt4o-mini", ["openai/gpt-4o", "openai/gpt-4o-mini"], 1)
    ['openai/gpt-4o-mini']
    """
    wanted = _spelt(_RULES.sub("", name.partition(_PRESET)[0]))
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)  # the one it prepares itself for
    scores = {}
    for candidate in names:
        whole = _spelt(candidate)
        scores[candidate] = max(_likeness(wanted, part, matcher) for part in (whole, whole.partition("/")[2]))
    best = sorted((-score, len(candidate), candidate) for candidate, score in scores.items() if score > 0)
    return [candidate for _, _, candidate in best[:count]]


def _spelt(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip().lower())


def _likeness(wanted: str, candidate: str, matcher: SequenceMatcher[str]) -> float:
    """How alike two names are, from 0 to 1 (the same); one that holds the other is more alike than letters tell."""
    if len(wanted) > 2 and wanted in candidate:
        return 0.9 + 0.1 * len(wanted) / len(candidate)
    matcher.set_seq1(candidate)
    if matcher.real_quick_ratio() <= _LIKE or matcher.quick_ratio() <= _LIKE or (ratio := matcher.ratio()) <= _LIKE:
        return 0.0
    return 0.9 * ratio
