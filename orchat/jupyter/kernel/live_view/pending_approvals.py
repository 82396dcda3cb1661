"""Tool calls that wait for a person, and what the person says.

What is shown is what runs. Arguments that a person changed are checked here as they will be before the call, and as
long as they do not fit the form stays open and says why. Each form that is shown has a revision, which a page sends
back with what the person did: a decision about another form than the one that is shown decides nothing.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchat.jupyter.kernel.live_view.tool_grants import KERNEL_GRANTS, ToolGrants
from orchat.jupyter.kernel.output.text_escaping import single_line

if TYPE_CHECKING:
    from orchat.chat.approval import Decision
    from orchat.chat.message_selection import CallPlace
    from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
    from orchat.messages import ToolCall
    from orchat.tools import Tool


_SHOWN_ANEW = "This form had changed in the meantime. Nothing has run: look at it again, and decide."


@dataclass
class _PendingApproval:
    call: ToolCall
    tool: Tool
    decided: asyncio.Future[Decision]
    revision: str = ""
    given: dict[str, str] = field(default_factory=dict)  # the arguments of the model, as a page would send them
    as_shown: str = ""


class PendingApprovals:
    """The open questions of one view.

    Parameters
    ----------
    feed
        Where the calls are shown.
    changed
        Called when there is something new to show.
    grants
        What runs without asking.
    """

    def __init__(self, feed: TurnViewModel, changed: Callable[[], None], grants: ToolGrants = KERNEL_GRANTS) -> None:
        self._feed = feed
        self._changed = changed
        self._grants = grants
        self._open: dict[int, _PendingApproval] = {}

    def expect(self, asked: Callable[[str], Tool | None]) -> None:
        """Show calls as forms while they are written.

        Parameters
        ----------
        asked
            The tool that a name means, if it needs a decision; else None.
        """

        def form_for(name: str) -> Tool | None:
            tool = asked(name)
            return None if tool is None or self._is_granted(tool) else tool

        self._feed.draft(form_for)

    def _is_granted(self, tool: Tool) -> bool:
        return not tool.asks_always and self._grants.covers(tool)

    def granted(self, call: ToolCall, tool: Tool, place: CallPlace) -> Decision | None:
        """Return the approval of a call that needs no asking; None where a person must be asked."""
        from orchat.chat.approval import Approve

        if not self._is_granted(tool) or call.malformed_arguments is not None:
            return None
        number = self._feed.item_of(place, call)
        self._feed.set(number, status="running", granted=True, form=None)
        self._changed()
        return Approve()

    async def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Decision:
        """Show a call as a form, and wait for a decision."""
        from orchat.chat.approval import Reject

        number = self._feed.item_of(place, call)
        if not single_line(call.tool_name):  # nobody could tell what would run
            return Reject("The call names no tool.")
        question = _PendingApproval(call, tool, asyncio.get_running_loop().create_future())
        self._open[number] = question
        self._feed.set(number, status="asking")
        self._show(number, question)
        self._changed()
        status = "waiting"
        try:
            decision = await question.decided
            status = _STATUS[type(decision).__name__]
            return decision
        finally:
            del self._open[number]
            self._feed.set(number, status=status, form=None, errors=[], preview=None)
            self._changed()

    def take(self, content: dict[str, Any]) -> None:
        """Take a message of a view: values to check, a decision, or a grant taken back."""
        if content["t"] == "revoke":
            self._grants.revoke(str(content.get("name")))
            return
        number = content.get("i")
        question = self._open.get(number) if isinstance(number, int) else None
        if question is None or question.decided.done():  # decided in another view, or in the meantime
            return
        assert isinstance(number, int)
        is_shown = content.get("revision") == question.revision and question.as_shown == _as_text(question.call)
        if content["t"] == "check":
            if not is_shown:  # the page is about to hear of the form as it is now
                return
            from orchat.jupyter.kernel.forms import arguments_of, check_arguments

            values = content.get("values")
            errors = check_arguments(question.tool, values)
            self._feed.set(number, errors=errors, reply=content.get("n", 0))
            if not errors:
                self._preview(number, question.tool, arguments_of(values)[0])
        elif not is_shown:
            self._show(number, question, notice=_SHOWN_ANEW)
        elif (decision := self._decision(question, number, content)) is not None:
            question.decided.set_result(decision)
            return
        self._changed()

    def _show(self, number: int, question: _PendingApproval, notice: str = "") -> None:
        """Show a call's form as it is now; what was decided about an earlier one counts no more."""
        from orchat.jupyter.kernel.forms import build_form, check_arguments

        call, tool, malformed = question.call, question.tool, question.call.malformed_arguments
        form = build_form(tool, call.arguments, malformed)
        question.revision = secrets.token_hex(8)
        question.given = {"json": form["json"] if malformed is None else malformed}
        question.as_shown = _as_text(call)
        # The name is that of the call, which decides what runs.
        form |= {"name": single_line(call.tool_name), "revision": question.revision, "notice": notice}
        self._feed.set(number, form=form, errors=check_arguments(tool, question.given), reply=0)
        self._preview(number, tool, call.arguments if malformed is None else None)

    def _preview(self, number: int, tool: Tool, arguments: dict[str, Any] | None) -> None:
        """Show what the tool's author says that a call with these arguments would do."""
        from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown, safe_markdown
        from orchat.tools.call_preview import preview_call

        if (said := preview_call(tool, arguments)) is not None:
            self._feed.preview(number, escape_markdown(said.text) if said.failed else safe_markdown(said.text))

    def _decision(self, question: _PendingApproval, number: int, content: dict[str, Any]) -> Decision | None:
        """Return what a person decided; None where it is no decision, or its arguments do not fit."""
        from orchat.chat.approval import Answer, Approve, Reject
        from orchat.jupyter.kernel.forms import arguments_of, check_arguments

        tool, values = question.tool, content.get("arguments")
        match content.get("decision"):
            case "reject":
                return Reject(single_line(str(content.get("reason") or ""), 1_000))
            case "answer":
                return Answer(content.get("value"))
            case "approve" | "edited" | "always" as said:
                if values is None and said == "edited":
                    return None
                if errors := check_arguments(tool, question.given if values is None else values):
                    self._feed.set(number, errors=errors, reply=content.get("n", 0))
                    return None
                edited = None if values is None else arguments_of(values)[0]
                if said == "always" and not tool.asks_always:
                    self._grants.allow(tool)
                return Approve() if edited is None else Approve(arguments=edited)
        return None


def _as_text(call: ToolCall) -> str:
    """Write what would run as text, so that 1, 1.0 and true differ."""
    return json.dumps([call.tool_name, call.malformed_arguments, call.arguments], default=str)


_STATUS = {"Approve": "running", "Reject": "rejected", "Answer": "answered"}
