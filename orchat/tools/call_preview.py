"""The preview of a tool call: its effect in the words of the tool's author, for people who decide on the call."""

from __future__ import annotations

import copy
import inspect
from typing import Any, NamedTuple

from orchat.secrets import redact
from orchat.tools.definition import Tool

_MAX_LENGTH = 4_000
_MAX_FAILURE_LENGTH = 200


class CallPreview(NamedTuple):
    """Unsanitized Markdown; or, if ``failed``, a plain line with the reason why there is none."""

    text: str
    failed: bool = False


def preview_call(tool: Tool, arguments: object) -> CallPreview | None:
    """Make the preview of a call; None for a tool without one, or for arguments that do not fit.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool(preview=lambda port: f"Looks **{port}** up.")
    ... def tide(port: str) -> str: return "high"
    >>> preview_call(tide, {"port": "Hull"}).text
    'Looks **Hull** up.'
    >>> preview_call(tide, {"port": 7}) is None
    True
    """
    if tool.preview is None or not isinstance(arguments, dict) or tool.validate_arguments(arguments):
        return None
    try:
        # A copy: what is shown is what runs.
        result: Any = tool.preview(**tool.convert_arguments(copy.deepcopy(arguments)))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is only told: the call can do without
        return _failed_preview(f"{type(error).__name__}: {_error_message(error)}")
    if inspect.iscoroutine(result):
        result.close()
    if not isinstance(result, str):
        return _failed_preview(f"it returned {type(result).__name__}, not a text")
    return CallPreview(result if len(result) <= _MAX_LENGTH else result[: _MAX_LENGTH - 1] + "…")


def _failed_preview(why: str) -> CallPreview:
    text = " ".join(redact(f"There is no preview: {why}").split())
    return CallPreview(text if len(text) <= _MAX_FAILURE_LENGTH else text[: _MAX_FAILURE_LENGTH - 1] + "…", failed=True)


def _error_message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error that cannot even be told
        return "(no words)"
