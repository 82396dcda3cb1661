"""Complete a placeholder at the cursor of a prompt: variables, attributes, columns and other keys.

All names come from the kernel's memory, and no code of a value runs (`orchat.rendering.static_lookup`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice

from orchat.rendering.static_lookup import (
    NOTHING,
    get_attribute_static,
    get_item_static,
    static_attributes,
    static_keys,
)

MAX_COMPLETIONS = 300
_OPEN_PLACEHOLDER = re.compile(r"\{([^{}\n]*)$")
_OPEN_PATH = re.compile(
    r"(?P<path>[^\W\d]\w*(?:\.[^\W\d]\w*|\[(?:\d+|\"[^\"\]]*\"|'[^'\]]*')\])*)(?P<last>\.\w*|\[[^\]]*)"
)
_PLACEHOLDER_REST = re.compile(r"^[\w.\[\]\"']*\}")  # of a field that the cursor stands in
_CLOSING_BRACKET = re.compile(r"[\"']?\]")
_PATH_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[\"([^\"\]]*)\"\]|\['([^'\]]*)'\]")
_FORBIDDEN_IN_KEYS = frozenset("\\[]{}\n")  # no key that holds one of these can stand in a field


def complete_placeholder(before: str, after: str, names: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return the fragment before the cursor and its replacements; an empty list outside of placeholders.

    Parameters
    ----------
    before, after
        The prompt on both sides of the cursor.
    names
        The namespace of the placeholders.

    Examples
    --------
    >>> complete_placeholder("Greet {na", "", {"name": "Ada", "names": [], "_": 1})
    ('na', ['name', 'names'])
    >>> complete_placeholder("When in {tides[", "]}?", {"tides": {"Hull": 1}})
    ('[', ['["Hull"'])
    """
    from orchat.prompt_language.placeholder_parser import find_placeholders

    if (found := _OPEN_PLACEHOLDER.search(before)) is None:
        return "", []
    # Would it be a field if it were whole?
    rest = _PLACEHOLDER_REST.sub("", after, count=1)
    text = f"{before[: found.start()]}{{x}}{rest}"
    if not any(field.start == found.start() and field.in_prose for field in find_placeholders(text)):
        return "", []
    typed = found[1]
    if (path := _OPEN_PATH.fullmatch(typed)) is None:
        return typed, with_prefix(names, typed)
    value, fragment = _resolve_path(path["path"], names), path["last"]
    if value is NOTHING:
        return "", []
    if fragment.startswith("."):
        return fragment, ["." + name for name in with_prefix(static_attributes(value), fragment[1:])]
    wanted = fragment[1:].strip("\"'")
    written = [_key_literal(key, fragment[1:2]) for key in static_keys(value) if str(key).startswith(wanted)]
    closed = _CLOSING_BRACKET.match(after)  # by an editor that closes brackets by itself
    texts = [f"[{each}]" for each in written if each is not None][:MAX_COMPLETIONS]
    return fragment, [each.removesuffix(closed[0]) for each in texts] if closed else texts


def with_prefix(names: Iterable[str], start: str) -> list[str]:
    """Return the names with a prefix; private ones only for a prefix that is not empty.

    Examples
    --------
    >>> with_prefix(["_x", "x", "y"], ""), with_prefix(["_x", "x", "y"], "_")
    (['x', 'y'], ['_x'])
    """
    found = (name for name in names if name.startswith(start) and (start or not name.startswith("_")))
    return list(islice(found, MAX_COMPLETIONS))


def _resolve_path(path: str, names: Mapping[str, object]) -> object:
    """Return the value at a path such as ``table.columns[0]``, found without running code; else `NOTHING`."""
    root = re.match(r"\w+", path)
    if root is None or root[0] not in names:
        return NOTHING
    value = names[root[0]]
    for step in _PATH_STEP.finditer(path, root.end()):
        if step[1] is not None:
            value = get_attribute_static(value, step[1])
        else:
            value = get_item_static(value, int(step[2]) if step[2] is not None else step[step.lastindex or 0])
        if value is NOTHING:
            return NOTHING
    return value


def _key_literal(key: str | int, quote: str) -> str | None:
    """Return a key as a literal for a placeholder, in the quotes already typed; None where none is possible."""
    if isinstance(key, int):
        return str(key) if key >= 0 and not quote.strip("0123456789") else None
    if not _FORBIDDEN_IN_KEYS.isdisjoint(key):
        return None
    free = [each for each in ([quote] if quote in {'"', "'"} else ['"', "'"]) if each not in key]
    return f"{free[0]}{key}{free[0]}" if free else None
