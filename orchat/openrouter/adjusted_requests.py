"""`RequestSequence`: the requests of one stream: the planned one, and a second where the host needs it otherwise."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from orchat.errors import APIConnectionError, APIError, APITimeoutError, BadRequestError, StreamError
from orchat.openrouter.dialect import is_loopback
from orchat.openrouter.wire.canonical_json import canonical_json

if TYPE_CHECKING:
    from orchat.openrouter.transport import PreparedRequest

_log = logging.getLogger(__name__)

_OPTION = "stream_options"
_NAMES = (_OPTION, "include_usage")
# The addresses that refused the option in this process.
_refusals: set[str] = set()


class RequestSequence:
    """Iterates over the requests of a stream: the planned one, then those that `follow` decided on.

    Parameters
    ----------
    planned
        The streamed request.
    requests_usage
        Whether it asks for the usage, and the user did not say so: then that may be left out.
    """

    def __init__(self, planned: PreparedRequest, *, requests_usage: bool) -> None:
        self._next: PreparedRequest | None = planned
        self._current = planned
        self._requests_usage = requests_usage
        self._empty_error: APIError | None = None
        self._ended = False
        if requests_usage and planned.url in _refusals:
            self._leave_out_usage()

    def __iter__(self) -> Iterator[PreparedRequest]:
        while self._next is not None:
            self._current, self._next = self._next, None
            yield self._current

    def follow(self, error: APIError, *, responded: bool, is_empty: bool) -> bool:
        """Decide on the next request after an error; False where there is none.

        A host that refuses to be asked for the usage is asked once more, and not again in this process. One that sends
        a stream without an event is asked for its reason without streaming, if it is the user's own (on the loopback):
        nothing was made there that somebody pays for. Should it answer, that is the answer.

        Parameters
        ----------
        error
            The error of the current request.
        responded
            Whether a response of success had begun.
        is_empty
            Whether nothing of it came.
        """
        if self._ended:
            return False
        if not responded and self._requests_usage and _refuses_usage(error):
            _refusals.add(self._current.url)
            self._next = self._current
            self._leave_out_usage()
        elif responded and is_empty and self._empty_error is None and self._may_ask_for_reason(error):
            self._empty_error = error
            body = json.loads(self._current.content)
            body.pop(_OPTION, None)
            self._next = replace(self._current, content=canonical_json({**body, "stream": False}), max_retries=0)
            _log.info("A stream without an event: the same is asked without streaming.")
        return self._next is not None

    def end(self) -> None:
        """Allow no further request: a person stopped the stream."""
        self._ended = True

    def first_error(self, error: APIError) -> APIError:
        """Return the error to raise: that of the empty stream where the request for its reason brought none."""
        if self._empty_error is not None and isinstance(error, APIConnectionError | StreamError):
            return self._empty_error
        return error

    def _leave_out_usage(self) -> None:
        assert self._next is not None
        self._requests_usage = False
        body = json.loads(self._next.content)
        body.pop(_OPTION, None)
        self._next = replace(self._next, content=canonical_json(body))

    def _may_ask_for_reason(self, error: APIError) -> bool:
        ended = isinstance(error, StreamError | APIConnectionError) and not isinstance(error, APITimeoutError)
        return ended and is_loopback(self._current.url)


def _refuses_usage(error: APIError) -> bool:
    return isinstance(error, BadRequestError) and any(name in error.message for name in _NAMES)
