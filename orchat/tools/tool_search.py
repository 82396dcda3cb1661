"""`ToolIndex`: find tools by words of their names and descriptions, where there are too many to tell a model of all."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable

from orchat.tools.definition import Tool

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_NAME_WEIGHT = 3.0
_SHORTEST_STEM = 4  # letters that two words must share from their beginning to count as the same
_MOST_DESCRIPTION = 4_000


def schema_tokens(tool: Tool) -> int:
    """Estimate how many tokens a tool's description costs in each request.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def tide(port: str) -> str:
    ...     "Say when the tide is high."
    ...     return "14:10"
    >>> schema_tokens(tide)
    41
    """
    return math.ceil(len(json.dumps(tool.tool_spec, ensure_ascii=False)) / 4)


class ToolIndex:
    """An index of tools by the words of their names, titles and descriptions.

    Parameters
    ----------
    tools
        The tools.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def list_invoices(customer: str) -> str:
    ...     "Return what a customer owes."
    ...     return ""
    >>> @tool
    ... def sendMail(to: str) -> str:
    ...     "Send a letter to a customer."
    ...     return ""
    >>> index = ToolIndex([list_invoices, sendMail])
    >>> [found.name for found in index.search("invoice of a customer")]
    ['list_invoices', 'sendMail']
    >>> [found.name for found in index.search("mails")]
    ['sendMail']
    """

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._entries: list[tuple[Tool, Counter[str], frozenset[str]]] = []
        self._frequency: Counter[str] = Counter()
        for tool in tools:
            name = frozenset(_words(f"{tool.name} {tool.title or ''}"))
            told = Counter(_words(tool.description[:_MOST_DESCRIPTION]))
            self._entries.append((tool, told, name))
            self._frequency.update(name | set(told))

    def search(self, query: str, limit: int = 5) -> list[Tool]:
        """Return the tools that fit the query best, best first; a rare word counts more, one in a name most."""
        weights = {word: self._weights(word) for word in dict.fromkeys(_words(query))}
        scores = [(sum(self._score(entry, same) for same in weights.values()), entry[0]) for entry in self._entries]
        best = sorted(((score, at) for at, (score, _) in enumerate(scores) if score > 0), key=lambda each: -each[0])
        return [scores[at][1] for _, at in best[:limit]]

    def _weights(self, word: str) -> dict[str, float]:
        """Return the words of the index that a word of a query means, each with its weight."""
        count = len(self._entries)
        return {
            each: math.log(1 + count / number)
            for each, number in self._frequency.items()
            if each == word or (_shared(each, word) >= max(_SHORTEST_STEM, min(len(each), len(word)) - 1))
        }

    @staticmethod
    def _score(entry: tuple[Tool, Counter[str], frozenset[str]], same: dict[str, float]) -> float:
        _, told, name = entry
        in_name = max((weight for word, weight in same.items() if word in name), default=0.0)
        counted = (weight * told[word] / (told[word] + 1) for word, weight in same.items() if word in told)
        in_text = max(counted, default=0.0)
        return _NAME_WEIGHT * in_name + in_text


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _shared(one: str, other: str) -> int:
    """Return how many letters two words share from their beginning."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))
