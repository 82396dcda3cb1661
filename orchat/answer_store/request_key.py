"""The key of a request: the same for requests that a model answers alike, and made of no key and no user id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring_ascii as _quote
from typing import Any

from orchat.messages import ChatMessage

KEY_BYTES = 32
"""The length of a key."""

# Who asks, for what, and how the answer travels change nothing of the answer.
_WITHOUT_EFFECT = frozenset(
    {"messages", "metadata", "session_id", "stream", "stream_options", "trace", "usage", "user"}
)
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class RequestKeys:
    """Makes the keys of requests that differ in their messages only.

    Parameters
    ----------
    base_url
        Where the requests go.
    body
        The body of one of them; its messages do not count.

    Examples
    --------
    >>> ada = RequestKeys("https://openrouter.ai/api/v1", {"temperature": 0, "model": "vendor/m", "user": "ada"})
    >>> bob = RequestKeys("https://openrouter.ai/api/v1/", {"model": "vendor/m", "temperature": 0, "user": "bob"})
    >>> question = [ChatMessage.from_user("Name a river.")]
    >>> ada.key(question) == bob.key(question), ada.key(question) == ada.key([ChatMessage.from_user("Name a sea.")])
    (True, False)
    """

    def __init__(self, base_url: str, body: Mapping[str, Any]) -> None:
        settings = {name: value for name, value in body.items() if name not in _WITHOUT_EFFECT}
        self._settings = hashlib.sha256(_canonical([base_url.rstrip("/"), settings]))

    def key(self, messages: Iterable[ChatMessage]) -> bytes:
        """Return the key of the request with these messages: 32 bytes."""
        digest = self._settings.copy()
        digest.update(f"[{','.join(map(_canonical_message, messages))}]".encode("ascii"))
        return digest.digest()


def _canonical_message(message: ChatMessage) -> str:
    wire = message.to_openai_dict_format()
    if len(wire) == 2 and type(content := wire.get("content")) is str:  # most are so: half the time, the same text
        return f'{{"content":{_quote(content)},"role":{_quote(wire["role"])}}}'
    return _encode(wire)


def _canonical(value: Any) -> bytes:
    return _encode(value).encode("ascii")
