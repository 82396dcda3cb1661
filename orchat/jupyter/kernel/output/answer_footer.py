"""The lines below an answer: its model, usage and cost, and the sources that it cites."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown
from orchat.jupyter.kernel.output.source_links import link_titles, markdown_address
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.message_assembly import REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchat.chat.reply import Citation, Reply

_ENDINGS = {
    "interrupted": "interrupted",
    "failed": "failed",
    "stopped": "stopped",
    "parked": "waits for your decision",
    "max_rounds": "ended, for it called tools too often",
    "exit_condition": "ended by an exit condition",
    "cut": "cut at its token limit",
    "repeated": "ended, for the same call failed twice",
}
_CUT_REASONS = {"length": "cut at its token limit", "content_filter": "cut by a content filter"}


def footer(reply: Reply, seconds: float, *, sent: Iterable[object] = (), style: str = "full") -> str:
    """Return the footer of an answer: model, provider, usage, cost, duration, and what was sent with the prompt.

    Unreported values are left out, but a missing cost is told where tokens are. Incomplete answers and demo models are
    always marked.

    Parameters
    ----------
    reply
        The answer.
    seconds
        The duration of the turn.
    sent
        Values, files and earlier turns sent with the prompt.
    style
        ``full``, ``model`` for the model alone, or ``none``.

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
    ending = _ENDINGS.get(reply.ending) or _CUT_REASONS.get(reply.finish_reason or "")
    warnings = [warning for warning in reply.warnings if not warning.startswith(REFUSED)]  # that stands as the answer
    parts = [ending, meta.get("note"), *warnings]
    if style != "none":
        parts.insert(1, meta.get("model"))
    if style == "full":
        counts = [
            f"{_short_count(usage[key])} {label}"
            for key, label in (("prompt_tokens", "in"), ("completion_tokens", "out"))
            if isinstance(usage.get(key), int)
        ]
        parts += [meta.get("provider"), " / ".join(counts)]
        if reply.cost is not None or usage:
            parts.append("cost not reported" if reply.cost is None else _dollars(reply.cost))
        parts.append(f"{seconds:.1f} s")
        if sent_text := ", ".join(filter(None, map(str, sent))):
            parts.append(f"with {sent_text}")
    return " · ".join(single_line(str(part)) for part in parts if part)


def sources(citations: Iterable[Citation]) -> str:
    r"""Return the cited sources as one line of safe Markdown links; an empty text without any.

    Examples
    --------
    >>> from orchat.chat.reply import Citation
    >>> sources([Citation("https://example.org/tides", "Tides *here*"), Citation("javascript:alert(1)", "x")])
    'Sources: [Tides \\*here\\*](https://example.org/tides)'
    """
    links = [f"[{escape_markdown(title)}]({markdown_address(url)})" for url, title in link_titles(citations).items()]
    return f"Sources: {', '.join(links)}" if links else ""


def sources_text(citations: Iterable[Citation]) -> str:
    """Return the cited sources as plain text, one a line.

    Examples
    --------
    >>> from orchat.chat.reply import Citation
    >>> print(sources_text([Citation("https://example.org/tides", "Tides")]))
    Sources:
      Tides <https://example.org/tides>
    """
    lines = [f"  {title} <{url}>" for url, title in link_titles(citations).items()]
    return "\n".join(["Sources:", *lines]) if lines else ""


def _short_count(number: int) -> str:
    """Return a count with at most three digits: 340, 1.2k, 56k, 1.3M."""
    if number < 1_000:
        return str(number)
    value, unit = (number / 1_000, "k") if number < 999_500 else (number / 1_000_000, "M")
    return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"


def _dollars(cost: float) -> str:
    """Return a cost with three significant digits, never in powers of ten; in words where it is none."""
    if not cost:
        return "free"
    return f"${cost:.2f}" if cost >= 1 else f"${Decimal(f'{cost:.3g}'):f}"
