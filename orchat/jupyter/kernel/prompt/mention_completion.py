"""Complete a mention at the cursor of a prompt, ``@sales``: it becomes the placeholder ``{sales}``.

It finds what one does not remember the name of: the last error, variables and their columns, cells and their results.
All comes from the kernel's memory, and no code of a value runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.jupyter.kernel.prompt.placeholder_completion import complete_placeholder, with_prefix
from orchat.rendering.static_lookup import NOTHING, get_item_static, static_keys

_MENTION = re.compile(r"(?:^|(?<=[\s(]))@([\w.\[\]\"']{0,100})$")
_MAX_CELLS = 4  # the last ones
_MAX_COLUMNS = 20
_CELLS = ("Err", "In", "Out")


class Mention(NamedTuple):
    """What may be mentioned: the placeholder, and a few words about it."""

    placeholder: str
    note: str = ""


def complete_mention(before: str, names: Mapping[str, object]) -> tuple[str, list[Mention]]:
    """Return the mention before the cursor, with its ``@``, and what it may become; nothing outside of a mention.

    Parameters
    ----------
    before
        The prompt before the cursor.
    names
        The namespace of the placeholders.

    Examples
    --------
    >>> names = {"sales": {"port": ["Hull"]}, "salt": 1, "Err": {4: "ZeroDivisionError: division by zero"}}
    >>> fragment, found = complete_mention("Why is @", names)
    >>> fragment, found[0].note, [each.placeholder for each in found]
    ('@', 'the last error: ZeroDivisionError: division by zero', ['{Err[4]}', '{sales}', '{salt}'])
    >>> [each.placeholder for each in complete_mention("Compare @sales", names)[1]]
    ['{sales}', '{sales["port"]}']
    """
    from orchat.prompt_language.placeholder_parser import find_placeholders

    if (found := _MENTION.search(before)) is None:
        return "", []
    start = found.start(1) - 1
    if not any(field.start == start and field.in_prose for field in find_placeholders(f"{before[:start]}{{x}}")):
        return "", []
    fragment = found[1]
    if re.search(r"[.\[]", fragment):
        typed, rest = complete_placeholder(f"{{{fragment}", "", names)
        whole = [fragment[: len(fragment) - len(typed)] + each for each in rest]
        return f"@{fragment}", [Mention(f"{{{each}}}") for each in whole]
    return f"@{fragment}", [*_errors(fragment, names), *_variables(fragment, names), *_cells(fragment, names)]


def _errors(fragment: str, names: Mapping[str, object]) -> Iterator[Mention]:
    history = names.get("Err")
    numbers = _numbers(history)
    if isinstance(history, Mapping) and numbers and ("error".startswith(fragment.lower()) or fragment == "Err"):
        number = max(numbers)
        lines = str(history[number]).strip().splitlines() or [""]
        yield Mention(f"{{Err[{number}]}}", f"the last error: {single_line(lines[-1], 80)}")


def _numbers(history: object) -> list[int]:
    """Return the numbers of cells in a history; a user's variable of that name has other keys."""
    return [number for number in history if type(number) is int] if isinstance(history, Mapping) else []


def _variables(fragment: str, names: Mapping[str, object]) -> Iterator[Mention]:
    listed = [name for name in with_prefix(names, fragment) if name not in _CELLS]
    for name in listed:
        yield Mention(f"{{{name}}}", type(names[name]).__name__)
        if name == fragment:  # a name that is typed whole: what is in it
            columns = (key for key in static_keys(names[name]) if isinstance(key, str))
            for key in islice(columns, _MAX_COLUMNS):
                if not re.search(r"[\\\[\]{}\n\"]", key):
                    yield Mention(f'{{{name}["{key}"]}}', "column")


def _cells(fragment: str, names: Mapping[str, object]) -> Iterator[Mention]:
    """Give the last cells, by their results and their code."""
    wanted = fragment.lower()
    if not any(word.startswith(wanted) for word in ("in", "out", "cell")):
        return
    results, cells = names.get("Out"), names.get("In")
    if isinstance(results, Mapping):
        for number in sorted(_numbers(results), reverse=True)[:_MAX_CELLS]:
            yield Mention(f"{{Out[{number}]}}", f"result of cell {number}: {type(results[number]).__name__}")
    if isinstance(cells, list):
        for number in range(len(cells) - 1, max(len(cells) - 1 - _MAX_CELLS, 0), -1):
            code = get_item_static(cells, number)
            lines = str(code).strip().splitlines() if code is not NOTHING else []
            if lines:
                yield Mention(f"{{In[{number}]}}", f"cell {number}: {single_line(lines[0], 60)}")
