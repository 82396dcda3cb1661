"""Tool calls that wait for a person, and what the person says.

What is shown is what runs: arguments that a person changed are checked here as they will be before the call, and as
long as they do not fit the form stays open and says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchat.jupyter.output.caption import line
from orchat.jupyter.view.grants import GRANTS, Grants

if TYPE_CHECKING:
    from orchat.chat.approval import Decision
    from orchat.jupyter.view.feed import Feed
    from orchat.messages import ToolCall
    from orchat.tools import Tool


@dataclass
class _Open:
    tool: Tool
    given: dict[str, str]  # the arguments of the model, as a page would send them
    decided: asyncio.Future[Decision]


class Questions:
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

    def __init__(self, feed: Feed, changed: Callable[[], None], grants: Grants = GRANTS) -> None:
        self._feed = feed
        self._changed = changed
        self._grants = grants
        self._open: dict[int, _Open] = {}

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

    def granted(self, call: ToolCall, tool: Tool) -> Decision | None:
        """Return the approval of a call that needs no asking; None where a person must be asked."""
        from orchat.chat.approval import Approve

        if not self._is_granted(tool) or call.malformed_arguments is not None:
            return None
        number = self._feed.item_of(call)
        self._feed.set(number, status="running", granted=True, form=None)
        self._changed()
        return Approve()

    async def ask(self, call: ToolCall, tool: Tool) -> Decision:
        """Show a call as a form, and wait for a decision."""
        from orchat.jupyter.forms import check, describe

        number = self._feed.item_of(call)
        malformed = call.malformed_arguments
        form = describe(tool, call.arguments, malformed)
        given = {"json": form["json"] if malformed is None else malformed}
        question = _Open(tool, given, asyncio.get_running_loop().create_future())
        self._open[number] = question
        self._feed.set(number, status="asking", form=form, errors=check(tool, given), reply=0)
        self._preview(number, tool, call.arguments if malformed is None else None)
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
        if content["t"] == "check":
            from orchat.jupyter.forms import arguments_of, check

            values = content.get("values")
            errors = check(question.tool, values)
            self._feed.set(number, errors=errors, reply=content.get("n", 0))
            if not errors:
                self._preview(number, question.tool, arguments_of(values)[0])
        elif (decision := self._decision(question, number, content)) is not None:
            question.decided.set_result(decision)
            return
        self._changed()

    def _preview(self, number: int, tool: Tool, arguments: dict[str, Any] | None) -> None:
        """Show what the tool's author says that a call with these arguments would do."""
        from orchat.jupyter.output.markdown import escape_markdown, safe_markdown
        from orchat.tools.previewing import preview_of

        if (said := preview_of(tool, arguments)) is not None:
            self._feed.preview(number, escape_markdown(said.text) if said.failed else safe_markdown(said.text))

    def _decision(self, question: _Open, number: int, content: dict[str, Any]) -> Decision | None:
        """Return what a person decided; None where it is no decision, or its arguments do not fit."""
        from orchat.chat.approval import Answer, Approve, Reject
        from orchat.jupyter.forms import arguments_of, check

        tool, values = question.tool, content.get("arguments")
        match content.get("decision"):
            case "reject":
                return Reject(line(str(content.get("reason") or ""), 1_000))
            case "answer":
                return Answer(content.get("value"))
            case "approve" | "edited" | "always" as said:
                if values is None and said == "edited":
                    return None
                if errors := check(tool, question.given if values is None else values):
                    self._feed.set(number, errors=errors, reply=content.get("n", 0))
                    return None
                edited = None if values is None else arguments_of(values)[0]
                if said == "always" and not tool.asks_always:
                    self._grants.allow(tool)
                return Approve() if edited is None else Approve(arguments=edited)
        return None


_STATUS = {"Approve": "running", "Reject": "rejected", "Answer": "answered"}
