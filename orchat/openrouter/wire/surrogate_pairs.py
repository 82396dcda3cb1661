"""Join characters beyond the first 65,536 that an upstream cut in halves (surrogates) over two events."""

from __future__ import annotations

from typing import Any


class SurrogateJoiner:
    r"""Joins the halves of surrogate pairs in the events of one stream.

    Examples
    --------
    >>> joiner = SurrogateJoiner()
    >>> [ascii(joiner.join({"text": half})["text"]) for half in ("\ud83d", "\ude00!")]
    ["''", "'\\U0001f600!'"]
    """

    def __init__(self) -> None:
        self._halves: dict[str, str] = {}

    def join(self, value: Any, path: str = "") -> Any:
        """Return an event with the halves joined; one that ends a text is kept for the next event's text there."""
        if isinstance(value, str):
            text = self._halves.pop(path, "") + value
            if text and "\ud800" <= text[-1] <= "\udbff":
                self._halves[path] = text[-1]
                text = text[:-1]
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if isinstance(value, dict):
            return {self.join(key): self.join(item, f"{path}/{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [self.join(item, f"{path}/{number}") for number, item in enumerate(value)]
        return value
