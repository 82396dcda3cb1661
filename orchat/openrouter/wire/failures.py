"""Convert the endpoint's failures to exceptions: error statuses, and error objects inside a 200 (API section 5)."""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from orchat.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    InsufficientCreditsError,
    LimitExceededError,
    ModerationError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
)
from orchat.openrouter.wire.error_hints import Failure
from orchat.openrouter.wire.error_shapes import error_object, status_of, validation_text
from orchat.secrets import redact, redact_json

_BY_STATUS: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: InsufficientCreditsError,
    403: PermissionDeniedError,
    404: NotFoundError,
    410: NotFoundError,
    413: BadRequestError,
    422: BadRequestError,
    429: RateLimitError,
}
# Where an error inside a 200 gives no number, its type or code still tells the class: OpenRouter's own words (API
# section 5.3), and those of the upstreams behind it.
_BY_WORD: dict[str, type[APIError]] = {
    word: kind
    for kind, words in {
        AuthenticationError: "authentication unauthorized invalid_api_key invalid_key unauthenticated",
        InsufficientCreditsError: "payment_required insufficient_quota insufficient_credits insufficient_balance"
        " billing billing_hard_limit_reached",
        PermissionDeniedError: "permission_denied permission forbidden access_denied",
        ModerationError: "content_policy_violation content_filter content_filtered moderation",
        NotFoundError: "not_found model_not_found no_endpoints",
        RateLimitError: "rate_limit_exceeded rate_limit too_many_requests throttling resource_exhausted quota_exceeded"
        " tokens requests",
        BadRequestError: "context_length_exceeded context_window_exceeded exceed_context_size max_tokens_exceeded"
        " token_limit_exceeded string_too_long invalid_request invalid_prompt bad_request invalid_parameter"
        " invalid_argument validation unprocessable unprocessable_entity invalid_image payload_too_large"
        " request_too_large",
    }.items()
    for word in words.split()
}
# Some servers answer 500 to what is the request's fault: FastAPI ones whose code fails on it, llama.cpp for an image.
_REQUEST_IS_WRONG = re.compile(
    r"validation error|not supported|unsupported|does(?: not|n't) support|input should be|field required"
    r"|unexpected keyword argument|can only concatenate",
    re.IGNORECASE,
)
# A gateway may tell the upstream's status in words only: "429: slow down", "Error code: 429 - slow down".
_STATUS_IN_WORDS = re.compile(r"(?:error code: |http )?([45][0-9][0-9])(?:: | - )", re.IGNORECASE)
_RETRYABLE_STATUSES = frozenset({408, 409, 429, *range(500, 600)})
_LONGEST = 600
_LONGEST_KEPT = 65_536


def error_from_response(
    status: int, headers: Mapping[str, str], text: str, *secrets: str, other_url: str | None = None
) -> APIError:
    """Make the exception for a response whose status is no success.

    Parameters
    ----------
    status
        The HTTP status.
    headers
        The reply's headers, looked up without regard to case.
    text
        The body: JSON, HTML, plain text or nothing.
    *secrets
        Values to hide wherever the upstream repeats them.
    other_url
        The request's URL, where its host is not OpenRouter's.

    Examples
    --------
    >>> error = error_from_response(502, {}, "<html><title>Bad gateway</title></html>")
    >>> type(error).__name__, error.message
    ('ProviderError', 'HTTP 502: Bad gateway.')
    """
    headers = {key.lower(): value for key, value in headers.items()}
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    found = error_object(body)
    if found is None:
        found = {"message": _plain(text), **({"metadata": {"raw": text[:_LONGEST]}} if text.strip() else {})}
    return _error(found, status, headers, secrets, body if isinstance(body, dict) else {}, other_url)


def error_from_object(found: Any, event: Mapping[str, Any], *secrets: str, other_url: str | None = None) -> APIError:
    """Make the exception for an error object inside a 200 response or a stream event.

    Parameters
    ----------
    found
        The error object, or whatever stood in its place.
    event
        The reply or event around it: it may name generation and provider.
    *secrets
        Values to hide.
    other_url
        The request's URL, where its host is not OpenRouter's.

    Examples
    --------
    >>> error_from_object({"code": 429, "message": "Slow down"}, {"id": "gen-1"}).generation_id
    'gen-1'
    """
    found = found if isinstance(found, dict) else {"message": str(found)}
    status = status_of(found)
    if status is None and (told := _STATUS_IN_WORDS.match(str(found.get("message") or ""))):
        status, found = int(told[1]), {**found, "message": found["message"][told.end() :]}
    return _error(found, status, {}, secrets, event, other_url)


def _error(
    found: Mapping[str, Any],
    status: int | None,
    headers: Mapping[str, str],
    secrets: tuple[str, ...],
    around: Mapping[str, Any],
    other_url: str | None,
) -> APIError:
    # Everything is redacted once, here, before any text is made of it.
    try:
        found = redact_json(_cut_texts(found), *secrets)
    except RecursionError:
        found = {"code": found.get("code"), "message": redact(str(found.get("message", ""))[:_LONGEST], *secrets)}
    metadata = found.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    code = found.get("code")
    error_type = metadata.get("error_type") or found.get("error_type") or found.get("type")
    error_type = error_type if isinstance(error_type, str) else None
    provider = metadata.get("provider_name") or redact_json(around.get("provider"), *secrets)
    delay = _delay(headers, metadata, found)
    words = [_plain_word(word) for word in (code, error_type)]
    kind = _class_of(status, words, metadata, found)
    if (
        kind is RateLimitError
        and delay is None
        and any(_BY_WORD.get(word) is InsufficientCreditsError for word in words)
    ):
        kind = InsufficientCreditsError  # OpenAI's 429 for an empty account, which no waiting fills
    message = _text(found, metadata, status, provider)
    if other_url is not None:  # only OpenRouter names a user, whatever gateway passes that on
        other_url = None if "user_id" in around else redact(other_url, *secrets)
    failure = Failure(kind, message, frozenset(words), status, metadata, delay, other_url)
    generation = redact_json(headers.get("x-generation-id") or around.get("id"), *secrets)
    return kind(
        message,
        status_code=status,
        code=code if isinstance(code, int | str) else None,
        error_type=error_type,
        metadata=metadata,
        provider_name=provider if isinstance(provider, str) else None,
        generation_id=generation if isinstance(generation, str) else None,
        retry_after=delay,
        hint=failure.hint,
        body=found,
        retryable=_retryable(failure),
    )


def _cut_texts(value: Any) -> Any:
    """Cut the texts of an error object: an event may be many megabytes, and nobody reads them."""
    if isinstance(value, str):
        return value[:_LONGEST_KEPT]
    if isinstance(value, dict):
        return {_cut_texts(key): _cut_texts(item) for key, item in value.items()}
    return list(map(_cut_texts, value)) if isinstance(value, list) else value


def _class_of(
    status: int | None, words: Sequence[str], metadata: Mapping[str, Any], found: Mapping[str, Any]
) -> type[APIError]:
    message = str(found.get("message") or "")
    if status in {500, 501} and (told := _STATUS_IN_WORDS.match(message)):
        status = int(told[1])
    kind = _BY_STATUS.get(status or 0)
    if kind is None and status in {None, 500, 501}:
        kind = next((_BY_WORD[word] for word in words if word in _BY_WORD), None)
    if kind is None and status in {500, 501} and _REQUEST_IS_WRONG.search(message):
        kind = BadRequestError
    if kind is None:
        # Without a number of its own an error inside a 200 is the upstream's.
        return ProviderError if status is None or status >= 500 or status == 408 else APIError
    if kind is PermissionDeniedError:
        if "reasons" in metadata or "flagged_input" in metadata or "patterns" in metadata:
            return ModerationError
        if (
            metadata.get("limit_usd") is not None
            or "limit" in str(metadata.get("limit_source", ""))
            or ("budget" in str(metadata.get("limit_source", "")) or "limit exceeded" in message.lower())
        ):
            return LimitExceededError
    return kind


def _plain_word(word: Any) -> str:
    """Normalize an upstream's name for a type of error: ``RateLimitError`` to ``rate_limit``.

    Examples
    --------
    >>> _plain_word("RateLimitError"), _plain_word("ThrottlingException"), _plain_word("NOT_FOUND")
    ('rate_limit', 'throttling', 'not_found')
    """
    if not isinstance(word, str):
        return ""
    snake = word if word.isupper() else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word)
    snake = snake.lower().replace("-", "_").replace(" ", "_").replace(".", "_")
    return snake.removesuffix("_error").removesuffix("_exception")


def _text(found: Mapping[str, Any], metadata: Mapping[str, Any], status: int | None, provider: Any) -> str:
    """Compose the message: OpenRouter's text, then that of the upstream."""
    message = validation_text(str(found.get("message") or "").strip()) or "no reason given"
    parts = [message.rstrip(".")]
    raw = _raw(metadata.get("raw"))
    if raw and raw not in message:
        parts.append(raw.rstrip("."))
    if isinstance(reasons := metadata.get("reasons"), list) and reasons:
        parts.append(f"reasons: {', '.join(map(str, reasons))}")
    if isinstance(flagged := metadata.get("flagged_input"), str):
        parts.append(f"flagged: {flagged!r}")
    if metadata.get("limit_usd") is not None:
        parts.append(f"spent ${metadata.get('spend_usd')} of ${metadata['limit_usd']}")
    lead = f"HTTP {status}" if status else "The endpoint reported an error"
    if isinstance(provider, str) and provider:
        lead += f" from {provider}"
    return _shorten(f"{lead}: {'; '.join(parts)}") + "."


def _raw(raw: Any) -> str:
    """Extract the message of an upstream's error: a string, a JSON string, or an object."""
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            return _plain(raw) if raw.strip() else ""
    if isinstance(raw, dict):
        inner = error_object(raw)
        words = inner.get("message") if inner else None
        raw = words if isinstance(words, str) else raw
    return "" if raw is None else _shorten(raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False))


def _plain(text: str) -> str:
    """Convert an HTML page or a plain text to one line."""
    if title := re.search(r"<title[^<>]*>([^<]*)", text, re.IGNORECASE):
        return title[1].strip()
    text = re.sub(r"<[^<>]*>", " ", text) if "<" in text else text
    return _shorten(" ".join(text.split())) or "an empty reply"


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 4] + " ..."


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number < float("inf") else None


def _moment(date: str) -> float | None:
    """Parse an HTTP date as seconds since the epoch."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _delay(headers: Mapping[str, str], metadata: Mapping[str, Any], found: Mapping[str, Any]) -> float | None:
    """Return the seconds to wait, from the first of several fields and headers (API section 5.4)."""
    availability = found.get("availability")
    sent = metadata.get("headers")
    sent = {str(k).lower(): v for k, v in sent.items()} if isinstance(sent, dict) else {}
    milliseconds = _number(headers.get("retry-after-ms"))
    for value in (
        None if milliseconds is None else milliseconds / 1000,
        headers.get("retry-after"),
        metadata.get("retry_after_seconds"),
        availability.get("retry_after") if isinstance(availability, dict) else None,
        sent.get("retry-after"),
        _retry_info(found.get("details")),
    ):
        if value is None:
            continue
        if (seconds := _number(value)) is not None:
            return seconds
        if isinstance(value, str) and (moment := _moment(value)) is not None:
            return max(0.0, moment - time.time())
    # `Reset` is a moment in epoch milliseconds.
    reset = _number(headers.get("x-ratelimit-reset") or sent.get("x-ratelimit-reset"))
    return None if reset is None else max(0.0, reset / 1000 - time.time())


def _retry_info(details: Any) -> str | None:
    """Return the seconds of Google's ``RetryInfo``: ``"37s"``."""
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and isinstance(delay := detail.get("retryDelay"), str):
            return delay.removesuffix("s")
    return None


def _retryable(failure: Failure) -> bool:
    """Whether the same request may succeed a little later."""
    if failure.kind is InsufficientCreditsError:
        return "in_flight" in str(failure.metadata.get("limit_source", "")) and failure.delay is not None
    if failure.kind is RateLimitError:
        return failure.status is not None and not failure.is_daily_limit
    return failure.status in _RETRYABLE_STATUSES and failure.kind in (ProviderError, APIError)


def redirect_error(status: int, host: str, target: str) -> APIError:
    """Make the exception for a redirect that is not followed, since a key stays with its host.

    Examples
    --------
    >>> print(redirect_error(308, "a.example", "https://b.example/v1/chat/completions").hint)
    If you trust it, set api_base_url to the new address.
    """
    return APIError(
        f"{host} answered HTTP {status} and points to {redact(target)}. "
        "A key follows on the same host only, and only a 307 or 308.",
        status_code=status,
        hint="If you trust it, set api_base_url to the new address.",
    )
