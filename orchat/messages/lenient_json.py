"""JSON as models write it: in fences, between words, with blanks that JSON does not know. Pure.

Only what can be read in one way is read; a text that holds two different answers is left as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

# What stands around or between tokens and means nothing: byte order marks, no-break and zero-width spaces too.
BLANKS = " \t\r\n\f\v\u00a0\u2007\u202f\u2060\u200b\u3000\ufeff"
_ODD_BLANKS = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\Z))|[\u00a0\u2007\u202f\u2060\u200b\u3000\ufeff]', re.DOTALL)
_LANGUAGE = re.compile(r"[A-Za-z][\w.+-]*")


def find_json(text: str) -> str | None:
    r"""Extract the JSON text of a model's answer, the whole or the content of its only fence; None without one.

    Examples
    --------
    >>> find_json('\ufeff{"a":\u00a01}'), find_json('Here it is:\n```JSON\n{"a": 1}\n```\nAs you wished.')
    ('{"a": 1}', '{"a": 1}')
    >>> find_json('```\n1\n```\nor\n```\n2\n```')
    """
    bare = text.strip(BLANKS)
    for candidate in (bare, _with_plain_blanks(bare)):
        if _is_json(candidate):
            return candidate
    found = dict.fromkeys(filter(_is_json, map(_with_plain_blanks, fenced(bare))))
    return next(iter(found)) if len(found) == 1 else None


def fenced(text: str) -> Iterator[str]:
    r"""Iterate over the contents of the fenced blocks of a text, without their language names.

    Examples
    --------
    >>> list(fenced('~~~\n{"a": 1}\n~~~')), list(fenced('So: ```json {"a": 1}``` it is.'))
    (['{"a": 1}'], ['{"a": 1}'])
    """
    fence, inner, found = "", [""], False
    for line in text.split("\n"):
        bare = line.strip(BLANKS)
        if fence:
            if not bare.endswith(fence):
                inner.append(line)
                continue
            inner.append(bare.rstrip(fence[0]))
            fence = ""
        elif (mark := bare[:3]) in ("```", "~~~"):
            found = True
            rest = bare.lstrip(mark[0])
            if not (rest and rest.endswith(mark)):
                fence, inner = mark, [_without_language(rest)]
                continue
            inner = [_without_language(rest.rstrip(mark[0]))]
        else:
            continue
        yield "\n".join(inner).strip(BLANKS)
    if fence:  # it was never closed
        yield "\n".join(inner).strip(BLANKS)
    for mark in () if found else ("```", "~~~"):
        parts = text.split(mark, 3)
        if len(parts) == 3:
            yield _without_language(parts[1])


def _without_language(text: str) -> str:
    text = text.strip(BLANKS)
    word = _LANGUAGE.match(text)
    if word is None or word[0] in ("true", "false", "null"):
        return text
    return text[word.end() :].strip(BLANKS)


def _with_plain_blanks(text: str) -> str:
    """Replace blanks that JSON does not know by spaces, but not inside of strings."""
    return _ODD_BLANKS.sub(lambda match: match[1] or " ", text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
