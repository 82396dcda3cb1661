"""Labels of a schema's variants, by which a person tells them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from orchat.jupyter.kernel.forms.argument_values import to_json_text
from orchat.jupyter.kernel.forms.schema_resolution import resolve_refs

_MOST_NAMES = 4
_MOST_OPTIONS = 4
_LONGEST_OPTION = 40  # characters


def variant_labels(variants: Sequence[object], root: object) -> list[str]:
    """Return a label for each variant: its name, and where names are missing or the same, what it consists of.

    Parameters
    ----------
    variants
        The members of an ``anyOf`` or ``oneOf``.
    root
        The schema that their references point into.

    Examples
    --------
    >>> point = {"type": "object", "properties": {"kind": {"const": "point"}, "x": {}}, "required": ["x"]}
    >>> variant_labels([point, {"type": "object", "required": ["from", "to"]}, {"type": "string"}], {})
    ['point', 'object: from, to', 'string']
    >>> variant_labels([{"title": "Place", **point}, {"title": "Place", "required": ["name"]}], {})
    ['Place (point)', 'Place (name)']
    """
    found = [resolve_refs(each, root) or {} for each in variants]
    labels = [_name(each, schema) or _details(schema, root) for each, schema in zip(variants, found, strict=True)]
    counts = Counter(labels)
    for number, (label, schema) in enumerate(zip(labels, found, strict=True)):
        if counts[label] > 1 and (details := _distinction(schema, root)) and details != label:
            labels[number] = f"{label} ({details})"
    counts = Counter(labels)
    return [f"{label} [{n}]" if counts[label] > 1 else label for n, label in enumerate(labels, start=1)]


def _name(variant: object, schema: Mapping[str, Any]) -> str:
    reference = variant.get("$ref") if isinstance(variant, Mapping) else None
    return str(schema.get("title") or str(reference or "").rpartition("/")[2])


def _details(schema: Mapping[str, Any], root: object) -> str:
    """Describe a variant without a name: its discriminator or choices, else its type and what that consists of."""
    if fixed := _fixed_values(schema):
        return fixed
    kind = schema.get("type")
    if kind == "array":
        item = resolve_refs(schema.get("items"), root) or {}
        return f"list of {_name(schema.get('items'), item) or _fixed_values(item) or item.get('type', 'anything')}"
    words = str(kind) if isinstance(kind, str) else "object" if "properties" in schema else "anything"
    distinction = _distinction(schema, root)
    return f"{words}: {distinction}" if distinction else words


def _distinction(schema: Mapping[str, Any], root: object) -> str:
    """Return what tells a variant from others of the same label."""
    if fixed := _fixed_values(schema):
        return fixed
    for names in (schema.get("required"), schema.get("properties")):
        if isinstance(names, list | Mapping) and names:
            shown = ", ".join(str(name) for name in list(names)[:_MOST_NAMES])
            return shown + ", …" * (len(names) > _MOST_NAMES)
    if isinstance(schema.get("items"), Mapping):
        return _details(schema, root)
    return next((f"{schema[key]}" for key in ("format", "pattern") if isinstance(schema.get(key), str)), "")


def _fixed_values(schema: Mapping[str, Any]) -> str:
    """Return the only values of a variant, or those of its properties that have only one (its discriminator)."""
    if options := _options(schema):
        more = " | …" * (len(options) > _MOST_OPTIONS)
        return " | ".join(map(_option_text, options[:_MOST_OPTIONS])) + more
    properties = schema.get("properties")
    found = [_options(each) for each in properties.values()] if isinstance(properties, Mapping) else []
    return ", ".join(_option_text(options[0]) for options in found if len(options) == 1)


def _options(schema: object) -> list[Any]:
    if not isinstance(schema, Mapping):
        return []
    if "const" in schema:
        return [schema["const"]]
    options = schema.get("enum")
    return options if isinstance(options, list) else []


def _option_text(option: object) -> str:
    text = option if isinstance(option, str) else to_json_text(option)
    return text if len(text) <= _LONGEST_OPTION else text[: _LONGEST_OPTION - 1] + "…"
