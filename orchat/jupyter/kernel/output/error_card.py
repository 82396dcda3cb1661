"""Errors as people read them: a Markdown card below the answer, plain text, and the one line that ends a cell."""

from __future__ import annotations

from orchat.errors import APIError, MissingKeyError, OrchatError
from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown
from orchat.jupyter.kernel.output.text_escaping import single_line

_MOST_MESSAGE = 400
_MOST_HINT = 250

MISSING_KEY_HELP = """\
**No API key yet.** Three ways on:

1. **Your own key**, made at <https://openrouter.ai/settings/keys>: run the lines below in a new cell, then this cell
   again.
2. **No account**: `%%openrouter local/smollm2-135m-instruct` asks a small model on this machine. It is often wrong, and
   shows how everything works (`orchat local download` puts it in place).
3. **Another host** that speaks the same language: set `OPENROUTER_BASE_URL`, and its key as `OPENROUTER_API_KEY`.

```python
import getpass, os
os.environ["OPENROUTER_API_KEY"] = getpass.getpass("OpenRouter key: ")
```"""


def error_card(error: OrchatError) -> str:
    r"""Return an error and the next step as short Markdown.

    Examples
    --------
    >>> from orchat.errors import RateLimitError
    >>> error = RateLimitError("Slow down.", status_code=429, provider_name="OpenAI", hint="Wait a minute.")
    >>> print(error_card(error))
    > **RateLimitError · 429 · OpenAI**\
    > Slow down.\
    > → Wait a minute.
    """
    if isinstance(error, MissingKeyError):
        return MISSING_KEY_HELP
    title = [type(error).__name__]
    if isinstance(error, APIError):
        title += [str(part) for part in (error.status_code, error.provider_name) if part]
    lines = ["**" + escape_markdown(single_line(" · ".join(title))) + "**"]
    lines += [escape_markdown(single_line(error.message, _MOST_MESSAGE))] if error.message else []
    lines += ["→ " + escape_markdown(single_line(error.hint, _MOST_HINT))] if error.hint else []
    return "> " + "\\\n> ".join(lines)


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
    'RateLimitError: Slow down. Wait a minute.'
    """
    if isinstance(error, MissingKeyError):
        return MISSING_KEY_HELP.replace("**", "").replace("`", "").strip()
    message, hint = single_line(error.message, _MOST_MESSAGE), single_line(error.hint or "", _MOST_HINT)
    return f"{type(error).__name__}: {message} {hint}".strip()
