"""Merge what deltas hold besides text, reasoning and tool calls: pictures, citations, a sound, a refusal."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any


class ExtraFields:
    """Merges the fields of deltas that no part of a message is made for.

    Lists are extended, a refusal's texts are joined, and so are a sound's data and transcript.

    Examples
    --------
    >>> fields = ExtraFields()
    >>> for delta in ({"refusal": "I can", "images": [{"url": "a"}]}, {"refusal": "not.", "images": [{"url": "a"}]}):
    ...     for key, value in delta.items():
    ...         fields.add(key, value)
    >>> fields.values
    {'refusal': 'I cannot.', 'images': [{'url': 'a'}]}
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._seen: dict[str, set[Any]] = {}

    def add(self, key: str, value: Any) -> None:
        """Merge a delta's value."""
        old = self.values.get(key)
        if isinstance(value, list) and (old is None or isinstance(old, list)):
            # A list of our own: copying it for each delta would take a time that grows with the square.
            kept = self.values.setdefault(key, []) if old is None else old
            kept += distinct(value, self._seen.setdefault(key, set()))
        elif isinstance(old, str) and isinstance(value, str) and key == "refusal":
            self.values[key] = None  # as in merge_details
            old += value
            self.values[key] = old
        elif isinstance(old, dict) and isinstance(value, dict):
            for part, piece in value.items():
                known = old.get(part)
                if part not in {"data", "transcript"} or not (isinstance(known, str) and isinstance(piece, str)):
                    old[part] = known if piece is None else piece
                elif part == "data" and known.endswith("="):
                    old[part] = _join_padded(known, piece)
                else:
                    old[part] = None  # in place, as the refusal
                    known += piece
                    old[part] = known
        elif value is not None:
            self.values[key] = dict(value) if isinstance(value, dict) else value  # of our own: the chunk has the other


def distinct(items: Iterable[Any], seen: set[Any] | None = None) -> list[Any]:
    """Filter objects that were sent before: some upstreams repeat images and citations.

    Examples
    --------
    >>> distinct([{"url": "a"}, {"url": "b"}, {"url": "a"}, 1, 1])
    [{'url': 'a'}, {'url': 'b'}, 1, 1]
    """
    seen = set() if seen is None else seen
    kept = []
    for item in items:
        if isinstance(item, dict):
            mark = _mark_of(item)
            if mark in seen:
                continue
            seen.add(mark)
        kept.append(item)
    return kept


def _mark_of(item: dict[str, Any]) -> Any:
    """Return what is the same for the same object: of an image its address, without copying that, not its number."""
    match item:
        case {"image_url": {"url": str() as url, **more_of_url}, **more}:
            more.pop("index", None)
            return url, json.dumps([more_of_url, more], sort_keys=True, default=str)
    return hashlib.sha256(json.dumps(item, sort_keys=True, default=str).encode(errors="replace")).hexdigest()


def _join_padded(old: str, new: str) -> str:
    """Join two pieces of base64 of which the first is padded and thus complete (API section 4.2)."""
    try:
        return base64.b64encode(base64.b64decode(old) + base64.b64decode(new)).decode()
    except ValueError:
        return old + new
