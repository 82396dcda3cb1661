"""`ResultStore`: keeps long results of tools whole, of which the model gets the head and a way to read on."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

from orchat.chat.tool_execution import ToolOutcome
from orchat.errors import ConfigurationError
from orchat.rendering.call_tool_result import is_call_tool_result
from orchat.rendering.plain_data import json_without_secrets
from orchat.secrets import redact
from orchat.tools import Tool, tool

_MOST_CHARACTERS = 20_000_000


class ResultStore:
    """Long text results of a chat's tools, in memory.

    A result that is longer than ``head`` characters is kept, without secrets. The model gets its head, and reads on
    with the tool `read_result`, whose calls are decided about as those of any tool. Of more than 20 million characters
    the oldest results go; reading one says so.

    Parameters
    ----------
    head
        How many characters of a long result the model gets.
    page
        How many characters `read_result` returns at most.

    Raises
    ------
    ConfigurationError
        A number of characters is below 100 (a ValueError).

    Examples
    --------
    >>> store = ResultStore(head=100)
    >>> short = store.shorten(ToolOutcome("", value="tide " * 60))
    >>> print(short.content.splitlines()[-1])
    [The first 100 of 300 characters. Read on with read_result(result="result_1", start=100).]
    >>> store.read_result.invoke(result="result_1", start=290)
    'tide tide '
    """

    def __init__(self, head: int = 4_000, page: int = 16_000) -> None:
        for name, value in (("head", head), ("page", page)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 100:
                raise ConfigurationError(f"{name}={value!r} makes no sense.", hint="It is a number of characters.")
        self.head = head
        self.page = page
        self._texts: dict[str, str] = {}
        self._count = 0
        self._lock = threading.Lock()
        self.read_result: Tool = tool(self._read, name="read_result", title="Read on in a long result")

    def shorten(self, outcome: ToolOutcome) -> ToolOutcome:
        """Return an outcome with the head of its text, and keep the whole; a short one is unchanged."""
        text = _whole_text(outcome.value) if isinstance(outcome.content, str) else None
        if text is None or len(text) <= self.head:
            return outcome
        with self._lock:
            self._count += 1
            name = f"result_{self._count}"
            self._texts[name] = text
            while len(self._texts) > 1 and sum(map(len, self._texts.values())) > _MOST_CHARACTERS:
                del self._texts[next(iter(self._texts))]
        return replace(outcome, content=f"{text[: self.head]}\n{self._note(name, 0, self.head, len(text))}")

    def _read(self, result: str, start: int = 0) -> str:
        """Read on in a long result of another tool, from a character on."""
        with self._lock:
            text, known = self._texts.get(result), list(self._texts)
        if text is None:
            there = f"There are: {', '.join(known)}." if known else "There are none."
            return f"There is no result {result!r:.100}; results are kept as long as the session. {there}"
        start = max(0, start)
        if start >= len(text):
            return f"{result} ends before: it has {len(text):,} characters."
        end = start + self.page
        part = text[start:end]
        return part if end >= len(text) else f"{part}\n{self._note(result, start, end, len(text))}"

    def _note(self, name: str, start: int, end: int, length: int) -> str:
        which = f"The first {end:,}" if not start else f"Characters {start:,} to {end:,}"
        return f'[{which} of {length:,} characters. Read on with read_result(result="{name}", start={end}).]'


def _whole_text(value: Any) -> str | None:
    """Return a result as text without secrets, however long; None for what is no text."""
    if is_call_tool_result(value):
        texts = [getattr(part, "text", None) for part in value.content]
        value = "\n".join(text for text in texts if isinstance(text, str)) if None not in texts else None
    elif isinstance(value, dict | list | tuple):
        try:
            value = json.dumps(value, ensure_ascii=False, default=str)
        except (TypeError, ValueError, RecursionError):
            return None
    return redact(json_without_secrets(value)) if isinstance(value, str) else None
