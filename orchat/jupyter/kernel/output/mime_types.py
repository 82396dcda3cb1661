"""Orchat's MIME types in the outputs of a notebook. Pure.

Their names do not end in ``+json``, and their values are texts: pandoc shows JSON of any maker in place of the answer
beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MIME_TYPE = "application/vnd.orchat.v1"
"""What an answer's output holds beside its text, as the text of a JSON object: details, parts, its turn's record."""

PANEL_MIME_TYPE = "application/vnd.orchat.panel"
"""The id of a panel's widget, which the page's extension shows instead of the widget's own MIME type."""

VIEW_MIME_TYPE = "application/vnd.orchat.view"
"""The same for the live view of a turn that runs in a cell."""

OLD_MIME_TYPE = "application/vnd.orchat.v1+json"  # of version 0.1 before its release: a JSON object

MIME_TYPES = (MIME_TYPE, PANEL_MIME_TYPE, VIEW_MIME_TYPE, OLD_MIME_TYPE, "application/vnd.orchat.panel+json")


def write_extras(extras: Mapping[str, Any]) -> str:
    """Return the value of `MIME_TYPE`."""
    return json.dumps(extras, ensure_ascii=False, separators=(",", ":"))


def read_extras(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what the data of an output holds beside its text; None where that is nothing, or damaged.

    Examples
    --------
    >>> read_extras({MIME_TYPE: write_extras({"model": "m"})}), read_extras({OLD_MIME_TYPE: {"model": "m"}})
    ({'model': 'm'}, {'model': 'm'})
    >>> read_extras({"text/plain": "High."}) is None
    True
    """
    value = data.get(MIME_TYPE, data.get(OLD_MIME_TYPE))
    if isinstance(value, list) and all(isinstance(line, str) for line in value):  # as in a file
        value = "".join(value)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, Mapping) else None
