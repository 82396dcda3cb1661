"""The exception hierarchy of orchat, from `OrchatError` down.

::

    OrchatError
    ├── ConfigurationError (a ValueError)      a setting is missing or wrong; nothing was sent
    │   ├── MissingKeyError                    nobody gave an API key
    │   └── UnknownColumnError                 a prompt names a column that the data has not
    ├── SerializationError (a ValueError)      an object cannot be written as, or read from, a dictionary
    ├── APIError                               the endpoint refused, failed, or could not be reached
    │   ├── BadRequestError                    400, 413, 422
    │   ├── AuthenticationError                401
    │   ├── InsufficientCreditsError           402
    │   ├── PermissionDeniedError              403
    │   │   ├── ModerationError                the input was flagged
    │   │   └── LimitExceededError             a spending limit of the key, workspace or guardrail
    │   ├── NotFoundError                      404, 410
    │   ├── RateLimitError                     429
    │   ├── ProviderError                      5xx, and upstream failures inside a 200
    │   ├── APIConnectionError                 no connection, or it was cut
    │   │   └── APITimeoutError                it was too slow
    │   ├── StreamError                        a stream that ended early or made no sense
    │   ├── ResponseLimitError                 a response larger than the limits allow
    │   └── OutputValidationError (ValueError) the answer does not fit the ``response_format``
    ├── ToolError
    │   ├── ToolInvocationError                a tool raised
    │   ├── ToolServerError                    a server of tools cannot be started or reached, or broke off
    │   └── SchemaGenerationError              a signature has no JSON Schema
    ├── StateError                             saved state that cannot be used
    ├── TurnInProgressError                    the chat is busy with another turn
    └── BudgetExceededError                    the next request may cost more than was allowed

Every error pickles, carries a ``hint`` (what to do next), and never contains a key: text that came from outside goes
through `orchat.secrets.redact` first.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchat.messages import ChatMessage


class OrchatError(Exception):
    """The root of the hierarchy: ``except OrchatError`` catches every exception that orchat raises on purpose.

    Parameters
    ----------
    message
        What happened, naming the value.
    hint
        What to do next.

    Examples
    --------
    >>> print(OrchatError("No model is called `gpt-5-mni`.", hint="Did you mean `openai/gpt-5-mini`?"))
    No model is called `gpt-5-mni`. Did you mean `openai/gpt-5-mini`?
    """

    def __init__(self, message: str = "", *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        if not self.message or not self.hint:
            return self.message or self.hint or ""
        end = "" if self.message.endswith((".", "!", "?", ":", "…")) else "."  # words from outside may have none
        return f"{self.message}{end} {self.hint}"

    shows_whole_traceback = False

    @property
    def _render_traceback_(self) -> Callable[[], list[str]]:
        """IPython's hook for a custom traceback: the lines of the user's own code, and the message.

        Our own frames say nothing to those who did not write them; ``shows_whole_traceback`` brings them back.
        """
        if self.shows_whole_traceback:
            raise AttributeError("_render_traceback_")
        return self._short_traceback

    def _short_traceback(self) -> list[str]:
        frames = traceback.extract_tb(self.__traceback__)
        own = [frame for frame in frames if not any(place in frame.filename for place in _NOT_THE_USERS)]
        where = [f"{_cell_or_file(frame.filename)}, line {frame.lineno}: {frame.line}" for frame in own[-3:]]
        return [*where, f"{type(self).__name__}: {self}"]


_WORDS_ABOUT_PARTIAL = (
    "What came is in `.partial`; ",
    "What came before is in `.partial`; ",
    "The raw text is in `.partial.text`.",
)


def hint_without_partial(hint: str) -> str:
    """Return a hint without its words about ``.partial``, for where there is none, or nobody has the error in hand.

    Examples
    --------
    >>> hint_without_partial("What came is in `.partial`; try again.")
    'Try again.'
    """
    for words in _WORDS_ABOUT_PARTIAL:
        if words in hint:
            hint = hint.replace(words, "").strip()
            hint = f"{hint[:1].upper()}{hint[1:]}"
    return hint


# Folders of installed packages, and this one.
_NOT_THE_USERS = (os.path.dirname(__file__), "site-packages", "dist-packages", "IPython", os.path.dirname(os.__file__))


def _cell_or_file(name: str) -> str:
    """Return the display name of a file; ``in this cell`` for the kernel's name of a cell."""
    return "in this cell" if "ipykernel_" in name or name.startswith("<ipython-input") else name


class ConfigurationError(OrchatError, ValueError):
    """A setting is missing or wrong; nothing was sent."""


class MissingKeyError(ConfigurationError):
    """A required API key is missing."""


class UnknownColumnError(ConfigurationError):
    """A prompt names a column that the data has not."""


class SerializationError(OrchatError, ValueError):
    """An object cannot be serialized to a dictionary, or a dictionary cannot be loaded safely."""


class APIError(OrchatError):
    """The endpoint refused, failed, or could not be reached.

    Parameters
    ----------
    message
        What happened, with the upstream's own words.
    status_code
        The HTTP status, or what the error object inside a 200 reply gave as its code; None without one.
    code
        The error object's ``code`` as it came: int, str or None.
    error_type
        OpenRouter's ``metadata.error_type`` (API section 5.3), stable over all dialects.
    metadata
        The error object's ``metadata``, redacted.
    provider_name
        The upstream that failed.
    generation_id
        The ``X-Generation-Id`` or body id, for a later look at ``/generation``.
    retry_after
        Seconds that the endpoint asks to wait.
    partial
        What had arrived, as a `ChatMessage`; None when nothing had.
    hint
        What to do next.
    body
        The whole error object, redacted.
    retryable
        Whether the same request may be sent again without harm: it was refused before it began.

    Examples
    --------
    >>> try:
    ...     raise RateLimitError("Slow down.", status_code=429, retry_after=3.0)
    ... except APIError as error:
    ...     print(type(error).__name__, error.status_code, error.retry_after)
    RateLimitError 429 3.0
    """

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int | None = None,
        code: int | str | None = None,
        error_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        provider_name: str | None = None,
        generation_id: str | None = None,
        retry_after: float | None = None,
        partial: ChatMessage | None = None,
        hint: str | None = None,
        body: Any = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status_code = status_code
        self.code = code
        self.error_type = error_type
        self.metadata = dict(metadata or {})
        self.provider_name = provider_name
        self.generation_id = generation_id
        self.retry_after = retry_after
        self.partial = partial
        self.body = body
        self.retryable = retryable


class BadRequestError(APIError):
    """The request is not acceptable as it is: 400, 413 or 422."""


class AuthenticationError(APIError):
    """The key is missing, wrong, disabled or expired: 401."""


class InsufficientCreditsError(APIError):
    """Credits do not suffice: none left, a request above the balance, or too many in flight: 402 (API section 5.5)."""


class PermissionDeniedError(APIError):
    """The key may not do this: 403."""


class ModerationError(PermissionDeniedError):
    """The input was flagged by moderation or by a guardrail's patterns."""


class LimitExceededError(PermissionDeniedError):
    """A spending limit of the key, the workspace or a guardrail is used up (API section 5.4)."""


class NotFoundError(APIError):
    """The resource is missing; usually no endpoint of this model fits the constraints of the request: 404."""


class RateLimitError(APIError):
    """Too many requests: 429."""


class ProviderError(APIError):
    """The upstream failed: a 5xx status, or an error inside a 200 reply."""


class APIConnectionError(APIError):
    """The endpoint could not be reached, or the connection broke."""


class APITimeoutError(APIConnectionError):
    """Connecting, the first token, or the gap to the next one took too long."""


class StreamError(APIError):
    """The stream ended before its finish reason, or contained an invalid event."""


class ResponseLimitError(APIError):
    """The response is larger than a limit allows, or a turn's calls are more; what came before is ``partial``.

    The limits are those of `orchat.openrouter.response_limits.ResponseLimits` and `orchat.Chat`; the hint names the one
    to raise.
    """


class OutputValidationError(APIError, ValueError):
    """The answer does not fit the ``response_format``; the raw text is in ``partial``."""


class ToolError(OrchatError):
    """The base of errors about tools."""


class ToolInvocationError(ToolError):
    """A tool raised an exception, or its server said that it failed.

    Parameters
    ----------
    message
        Names tool, arguments and cause.
    tool_name
        Which tool.
    hint
        What to do next.
    result
        What the tool returned although it failed; None without it.
    details
        What its process wrote meanwhile, such as a traceback: for people, redacted and bounded.
    """

    def __init__(
        self,
        message: str = "",
        tool_name: str | None = None,
        *,
        hint: str | None = None,
        result: object = None,
        details: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.tool_name = tool_name
        self.result = result
        self.details = details


class ToolServerError(ToolError):
    """A server of tools cannot be started or reached, or the connection to it broke.

    Parameters
    ----------
    message
        Names the server and the cause.
    hint
        What to do next.
    details
        The server's last words, redacted and bounded.
    """

    def __init__(self, message: str = "", *, hint: str | None = None, details: str = "") -> None:
        super().__init__(message, hint=hint)
        self.details = details


class SchemaGenerationError(ToolError):
    """A function's signature has no JSON Schema."""


class StateError(OrchatError):
    """Saved state that cannot be loaded."""


class TurnInProgressError(OrchatError):
    """The chat is busy with another turn."""


class BudgetExceededError(OrchatError):
    """The next request may cost more than its budget allows."""
