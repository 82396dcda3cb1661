"""Tool calls that wait for a person's decision, and their forms.

The form shows what runs. Edited arguments are validated here as before the call, and an invalid form stays open with
its errors. Each shown form has a revision, which a page sends back with the decision: a decision with another revision
has no effect. What was typed into a form is its draft, which a view that comes later shows; it decides nothing.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchat.jupyter.kernel.forms import arguments_of, build_form, check_arguments
from orchat.jupyter.kernel.forms.argument_values import escape_surrogates
from orchat.jupyter.kernel.live_view.tool_grants import KERNEL_GRANTS, ToolGrants
from orchat.jupyter.kernel.output.untrusted_text import single_line

if TYPE_CHECKING:
    from orchat.chat.approval import Decision, Verdict
    from orchat.chat.message_selection import CallPlace
    from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
    from orchat.jupyter.kernel.live_view.widget_channel import WidgetChannel
    from orchat.messages import ToolCall
    from orchat.tools import Tool


_MOST_DRAFT = 1_000_000  # characters of typed arguments that are kept: no longer ones can run
_FORM_CHANGED = "This form had changed in the meantime. Nothing has run: look at it again, and decide."


class AbandonedFormError(Exception):
    """A form waits for a decision, and nobody sees it any more."""


@dataclass
class _PendingApproval:
    """A call that waits for a decision, and its form as last shown."""

    call: ToolCall
    tool: Tool
    future: asyncio.Future[Decision]
    revision: str = ""
    model_values: dict[str, str] = field(default_factory=dict)  # the model's arguments, as a page would send them
    shown_call: str = ""


class PendingApprovals:
    """The pending approvals of one view.

    Parameters
    ----------
    view_model
        The view model of the turn.
    on_change
        Called after a change of the view model.
    grants
        The tools that run without approval.
    """

    def __init__(
        self, view_model: TurnViewModel, on_change: Callable[[], None], grants: ToolGrants = KERNEL_GRANTS
    ) -> None:
        self._view_model = view_model
        self._on_change = on_change
        self._grants = grants
        self._pending: dict[int, _PendingApproval] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether a call waits for a decision."""
        return bool(self._pending)

    def expect(self, tool_to_ask: Callable[[str], Tool | None]) -> None:
        """Show incomplete calls that need approval as forms.

        Parameters
        ----------
        tool_to_ask
            Returns the tool of a name if it needs a decision, else None.
        """

        def form_for(name: str) -> Tool | None:
            tool = tool_to_ask(name)
            return None if tool is None or self._is_granted(tool) else tool

        self._view_model.set_form_lookup(form_for)

    def _is_granted(self, tool: Tool) -> bool:
        return not tool.asks_always and self._grants.covers(tool)

    def decision_by_grant(self, call: ToolCall, tool: Tool, place: CallPlace) -> Decision | None:
        """Return the approval of a call whose tool has a grant; None where a person must decide."""
        from orchat.chat.approval import Approve
        from orchat.chat.tool_execution import call_error

        if not self._is_granted(tool) or call_error(call, {tool.name: tool}) is not None:
            return None  # a person may mend arguments that do not fit
        item = self._view_model.attach_call(place, call)
        self._view_model.set(item, status="running", granted=True, form=None)
        self._on_change()
        return Approve()

    async def decide(
        self,
        call: ToolCall,
        tool: Tool,
        place: CallPlace,
        channel: WidgetChannel | None,
        before_form: Callable[[], None],
    ) -> Verdict:
        """Decide by a grant, else by a form in a page; None where no page is ready or sees it, and the turn parks.

        Parameters
        ----------
        call, tool, place
            The call, its tool, and its place in the turn.
        channel
            The channel to the page; None where there is no page.
        before_form
            Called when a page is ready, before the form is shown.
        """
        if (decision := self.decision_by_grant(call, tool, place)) is not None:
            return decision
        if channel is None or not await channel.wait_until_ready():
            return None
        before_form()
        try:
            return await self.ask(call, tool, place)
        except AbandonedFormError:
            return None

    def abandon(self) -> None:
        """Wait no longer for decisions, and take none: nobody sees a form."""
        for approval in self._pending.values():
            if not approval.future.done():
                approval.future.set_exception(AbandonedFormError())

    async def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Decision:
        """Show a call as a form, and wait for the decision.

        Raises
        ------
        AbandonedFormError
            Nobody sees the form any more (`abandon`).
        """
        from orchat.chat.approval import Reject

        item = self._view_model.attach_call(place, call)
        if not single_line(call.tool_name):  # a form without a name would not show what runs
            return Reject("The call names no tool.")
        approval = _PendingApproval(call, tool, asyncio.get_running_loop().create_future())
        self._pending[item] = approval
        self._view_model.set(item, status="asking")
        self._show_form(item, approval)
        self._on_change()
        status = "waiting"
        try:
            with self._view_model.clock.paused():
                decision = await approval.future
            status = _STATUS_BY_DECISION[type(decision).__name__]
            return decision
        finally:
            del self._pending[item]
            self._view_model.set_draft(item, None)
            self._view_model.set(item, status=status, form=None, errors=[], preview=None)
            self._on_change()

    def handle_message(self, content: dict[str, Any]) -> None:
        """Handle a message of a view: values to check, a decision, or a revoked grant."""
        if content["t"] == "revoke":
            self._grants.revoke(str(content.get("name")))
            return
        item = content.get("i")
        approval = self._pending.get(item) if isinstance(item, int) else None
        if approval is None or approval.future.done():  # decided already, perhaps in another view
            return
        assert isinstance(item, int)
        is_shown = content.get("revision") == approval.revision and approval.shown_call == _call_as_text(approval.call)
        if content["t"] == "check":
            if not is_shown:  # the page will get the current form
                return
            values = content.get("values")
            errors = check_arguments(approval.tool, values)
            self._view_model.set(item, errors=errors, reply=content.get("n", 0))
            self._keep_draft(item, approval, values)
            if not errors:
                self._show_preview(item, approval.tool, arguments_of(values)[0])
        elif not is_shown:
            self._show_form(item, approval, notice=_FORM_CHANGED)
        elif (decision := self._read_decision(approval, item, content)) is not None:
            approval.future.set_result(decision)
            return
        self._on_change()

    def _show_form(self, item: int, approval: _PendingApproval, notice: str = "") -> None:
        """Show a call's current form with a new revision, which makes earlier decisions void."""
        call, tool, malformed = approval.call, approval.tool, approval.call.malformed_arguments
        form = build_form(tool, call.arguments, malformed)
        approval.revision = secrets.token_hex(8)
        approval.model_values = {"json": form["json"] if malformed is None else malformed}
        approval.shown_call = _call_as_text(call)
        # The name is that of the call, which decides what runs.
        form |= {"name": single_line(call.tool_name), "revision": approval.revision, "notice": notice}
        self._view_model.set(item, form=form, errors=check_arguments(tool, approval.model_values), reply=0)
        self._view_model.set_draft(item, None)
        self._show_preview(item, tool, call.arguments if malformed is None else None)

    def _keep_draft(self, item: int, approval: _PendingApproval, values: object) -> None:
        """Keep what a page has typed into a form, as fields where it was typed into these and can be read."""
        if isinstance(values, Mapping) and isinstance(text := values.get("json"), str) and len(text) <= _MOST_DRAFT:
            tool, revision = approval.tool, approval.revision
            self._view_model.set_draft(item, lambda: draft_of(tool, values, revision))
        else:
            self._view_model.set_draft(item, None)

    def _show_preview(self, item: int, tool: Tool, arguments: dict[str, Any] | None) -> None:
        """Show the tool's preview of a call with these arguments."""
        from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown, safe_markdown
        from orchat.tools.call_preview import preview_call

        if (preview := preview_call(tool, arguments)) is not None:
            self._view_model.preview(
                item, escape_markdown(preview.text) if preview.failed else safe_markdown(preview.text)
            )

    def _read_decision(self, approval: _PendingApproval, item: int, content: dict[str, Any]) -> Decision | None:
        """Return the decision of a message; None where it has none, or invalid arguments."""
        from orchat.chat.approval import Answer, Approve, Reject

        tool, values = approval.tool, content.get("arguments")
        match content.get("decision"):
            case "reject":
                return Reject(single_line(str(content.get("reason") or ""), 1_000))
            case "answer":
                return Answer(content.get("value"))
            case "approve" | "edited" | "always" as choice:
                if values is None and choice == "edited":
                    return None
                if errors := check_arguments(tool, approval.model_values if values is None else values):
                    self._view_model.set(item, errors=errors, reply=content.get("n", 0))
                    if values is not None:
                        self._keep_draft(item, approval, values)
                    return None
                edited = None if values is None else arguments_of(values)[0]
                if choice == "always" and not tool.asks_always:
                    self._grants.allow(tool)
                return Approve() if edited is None else Approve(arguments=edited)
        return None


def draft_of(tool: Tool, values: Mapping[str, Any], revision: str) -> dict[str, Any]:
    """Return what a page has typed into a form of this revision, as a view that comes later restores it.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def tide(port: str) -> str: return "high"
    >>> draft_of(tide, {"json": '{"port": '}, "r1")
    {'revision': 'r1', 'json': '{"port": ', 'fields': None}
    """
    arguments = None if values.get("raw") is True else arguments_of(values)[0]
    fields = None if arguments is None else build_form(tool, arguments)["fields"]
    draft = {"revision": revision, "json": escape_surrogates(str(values["json"])), "fields": fields}
    match values.get("words"):
        case {"decision": "reject" | "answer" as decision, "text": str(text)} if len(text) <= _MOST_DRAFT:
            draft["words"] = {"decision": decision, "text": escape_surrogates(text)}
    return draft


def _call_as_text(call: ToolCall) -> str:
    """Return a call as text, in which 1, 1.0 and true differ."""
    return json.dumps([call.tool_name, call.malformed_arguments, call.arguments], default=str)


_STATUS_BY_DECISION = {"Approve": "running", "Reject": "rejected", "Answer": "answered"}
