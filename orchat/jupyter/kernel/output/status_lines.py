"""Lines that stand for an answer: before its first token, while the model reasons, where it is empty or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.message_assembly import MOST_REFUSAL, REFUSED

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
    >>> retry_status("Retrying in 0.5 s (2 of 6): HTTP 503: busy.")
    '*Retrying in 0.5 s (2 of 6): HTTP 503: busy.*'
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


def answer_note(reply: Reply, *, in_panel: bool = False) -> str:
    """Return what stands in the place of an answer: a refusal, or why it is empty; an empty text where nothing lacks.

    Parameters
    ----------
    reply
        The answer; of one that is not whole only a refusal is told.
    in_panel
        Whether what helps is in a panel's settings, and not an option of a cell.

    Examples
    --------
    >>> from orchat.chat.reply import Reply
    >>> from orchat.messages import ChatMessage
    >>> answer_note(Reply(ChatMessage.from_assistant("", meta={"finish_reason": "stop"})))
    'The answer is empty.'
    >>> answer_note(Reply(ChatMessage.from_assistant("", meta={"refusal": "I cannot help."})))
    'The model refused: I cannot help.'
    """
    refusal = reply.message.meta.get("refusal")
    if isinstance(refusal, str) and refusal.strip():
        return f"{REFUSED}{refusal.strip()[:MOST_REFUSAL]}"
    if reply.text or reply.images or reply.ending != "finished":
        return ""
    details = reply.usage.get("completion_tokens_details")
    has_reasoned = reply.reasoning or (isinstance(details, dict) and details.get("reasoning_tokens"))
    more, less = ("Raise max tokens", "lower the reasoning effort") if in_panel else ("Raise -n", "use --reasoning low")
    if reply.finish_reason == "length" and has_reasoned:
        return f"The answer is empty: thinking took all its tokens. {more}, or {less}."
    if reply.finish_reason == "length":
        return f"The answer is empty: its tokens ended before it began. {more}."
    return "The answer is empty."
