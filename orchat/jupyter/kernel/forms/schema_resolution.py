"""Read a JSON Schema for a form: references followed, nullable unwrapped, and an end to everything.

Only what a form can show faithfully is taken apart. Whatever else a schema says is left to the validator, and its field
to the JSON editor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MOST_STEPS = 20
# What these say about a value cannot be shown as one field.
_BEYOND = frozenset(
    {"allOf", "not", "if", "then", "else", "prefixItems", "patternProperties", "dependentSchemas", "dependentRequired"}
    | {"unevaluatedProperties", "unevaluatedItems", "contains", "$dynamicRef", "propertyNames"}
)
# These say what a value is, other words only which ones of that kind.
_OF_A_KIND = frozenset({"type", "properties", "enum", "const", "items", "anyOf", "oneOf"})


def resolve_refs(schema: object, root: object) -> dict[str, Any] | None:
    """Follow a schema's references inside its root; None where they lead nowhere, in a circle, or beyond a form.

    Examples
    --------
    >>> resolve_refs({"$ref": "#/$defs/port", "title": "Port"}, {"$defs": {"port": {"type": "string"}}})
    {'type': 'string', 'title': 'Port'}
    >>> resolve_refs({"$ref": "#"}, {"$ref": "#"}) is None
    True
    """
    found = dict(schema) if isinstance(schema, Mapping) else None
    for _ in range(_MOST_STEPS):
        if found is None or not _BEYOND.isdisjoint(found):
            return None
        reference = found.pop("$ref", None)
        if reference is None:
            return found
        target = _at(reference, root)
        found = {**target, **found} if target is not None else None
    return None


def _at(reference: object, root: object) -> Mapping[str, Any] | None:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = root
    for step in filter(None, reference[1:].split("/")):
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found if isinstance(found, Mapping) else None


def unwrap_nullable(schema: Mapping[str, Any], root: object) -> tuple[dict[str, Any], bool]:
    """Part a schema into what it says of values and whether it allows null beside them.

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


def choices_of_kinds(schema: Mapping[str, Any], root: object) -> list[Any] | None:
    """Return the variants of a schema if each is a value of its own; None where they only add rules to what it is.

    Examples
    --------
    >>> choices_of_kinds({"anyOf": [{"type": "string"}, {"type": "integer"}]}, {})
    [{'type': 'string'}, {'type': 'integer'}]
    >>> choices_of_kinds({"type": "object", "anyOf": [{"required": ["port"]}, {"required": ["place"]}]}, {}) is None
    True
    """
    for key in ("anyOf", "oneOf"):
        if key not in schema:
            continue
        variants = schema[key] if isinstance(schema[key], list) else []
        known = {"type", "properties"} & schema.keys()
        found = [resolve_refs(each, root) for each in variants]
        if not known or any(each is None or not _OF_A_KIND.isdisjoint(each) for each in found):
            return variants
    return None


def _is_null(schema: Mapping[str, Any] | None) -> bool:
    return schema is not None and schema.get("type") == "null"
