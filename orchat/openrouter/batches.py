"""Batches: many chat completions as one job that takes up to a day, for half the price (``/batches``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchat.errors import APIError, ConfigurationError, ProviderError
from orchat.messages import ChatMessage
from orchat.openrouter.json_exchange import JsonExchange
from orchat.openrouter.wire.failures import error_from_object
from orchat.openrouter.wire.response import read_replies

_ENDPOINT = "/v1/chat/completions"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
# What a batch says once for all its requests, or decides itself.
_OF_BATCH = frozenset({"model", "provider", "stream", "stream_options"})
_PROVIDER = frozenset({"only", "allow_fallbacks"})


@dataclass(frozen=True)
class Batch:
    """A batch as its endpoint describes it.

    Parameters
    ----------
    id
        Its name.
    status
        ``validating``, ``in_progress``, ``finalizing``, ``cancelling``, or one of those that it ends with.
    done, total
        How many requests are done, failed ones included, and how many there are.
    error
        Why it failed as a whole.
    results
        What was answered, as received.
    """

    id: str
    status: str
    done: int = 0
    total: int = 0
    error: str | None = None
    results: Sequence[Any] = ()

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Batch:
        """Read a batch.

        Raises
        ------
        ProviderError
            It is none.

        Examples
        --------
        >>> batch = Batch.of({"id": "batch_1", "status": "completed", "request_counts": {"completed": 3, "failed": 1}})
        >>> batch.is_ended, batch.done
        (True, 4)
        """
        name, status, counts = payload.get("id"), payload.get("status"), payload.get("request_counts")
        if not isinstance(name, str) or not name or not isinstance(status, str):
            raise ProviderError("The reply is no batch.", hint="Does this host run batches?")
        counts = counts if isinstance(counts, Mapping) else {}
        completed, failed, total = (
            count if isinstance(count := counts.get(key), int) else 0 for key in ("completed", "failed", "total")
        )
        error, results = payload.get("error"), payload.get("results")
        message = error.get("message") if isinstance(error, Mapping) else None
        return cls(
            name,
            status,
            completed + failed,
            total,
            str(message) if message else None,
            results if isinstance(results, list) else (),
        )

    @property
    def is_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in _ENDED

    def replies(self) -> Iterator[tuple[str, ChatMessage | APIError]]:
        """Yield the reply to each request, or why it failed, by the request's own id."""
        for result in self.results:
            if not isinstance(result, Mapping) or not isinstance(custom_id := result.get("custom_id"), str):
                continue
            try:
                yield custom_id, _read_result(result)
            except APIError as error:
                yield custom_id, error.with_traceback(None)


def _read_result(result: Mapping[str, Any]) -> ChatMessage:
    if (error := result.get("error")) is not None:
        raise error_from_object(error, {})
    response = result.get("response")
    body = response.get("body") if isinstance(response, Mapping) else None
    status = response.get("status_code") if isinstance(response, Mapping) else None
    if isinstance(status, int) and status >= 400 and isinstance(body, Mapping):
        found = body.get("error")
        raise error_from_object({"code": status, **(found if isinstance(found, Mapping) else {})}, body)
    return read_replies(body)[0]


class BatchEndpoint:
    """Submits batches, and asks what became of them.

    Parameters
    ----------
    exchange
        Sends the requests.
    """

    def __init__(self, exchange: JsonExchange) -> None:
        self._exchange = exchange

    async def submit(self, model: str, bodies: Mapping[str, Mapping[str, Any]]) -> Batch:
        """Submit chat completions, by ids of one's own.

        Raises
        ------
        ConfigurationError
            The provider preferences are none that a batch keeps (a ValueError); nothing was sent.
        APIError
            The endpoint refused.
        """
        first = next(iter(bodies.values()))
        provider = first.get("provider") or {}
        if unknown := sorted(set(provider) - _PROVIDER):
            raise ConfigurationError(
                f"A batch keeps to no provider preference but only and allow_fallbacks, and {unknown[0]} is set.",
                hint="Leave it out, or ask without mode='batch'.",
            )
        requests = [
            {"custom_id": name, "body": {key: value for key, value in body.items() if key not in _OF_BATCH}}
            for name, body in bodies.items()
        ]
        # The service reads the body as a stream: what it must know comes before the requests.
        head: dict[str, Any] = {"endpoint": _ENDPOINT, "model": model, "completion_window": "24h"}
        if provider:
            head["provider"] = dict(provider)
        return Batch.of(await self._exchange.send("POST", "/batches", {**head, "requests": requests}))

    async def get(self, name: str) -> Batch:
        """Return a batch, with its results where it has ended."""
        return Batch.of(await self._exchange.send("GET", f"/batches/{name}"))

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        await self._exchange.close()
