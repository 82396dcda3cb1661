"""Follow the references of a JSON Schema, inside that schema only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote


def resolve_pointer(reference: object, root: object) -> Mapping[str, Any] | None:
    """Return the schema that a ``$ref`` inside a root schema names by a JSON pointer; None where there is none.

    The pointer may stand behind the root's own ``$id``. Names that a part of the schema gives itself (``$anchor``) are
    not looked for: only validation follows them.

    Examples
    --------
    >>> resolve_pointer("#/$defs/port", {"$defs": {"port": {"type": "string"}}})
    {'type': 'string'}
    >>> resolve_pointer("https://example.org/port.json", {}) is None
    True
    """
    if not isinstance(reference, str):
        return None
    base = root.get("$id") if isinstance(root, Mapping) else None
    fragment = reference.removeprefix(base.rstrip("#") if isinstance(base, str) else "")
    if fragment != "#" and not fragment.startswith("#/"):
        return None
    found: Any = root
    for step in filter(None, unquote(fragment[1:]).split("/")):
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found if isinstance(found, Mapping) else None
