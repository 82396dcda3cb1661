"""When and how often a request is sent again, and what people are told meanwhile."""

from __future__ import annotations

import logging
import random
from typing import Any

from tenacity import RetryCallState, retry_if_exception

from orchat.errors import APIError
from orchat.openrouter.transport.prepared_request import PreparedRequest

_log = logging.getLogger(__name__)

# Seconds; a server that asks for more is not waited for.
MAX_RETRY_AFTER = 120.0


def retry_rules(request: PreparedRequest) -> dict[str, Any]:
    """Return the arguments of `tenacity` for a request."""
    return {
        "stop": lambda state: state.attempt_number > _max_retries(request, state),
        "wait": _retry_delay,
        "retry": retry_if_exception(lambda error: _may_retry(error, request)),
        "before_sleep": lambda state: _tell_retry(request, state),
        "reraise": True,
    }


def _max_retries(request: PreparedRequest, state: RetryCallState) -> int:
    """Return how often a request is retried: once where a server on this machine is not there, or fails.

    One that is busy, or loads its model (503), says so and is waited for as any other.
    """
    error = state.outcome.exception() if state.outcome is not None else None
    is_busy = isinstance(error, APIError) and (error.retry_after or error.status_code in {408, 409, 429, 503})
    return request.max_retries if is_busy or not request.gives_up_early else min(1, request.max_retries)


def _tell_retry(request: PreparedRequest, state: RetryCallState) -> None:
    """Report a failure that is not yet final, since what follows is a silence."""
    assert state.outcome is not None
    assert state.next_action is not None
    error = state.outcome.exception()
    reason = " ".join(error.message.split()) if isinstance(error, APIError) else type(error).__name__
    count = f"{state.attempt_number + 1} of {_max_retries(request, state) + 1}"
    text = f"Retrying in {state.next_action.sleep:.1f} s ({count}): {reason}"
    if request.on_retry is not None:
        request.on_retry(text)
    else:
        _log.warning("%s", text)


def _may_retry(error: BaseException, request: PreparedRequest) -> bool:
    if not isinstance(error, APIError) or (error.retry_after or 0) > MAX_RETRY_AFTER:
        return False
    return error.retryable or error.status_code in request.retry_statuses


def _retry_delay(state: RetryCallState) -> float:
    """Return the seconds to wait: the server's, else 0.5 s, doubled each time up to 8 s, less up to 25 % of jitter.

    ``Retry-After: 0`` is no delay of the server's: asked again at once, it would answer the same.
    """
    error = state.outcome.exception() if state.outcome is not None else None
    pause: float = min(8.0, 0.5 * 2 ** (state.attempt_number - 1))
    if isinstance(error, APIError) and error.retry_after:
        return max(error.retry_after, pause / 10)
    return pause * (1 - 0.25 * random.random())  # noqa: S311 - jitter
