"""What a tool's author says that a call would do: shown to people before they decide, and never in a call's way."""

from __future__ import annotations

import copy
import inspect
from typing import Any, NamedTuple

from orchat.secrets import redact
from orchat.tools.definition import Tool

_LONGEST = 4_000
_LONGEST_FAILURE = 200


class CallPreview(NamedTuple):
    """Markdown that nobody has made safe yet; or, where ``failed``, a plain line that says why there is none."""

    text: str
    failed: bool = False


def preview_call(tool: Tool, arguments: object) -> CallPreview | None:
    """Return what a call would do; None where the author says nothing, or the arguments do not fit.

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
        said: Any = tool.preview(**copy.deepcopy(arguments))  # a copy: what is shown is what runs
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is only told: the call can do without
        return _failed(f"{type(error).__name__}: {_words(error)}")
    if inspect.iscoroutine(said):
        said.close()
    if not isinstance(said, str):
        return _failed(f"it returned {type(said).__name__}, not a text")
    return CallPreview(said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…")


def _failed(why: str) -> CallPreview:
    text = " ".join(redact(f"There is no preview: {why}").split())
    return CallPreview(text if len(text) <= _LONGEST_FAILURE else text[: _LONGEST_FAILURE - 1] + "…", failed=True)


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error that cannot even be told
        return "(no words)"
