"""`StoredAnswer`: an answer with its bill, and `AnswerStore`, what every store of them can do."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, Protocol, TypeAlias

from pydantic_core import to_json

from orchat.errors import StateError
from orchat.messages import ChatMessage

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


class StoredAnswer(NamedTuple):
    """A model's answer to a request, and what it took.

    Parameters
    ----------
    message_json
        The message as JSON, with everything the endpoint said, its usage included.
    host, model
        Where it came from, and the model that was asked.
    cost
        The bill in USD; None where it is unknown.
    seconds
        From the request to the end of the answer.

    Examples
    --------
    >>> answer = StoredAnswer.of(ChatMessage.from_assistant("The Humber."), host="openrouter.ai", model="vendor/m")
    >>> answer.message.text
    'The Humber.'
    """

    message_json: str
    host: str
    model: str
    cost: Decimal | None = None
    seconds: float = 0.0

    @classmethod
    def of(
        cls, message: ChatMessage, *, host: str, model: str, cost: Decimal | None = None, seconds: float = 0.0
    ) -> StoredAnswer:
        """Make the stored form of a message."""
        return cls(_to_json(message.to_dict()), host, model, cost, seconds)

    @property
    def message(self) -> ChatMessage:
        """The message, read anew each time.

        Raises
        ------
        StateError
            It is damaged.
        """
        try:
            return ChatMessage.from_dict(json.loads(self.message_json))
        except Exception as error:  # noqa: BLE001 - a file may hold anything
            raise StateError(
                f"A stored answer of `{self.model}` cannot be read: {type(error).__name__}.",
                hint="Ask again with store=False, or clear the store.",
            ) from None


def _to_json(data: dict[str, Any]) -> str:
    try:
        return to_json(data, fallback=str).decode()  # a fifth of the other's time
    except ValueError:  # such as half of a character
        return _encode(data)


MakeAnswer: TypeAlias = Callable[[], StoredAnswer | None]
"""Makes an answer's stored form; None where it must not be stored."""


@dataclass(frozen=True)
class StoredJob:
    """A batch whose answers were not picked up yet.

    Parameters
    ----------
    id
        Its name at its host.
    host
        Where it runs.
    keys
        The keys of its requests.
    created_at
        When it was submitted, in seconds since the epoch.
    """

    id: str
    host: str
    keys: tuple[bytes, ...]
    created_at: float


class AnswerStore(Protocol):
    """Keeps answers by the keys of their requests; it may lie in another process."""

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, StoredAnswer]:
        """Return the answers to those requests that have one, by their keys."""

    def put(self, key: bytes, answer: StoredAnswer | MakeAnswer) -> None:
        """Keep an answer; it returns at once, and an earlier answer to the request is replaced.

        A function is called when the answer is written, perhaps in another thread, and may return None for nothing.
        """

    def jobs(self, host: str) -> list[StoredJob]:
        """Return the batches at a host whose answers were not picked up yet."""

    def put_job(self, job: StoredJob) -> None:
        """Keep a batch; it is kept when this returns."""

    def remove_job(self, job: StoredJob) -> None:
        """Forget a batch whose answers were picked up."""

    def flush(self) -> None:
        """Wait until what was put is kept.

        Raises
        ------
        StateError
            It could not be written.
        """

    def close(self) -> None:
        """Flush, and let go of the file; errors as of `flush`."""
