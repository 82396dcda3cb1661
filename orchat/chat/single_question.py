"""`ask`: a single question, answered without keeping a conversation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from orchat.chat.approval import Policy
from orchat.chat.chat import Chat
from orchat.chat.conversation import Question
from orchat.chat.money import Budget
from orchat.chat.reply import Reply
from orchat.openrouter.completion_request import Tools
from orchat.openrouter.generator import OpenRouterChatGenerator


def ask(
    question: Question,
    model: OpenRouterChatGenerator | str | None = None,
    *,
    system: str | None = None,
    tools: Tools | None = None,
    approve: Policy = "ask",
    max_cost: float | Decimal | Budget | None = None,
    generation_kwargs: dict[str, Any] | None = None,
) -> Reply:
    """Ask one question without keeping a conversation; parameters as of `Chat`.

    A turn cannot be resumed here, so that tool calls without a decision are rejected.
    """
    chat = Chat(model, system, tools, approve, max_cost, generation_kwargs=generation_kwargs)
    return chat(question, park=False)
