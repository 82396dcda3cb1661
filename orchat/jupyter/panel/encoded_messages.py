"""The encoded form of a panel's messages: what is kept of each, made again only where it says something else.

A panel is saved at each step of a turn, and nearly all of its conversation was saved before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from orchat.jupyter.kernel.conversations.message_codec import CallNames, encode_message, split_lines
from orchat.jupyter.panel.estimated_sizes import DETAILS, MAX_DETAILS
from orchat.jupyter.panel.turn_replay import SECONDS
from orchat.jupyter.panel.typed_question import TYPED, VALUES
from orchat.messages import ChatRole

PICTURES = "pictures"
"""The meta with the names of what a tool displayed: for people, no model is told."""
FIGURES = "figures"
"""The meta with the numbers of an answer that can be compared with others."""

# The meta of messages that is needed to continue a conversation.
_PERSISTED_META = ("pending", "ending", "decision", "arguments", "requested_model", "model", "refusal", TYPED, VALUES)


class _UsedNames(dict[str, str]):
    """The names of the calls of one message, from those of its conversation."""

    def __init__(self, names: CallNames) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, call_id: str) -> str:
        name = self[call_id] = self._names[call_id]
        return name


class EncodedMessages:
    """What is kept of the messages of a chat, as they were encoded last; it is shared, so that it is never changed.

    Examples
    --------
    >>> known, said = EncodedMessages(), {"role": "user", "content": [{"text": "Hi"}]}
    >>> (first,), (again,) = (known.encode([said], [b"digest"]) for _ in range(2))
    >>> first["content"], again is first
    ([{'text': ['Hi']}], True)
    """

    def __init__(self) -> None:
        # By the digest of a message, and whether its figures are kept; with the names of its calls.
        self._encoded: dict[tuple[bytes | None, bool], tuple[Mapping[str, str], dict[str, Any]]] = {}

    def encode(
        self,
        messages: Iterable[Mapping[str, Any]],
        keys: Sequence[bytes | None] = (),
        compared: Collection[int] = (),
    ) -> list[dict[str, Any]]:
        """Return what is kept of messages.

        Parameters
        ----------
        messages
            Their data, as `orchat.chat.state.to_dict` makes it.
        keys
            A digest of each; None for one that is encoded anew, as all are without keys.
        compared
            The numbers of the turns that can be compared, of which figures are kept as well.
        """
        names, turn = CallNames(), -1
        encoded_messages = []
        used: dict[tuple[bytes | None, bool], tuple[Mapping[str, str], dict[str, Any]]] = {}
        for message, key in zip(messages, keys or repeat(None), strict=bool(keys)):
            turn += message["role"] == ChatRole.USER.value
            is_compared = turn in compared
            place = (key, is_compared)
            known = used.get(place) or self._encoded.get(place)
            if known is None or (known[0] and any(names[call_id] != name for call_id, name in known[0].items())):
                own_names = _UsedNames(names)
                known = own_names, encode_message(_persisted(message, is_compared), own_names)
            if key is not None:
                used[place] = known
            encoded_messages.append(known[1])
        self._encoded = used
        return encoded_messages


def encode_persisted(messages: Iterable[Mapping[str, Any]], compared: Collection[int] = ()) -> list[dict[str, Any]]:
    """Return what is kept of messages, all encoded anew (`EncodedMessages.encode`)."""
    return EncodedMessages().encode(messages, compared=compared)


def figures_of(values: object) -> dict[str, Any]:
    """Return the numbers that are kept of an answer that has other versions.

    Examples
    --------
    >>> figures_of({"prompt_tokens": 12, "cost": -1, "other": 3})
    {'prompt_tokens': 12}
    """
    given = values if isinstance(values, Mapping) else {}
    numbers = {name: given.get(name) for name in ("prompt_tokens", "completion_tokens", "cost", SECONDS)}
    return {name: value for name, value in numbers.items() if isinstance(value, int | float) and 0 <= value < 1e12}


def _persisted(message: Mapping[str, Any], is_compared: bool) -> dict[str, Any]:
    given = message.get("meta", {})
    meta = {key: given[key] for key in _PERSISTED_META if given.get(key) is not None} if given else {}
    if isinstance(details := given.get(DETAILS), str):
        meta[DETAILS] = split_lines(details[-MAX_DETAILS:])
    if isinstance(pictures := given.get(PICTURES), list):
        meta[PICTURES] = [name for name in pictures if isinstance(name, str)]
    if is_compared and (figures := figures_of({**(given.get("usage") or {}), SECONDS: given.get(SECONDS)})):
        meta[FIGURES] = figures
    return {"role": message["role"], "content": message["content"], **({"meta": meta} if meta else {})}
