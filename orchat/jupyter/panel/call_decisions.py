"""The decisions about a panel's tool calls: forms of the running turn, and those of a parked turn, then resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from orchat.chat.message_selection import waiting_calls
from orchat.jupyter.kernel.live_view.pending_approvals import PendingApprovals
from orchat.jupyter.kernel.live_view.tool_grants import KERNEL_GRANTS
from orchat.jupyter.kernel.output.untrusted_text import single_line

if TYPE_CHECKING:
    from orchat.chat.approval import Decisions
    from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
    from orchat.jupyter.panel.panel_conversations import PanelConversations
    from orchat.jupyter.panel.panel_view_model import PanelViewModel, TurnView


class CallDecisions:
    """Show the calls that wait for a decision as forms, and resume a parked turn when all are decided.

    Parameters
    ----------
    conversations
        The panel's chats.
    view_model
        The panel's view model.
    on_change
        Called after a change of a form.
    start_task
        Runs a coroutine as a task.
    resume
        Continues a parked turn with the decisions.
    """

    def __init__(
        self,
        conversations: PanelConversations,
        view_model: PanelViewModel,
        on_change: Callable[[], None],
        start_task: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
        resume: Callable[[Decisions, TurnView], Awaitable[object]],
    ) -> None:
        self._conversations = conversations
        self._view_model = view_model
        self._on_change = on_change
        self._start_task = start_task
        self._resume = resume
        self._approvals: dict[int, PendingApprovals] = {}
        self._task: asyncio.Task[Any] | None = None

    def open(self, turn: TurnView, turn_view_model: TurnViewModel) -> PendingApprovals:
        """Return the approvals of a turn that begins or waits."""
        approvals = self._approvals[turn.key] = PendingApprovals(turn_view_model, self._on_change)
        return approvals

    def close(self, turn: TurnView) -> None:
        """Forget the approvals of a turn that has ended."""
        self._approvals.pop(turn.key, None)

    def handle_message(self, content: dict[str, Any]) -> None:
        """Handle a message of a form, or of a grant."""
        approvals = self._approvals.get(content["k"]) if isinstance(content.get("k"), int) else None
        if approvals is not None:
            approvals.handle_message(content)
        elif content["t"] == "revoke":
            KERNEL_GRANTS.revoke(str(content.get("name")))

    def wait(self) -> None:
        """Show the calls of a parked turn as forms, and resume it when all are decided."""
        self.cancel()
        turn, tools = self._view_model.last, self._conversations.tools
        calls = waiting_calls(self._conversations.current_chat.messages)
        if not calls or turn is None or turn.view_model is None:
            return
        missing_tools = sorted(
            {single_line(each.tool_name, 80) for each in calls.values() if each.tool_name not in tools}
        )
        if missing_tools:
            self._view_model.set(
                error={
                    "title": f"A call waits for a tool that is not there: {', '.join(sorted(missing_tools))}",
                    "text": "It cannot run.",
                    "hint": "Define the tool and run the cell again, or go on with another question.",
                }
            )
            return
        approvals = self.open(turn, turn.view_model)

        async def wait_for_all() -> None:
            asked = (approvals.ask(call, tools[call.tool_name], place) for place, call in calls.items())
            decisions = await asyncio.gather(*asked)
            self._task = None
            await self._resume(dict(zip(calls, decisions, strict=True)), turn)

        self._task = self._start_task(wait_for_all())

    def cancel(self) -> None:
        """Wait no longer for decisions about a parked turn."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
