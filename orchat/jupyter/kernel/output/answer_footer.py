"""The words around an answer: the line below it, the card of an error, the one line that ends a cell.

What came from a model or an upstream is untrusted: it is put on one line, without control characters, and kept short.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchat.errors import APIError, MissingKeyError, OrchatError
from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchat.chat.reply import Citation, Reply

_REASONING_SHOWN = 160
_MESSAGE_SHOWN = 400
_HINT_SHOWN = 250
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

NO_KEY = """\
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

_SOURCES_SHOWN = 12
# What every reader of Markdown takes for one link, and what holds nothing but a link.
_LINK = re.compile(r"https?://[^\s()<>\"'`\\$\[\]]{1,500}")

_ENDINGS = {
    "interrupted": "interrupted",
    "failed": "failed",
    "stopped": "stopped",
    "parked": "waits for your decision",
    "max_rounds": "ended, for it called tools too often",
}
_CUT = {"length": "cut at its token limit", "content_filter": "cut by a content filter"}


def footer(reply: Reply, seconds: float, *, sent: Iterable[object] = (), style: str = "full") -> str:
    """Return the line below an answer: who answered, how much it was, what it cost, what went along.

    What nobody reported is left out; an unknown cost is never $0. That an answer is not whole, or comes from a demo
    model, is always said.

    Parameters
    ----------
    reply
        The answer.
    seconds
        How long it took.
    sent
        What went along with the prompt: values, files, earlier turns.
    style
        ``full``, ``model`` for who answered alone, or ``none``.

    Examples
    --------
    >>> from orchat.chat.reply import Reply
    >>> from orchat.messages import ChatMessage
    >>> usage = {"prompt_tokens": 1210, "completion_tokens": 340, "cost": 0.00123}
    >>> meta = {"model": "openai/gpt-5-mini", "provider": "OpenAI", "usage": usage}
    >>> print(footer(Reply(ChatMessage.from_assistant("Hello.", meta=meta)), 2.13))
    openai/gpt-5-mini · OpenAI · 1.2k in / 340 out · $0.00123 · 2.1 s
    """
    meta, usage = reply.message.meta, reply.usage
    parts = [_ENDINGS.get(reply.ending) or _CUT.get(reply.finish_reason or ""), meta.get("note")]
    if style != "none":
        parts.insert(1, meta.get("model"))
    if style == "full":
        counts = [
            f"{_short(usage[key])} {label}"
            for key, label in (("prompt_tokens", "in"), ("completion_tokens", "out"))
            if isinstance(usage.get(key), int)
        ]
        parts += [meta.get("provider"), " / ".join(counts)]
        if reply.cost is not None:
            parts.append(_dollars(reply.cost))
        parts.append(f"{seconds:.1f} s")
        if along := ", ".join(filter(None, map(str, sent))):
            parts.append(f"with {along}")
    return " · ".join(single_line(str(part)) for part in parts if part)


def empty_text(reply: Reply) -> str:
    """Return what is said in the place of an answer that is whole and says nothing; else nothing.

    Examples
    --------
    >>> from orchat.chat.reply import Reply
    >>> from orchat.messages import ChatMessage
    >>> empty_text(Reply(ChatMessage.from_assistant("", meta={"finish_reason": "stop"})))
    'The answer is empty.'
    """
    if reply.text or reply.images or reply.ending != "finished":
        return ""
    details = reply.usage.get("completion_tokens_details")
    thought = reply.reasoning or (isinstance(details, dict) and details.get("reasoning_tokens"))
    if reply.finish_reason == "length" and thought:
        return "The answer is empty: thinking took all its tokens. Raise -n, or think less with --reasoning low."
    if reply.finish_reason == "length":
        return "The answer is empty: its tokens ended before it began. Raise -n."
    return "The answer is empty."


def sources(citations: Iterable[Citation]) -> str:
    r"""Return the sources that a model names as a line of links, safe to show; nothing comes of none.

    Examples
    --------
    >>> from orchat.chat.reply import Citation
    >>> sources([Citation("https://example.org/tides", "Tides *here*"), Citation("javascript:alert(1)", "x")])
    'Sources: [Tides \\*here\\*](https://example.org/tides)'
    """
    links = [f"[{escape_markdown(name)}]({url})" for url, name in _named(citations).items()]
    return f"Sources: {', '.join(links)}" if links else ""


def sources_text(citations: Iterable[Citation]) -> str:
    """Return the sources as plain text, one on a line.

    Examples
    --------
    >>> from orchat.chat.reply import Citation
    >>> print(sources_text([Citation("https://example.org/tides", "Tides")]))
    Sources:
      Tides <https://example.org/tides>
    """
    lines = [f"  {name} <{url}>" for url, name in _named(citations).items()]
    return "\n".join(["Sources:", *lines]) if lines else ""


def _named(citations: Iterable[Citation]) -> dict[str, str]:
    """Return names of the addresses that are ones, each once."""
    named: dict[str, str] = {}
    for citation in citations:
        if _LINK.fullmatch(citation.url) and citation.url.isprintable() and len(named) < _SOURCES_SHOWN:
            named.setdefault(citation.url, single_line(citation.title or "", 80) or urlsplit(citation.url).netloc)
    return named


def _short(number: int) -> str:
    """Three digits are enough: 340, 1.2k, 56k, 1.3M."""
    if number < 1_000:
        return str(number)
    value, unit = (number / 1_000, "k") if number < 999_500 else (number / 1_000_000, "M")
    return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"


def _dollars(cost: float) -> str:
    """Three significant digits, and never in powers of ten."""
    return f"${cost:.2f}" if cost >= 1 else f"${Decimal(f'{cost:.3g}'):f}"


def single_line(text: str, longest: int = 200) -> str:
    """Text from outside on one line, without control characters and not too long."""
    text = " ".join(_CONTROL.sub(" ", text).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def escape_control_characters(text: str) -> str:
    r"""Take the control characters out of a text, which could move a terminal's cursor or set its title.

    Examples
    --------
    >>> escape_control_characters("one\x1b[2J\n\ttwo\x07")
    'one[2J\n\ttwo'
    """
    return _CONTROL.sub("", text)


def error_card(error: OrchatError) -> str:
    r"""Return what happened and what to do next, as short Markdown.

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
        return NO_KEY
    title = [type(error).__name__]
    if isinstance(error, APIError):
        title += [str(part) for part in (error.status_code, error.provider_name) if part]
    lines = ["**" + escape_markdown(single_line(" · ".join(title))) + "**"]
    lines += [escape_markdown(single_line(error.message, _MESSAGE_SHOWN))] if error.message else []
    lines += ["→ " + escape_markdown(single_line(error.hint, _HINT_SHOWN))] if error.hint else []
    return "> " + "\\\n> ".join(lines)


def error_line(error: BaseException) -> str:
    r"""Return the one line that the cell's error shows.

    Examples
    --------
    >>> from orchat.errors import RateLimitError
    >>> error_line(RateLimitError("Slow down.\nPlease.", hint="Wait a minute."))
    'RateLimitError: Slow down. Please.'
    """
    message = error.message if isinstance(error, OrchatError) else str(error)
    return f"{type(error).__name__}: {single_line(message, 120)}"


def error_text(error: OrchatError) -> str:
    """Return what happened and what to do next, as plain text.

    Examples
    --------
    >>> from orchat.errors import RateLimitError
    >>> error_text(RateLimitError("Slow down.", hint="Wait a minute."))
    'RateLimitError: Slow down. Wait a minute.'
    """
    if isinstance(error, MissingKeyError):
        return NO_KEY.replace("**", "").replace("`", "").strip()
    message, hint = single_line(error.message, _MESSAGE_SHOWN), single_line(error.hint or "", _HINT_SHOWN)
    return f"{type(error).__name__}: {message} {hint}".strip()


def reasoning_status(reasoning: str, *, live: bool = False) -> str:
    r"""Return the reasoning folded to one quoted line of Markdown; all of it is in the reply.

    Parameters
    ----------
    reasoning
        The model's text; nothing comes of nothing.
    live
        Whether it still goes on: its end is shown, not its beginning.

    Examples
    --------
    >>> reasoning_status("The user wants a *short* answer.")
    '> *Reasoning (32 characters): The user wants a \\*short\\* answer.*'
    """
    if not reasoning:
        return ""
    if live:
        return f"> *Reasoning … {escape_markdown(single_line(reasoning[-_REASONING_SHOWN:]))}*"
    return f"> *Reasoning ({len(reasoning):,} characters): {escape_markdown(single_line(reasoning, _REASONING_SHOWN))}*"


def waiting_status(label: str) -> str:
    """Return what is shown before the first token.

    Examples
    --------
    >>> waiting_status("vendor/m")
    '*waiting for vendor/m …*'
    """
    return f"*waiting for {escape_markdown(single_line(label))} …*"
