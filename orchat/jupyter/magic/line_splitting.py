"""The words of a magic's line: split as a shell does, but JSON needs no quotes. It knows no option."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

from IPython.core.error import UsageError

_WORD = re.compile(r"(?:[^\s'\"\\]|\\.|'[^']*'|\"(?:[^\"\\]|\\.)*\")+")
_JSON_AHEAD = re.compile(r"(?:--?)?(?:[\w.-]+=)?(?=[\[{])")


def split_words(line: str) -> list[str]:
    r"""Split a line as a shell does, but keep JSON that is not in quotes.

    Raises
    ------
    UsageError
        A quotation does not end.

    Examples
    --------
    >>> split_words('-s "Be brief." -p stop=["a b", "c"] --provider {"sort": "price"}')
    ['-s', 'Be brief.', '-p', 'stop=["a b", "c"]', '--provider', '{"sort": "price"}']
    """
    return [word for word, _, _ in _words(line)]


def split_prompt(line: str) -> tuple[str, str | None]:
    """Part a line at its first ``--``; the prompt is None where there is none.

    Raises
    ------
    UsageError
        A quotation does not end before it.

    Examples
    --------
    >>> split_prompt('some/model -s "a -- b" -- why is the sky blue?')
    ('some/model -s "a -- b" ', 'why is the sky blue?')
    """
    try:
        for word, start, _ in _words(line):
            if word == "--":
                return line[:start], line[start + 2 :].strip()
    except UsageError:
        if "--" in line:
            raise
        # An apostrophe: words of a sub-command, or a question that lacks its dashes.
    return line, None


def incomplete_word(line: str) -> tuple[list[str], str]:
    r"""Part a line that is still being typed into its whole words and the last one, open quotation and all.

    Examples
    --------
    >>> incomplete_word('-m openai/gpt -s "Be br')
    (['-m', 'openai/gpt', '-s'], '"Be br')
    >>> incomplete_word("-m ")
    (['-m'], '')
    """
    done: list[tuple[str, int]] = []
    end = 0
    try:
        for word, start, end in _words(line):
            if _is_open(line[start:end]):
                return [each for each, _ in done], line[start:]
            done.append((word, start))
    except UsageError:
        return [each for each, _ in done], line[end:].lstrip()
    if done and end == len(line):
        return [each for each, _ in done[:-1]], line[done[-1][1] :]
    return [each for each, _ in done], ""


def _is_open(word: str) -> bool:
    """Say whether a word begins JSON that does not end in it."""
    return _JSON_AHEAD.match(word) is not None and any(word.count(a) > word.count(b) for a, b in ("{}", "[]"))


def _words(line: str) -> Iterator[tuple[str, int, int]]:
    """Give each word, where it begins and where it ends."""
    at = 0
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        start, end = at, _json_end(line, at)
        if end is not None:
            yield line[start:end], start, end
            at = end
            continue
        match = _WORD.match(line, at)
        at = match.end() if match else at
        if match is None or (at < len(line) and not line[at].isspace()):
            raise UsageError(f"No closing quotation in: {line.strip()}")
        yield "".join(shlex.split(match[0])), start, at


def _json_end(line: str, start: int) -> int | None:
    """Return where a word ends that holds a JSON object or list; None where it holds none."""
    ahead = _JSON_AHEAD.match(line, start)
    if ahead is None:
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(line, ahead.end())
    except (ValueError, RecursionError):
        return None
    return end if end == len(line) or line[end].isspace() else None
