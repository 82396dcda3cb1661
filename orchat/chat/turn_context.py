"""The context of a turn: what its driver needs beside the turn itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchat.chat.approval import Policy
from orchat.chat.chat_dependencies import Sink
from orchat.chat.history_policies import HistoryPolicy
from orchat.chat.money import Budget, Cost
from orchat.chat.request_estimate import Price
from orchat.messages import ChatMessage
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.tools import Tool


@dataclass
class TurnContext:
    """The context of a turn: generator, options, history, tools, policy, budgets, price and sink."""

    generator: OpenRouterChatGenerator
    model: str
    generation_kwargs: dict[str, Any]
    history: Sequence[ChatMessage]
    history_policies: Sequence[HistoryPolicy] = field(default=(), kw_only=True)
    tools: dict[str, Tool]
    policy: Policy
    sink: Sink | None = None
    budgets: Sequence[Budget] = ()
    price: Price | None = None
    parks: bool = True
    whole: bool = False
    charge: Callable[[Cost], None] = field(default=lambda cost: None)
