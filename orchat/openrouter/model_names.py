"""Model names: the base model of a variant or preset, and the names similar to a wrong one. Pure (API section 8)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

_MIN_SIMILARITY = 0.6
# Rules that may follow any name; unlike these, `:free`, `:extended` and `:thinking` are models of their own.
_ROUTING_SUFFIXES = (":nitro", ":floor", ":exacto", ":online", ":batch")
_PRESET = "@preset/"
_DATE = re.compile(r"-(?:latest|\d{4}-\d{2}-\d{2}|\d{8}|\d{6}|\d{4})$")


def base_models(name: str) -> Iterator[str]:
    """Yield a name, then the name without its preset, then without one variant after another.

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


def model_family(name: str) -> str:
    """Return a model's name without what only tells how it is served, or of which day it is.

    Variants of one model read each other's signed reasoning; another model refuses it.

    Examples
    --------
    >>> {model_family(n) for n in ("v/m", "v/m:nitro", "~v/m-latest", "v/m-2026-08-06:free", "V/m@preset/brief")}
    {'v/m'}
    """
    base = name.strip().lower().partition(_PRESET)[0].lstrip("~").partition(":")[0]
    return _DATE.sub("", base)


def similar_names(name: str, names: Iterable[str], count: int) -> list[str]:
    """Return the names most similar to one that may be mistyped, lack its vendor, or be colloquial.

    Parameters
    ----------
    name
        The wrong name.
    names
        The existing names.
    count
        The largest number of names to return.

    Examples
    --------
    >>> similar_names("gpt4o-mini", ["openai/gpt-4o", "openai/gpt-4o-mini"], 1)
    ['openai/gpt-4o-mini']
    """
    base = name.partition(_PRESET)[0]
    while base.endswith(_ROUTING_SUFFIXES):
        base = base.rpartition(":")[0]
    wanted = _normalize(base)
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)  # the one it prepares itself for
    scores = {}
    for candidate in names:
        whole = _normalize(candidate)
        scores[candidate] = max(_similarity(wanted, part, matcher) for part in (whole, whole.partition("/")[2]))
    best = sorted((-score, len(candidate), candidate) for candidate, score in scores.items() if score > 0)
    return [candidate for _, _, candidate in best[:count]]


def _normalize(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip().lower())


def _similarity(wanted: str, candidate: str, matcher: SequenceMatcher[str]) -> float:
    """Return the similarity of two names, from 0 to 1 (equal); a name that contains the other scores at least 0.9."""
    if len(wanted) > 2 and wanted in candidate:
        return 0.9 + 0.1 * len(wanted) / len(candidate)
    matcher.set_seq1(candidate)
    if (
        matcher.real_quick_ratio() <= _MIN_SIMILARITY
        or matcher.quick_ratio() <= _MIN_SIMILARITY
        or (ratio := matcher.ratio()) <= _MIN_SIMILARITY
    ):
        return 0.0
    return 0.9 * ratio
