"""Strict JSON Schemas: what a provider's strict mode takes of a schema, at every level (API section 2.5).

A strict mode holds a model to a schema, and knows a part of JSON Schema only. Here a schema is rewritten to that part,
and loses no value that it allows:

- an optional property becomes a required one that may be null; `without_added_nulls` takes those nulls out again;
- each object closes; ``oneOf`` becomes ``anyOf``; a tuple becomes a list of its types;
- keywords that are not taken go into the description, and our own validation still holds the answer to them;
- what strict mode cannot hold at all (objects and lists of anything, mappings) is refused in words: `NotStrictError`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchat.tools.schema_reference import resolve_pointer
from orchat.tools.schema_validation import validation_errors

_LONGEST_NOTE = 200
_DEEPEST = 60
_TYPES: Final = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_STRUCTURE = frozenset({"type", "enum", "const", "properties", "required", "additionalProperties", "items", "anyOf"})
_NAMES = frozenset({"$ref", "$defs", "definitions", "title", "description"})
# These tell a model nothing; the first two are replaced by what stands in their place.
_DROPPED = frozenset({"discriminator", "additionalItems", "$schema", "$id", "id", "$comment", "$anchor", "deprecated"})
_LOOK_AROUND = ("(?=", "(?!", "(?<=", "(?<!")  # no provider's patterns have it
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}  # of both dialects
)


@dataclass(frozen=True)
class StrictDialect:
    """What a provider's strict mode takes, besides types, objects, lists, ``enum``, ``const``, ``anyOf`` and ``$ref``.

    Parameters
    ----------
    source
        Where the provider says so.
    keywords
        Further keywords.
    formats
        The values of ``format``.
    most_min_items
        The largest ``minItems``.
    recursive
        Whether a schema may refer to itself.
    """

    source: str
    keywords: frozenset[str]
    formats: frozenset[str]
    most_min_items: int | None = None
    recursive: bool = True


OPENAI: Final = StrictDialect(
    "https://platform.openai.com/docs/guides/structured-outputs#supported-schemas",
    frozenset({"pattern", "format", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
    | {"minItems", "maxItems"},
    _FORMATS,
)
ANTHROPIC: Final = StrictDialect(
    "https://docs.claude.com/en/docs/build-with-claude/structured-outputs#json-schema-limitations",
    frozenset({"format", "minItems"}),
    _FORMATS | {"uri"},
    most_min_items=1,
    recursive=False,
)


class NotStrictError(ValueError):
    """A schema that no strict mode can hold; the text says where and why."""


def strict_dialect(model: str) -> StrictDialect:
    """Return the dialect of a model's provider; of most that is OpenAI's, whose API they offer.

    Examples
    --------
    >>> strict_dialect("anthropic/claude-sonnet-5") is ANTHROPIC, strict_dialect("vendor/m") is OPENAI
    (True, True)
    """
    name = model.lower()
    return ANTHROPIC if name.lstrip("~").startswith("anthropic/") or "claude" in name else OPENAI


def strict_schema(schema: Mapping[str, Any], dialect: StrictDialect = OPENAI) -> dict[str, Any]:
    """Return a strict copy of a JSON Schema.

    Raises
    ------
    NotStrictError
        It allows what strict mode cannot hold.

    Examples
    --------
    >>> schema = {"type": "object", "properties": {"days": {"type": "integer", "default": 3, "minLength": 1}}}
    >>> strict_schema(schema)["properties"]["days"]
    {'anyOf': [{'type': 'integer'}, {'type': 'null'}], 'description': '(default: 3, minLength: 1)'}
    >>> strict_schema({"type": "object", "properties": {"extra": {"type": "object"}}})
    Traceback (most recent call last):
    ...
    orchat.openrouter.wire.strict_schema.NotStrictError: `extra` is an object of anything
    """
    return _Rewriting(schema, dialect).node(schema, "", ())


def without_added_nulls(schema: Mapping[str, Any], value: Any) -> Any:
    """Return a value without the nulls that only the strict copy of its schema allows; the value is not modified.

    Examples
    --------
    >>> schema = {"properties": {"days": {"type": "integer"}, "note": {"type": ["string", "null"]}}}
    >>> without_added_nulls(schema, {"days": None, "note": None})
    {'note': None}
    """
    return _without_nulls(schema, value, schema, 0)


@dataclass
class _Rewriting:
    root: Mapping[str, Any]
    dialect: StrictDialect

    def node(self, node: Any, place: str, inlining: tuple[str, ...]) -> dict[str, Any]:
        """Rewrite the schema of one place."""
        if not isinstance(node, Mapping) or not _tells_a_type(node):
            raise NotStrictError(f"{_named(place)} may be anything")
        if len(inlining) > _DEEPEST or place.count(".") + place.count("[]") > _DEEPEST:
            raise NotStrictError(f"{_named(place)} is nested too deep")
        found = dict(node)
        if "$recursiveRef" in found:
            found["$ref"] = found.pop("$recursiveRef")
        reference = found.get("$ref")
        if isinstance(reference, str):
            if not self.dialect.recursive and self._leads_back(reference):
                raise NotStrictError(f"{_named(place)} refers to itself")
            siblings = found.keys() - {"$ref", "$defs", "definitions"}
            target = resolve_pointer(reference, self.root)
            if target is not None and reference not in inlining and (siblings or node is self.root):
                del found["$ref"]
                return self.node({**target, **found}, place, (*inlining, reference))
            if siblings and target is not None:
                found = {"anyOf": [{"$ref": found.pop("$ref")}], **found}
        if isinstance(parts := found.get("allOf"), list):
            del found["allOf"]
            if len(parts) != 1 or not isinstance(parts[0], Mapping):
                raise NotStrictError(f"{_named(place)} is several schemas at once (allOf)")
            return self.node({**found, **parts[0]}, place, inlining)
        notes = _Notes()
        variants = [found.pop(key) for key in ("anyOf", "oneOf") if isinstance(found.get(key), list)]
        if len(variants) > 1:
            raise NotStrictError(f"{_named(place)} has both anyOf and oneOf")
        if variants and not ({"type", "properties"} & found.keys() and any(map(_only_restricts, variants[0]))):
            found["anyOf"] = [self.node(each, place, inlining) for each in variants[0]]
        for key in ("$defs", "definitions"):
            if isinstance(named := found.get(key), Mapping):
                found[key] = {name: self.node(each, f"{key}.{name}", inlining) for name, each in named.items()}
        if "type" not in found and (kinds := _kinds_of_values(found)):
            found["type"] = kinds[0] if len(kinds) == 1 else kinds
        if _is_of_type(found, "object") or "properties" in found:
            self._close(found, place, inlining)
        if _is_of_type(found, "array") or "items" in found or "prefixItems" in found:
            self._type_items(found, place, inlining, notes)
        self._take_out(found, notes)
        return notes.told_in(found)

    def _close(self, node: dict[str, Any], place: str, inlining: tuple[str, ...]) -> None:
        properties, rest = node.get("properties"), node.get("additionalProperties")
        if not isinstance(properties, Mapping) and rest is not False:
            raise NotStrictError(f"{_named(place)} is an object of anything")
        if rest not in (None, False) or node.get("patternProperties"):
            raise NotStrictError(f"{_named(place)} may have further properties")
        required = node.get("required")
        needed = set(required) if isinstance(required, list) else set()
        found = {}
        for name, each in (properties or {}).items():
            inner = self.node(each, f"{place}.{name}".removeprefix("."), inlining)
            found[name] = inner if name in needed or _allows_null(each, self.root) else _nullable(inner)
        node.setdefault("type", "object")
        node.update(properties=found, additionalProperties=False, required=list(found))

    def _type_items(self, node: dict[str, Any], place: str, inlining: tuple[str, ...], notes: _Notes) -> None:
        first, rest = node.pop("prefixItems", []), node.get("items", True)
        if isinstance(rest, list):  # of a dialect before 2020-12
            first, rest = rest, node.get("additionalItems", True)
        schemas = [*first] if isinstance(first, list) else []
        if schemas:
            notes.add("in this order", [_short_name(each) for each in schemas])
        is_fixed = rest is False or node.get("maxItems", len(schemas) + 1) <= len(schemas)
        if not is_fixed or not schemas:
            schemas.append(rest)
        items: list[Any] = []
        for each in schemas:
            if (found := self.node(each, f"{place}[]", inlining)) not in items:
                items.append(found)
        node["type"] = node.get("type", "array")
        node["items"] = items[0] if len(items) == 1 else {"anyOf": items}
        if is_fixed and rest is False:
            node.setdefault("maxItems", len(schemas))

    def _take_out(self, node: dict[str, Any], notes: _Notes) -> None:
        """Move the keywords that are not taken to the notes."""
        dialect = self.dialect
        for key in list(node):
            value = node[key]
            taken = key in _STRUCTURE or key in _NAMES or key in dialect.keywords
            if key == "format":
                taken = taken and value in dialect.formats
            elif key == "minItems" and dialect.most_min_items is not None:
                taken = taken and value <= dialect.most_min_items
            elif key == "pattern":
                taken = taken and not any(look in str(value) for look in _LOOK_AROUND)
            if taken:
                continue
            del node[key]
            if key not in _DROPPED and not (key == "default" and value is None):
                notes.add(key, value)

    def _leads_back(self, reference: str) -> bool:
        """Return whether the target of a reference refers to itself, directly or through others."""
        open_references, seen = [reference], set()
        while open_references:
            target = resolve_pointer(open_references.pop(), self.root)
            for each in _references(target):
                if each == reference:
                    return True
                if each not in seen:
                    seen.add(each)
                    open_references.append(each)
        return False


class _Notes:
    def __init__(self) -> None:
        self._texts: list[str] = []

    def add(self, key: str, value: Any) -> None:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        self._texts.append(f"{key}: {text if len(text) <= _LONGEST_NOTE else text[:_LONGEST_NOTE] + '…'}")

    def told_in(self, node: dict[str, Any]) -> dict[str, Any]:
        if self._texts:
            told = f"({', '.join(self._texts)})"
            node["description"] = f"{node['description']} {told}" if node.get("description") else told
        return node


def _tells_a_type(node: Mapping[str, Any]) -> bool:
    return any(key in node for key in (*_STRUCTURE, "$ref", "$recursiveRef", "oneOf", "allOf", "prefixItems"))


def _only_restricts(variant: object) -> bool:
    """Whether a variant adds rules to the schema that it stands in, and defines no value of its own."""
    defines = (*_STRUCTURE - {"required", "additionalProperties"}, "$ref", "oneOf", "allOf")
    return isinstance(variant, Mapping) and not any(key in variant for key in defines)


def _is_of_type(node: Mapping[str, Any], kind: str) -> bool:
    kinds = node.get("type")
    return kinds == kind or (isinstance(kinds, list) and kind in kinds)


def _kinds_of_values(node: Mapping[str, Any]) -> list[str]:
    """Return the types of the values of ``enum`` or ``const``; none where one is no plain value."""
    values = node.get("enum", [node["const"]] if "const" in node else [])
    kinds = [_TYPES.get(type(value)) for value in values] if isinstance(values, list) else []
    return [] if None in kinds else list(dict.fromkeys(filter(None, kinds)))


def _nullable(node: dict[str, Any]) -> dict[str, Any]:
    outside: dict[str, Any] = {key: node.pop(key) for key in ("title", "description") if key in node}
    variants = node["anyOf"] if list(node) == ["anyOf"] else [node]
    return {"anyOf": [*variants, {"type": "null"}], **outside}


def _allows_null(node: Any, root: Mapping[str, Any], depth: int = 0) -> bool:
    if not isinstance(node, Mapping):
        return node is not False
    if depth > _DEEPEST:
        return False
    kinds = node.get("type", "object" if {"properties", "items", "prefixItems"} & node.keys() else "null")
    if kinds != "null" and "null" not in kinds:
        return False
    if None not in node.get("enum", [None]) or node.get("const") is not None:
        return False
    target = resolve_pointer(node.get("$ref", node.get("$recursiveRef")), root)
    if target is not None and not _allows_null(target, root, depth + 1):
        return False
    variants = [node[key] for key in ("anyOf", "oneOf") if isinstance(node.get(key), list)]
    return all(_allows_null(each, root, depth + 1) for each in node.get("allOf", ())) and all(
        any(_allows_null(each, root, depth + 1) for each in group) for group in variants
    )


def _references(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(reference := node.get("$ref", node.get("$recursiveRef")), str):
            yield reference
        for each in node.values():
            yield from _references(each)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)


def _short_name(node: Any) -> str:
    if not isinstance(node, Mapping):
        return "anything"
    name = node.get("title") or str(node.get("$ref", "")).rpartition("/")[2] or node.get("format") or node.get("type")
    return str(name or "a value")


def _named(place: str) -> str:
    return f"`{place}`" if place else "the whole"


def _without_nulls(node: Any, value: Any, root: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(node, Mapping) or not isinstance(value, dict | list) or depth > _DEEPEST:
        return value
    reference = node.get("$ref", node.get("$recursiveRef"))
    if reference is not None and (target := resolve_pointer(reference, root)) is not None:
        value = _without_nulls(target, value, root, depth + 1)
    for part in node.get("allOf") or ():
        value = _without_nulls(part, value, root, depth + 1)
    definitions = {key: root[key] for key in ("$schema", "$defs", "definitions") if key in root}
    for key in ("anyOf", "oneOf"):
        for variant in node.get(key) or ():
            found = _without_nulls(variant, value, root, depth + 1)
            if isinstance(variant, Mapping) and not validation_errors({**definitions, **variant}, found):
                value = found
                break
    if isinstance(value, list):
        first, rest = node.get("prefixItems") or [], node.get("items")
        if isinstance(rest, list):
            first, rest = rest, node.get("additionalItems")
        schemas = [*first, *[rest] * max(0, len(value) - len(first))]
        return [_without_nulls(each, item, root, depth + 1) for each, item in zip(schemas, value, strict=False)]
    properties, needed = node.get("properties") or {}, node.get("required")
    required = needed if isinstance(needed, list) else ()
    return {
        name: _without_nulls(properties.get(name), item, root, depth + 1)
        for name, item in value.items()
        if item is not None or name in required or name not in properties or _allows_null(properties[name], root)
    }
