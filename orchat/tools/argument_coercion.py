"""Coerce a model's arguments to the types of a tool's schema, where that can be done in one way only.

The rule. A value whose type the schema allows at its place stays as it is. Any other has these readings:

- a text that is the JSON of something else is that: ``"5"`` is 5, ``"1.5"`` is 1.5, ``"true"`` (``"True"`` too)
  is true, ``"[1, 2]"`` is a list, ``"{}"`` an object, ``"null"`` is null;
- a number without a fraction is that integer: ``3.0`` is 3;
- null for a property that need not be there means that it is not there;
- a single value for a property that is a list means a list of it; not so null, nor a text that may hold several (it
  begins with a bracket, or has a comma, a semicolon or a line end in it).

A value that has exactly one reading of an allowed type is mended. The result counts only if it breaks no rule of the
schema that the arguments as written did not break. It is what people see, decide about and run, and what goes back to
the model; the reply says so. Everything else stays as it came, and the model is told what does not fit: numbers for
texts, 1 or ``"yes"`` for true, ``"5 km"``, and whatever could mean two things.

Within a choice between several schemas of objects, or of lists, nothing is mended: which of them is meant is not known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import product
from math import prod
from typing import Any, Final, NoReturn

from orchat.tools.schema_reference import resolve_pointer
from orchat.tools.schema_validation import validation_errors

_TYPES = frozenset({"string", "integer", "number", "boolean", "null", "array", "object"})
_PYTHON_WORDS = {"True": True, "False": False, "None": None}
_SEPARATORS = frozenset(",;\n\r")
_RESOLVED = frozenset({"$ref", "$recursiveRef", "allOf", "anyOf", "oneOf"})
_MOST_VARIANTS = 50
_MOST_STEPS = 10_000  # of reading the schema, which may refer to itself
_LARGEST_EXACT = 2**53
_ABSENT: Final = object()


@dataclass(frozen=True)
class CoercedArguments:
    """Arguments after coercion.

    Parameters
    ----------
    values
        The arguments; the very object that was given where nothing was mended.
    notes
        What was mended: the place of each value, the type it had and the type it has now.
    """

    values: dict[str, Any]
    notes: tuple[str, ...] = ()


def coerce_arguments(schema: object, arguments: dict[str, Any]) -> CoercedArguments:
    """Coerce arguments to a schema by the rule above; the given ones are not modified.

    Examples
    --------
    >>> schema = {"properties": {"n": {"type": "integer"}, "xs": {"type": "array"}, "text": {"type": "string"}}}
    >>> coerce_arguments(schema, {"n": "5", "xs": '["a"]', "text": "7"})
    CoercedArguments(values={'n': 5, 'xs': ['a'], 'text': '7'}, notes=('n: string to integer', 'xs: string to array'))
    >>> coerce_arguments(schema, {"n": 3.0}).values, coerce_arguments(schema, {"n": "many"}).values
    ({'n': 3}, {'n': 'many'})
    """
    coercion = _Coercion(schema)
    try:
        mended = coercion.mend(schema, arguments, "")
    except RecursionError:
        return CoercedArguments(arguments)
    if not coercion.notes or not isinstance(mended, dict):
        return CoercedArguments(arguments)
    before, after = validation_errors(schema, arguments), validation_errors(schema, mended)
    return CoercedArguments(mended, tuple(coercion.notes)) if set(after) <= set(before) else CoercedArguments(arguments)


@dataclass
class _Coercion:
    root: object
    notes: list[str] = field(default_factory=list)
    steps_left: int = _MOST_STEPS
    known: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def mend(self, schema: object, value: Any, place: str, *, optional: bool = False, wraps: bool = False) -> Any:
        """Return the value as the schema wants it, `_ABSENT` where it means nothing, or the value itself."""
        variants = self._variants(schema)
        readings = [value]
        if not _is_allowed(value, variants):
            readings = _distinct(self._readings(value, variants, optional=optional, wraps=wraps))
            if len(readings) != 1:
                return value
            now = "left out" if readings[0] is _ABSENT else f"to {_type_of(readings[0])}"
            self.notes.append(f"{place[:80]}: {_type_of(value)} {now}")
        return self._mend_inside(readings[0], variants, place)

    def _mend_inside(self, value: Any, variants: list[dict[str, Any]], place: str) -> Any:
        if not isinstance(value, dict | list):
            return value
        fitting = [variant for variant in variants if _type_of(value) in _types(variant)]
        if len(fitting) != 1:
            return value
        [schema] = fitting
        if isinstance(value, list):
            heads, rest = _item_schemas(schema)
            return [
                self.mend(heads[at] if at < len(heads) else rest, item, f"{place}[{at}]")
                for at, item in enumerate(value)
            ]
        known = schema.get("properties")
        properties = known if isinstance(known, Mapping) else {}
        others = schema.get("additionalProperties", True)
        required = schema.get("required")
        needed = set(required) if isinstance(required, list) else set()
        found = {}
        for name, item in value.items():
            inner = f"{place}.{name}" if place else name
            is_known = name in properties
            read = self.mend(
                properties[name] if is_known else others,
                item,
                inner,
                optional=is_known and name not in needed,
                wraps=True,
            )
            if read is not _ABSENT:
                found[name] = read
        return found

    def _readings(self, value: Any, variants: list[dict[str, Any]], *, optional: bool, wraps: bool) -> Iterator[Any]:
        """Yield what a value of a wrong type may mean, each of an allowed type."""
        meant = [value]
        if isinstance(value, str) and (parsed := _parse(value)) is not None:
            meant.append(parsed[0])
        for each in meant:
            if _is_allowed(each, variants):
                yield each
            elif isinstance(each, float) and each.is_integer() and _is_allowed(0, variants):
                if abs(each) < _LARGEST_EXACT:
                    yield int(each)
                if each is value:
                    return  # to the schema it is an integer already
            elif each is None and optional:
                yield _ABSENT
        lists = [variant for variant in variants if "array" in _types(variant)]
        if wraps and len(lists) == 1 and value is not None and not _begins_list(value):
            items = self._variants(_item_schemas(lists[0])[1])
            if not _is_allowed(value, items):
                inner = _distinct(self._readings(value, items, optional=False, wraps=False))
                if len(inner) == 1:
                    yield inner
            elif not _may_be_several(value):
                yield [value]

    def _variants(self, schema: object) -> list[dict[str, Any]]:
        """Return the schemas that a value may fit, without references and choices; {} allows everything."""
        if (found := self.known.get(id(schema))) is None:
            found = self.known[id(schema)] = self._resolve(schema, frozenset())
        return found

    def _resolve(self, schema: object, above: frozenset[str]) -> list[dict[str, Any]]:
        self.steps_left -= 1
        if not isinstance(schema, Mapping) or self.steps_left < 0:
            return [{}]
        groups: list[list[dict[str, Any]]] = []
        if isinstance(reference := schema.get("$ref", schema.get("$recursiveRef")), str):
            if reference in above:
                return [{}]
            groups.append(self._resolve(resolve_pointer(reference, self.root), above | {reference}))
        if isinstance(parts := schema.get("allOf"), list):
            groups += [self._resolve(part, above) for part in parts]
        for key in ("anyOf", "oneOf"):
            if isinstance(parts := schema.get(key), list):
                groups.append([found for part in parts for found in self._resolve(part, above)])
        if prod(map(len, groups)) > _MOST_VARIANTS:
            return [{}]
        own = {key: value for key, value in schema.items() if key not in _RESOLVED}
        return [reduce(_merge, combination, own) for combination in product(*groups)]


def _merge(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Combine two schemas that both hold, as far as types and properties go."""
    merged = {**other, **one}
    if "properties" in one and "properties" in other:
        merged["properties"] = {**other["properties"], **one["properties"]}
    if isinstance(one.get("required"), list) and isinstance(other.get("required"), list):
        merged["required"] = [*one["required"], *other["required"]]
    if _is_typed(one) and _is_typed(other):
        merged["type"] = sorted(_types(one) & _types(other))
    return merged


def _item_schemas(schema: Mapping[str, Any]) -> tuple[list[Any], Any]:
    """Return the schemas of a list's first items, and that of all others; before 2020-12 ``items`` may be a list."""
    items = schema.get("items", True)
    if isinstance(items, list):
        return items, schema.get("additionalItems", True)
    first = schema.get("prefixItems")
    return first if isinstance(first, list) else [], items


def _is_typed(schema: Mapping[str, Any]) -> bool:
    return not {"type", "enum", "const"}.isdisjoint(schema)


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the types that a schema without choices allows; each number may be an integer."""
    types = _TYPES
    if "type" in schema:
        types &= _with_integer([schema["type"]] if isinstance(schema["type"], str) else schema["type"])
    for values in (schema.get("enum"), [schema["const"]] if "const" in schema else None):
        if isinstance(values, list):
            types &= _with_integer(map(_type_of, values))
    return types


def _with_integer(types: Iterable[str]) -> frozenset[str]:
    found = frozenset(types)
    return found | {"integer"} if "number" in found else found


def _type_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case dict():
            return "object"
        case list():
            return "array"
    return type(value).__name__


def _is_allowed(value: Any, variants: Iterable[Mapping[str, Any]]) -> bool:
    return any(_type_of(value) in _types(variant) for variant in variants)


def _parse(text: str) -> tuple[Any] | None:
    """Return what a text is the JSON of, if that is no text again; it may be None."""
    bare = text.strip()
    if bare in _PYTHON_WORDS:
        return (_PYTHON_WORDS[bare],)
    try:
        value = json.loads(bare, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None
    return None if isinstance(value, str) else (value,)


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    return value if value - value == 0 else _refuse(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _refuse("two values of one name")


def _begins_list(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip().startswith("[")


def _may_be_several(value: Any) -> bool:
    return isinstance(value, str) and (not value.strip() or not _SEPARATORS.isdisjoint(value.strip()))


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: dict[str, Any] = {}
    for value in values:
        found.setdefault("absent" if value is _ABSENT else json.dumps(value, sort_keys=True), value)
    return list(found.values())
