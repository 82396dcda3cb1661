"""Ask for approval of a tool call in a terminal: run it, edit it, reject it, or answer in its place."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters, single_line

if TYPE_CHECKING:
    from orchat.chat.approval import Decision
    from orchat.messages import ToolCall
    from orchat.tools import Tool

# Characters that could hide or reorder others are written as escapes.
_INVISIBLE = re.compile(
    r"[\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ud800-\udfff\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_QUESTION = "Run it? [y]es, [n]o, [e]dit its arguments, [a]nswer in its place: "


def ask_in_terminal(
    call: ToolCall, tool: Tool, read: Callable[[str], str] = input, write: Callable[[str], object] = sys.stdout.write
) -> Decision | None:
    r"""Show a call as it would run, and read a decision.

    Returns
    -------
    Decision or None
        None without an answer, as when the input has ended.

    Examples
    --------
    >>> from orchat.messages import ToolCall
    >>> from orchat.tools import tool
    >>> @tool
    ... def tide(port: str) -> str: return "high"
    >>> answers = iter(["e", '{"port": "Goole"}', "y"])
    >>> ask_in_terminal(ToolCall("tide", {"port": "Hull"}), tide, lambda _: next(answers), lambda _: None)
    Approve(arguments={'port': 'Goole'})
    """
    from orchat.chat.approval import Answer, Approve, Reject

    arguments = call.arguments
    write(f"\n{call_as_text(call.tool_name, arguments, tool)}\n")
    while True:
        try:
            word, _, rest = read(_QUESTION).strip().partition(" ")
            match word.lower():
                case "y" | "yes":
                    # As text: 1, 1.0 and true are equal, but not the same.
                    same = json.dumps(arguments, default=str) == json.dumps(call.arguments, default=str)
                    return Approve() if same else Approve(arguments=arguments)
                case "n" | "no":
                    return Reject(rest or read("Why not? (the model is told) ").strip())
                case "a" | "answer":
                    return Answer(rest or read("Answer: "))
                case "e" | "edit":
                    text = rest or read("Arguments as JSON: ")
                    arguments, errors = _parse_edit(text, tool, arguments)
                    write(f"{errors}\n" if errors else f"\n{call_as_text(call.tool_name, arguments, tool)}\n")
        except (EOFError, NotImplementedError):
            return None


def call_as_text(name: str, arguments: object, tool: Tool | None = None) -> str:
    r"""Return a call in full, with invisible characters escaped.

    Parameters
    ----------
    name, arguments
        The call.
    tool
        The tool, for its title and preview.

    Examples
    --------
    >>> print(call_as_text("launch", {"code": "a\u202eb"}))
    launch wants to run with:
    {
      "code": "a\u202eb"
    }
    """
    from orchat.tools.call_preview import preview_call

    preview = preview_call(tool, arguments) if tool is not None else None
    title = f"{single_line(tool.title)}: " if tool is not None and tool.title else ""
    json_text = json.dumps(arguments, indent=2, ensure_ascii=False, default=str)
    text = f"{title}{single_line(name)} wants to run with:\n{json_text}"
    return _INVISIBLE.sub(
        _escape_character, text if preview is None else f"{text}\n\n{escape_control_characters(preview.text)}"
    )


def _escape_character(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _parse_edit(text: str, tool: Tool, arguments: dict[str, object]) -> tuple[dict[str, object], str]:
    """Return the edited arguments, or the old ones and the errors of the edit."""
    try:
        changed = json.loads(text)
    except (ValueError, RecursionError) as error:
        return arguments, f"That is no JSON: {error}"
    errors = tool.validate_arguments(changed)
    return (arguments, "; ".join(errors)) if errors else (changed, "")
