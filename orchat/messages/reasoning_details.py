"""Join the fragments of a model's reasoning details, which go back verbatim and in order (API section 4.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_JOINED_DETAILS = frozenset({"reasoning.text", "reasoning.summary"})
_NAMES_OF_DETAIL = frozenset({"signature", "id", "format"})


THINKING_BLOCKS = "thinking_blocks"
"""Where LiteLLM keeps the reasoning of Anthropic's models, which it wants back beside tool calls."""


def merge_thinking_blocks(stored: list[dict[str, Any]], fragments: Iterable[dict[str, Any]]) -> None:
    """Append blocks of thinking, joining fragments of one, of which the last brings its signature.

    Examples
    --------
    >>> blocks = []
    >>> merge_thinking_blocks(blocks, [{"type": "thinking", "thinking": "Hm", "signature": ""}])
    >>> merge_thinking_blocks(blocks, [{"type": "thinking", "thinking": ".", "signature": "c2ln"}])
    >>> blocks
    [{'type': 'thinking', 'thinking': 'Hm.', 'signature': 'c2ln'}]
    """
    for fragment in fragments:
        last = stored[-1] if stored else {}
        is_part = last.get("type") == fragment.get("type") == "thinking" and not last.get("signature")
        old, more = last.get("thinking"), fragment.get("thinking")
        if not is_part or not isinstance(old, str) or not isinstance(more, str):
            stored.append(dict(fragment))
            continue
        last["thinking"] = None  # as in merge_details
        old += more
        last |= {key: value for key, value in fragment.items() if value not in (None, "")} | {"thinking": old}


def merge_details(stored: list[dict[str, Any]], fragments: Iterable[Any]) -> None:
    """Append reasoning details, joining fragments of one item by the rules of API section 4.3.

    An empty text is no signature, id or format: the first event of many streams has such, and the real one comes later.

    Examples
    --------
    >>> details = []
    >>> merge_details(details, [{"type": "reasoning.text", "text": "Hm", "signature": ""}])
    >>> merge_details(details, [{"type": "reasoning.text", "text": "."}])
    >>> merge_details(details, [{"type": "reasoning.text", "signature": "c2ln"}])
    >>> details
    [{'type': 'reasoning.text', 'text': 'Hm.', 'signature': 'c2ln'}]
    """
    for fragment in fragments:
        if not isinstance(fragment, dict):
            stored.append({"type": "unknown", "value": fragment})
            continue
        last = stored[-1] if stored else None
        if last is None or not _continues(last, fragment):
            is_joined = fragment.get("type") in _JOINED_DETAILS
            stored.append({k: v for k, v in fragment.items() if not (is_joined and k in _NAMES_OF_DETAIL and v == "")})
            continue
        for key, value in fragment.items():
            old = last.get(key)
            if key in {"text", "summary"} and isinstance(old, str) and isinstance(value, str):
                last[key] = None  # with one reference to it left, Python appends in place: linear, not quadratic
                old += value
                last[key] = old
            elif key == "signature" and isinstance(old, str) and isinstance(value, str):
                # One comes in pieces; some upstreams send all of it again, or more each time.
                if value.startswith(old):
                    last[key] = value
                elif not (old.startswith(value) or old.endswith(value)):
                    last[key] = None  # as above
                    old += value
                    last[key] = old
            elif old in (None, "") and value != "":
                last[key] = value


def _continues(last: Mapping[str, Any], fragment: Mapping[str, Any]) -> bool:
    """Whether a fragment belongs to the item before it."""
    if fragment.get("type") not in _JOINED_DETAILS:
        return False
    if (last.get("type"), last.get("index")) != (fragment.get("type"), fragment.get("index")):
        return False
    ids = last.get("id"), fragment.get("id")
    if all(ids) and ids[0] != ids[1]:
        return False
    if not (signed := last.get("signature")):
        return True
    # Text after a signature begins another block, as does a second signature where the first one is complete.
    more = fragment.get("signature")
    ended = isinstance(signed, str) and signed.endswith("=") and more and more != signed
    return not (fragment.get("text") or fragment.get("summary") or ended)
