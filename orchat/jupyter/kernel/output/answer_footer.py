"""The lines below an answer: its model, usage and cost, and the sources that it cites."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown
from orchat.jupyter.kernel.output.text_escaping import single_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchat.chat.reply import Citation, Reply

_SOURCES_SHOWN = 12
# What every reader of Markdown takes for one link, and what holds nothing but a link.
_LINK = re.compile(r"https?://[^\s()<>\"'`\\$\[\]]{1,500}")

_ENDINGS = {
    "interrupted": "interrupted",
    "failed": "failed",
    "stopped": "stopped",
    "parked": "waits for your decision",
    "max_rounds": "ended, for it called tools too often",
    "cut": "cut at its token limit",
    "repeated": "ended, for the same call failed twice",
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
    parts = [_ENDINGS.get(reply.ending) or _CUT.get(reply.finish_reason or ""), meta.get("note"), *reply.warnings]
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
