"""Shorten a saved chat to its limit: versions of turns go first, then media, then turns, the oldest before others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Any

from orchat.chat.omitted_media import replace_media
from orchat.chat.state_redaction import json_size
from orchat.errors import StateError

_COMMA = len(", ")


def size_of_list(sizes: Sequence[int]) -> int:
    """Return how many bytes the items of a JSON list take, without its brackets.

    Examples
    --------
    >>> size_of_list([5, 7]), size_of_list([])
    (14, 0)
    """
    return sum(sizes) + _COMMA * max(len(sizes) - 1, 0)


def shorten(data: dict[str, Any], sizes: list[int], keys: list[bytes | None], max_bytes: int) -> None:
    """Leave out the oldest versions, media from the oldest on, then the oldest turns, until the data fits.

    Parameters
    ----------
    data
        The state, which is changed.
    sizes
        How many bytes each of its messages takes.
    keys
        Their digests; that of a message which loses media becomes None, and those of messages left out are removed.
    max_bytes
        The limit.

    Raises
    ------
    StateError
        The last turn alone takes more.

    Examples
    --------
    >>> messages = [{"role": role, "content": [{"text": "Hi"}]} for role in ("user", "assistant", "user")]
    >>> data, keys = {"messages": messages, "left_out": {"media": 0}}, [b"1", b"2", b"3"]
    >>> shorten(data, [json_size(message) for message in messages], keys, 150)
    >>> data["messages"] == messages[2:], data["left_out"], keys
    (True, {'media': 0, 'turns': 1}, [b'3'])
    """
    left_out = data["left_out"]
    messages: list[dict[str, Any]] = data["messages"]
    total = size_of_list(sizes)

    def bytes_of_rest() -> int:
        return json_size({**data, "messages": []})

    if "versions" in data:
        versions = data.pop("versions")
        left_out["versions"] = len(versions)
        if kept := _newest_versions(versions, max_bytes - total - bytes_of_rest() - json_size({"versions": []})):
            data["versions"] = kept
        left_out["versions"] = len(versions) - len(kept)
        if kept or bytes_of_rest() + total <= max_bytes:
            return
    rest = json_size({**data, "messages": [], "left_out": {}}) - json_size({})

    def fits(size: int) -> bool:
        return rest + json_size(left_out) + size <= max_bytes

    for at, message in enumerate(messages):
        if count := replace_media(message["content"]):
            left_out["media"] += count
            total -= sizes[at]
            sizes[at], keys[at] = json_size(message), None
            total += sizes[at]
            if fits(total):
                return
    system = [message for message in messages[:1] if message["role"] == "system"]
    turns = [at for at, message in enumerate(messages) if message["role"] == "user"]
    start = len(system)
    for number, at in enumerate(turns[1:], 1):
        total -= sum(sizes[start:at]) + _COMMA * (at - start)
        start = at
        left_out["turns"] = number
        if fits(total):
            data["messages"] = [*system, *messages[at:]]
            keys[len(system) : at] = []
            return
    raise StateError(f"The last turn alone takes more than {max_bytes} bytes.", hint="Raise max_bytes.")


def _newest_versions(versions: list[dict[str, Any]], max_bytes: int) -> list[dict[str, Any]]:
    """Return the versions without the oldest ones that fit; none goes while another one stays that follows it."""
    sizes = [json_size(turn) + _COMMA for turn in versions]
    # What was hidden together is one version. One inside of another was hidden before that one.
    groups: list[int] = []
    for index, turn in enumerate(versions):
        groups.append(groups[turn["inside"]] if "inside" in turn and turn.get("along") else index)
    group_sizes: dict[int, int] = {}
    for group, size in zip(groups, sizes, strict=True):
        group_sizes[group] = group_sizes.get(group, 0) + size
    followers = Counter(groups[versions[group]["inside"]] for group in group_sizes if "inside" in versions[group])
    oldest = [group for group in group_sizes if not followers[group]]
    heapify(oldest)
    total, dropped = sum(sizes), set()
    while total > max_bytes and oldest:
        group = heappop(oldest)
        dropped.add(group)
        total -= group_sizes[group]
        if "inside" in versions[group]:
            before = groups[versions[group]["inside"]]
            followers[before] -= 1
            if not followers[before]:
                heappush(oldest, before)
    indices: dict[int, int] = {}
    kept: list[dict[str, Any]] = []
    for index, turn in enumerate(versions):
        if groups[index] not in dropped:
            indices[index] = len(kept)
            kept.append({**turn, "inside": indices[turn["inside"]]} if "inside" in turn else turn)
    return kept
