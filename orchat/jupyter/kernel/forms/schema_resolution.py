"""Resolve a JSON Schema for a form: references, nullable types and variants, within limits.

Only keywords that a form can show faithfully are resolved. All others are left to the validator, and their field to the
JSON editor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchat.tools.schema_reference import resolve_pointer

_MOST_STEPS = 20
# A value with these keywords cannot be shown as one field.
_UNSUPPORTED_KEYWORDS = frozenset(
    {"allOf", "not", "if", "then", "else", "prefixItems", "patternProperties", "dependentSchemas", "dependentRequired"}
    | {"unevaluatedProperties", "unevaluatedItems", "contains", "$dynamicRef", "propertyNames"}
)
# These keywords define the kind of a value, all others only restrict it.
_KIND_KEYWORDS = frozenset({"type", "properties", "enum", "const", "items", "anyOf", "oneOf"})


def resolve_refs(schema: object, root: object) -> dict[str, Any] | None:
    """Resolve a schema's references inside its root; None where one is missing, circular or unsupported.

    Examples
    --------
    >>> resolve_refs({"$ref": "#/$defs/port", "title": "Port"}, {"$defs": {"port": {"type": "string"}}})
    {'type': 'string', 'title': 'Port'}
    >>> resolve_refs({"$ref": "#"}, {"$ref": "#"}) is None
    True
    """
    found = dict(schema) if isinstance(schema, Mapping) else None
    for _ in range(_MOST_STEPS):
        if found is None or not _UNSUPPORTED_KEYWORDS.isdisjoint(found):
            return None
        reference = found.pop("$ref", None)
        if reference is None:
            return found
        target = resolve_pointer(reference, root)
        found = {**target, **found} if target is not None else None
    return None


def unwrap_nullable(schema: Mapping[str, Any], root: object) -> tuple[dict[str, Any], bool]:
    """Return a schema without null, and whether it allows null.

    Examples
    --------
    >>> unwrap_nullable({"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Port"}, {})
    ({'title': 'Port', 'type': 'string'}, True)
    >>> unwrap_nullable({"type": ["integer", "null"]}, {})
    ({'type': 'integer'}, True)
    """
    rest = dict(schema)
    kinds = rest.get("type")
    nullable = False
    if isinstance(kinds, list) and "null" in kinds:
        kinds = [kind for kind in kinds if kind != "null"]
        rest["type"] = kinds[0] if len(kinds) == 1 else kinds
        nullable = True
    for key in ("anyOf", "oneOf"):
        variants = rest.get(key)
        if not isinstance(variants, list):
            continue
        others = [each for each in variants if not _is_null(resolve_refs(each, root))]
        nullable |= len(others) < len(variants)
        if len(others) == 1 and isinstance(others[0], Mapping):
            del rest[key]
            inner = resolve_refs(others[0], root)
            return ({**(inner or {"allOf": []}), **rest}, nullable) if inner is None else ({**rest, **inner}, nullable)
        rest[key] = others
    return rest, nullable


def find_variants(schema: Mapping[str, Any], root: object) -> list[Any] | None:
    """Return the variants of a schema if each defines a kind of value; None where they only add rules.

    Examples
    --------
    >>> find_variants({"anyOf": [{"type": "string"}, {"type": "integer"}]}, {})
    [{'type': 'string'}, {'type': 'integer'}]
    >>> find_variants({"type": "object", "anyOf": [{"required": ["port"]}, {"required": ["place"]}]}, {}) is None
    True
    """
    for key in ("anyOf", "oneOf"):
        if key not in schema:
            continue
        variants = schema[key] if isinstance(schema[key], list) else []
        known = {"type", "properties"} & schema.keys()
        found = [resolve_refs(each, root) for each in variants]
        if not known or any(each is None or not _KIND_KEYWORDS.isdisjoint(each) for each in found):
            return variants
    return None


def _is_null(schema: Mapping[str, Any] | None) -> bool:
    return schema is not None and schema.get("type") == "null"
