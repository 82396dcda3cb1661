"""Hooks before and after a tool call: plain functions of a chat's author.

The hook before a call runs when the call has arrived, so that what people see, decide about and run is what it made of
the call. It may change the arguments and refuse, and cannot approve. The hook after a call may replace the result.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from orchat.chat.approval import Answer, Approve, Reject
from orchat.chat.result_store import ResultStore
from orchat.chat.tool_execution import ToolOutcome, argument_error, result_content
from orchat.errors import ConfigurationError
from orchat.messages import ToolCall
from orchat.messages.parts import ResultContent
from orchat.tools import Tool, ToolRejected

BeforeToolCall: TypeAlias = Callable[[ToolCall], Any]
AfterToolCall: TypeAlias = Callable[[ToolCall, ResultContent], Any]


@dataclass(frozen=True)
class ToolHooks:
    """The hooks of a chat.

    Parameters
    ----------
    before
        Takes a call whose arguments fit. Returns None to leave it as it is, a dictionary of other arguments, or
        `Reject` or `Answer` to end it; `ToolRejected` rejects as well.
    after
        Takes a call as it ran and its result. Returns None to leave the result, or another one.
    results
        Where long results are kept, of which model and hook get the head.

    Raises
    ------
    ConfigurationError
        A hook is no plain function, or the store none (a ValueError).
    """

    before: BeforeToolCall | None = None
    after: AfterToolCall | None = None
    results: ResultStore | None = None

    def __post_init__(self) -> None:
        for name, hook in (("before_tool_call", self.before), ("after_tool_call", self.after)):
            if hook is not None and (not callable(hook) or inspect.iscoroutinefunction(hook)):
                raise ConfigurationError(f"{name}={hook!r} makes no sense.", hint="It is a function, not an async one.")
        if self.results is not None and not isinstance(self.results, ResultStore):
            raise ConfigurationError(
                f"result_store={self.results!r:.100} makes no sense.", hint="Give a ResultStore()."
            )

    def before_call(self, call: ToolCall, tool: Tool) -> dict[str, Any] | Reject | Answer | None:
        """Run the hook before a call; None where it changes nothing.

        Raises
        ------
        ConfigurationError
            What it returned is none of these, or the arguments do not fit the tool (a ValueError).

        Examples
        --------
        >>> from orchat.tools import tool
        >>> @tool
        ... def tide(port: str) -> str: return "14:10"
        >>> hooks = ToolHooks(before=lambda call: {"port": call.arguments["port"].title()})
        >>> hooks.before_call(ToolCall("tide", {"port": "hull"}), tide)
        {'port': 'Hull'}
        """
        if self.before is None:
            return None
        try:
            found = self.before(copy.deepcopy(call))
        except ToolRejected as error:
            return Reject(str(error))
        if found is False:
            return Reject()
        if found is None or isinstance(found, Reject | Answer):
            return found
        if isinstance(found, Approve):
            found = found.arguments
        if found is True or found is None or found == call.arguments:
            return None
        if not isinstance(found, dict):
            raise ConfigurationError(
                f"before_tool_call returned {found!r:.100}.", hint="Return arguments, Reject(...), Answer(...) or None."
            )
        if (wrong := argument_error(tool, found)) is not None:
            raise ConfigurationError(f"before_tool_call: {wrong}", hint="Nothing has run.")
        return copy.deepcopy(found)

    def after_call(self, call: ToolCall, arguments: dict[str, Any], outcome: ToolOutcome) -> ToolOutcome:
        """Run the hook after a call, and return the outcome that the model gets."""
        if self.results is not None and call.tool_name != self.results.read_result.name:
            outcome = self.results.shorten(outcome)
        if self.after is None:
            return outcome
        ran = replace(copy.deepcopy(call), arguments=copy.deepcopy(arguments), arguments_text=None)
        found = self.after(ran, outcome.content)
        return outcome if found is None else ToolOutcome(result_content(found), outcome.error)
