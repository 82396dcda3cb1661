"""`Reply`: what a question was answered with, for people to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeGuard

from orchat.messages import ChatMessage, ImageContent, ToolCall


@dataclass(frozen=True)
class Reply:
    """A model's answer; as a cell's last line it shows itself as Markdown.

    Parameters
    ----------
    message
        The whole message, with everything the endpoint said.

    Examples
    --------
    >>> reply = Reply(ChatMessage.from_assistant("The Humber.", {"usage": {"cost": 0.00034}, "finish_reason": "stop"}))
    >>> reply.text, reply.cost
    ('The Humber.', 0.00034)
    """

    message: ChatMessage

    @property
    def text(self) -> str:
        """The answer's text; empty where there is none."""
        return self.message.text or ""

    @property
    def parsed(self) -> Any:
        """What ``response_format`` made of the text; None without one."""
        return self.message.parsed

    @property
    def reasoning(self) -> str:
        """What the model thought before it answered; empty where it did not say."""
        return self.message.reasoning.reasoning_text if self.message.reasoning else ""

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tools that the model wants to call."""
        return self.message.tool_calls

    @property
    def images(self) -> list[ImageContent]:
        """The pictures that the model made."""
        return self.message.images

    @property
    def usage(self) -> dict[str, Any]:
        """Tokens and cost as the endpoint counted them; empty where it did not (API section 3.5)."""
        usage = self.message.meta.get("usage")
        return usage if isinstance(usage, dict) else {}

    @property
    def cost(self) -> float | None:
        """What was charged, in USD, own provider keys included; None where nobody said."""
        details = self.usage.get("cost_details")
        upstream = details.get("upstream_inference_cost") if isinstance(details, dict) else None
        cost = self.usage.get("cost")
        if cost is not None and not _is_number(cost):
            return None
        if self.usage.get("is_byok") and _is_number(upstream):
            return float((cost or 0) + upstream)
        return None if cost is None else float(cost)

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended: ``stop``, ``length``, ``tool_calls`` ...; None where it was cut."""
        return self.message.meta.get("finish_reason")

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 60 else self.text[:57] + "..."
        return f"Reply({text!r}, model={self.message.meta.get('model')!r}, finish_reason={self.finish_reason!r})"


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
