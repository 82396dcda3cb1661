"""Conversations. So far: the reply that a user holds in hand."""

from orchat.chat.reply import Reply

__all__ = ["Reply"]
