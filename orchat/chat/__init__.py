"""Conversations: a chat, its turns, tools and money, as plain data.

From low to high: `money`, `reply`, `approval`, `calling` and `history` are pure; `turn` is the machine; `hooks` is what
the floors above lend; `loops` runs coroutines where nobody can await; `driving` and `streams` move a turn; `state` and
`markdown` write it down; `conversation`, `chat` and `once` are what users hold.
"""

from orchat.chat.approval import Answer, Approve, Decision, Policy, Reject
from orchat.chat.chat import Chat
from orchat.chat.dependency_injection import Sink
from orchat.chat.money import Budget, Cost, Price
from orchat.chat.reply import Citation, Reply
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
    "Policy",
    "Price",
    "Reject",
    "Reply",
    "Sink",
    "ask",
]
