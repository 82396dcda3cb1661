"""Decide from finish reasons and usage whether a streamed answer has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchat.streaming import FinishReason, StreamingChunk

_FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


class FinishState:
    """The finish reasons and the usage of one stream so far.

    The first finish reason may not be the last: some upstreams give one with each tool call. Where a reason of the
    provider's own is due and null, only usage or ``[DONE]`` end the answer.

    Examples
    --------
    >>> state = FinishState()
    >>> state.add_choice({"finish_reason": "tool_calls", "native_finish_reason": None}, has_calls=True)
    >>> state.is_last(done=False), state.is_last(done=True)
    (False, True)
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.native_is_due = False
        self._native: str | None = None
        self._is_settled = False
        self._is_marked = False
        self._counts_all_along = False

    def add_choice(self, choice: Mapping[str, Any], *, has_calls: bool) -> None:
        """Add the reasons of a choice, which may hold none, beside tool calls or not."""
        reason, native = choice.get("finish_reason") or None, choice.get("native_finish_reason")
        self._native = native or self._native
        if reason:
            self.reason = reason
            self.native_is_due = "native_finish_reason" in choice and native is None
            # A reason is the last where the endpoint gives its own as well, or none at all and nothing beside it.
            self._is_settled = self._is_settled or not (self.native_is_due or has_calls) or bool(native)

    def add_usage(self) -> None:
        """Record that usage came: after a finish reason it is the last; some send it with every event."""
        if self.reason is not None:
            self._is_settled = self._is_settled or not self._counts_all_along
        else:
            self._counts_all_along = True

    def mark(self, chunk: StreamingChunk) -> None:
        """Mark the chunk that ends the reply with the reason, once: a usage event repeats it."""
        if not self._is_marked and self.reason is not None:
            self._is_marked = True
            chunk.finish_reason = _FINISH_REASONS.get(self.reason)

    @property
    def has_reason(self) -> bool:
        """Whether a finish reason came, of the endpoint's or of the provider's own."""
        return self.reason is not None or self._native is not None

    def is_last(self, *, done: bool) -> bool:
        """Whether the answer is complete; its usage may still come.

        Parameters
        ----------
        done
            Whether ``[DONE]`` came.
        """
        return self._is_settled or (done and self.has_reason)
