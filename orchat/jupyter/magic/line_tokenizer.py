"""Split a magic's line into words as a shell does, with unquoted JSON kept whole. Options are not known here."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

from IPython.core.error import UsageError

_WORD = re.compile(r"(?:[^\s'\"\\]|\\.|'[^']*'|\"(?:[^\"\\]|\\.)*\")+")
_QUOTING = re.compile(r"['\"\\]")
_JSON_PREFIX = re.compile(r"(?:--?)?(?:[\w.-]+=)?(?=[\[{])")


def split_words(line: str) -> list[str]:
    r"""Split a line into words as a shell does, but keep unquoted JSON whole.

    Raises
    ------
    UsageError
        A quotation is not closed.

    Examples
    --------
    >>> split_words('-s "Be brief." -p stop=["a b", "c"] --provider {"sort": "price"}')
    ['-s', 'Be brief.', '-p', 'stop=["a b", "c"]', '--provider', '{"sort": "price"}']
    """
    return [word for word, _, _ in _scan_words(line)]


def split_prompt(line: str) -> tuple[str, str | None]:
    """Split a line at its first ``--`` into options and prompt; the prompt is None where there is none.

    Raises
    ------
    UsageError
        A quotation before it is not closed.

    Examples
    --------
    >>> split_prompt('some/model -s "a -- b" -- why is the sky blue?')
    ('some/model -s "a -- b" ', 'why is the sky blue?')
    """
    try:
        for word, start, _ in _scan_words(line):
            if word == "--":
                return line[:start], line[start + 2 :].strip()
    except UsageError:
        if "--" in line:
            raise
        # An apostrophe: words of a sub-command, or a question that lacks its dashes.
    return line, None


def incomplete_word(line: str) -> tuple[list[str], str]:
    r"""Split a line that is still being typed into its complete words and the last, incomplete one with its quotes.

    Examples
    --------
    >>> incomplete_word('-m openai/gpt -s "Be br')
    (['-m', 'openai/gpt', '-s'], '"Be br')
    >>> incomplete_word("-m ")
    (['-m'], '')
    """
    whole_words: list[tuple[str, int]] = []
    end = 0
    try:
        for word, start, end in _scan_words(line):
            if _has_open_json(line[start:end]):
                return [each for each, _ in whole_words], line[start:]
            whole_words.append((word, start))
    except UsageError:
        return [each for each, _ in whole_words], line[end:].lstrip()
    if whole_words and end == len(line):
        return [each for each, _ in whole_words[:-1]], line[whole_words[-1][1] :]
    return [each for each, _ in whole_words], ""


def _has_open_json(word: str) -> bool:
    """Return whether a word starts JSON that it does not close."""
    return _JSON_PREFIX.match(word) is not None and any(word.count(a) > word.count(b) for a, b in ("{}", "[]"))


def _scan_words(line: str) -> Iterator[tuple[str, int, int]]:
    """Yield each word with its start and end index."""
    at, may_hold_json = 0, True
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        start = at
        try:
            end = _json_end(line, at) if may_hold_json else None
        except RecursionError:  # nested so deep that no word of this line is tried again
            end, may_hold_json = None, False
        if end is not None:
            yield line[start:end], start, end
            at = end
            continue
        match = _WORD.match(line, at)
        at = match.end() if match else at
        if match is None or (at < len(line) and not line[at].isspace()):
            raise UsageError(f"No closing quotation in: {line.strip()}")
        word = match[0]  # shlex takes the square of a long word's time, and changes none without these signs
        yield "".join(shlex.split(word)) if _QUOTING.search(word) else word, start, at


def _json_end(line: str, start: int) -> int | None:
    """Return the end index of a word that holds a JSON object or list; None where it holds none."""
    prefix = _JSON_PREFIX.match(line, start)
    if prefix is None:
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(line, prefix.end())
    except ValueError:
        return None
    return end if end == len(line) or line[end].isspace() else None
