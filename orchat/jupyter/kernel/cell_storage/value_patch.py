r"""Say how a JSON value differs from an earlier one, as a patch. Pure; ``extension/static/value_patch.js`` applies it.

A conversation grows at its end, and loses its oldest turns: a patch holds what is new. Its forms:

===================================== ==============================================================================
``{"is": value}``                     another value
``{"from": i, "to": j, "then": [..]}`` of a list the elements from ``i`` to before ``j``, and others behind them
``{"within": {...}, "without": [..]}`` of an object the patches of some fields, new ones included, without some others
===================================== ==============================================================================
"""

from __future__ import annotations

import marshal  # only written, to be compared
from typing import Any, TypeAlias

Patch: TypeAlias = dict[str, Any]


def make_patch(old: Any, new: Any) -> Patch:
    r"""Return the patch that makes a value of an earlier one; both are plain JSON.

    Examples
    --------
    >>> make_patch({"chat": [1, 2, 3], "model": "m"}, {"chat": [2, 3, 4], "model": "m"})
    {'within': {'chat': {'from': 1, 'to': 3, 'then': [4]}}, 'without': []}
    """
    if isinstance(old, dict) and isinstance(new, dict):
        within = {
            name: make_patch(old[name], value) if name in old else {"is": value}
            for name, value in new.items()
            if name not in old or not _is_same(old[name], value)
        }
        return {"within": within, "without": [name for name in old if name not in new]}
    if isinstance(old, list) and isinstance(new, list) and old and new:
        start = end = old.index(new[0]) if new[0] in old else 0
        while end < len(old) and end - start < len(new) and old[end] == new[end - start]:
            end += 1
        if _is_same(old[start:end], new[: end - start]):
            return {"from": start, "to": end, "then": new[end - start :]}
    return {"is": new}


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two values are the same JSON; to Python True is 1 as well."""
    return one == other and marshal.dumps(one, 2) == marshal.dumps(other, 2)
