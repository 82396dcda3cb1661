"""Lines that stand for an answer: before its first token, while the model reasons, and where it is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown
from orchat.jupyter.kernel.output.text_escaping import single_line

if TYPE_CHECKING:
    from orchat.chat.reply import Reply

_MOST_REASONING = 160


def waiting_status(label: str) -> str:
    """Return the line before the first token.

    Examples
    --------
    >>> waiting_status("vendor/m")
    '*waiting for vendor/m …*'
    """
    return f"*waiting for {escape_markdown(single_line(label))} …*"


def retry_status(text: str) -> str:
    """Return the line for the wait before a request is sent again.

    Examples
    --------
    >>> retry_status("HTTP 503: busy. Trying again in 0.5 s (retry 1 of 5).")
    '*HTTP 503: busy. Trying again in 0.5 s (retry 1 of 5).*'
    """
    return f"*{escape_markdown(single_line(text))}*"


def reasoning_status(reasoning: str, *, live: bool = False) -> str:
    r"""Return reasoning shortened to one quoted line of Markdown; the whole is in the reply.

    Parameters
    ----------
    reasoning
        The model's reasoning; an empty text gives an empty line.
    live
        Whether it still streams in: then the line shows its end, not its beginning.

    Examples
    --------
    >>> reasoning_status("The user wants a *short* answer.")
    '> *Reasoning (32 characters): The user wants a \\*short\\* answer.*'
    """
    if not reasoning:
        return ""
    if live:
        return f"> *Reasoning … {escape_markdown(single_line(reasoning[-_MOST_REASONING:]))}*"
    return f"> *Reasoning ({len(reasoning):,} characters): {escape_markdown(single_line(reasoning, _MOST_REASONING))}*"


def empty_text(reply: Reply) -> str:
    """Return the reason for an empty answer; an empty text where the answer is not empty or not whole.

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
    has_reasoned = reply.reasoning or (isinstance(details, dict) and details.get("reasoning_tokens"))
    if reply.finish_reason == "length" and has_reasoned:
        return "The answer is empty: thinking took all its tokens. Raise -n, or think less with --reasoning low."
    if reply.finish_reason == "length":
        return "The answer is empty: its tokens ended before it began. Raise -n."
    return "The answer is empty."
