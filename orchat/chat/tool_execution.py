"""Execute a tool call: validate it, run the tool, and convert its value or error to a result for the model.

Errors of a model or a tool are not raised here: they become results which the model can read and act upon. It knows
tools and messages, neither turns nor approval.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from orchat.chat.interrupt_detection import InterruptDetector
from orchat.errors import ToolInvocationError
from orchat.messages import TextContent, ToolCall
from orchat.messages.parts import ResultContent
from orchat.rendering import is_call_tool_result, render
from orchat.secrets import redact
from orchat.tools import Tool, ToolRejected

_MOST_NOTES = 5
_SINGLE = frozenset({"source", "handler", "raw_result"})

Runner = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine to its end, for callers that cannot await."""


@dataclass(frozen=True)
class ToolOutcome:
    """The outcome of a tool call: text or parts, whether it failed, and details for people, such as a traceback.

    Examples
    --------
    >>> ToolOutcome("14:10").error
    False
    """

    content: ResultContent
    error: bool = False
    details: str = field(default="", repr=False)
    pictures: tuple[str, ...] = field(default=(), repr=False)  # names of what it displayed, for a view
    value: Any = field(default=None, compare=False, repr=False)  # what the tool returned, before it was rendered


def call_error(call: ToolCall, tools: Mapping[str, Tool]) -> str | None:
    """Explain to the model why a call cannot run; None where it can.

    Examples
    --------
    >>> call_error(ToolCall("tide", {}), {})
    'There is no tool `tide`. There are no tools.'
    """
    if (tool := tools.get(call.tool_name)) is None:
        offered = [name for name, tool in tools.items() if not tool.is_deferred]
        there = f"The tools are: {', '.join(offered)}." if offered else "There are no tools."
        return f"There is no tool `{call.tool_name}`. {there}"
    if (text := call.malformed_arguments) is not None:
        return f"The arguments are no JSON object: {text[:500]} Call the tool again, with one."
    return argument_error(tool, call.arguments)


def mend_arguments(call: ToolCall, tool: Tool) -> str | None:
    """Mend a call's arguments where their types are wrong in one way only; return what to tell people, or None.

    The call is modified: it keeps what the model wrote as its `mended_arguments`.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def double(number: int) -> int: return 2 * number
    >>> call = ToolCall("double", {"number": "21"})
    >>> mend_arguments(call, double), call.arguments, call.mended_arguments
    ('The arguments for `double` were mended: number: string to integer.', {'number': 21}, '{"number": "21"}')
    """
    coerced = tool.coerce_arguments(call.arguments)
    if not coerced.notes:
        return None
    replace_arguments(call, coerced.values)
    notes, more = coerced.notes[:_MOST_NOTES], len(coerced.notes) - _MOST_NOTES
    tail = f" and {more} more" if more > 0 else ""
    return f"The arguments for `{call.tool_name}` were mended: {', '.join(notes)}{tail}."


def replace_arguments(call: ToolCall, arguments: dict[str, Any]) -> None:
    """Replace a call's arguments; it keeps what the model wrote as its `mended_arguments`."""
    written = call.mended_arguments or call.json_arguments
    call.extra = {**(call.extra or {}), "mended_arguments": written}
    call.arguments, call.arguments_text = arguments, None


def argument_error(tool: Tool, arguments: object) -> str | None:
    """Explain why arguments do not fit a tool; None where they do."""
    wrong = tool.validate_arguments(arguments)
    return f"The arguments do not fit the tool `{tool.name}`: {'; '.join(wrong)}" if wrong else None


def invoke_tool(tool: Tool, arguments: Mapping[str, Any], run: Runner) -> ToolOutcome:
    """Run a tool in this thread; an async-only tool by means of ``run``.

    Whatever the tool raises is its failure, `SystemExit` too; only the user's own interrupt is raised again.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def double(number: int) -> int: return 2 * number
    >>> invoke_tool(double, {"number": 21}, asyncio.run)
    ToolOutcome(content='42', error=False)
    """
    if tool.function is None:
        try:
            outcome: ToolOutcome = run(invoke_tool_async(tool, arguments))
        except asyncio.CancelledError as error:
            return _failure(tool, error)
        return outcome
    with InterruptDetector() as watch:
        try:
            return _outcome(tool, tool.invoke(**arguments))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and watch.interrupted:
                raise
            return _failure(tool, error)


async def invoke_tool_async(tool: Tool, arguments: Mapping[str, Any]) -> ToolOutcome:
    """Run a tool on the running event loop; a synchronous tool in a thread of its own."""
    with InterruptDetector() as watch:
        try:
            return _outcome(tool, await tool.invoke_async(**arguments))
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and watch.interrupted:
                raise
            return _failure(tool, error)


def _failure(tool: Tool, error: BaseException) -> ToolOutcome:
    cause = error.__cause__ if isinstance(error, ToolInvocationError) else error
    if isinstance(cause, ToolRejected):
        return ToolOutcome(f"The tool `{tool.name}` refused. {cause}".strip(), error=True)
    if isinstance(error, ToolInvocationError):
        content = str(error) if error.result is None else result_content(error.result)
        return ToolOutcome(content, error=True, details=error.details)
    return ToolOutcome(redact(f"The tool `{tool.name}` failed: {type(error).__name__}: {error}")[:2500], error=True)


def cancelled_outcome(tool: Tool) -> ToolOutcome:
    """Return the outcome of a tool that cancelled itself."""
    return _failure(tool, asyncio.CancelledError("it was cancelled"))


def _outcome(tool: Tool, value: Any) -> ToolOutcome:
    """Apply a tool's ``outputs_to_string``, as Haystack does: one output, or several by name."""
    config = tool.outputs_to_string or {}
    if is_call_tool_result(value) and value.is_error:  # also where a function of one's own passes it on
        return ToolOutcome(result_content(value), error=True)
    if not config or not _SINGLE.isdisjoint(config):
        value = _converted(config, value)
        return ToolOutcome(result_content(value), value=value)
    named = {name: result_content(_converted(entry, value)) for name, entry in config.items()}
    return ToolOutcome(json.dumps(named, ensure_ascii=False, default=str))


def _converted(config: Mapping[str, Any], value: Any) -> Any:
    source, handler = config.get("source"), config.get("handler")
    if source is not None and isinstance(value, Mapping):
        value = value.get(source)
    if handler is not None:
        value = handler(value)
    return value


def result_content(value: Any) -> ResultContent:
    """Convert a value to a tool's result: text, or text, image and file parts.

    Examples
    --------
    >>> result_content({"high": ["14:10", "Hüll"]})
    '{"high": ["14:10", "Hüll"]}'
    """
    parts = render(value)
    [only] = parts if len(parts) == 1 else [None]
    return only.text if isinstance(only, TextContent) and only.cache_control is None else parts


def prepend_note(content: ResultContent, note: str) -> ResultContent:
    """Insert a note before a result's content."""
    if isinstance(content, str):
        return f"{note}\n\n{content}"
    return [TextContent(note), *cast(Iterable[Any], content)]
