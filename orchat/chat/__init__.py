"""Conversations with a model: chats, their turns, tool calls, approval, cost and saved state.

From low to high: `money`, `reply`, `approval`, `tool_execution`, `message_selection`, `message_versions`,
`exit_conditions`, `history_policies` and `tool_hooks` are pure; `result_store` keeps long results; `turn` is the state
machine, `turn_steps` what it says; `chat_dependencies` holds what higher layers provide; `event_loop_runner` runs
coroutines for synchronous callers; `turn_drivers` and `turn_streams` execute a turn; `state` and `markdown_export`
serialize it; `conversation`, `chat` and `single_question` are the API.
"""

from orchat.chat.approval import Answer, Approve, Decision, Policy, Reject
from orchat.chat.chat import Chat
from orchat.chat.chat_dependencies import Sink
from orchat.chat.exit_conditions import ExitCondition, cost_limit, total_tokens_limit
from orchat.chat.history_policies import HistoryPolicy, SummarizeOlder, drop_tool_results, last_turns
from orchat.chat.money import Budget, Cost
from orchat.chat.reply import Citation, Reply
from orchat.chat.request_estimate import Price
from orchat.chat.result_store import ResultStore
from orchat.chat.single_question import ask
from orchat.chat.turn_streams import AsyncChatStream, ChatStream

__all__ = [
    "Answer",
    "Approve",
    "AsyncChatStream",
    "Budget",
    "Chat",
    "ChatStream",
    "Citation",
    "Cost",
    "Decision",
    "ExitCondition",
    "HistoryPolicy",
    "Policy",
    "Price",
    "Reject",
    "Reply",
    "ResultStore",
    "Sink",
    "SummarizeOlder",
    "ask",
    "cost_limit",
    "drop_tool_results",
    "last_turns",
    "total_tokens_limit",
]
