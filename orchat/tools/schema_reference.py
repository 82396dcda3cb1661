"""Follow the references of a JSON Schema, inside that schema only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def resolve_pointer(reference: object, root: object) -> Mapping[str, Any] | None:
    """Return the schema that a ``$ref`` inside a root schema names; None where there is none, or none inside.

    Examples
    --------
    >>> resolve_pointer("#/$defs/port", {"$defs": {"port": {"type": "string"}}})
    {'type': 'string'}
    >>> resolve_pointer("https://example.org/port.json", {}) is None
    True
    """
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = root
    for step in filter(None, reference[1:].split("/")):
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found if isinstance(found, Mapping) else None
