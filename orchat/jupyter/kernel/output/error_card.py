"""Errors as people read them: a Markdown card below the answer, plain text, and the one line that ends a cell."""

from __future__ import annotations

import re

from orchat.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
    ConfigurationError,
    InsufficientCreditsError,
    LimitExceededError,
    MissingKeyError,
    ModerationError,
    NotFoundError,
    OrchatError,
    OutputValidationError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    ResponseLimitError,
    StateError,
    StreamError,
    ToolError,
    TurnInProgressError,
    hint_without_partial,
)
from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown
from orchat.jupyter.kernel.output.untrusted_text import single_line

_MOST_MESSAGE = 400
_MOST_HINT = 250
_ANOTHER_MODEL_HELPS = (NotFoundError, ProviderError, RateLimitError, ModerationError, InsufficientCreditsError)

MISSING_KEY_HELP = """\
**No API key yet.** Three ways on:

1. **Your own key**, made at <https://openrouter.ai/settings/keys>: run `%openrouter key set` in a new cell, which asks
   for it, checks it and shows it to nobody; then this cell again. (Without the magics: `%load_ext orchat` first, or
   `os.environ["OPENROUTER_API_KEY"] = getpass.getpass()`.)
2. **No account**: `%%openrouter local/smollm2-135m-instruct` asks a small model on this machine. It is often wrong, and
   shows how everything works (`orchat local download` puts it in place).
3. **Another host** that speaks the same language: set `OPENROUTER_BASE_URL`, and its key as `OPENROUTER_API_KEY`."""

_PLAIN_CODE = re.compile(r"[\w %.,:;=(){}/'\"+-]+")

# For somebody in a cell; the line that ends the cell names the class, for those who catch it. The first match counts.
_TITLES: tuple[tuple[type[OrchatError], str], ...] = (
    (BadRequestError, "The request was refused"),
    (AuthenticationError, "The key was refused"),
    (InsufficientCreditsError, "Not enough credit"),
    (ModerationError, "The prompt was flagged"),
    (LimitExceededError, "A spending limit is reached"),
    (PermissionDeniedError, "Not allowed"),
    (NotFoundError, "Not found"),
    (RateLimitError, "Too many requests"),
    (ProviderError, "The provider failed"),
    (APITimeoutError, "No answer in time"),
    (APIConnectionError, "No connection"),
    (StreamError, "The answer broke off"),
    (ResponseLimitError, "More than is read of a response"),
    (OutputValidationError, "The answer does not fit"),
    (BudgetExceededError, "The budget is used up"),
    (ConfigurationError, "This cannot be sent"),
    (StateError, "Saved state that cannot be used"),
    (ToolError, "A tool failed"),
    (TurnInProgressError, "Another turn is running"),
)


def error_title(error: OrchatError) -> str:
    """Return what happened in a few words, with the status and the provider where there are any.

    Examples
    --------
    >>> from orchat.errors import RateLimitError
    >>> error_title(RateLimitError("Slow down.", status_code=429, provider_name="OpenAI"))
    'Too many requests · 429 · OpenAI'
    """
    title = [next((words for kind, words in _TITLES if isinstance(error, kind)), "It failed")]
    if isinstance(error, APIError):
        title += [str(part) for part in (error.status_code, error.provider_name) if part]
    return single_line(" · ".join(title), 120)


def message_for_people(error: OrchatError) -> str:
    """Return what happened, without the status that the title names already.

    Examples
    --------
    >>> from orchat.errors import RateLimitError
    >>> message_for_people(RateLimitError("HTTP 429: Slow down.", status_code=429))
    'Slow down.'
    """
    status = getattr(error, "status_code", None)
    message = error.message
    words = message.removeprefix(f"HTTP {status}: ") if status else message
    return words or message


def hint_for_people(error: OrchatError) -> str:
    """Return the next step for somebody in a cell or a panel, who sees what arrived and has no object in hand.

    Examples
    --------
    >>> from orchat.errors import StreamError
    >>> hint_for_people(StreamError("It broke off.", hint="What came is in `.partial`; try again."))
    'Try again.'
    """
    hint = hint_without_partial(error.hint or "")
    if isinstance(error, AuthenticationError):
        hint = f"{hint} `%openrouter key set` asks for another key."
    hint = hint.strip()
    return f"{hint[:1].upper()}{hint[1:]}"


def error_actions(error: OrchatError) -> list[str]:
    """Return the actions that may help after a request that failed: ``retry``, another ``model``, another ``key``.

    Examples
    --------
    >>> from orchat.errors import BadRequestError
    >>> error_actions(BadRequestError("x is not a valid model ID.")), error_actions(ConfigurationError("No such file."))
    (['retry', 'model'], [])
    """
    if not isinstance(error, APIError | BudgetExceededError | MissingKeyError):
        return []
    actions = ["retry"]
    if isinstance(error, _ANOTHER_MODEL_HELPS) or "not a valid model" in error.message:
        actions.append("model")
    if isinstance(error, MissingKeyError | AuthenticationError):
        actions.append("key")
    return actions


def error_card(error: OrchatError) -> str:
    r"""Return an error and the next step as short Markdown.

    Examples
    --------
    >>> from orchat.errors import RateLimitError
    >>> error = RateLimitError("Slow down.", status_code=429, provider_name="OpenAI", hint="Wait a minute.")
    >>> print(error_card(error))
    > **Too many requests · 429 · OpenAI**
    >
    > Slow down.
    >
    > → Wait a minute.
    """
    if isinstance(error, MissingKeyError):
        return MISSING_KEY_HELP
    lines = [f"**{escape_markdown(error_title(error))}**"]
    lines += [_markdown_with_code(single_line(message_for_people(error), _MOST_MESSAGE))] if error.message else []
    hint = hint_for_people(error)
    lines += ["→ " + _markdown_with_code(single_line(hint, _MOST_HINT))] if hint else []
    return "> " + "\n>\n> ".join(lines)  # a hard line break would be glued to an address at a line's end


def _markdown_with_code(text: str) -> str:
    """Return a line as safe Markdown: what stands between backticks is code if it is plain, all else is escaped."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0 or not all(_PLAIN_CODE.fullmatch(code) for code in pieces[1::2]):
        return escape_markdown(text)
    return "".join(f"`{piece}`" if at % 2 else escape_markdown(piece) for at, piece in enumerate(pieces))


def error_line(error: BaseException) -> str:
    r"""Return an error as the one line that ends a cell.

    Examples
    --------
    >>> from orchat.errors import RateLimitError
    >>> error_line(RateLimitError("Slow down.\nPlease.", hint="Wait a minute."))
    'RateLimitError: Slow down. Please.'
    """
    message = error.message if isinstance(error, OrchatError) else str(error)
    return f"{type(error).__name__}: {single_line(message, 120)}"


def error_text(error: OrchatError) -> str:
    """Return an error and the next step as plain text.

    Examples
    --------
    >>> from orchat.errors import RateLimitError
    >>> error_text(RateLimitError("Slow down.", hint="Wait a minute."))
    'Too many requests: Slow down. Wait a minute.'
    """
    if isinstance(error, MissingKeyError):
        return MISSING_KEY_HELP.replace("**", "").replace("`", "").strip()
    message, hint = (
        single_line(message_for_people(error), _MOST_MESSAGE),
        single_line(hint_for_people(error), _MOST_HINT),
    )
    return f"{error_title(error)}: {message} {hint}".strip()
