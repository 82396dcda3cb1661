"""Remember the outputs that pages are offered, and which pages are known to show each. Pure."""

from __future__ import annotations

from typing import Any, TypeAlias

Key: TypeAlias = tuple[Any, Any]
"""The run and the display id of an output."""

_MOST_OUTPUTS = 8  # of each kind: all pages may be closed while a cell runs


class OfferedOutputs:
    """The outputs that no page has confirmed yet, and the last ones that a page has: another page may still lack them.

    Examples
    --------
    >>> offered = OfferedOutputs()
    >>> offered.put(("run-1", "d-1"), {"run": "run-1"})
    []
    >>> offered.take_answer(("run-1", "d-1"), "page-1", lacks=False), offered.unconfirmed
    (None, {})
    >>> offered.take_answer(("run-1", "d-1"), "page-2", lacks=True)
    {'run': 'run-1'}
    """

    def __init__(self) -> None:
        self.unconfirmed: dict[Key, dict[str, Any]] = {}
        self._confirmed: dict[Key, tuple[dict[str, Any], set[str]]] = {}

    def put(self, key: Key, output: dict[str, Any]) -> list[Key]:
        """Add an output that no page has confirmed, and return the keys of the oldest ones, which make room."""
        self.unconfirmed[key] = output
        forgotten = list(self.unconfirmed)[:-_MOST_OUTPUTS]
        for each in forgotten:
            del self.unconfirmed[each]
        return forgotten

    def take_answer(self, key: Key, page: object, *, lacks: bool, is_shared: bool = False) -> dict[str, Any] | None:
        """Take a page's answer; return the output if the page is to be sent it.

        What another page has of a shared document comes to this one by itself.
        """
        confirmed, pages = self._confirmed.get(key, (None, set()))
        output = self.unconfirmed.get(key) or confirmed
        if output is None or str(page) in pages:  # that page was offered it twice
            return None
        if lacks:
            return None if is_shared and pages else output
        self.unconfirmed.pop(key, None)
        self._confirmed[key] = output, pages | {str(page)}
        while len(self._confirmed) > _MOST_OUTPUTS:
            del self._confirmed[next(iter(self._confirmed))]
        return None

    def clear(self) -> None:
        """Forget all."""
        self.unconfirmed.clear()
        self._confirmed.clear()
