"""Redact secrets that `orchat.secrets.detection` finds, in texts and in JSON-like data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HIDDEN = "[redacted]"
_HIDDEN_FIELDS = frozenset({"user_id", "authorization", "api_key", "apikey", "x-api-key"})


def redact(text: str, *secrets: str) -> str:
    """Replace keys, passwords, account ids and each of ``secrets`` in a text by ``[redacted]``.

    Parameters
    ----------
    text
        Text that no person typed to be sent: a value, an upstream's error, a header, an address.
    *secrets
        Values known to be secret, hidden whatever they look like.

    Examples
    --------
    >>> redact("Bearer sk-or-v1-0123456789abcdef was refused by postgres://ada:hunter2@db")
    'Bearer [redacted] was refused by postgres://[redacted]@db'
    >>> redact("the key is hunter2", "hunter2")
    'the key is [redacted]'
    """
    from orchat.secrets.detection import find_secrets

    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    pieces, done = [], 0
    for found in find_secrets(text):
        pieces += [text[done : found.start], HIDDEN]
        done = found.end
    return "".join([*pieces, text[done:]]) if pieces else text


def redact_lines(lines: Sequence[str]) -> list[str]:
    """Redact a text that is given as its lines, with secrets that extend over several of them.

    Examples
    --------
    >>> redact_lines(["machine db", "  login ada", "  password hunter2xyz", "That is all."])
    ['machine db', '  login ada', '  password [redacted]', 'That is all.']
    """
    from orchat.secrets.detection import find_secrets

    redacted, start = [], 0
    spans = [(found.start, found.end) for found in find_secrets("\n".join(lines))]
    for line in lines:
        end, pieces, done = start + len(line), [], 0
        while spans and spans[0][0] < end:
            first, last = max(spans[0][0] - start, 0), min(spans[0][1] - start, len(line))
            pieces += [line[done:first], HIDDEN] if first < last else []
            done = max(done, last)
            if spans[0][1] > end:
                break
            spans.pop(0)
        redacted.append("".join([*pieces, line[done:]]))
        start = end + 1
    return redacted


def redact_json(value: Any, *secrets: str) -> Any:
    """Copy JSON-like data with every string redacted and fields such as ``user_id`` left out; no two keys become one.

    Examples
    --------
    >>> redact_json({"user_id": "user_2abc", "raw": ["sk-or-v1-0123456789abcdef", 7]})
    {'raw': ['[redacted]', 7]}
    """
    if isinstance(value, str):
        return redact(value, *secrets)
    if isinstance(value, Mapping):
        kept = {str(key): item for key, item in value.items() if str(key).lower() not in _HIDDEN_FIELDS}
        names = redacted_keys(kept, *secrets)
        return {name: redact_json(item, *secrets) for name, item in zip(names, kept.values(), strict=True)}
    if isinstance(value, list | tuple):
        return [redact_json(item, *secrets) for item in value]
    return value


def redacted_keys(keys: Iterable[str], *secrets: str) -> list[str]:
    """Redact the keys of a dictionary; those that would be the same are numbered.

    Examples
    --------
    >>> redacted_keys(["port", "sk-or-v1-0123456789abcdef", "sk-or-v1-abcdef0123456789"])
    ['port', '[redacted]', '[redacted] (2)']
    """
    keys = list(keys)
    taken = set(keys)
    names = []
    for key in keys:
        name = plain = redact(key, *secrets)
        number = 1
        while name != key and name in taken:
            number += 1
            name = f"{plain} ({number})"
        taken.add(name)
        names.append(name)
    return names
