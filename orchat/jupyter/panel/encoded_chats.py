"""The encoded form of a panel's other chats: made again only where what the chat says, or its room, has changed.

A panel is saved at each step of a turn, and the chats that are not displayed stay as they are meanwhile. A chat
is known by the digest of all that it says, not by its objects: messages can be changed in place.
"""

from __future__ import annotations

import pickle  # only written, to be digested
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

from orchat.jupyter.panel.encoded_messages import EncodedMessages

if TYPE_CHECKING:
    from orchat.chat.message_versions import HiddenTurn
    from orchat.chat.state import ChatState
    from orchat.messages import ChatMessage


@dataclass(frozen=True)
class EncodedChat:
    """A chat as it is saved; ``data`` is shared, so that it is never changed.

    Parameters
    ----------
    data
        The chat; None where not even its last turn fits.
    omitted
        The numbers of what was left out.
    size
        About how many bytes it takes.
    needed
        With this room or more nothing is left out; None where something was.
    """

    data: dict[str, Any] | None
    omitted: dict[str, int]
    size: int
    needed: int | None = None


EncodeChat: TypeAlias = "Callable[[ChatState, Collection[str], int], EncodedChat]"
"""Encodes a chat without these secrets, in so many bytes."""


class EncodedChats:
    """The last encoded form of each chat that is not displayed, and of the messages of the one that is.

    Parameters
    ----------
    encode
        Encodes a chat.

    Examples
    --------
    >>> from orchat.chat.state import ChatState
    >>> chats, chat = EncodedChats(lambda saved, secrets, room: EncodedChat({"n": room}, {}, 9, 9)), ChatState([])
    >>> [chats.encode("a", chat, (), room).data for room in (20, 10, 5)]
    [{'n': 20}, {'n': 20}, {'n': 5}]
    """

    def __init__(self, encode: EncodeChat) -> None:
        self._encode = encode
        self.displayed = EncodedMessages()
        """The messages of the chat that is displayed, which changes at nearly each step."""
        self._encoded: dict[str, tuple[bytes, int, EncodedChat]] = {}  # with digest and room, by the chat's name

    def encode(self, name: str, saved: ChatState, secrets: Collection[str], bytes_left: int) -> EncodedChat:
        """Return the encoded form of a chat within some bytes."""
        digest = _digest(saved, secrets)
        known, room, encoded = self._encoded.get(name, (None, 0, None))
        if encoded is not None and digest is not None and digest == known:
            has_room = encoded.needed is not None and bytes_left >= encoded.needed
            if has_room or bytes_left == room:
                return encoded
        encoded = self._encode(saved, secrets, bytes_left)
        if digest is not None:
            self._encoded[name] = digest, bytes_left, encoded
        return encoded

    def keep_only(self, names: Collection[str]) -> None:
        """Forget the chats of other names."""
        for name in self._encoded.keys() - set(names):
            self._encoded.pop(name, None)


def _digest(saved: ChatState, secrets: Collection[str]) -> bytes | None:
    """Return a digest of a chat, in which no secret can be read; None where it holds what cannot be told apart."""
    chat = (
        list(secrets),
        (saved.model, saved.parameters),
        [_said(message) for message in saved.messages],
        [_hidden(turn) for turn in saved.versions],
    )
    try:
        return blake2b(pickle.dumps(chat, 5), digest_size=16).digest()
    except Exception:  # noqa: BLE001 - a value of the user's own class: it may raise anything
        return None


def _said(message: ChatMessage) -> tuple[Any, ...]:
    """Return all of a message that is saved."""
    return message._role.value, list(message._content), message._name, message._meta, message._sent_role


def _hidden(turn: HiddenTurn) -> tuple[Any, ...]:
    messages = [_said(message) for message in turn.messages]
    return messages, turn.after, turn.inside, turn.is_newer, turn.comes_along, turn.order
