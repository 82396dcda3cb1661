"""Build the form of a tool call as JSON. Pure; text from schemas and models is untrusted and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchat.jupyter.kernel.forms.argument_values import arguments_of, escape_surrogates, to_json_text
from orchat.jupyter.kernel.forms.schema_resolution import find_variants, resolve_refs, unwrap_nullable
from orchat.tools import Tool

_DEEPEST = 4
_MOST_FIELDS = 150
_MOST_ITEMS = 50
_MOST_VARIANTS = 10
_LARGEST = 200_000  # characters of arguments; more of them are read as one text
_LONGEST_NAME = 200
_LONGEST_DEFAULT = 2_000
_LONGEST_OPTIONS = 10_000
_LONGEST_TITLE = 80
_LONGEST_NOTE = 500
_LONGEST_TEXT = 60  # characters that still fit on one line
_INPUTS = {"date": "date", "time": "time", "email": "email", "uri": "url"}
_CODE_NAMES = frozenset({"code", "python", "sql", "script", "command", "javascript"})
_LIMITS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("multipleOf", "a multiple of {}"),
    ("minLength", "{} characters or more"),
    ("maxLength", "at most {} characters"),
    ("minItems", "{} or more"),
    ("maxItems", "at most {}"),
    ("pattern", "like {}"),
)

Field = dict[str, Any]


class _FormTooLargeError(Exception):
    """The form has too many fields, or a name that no field can show."""


def build_form(
    tool: Tool, arguments: Mapping[str, Any] | None, malformed: str | None = None, partial_text: str | None = None
) -> dict[str, Any]:
    """Return the form of a call (`orchat.jupyter.kernel.forms`).

    Parameters
    ----------
    tool
        The called tool.
    arguments
        The model's arguments.
    malformed
        The model's text where it is no JSON object: then the form is that text.
    partial_text
        The text of an incomplete call so far, of which ``arguments`` are the parsed part. A value that does not fit
        its field yet is left out, so that fields do not change their kind.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def tide(port: str, days: int = 1) -> str: return "high"
    >>> form = build_form(tide, {"port": "Hull"})
    >>> [(field["name"], field["kind"], field["required"], field["text"]) for field in form["fields"]]
    [('port', 'string', True, '"Hull"'), ('days', 'number', False, None)]
    """
    schema = tool.parameters
    given = dict(arguments or {})
    titles = (tool.title, schema.get("title"), tool.name)
    if partial_text is not None:
        text, error = escape_surrogates(partial_text), None
    elif malformed is None:
        text, error = _arguments_text(given)
    else:
        text, error = (
            _arguments_text(given) if malformed is None else (escape_surrogates(malformed), _malformed_error(malformed))
        )
    form: dict[str, Any] = {
        "name": _shorten(tool.name, _LONGEST_TITLE),
        "title": next(filter(None, (_shorten(each, _LONGEST_TITLE) for each in titles)), ""),
        "description": _shorten(tool.description, _LONGEST_NOTE),
        "always": not tool.asks_always,
        "json": text,
        "error": error,
        "fields": None,
    }
    if error is None and len(text) <= _LARGEST:
        try:
            form["fields"] = _FormBuilder(schema, is_partial=partial_text is not None).properties(schema, given, 0)
        except (_FormTooLargeError, RecursionError):
            form["fields"] = None
    if partial_text is not None and form["fields"] is not None:
        form["json"] = ""  # redundant beside the fields, and the form is sent repeatedly
    return form


def _arguments_text(arguments: dict[str, Any]) -> tuple[str, str | None]:
    try:
        return to_json_text(arguments, indent=2), None
    except (RecursionError, ValueError):  # a person cannot read these, so cannot approve them as they are
        return "{}", "These arguments are nested too deep, or too large, to be shown."


def _malformed_error(malformed: str) -> str:
    _, error = arguments_of({"json": malformed})
    return f"These arguments are no JSON object. {error}".strip()


class _FormBuilder:
    def __init__(self, root: Mapping[str, Any], *, is_partial: bool = False) -> None:
        self._root = root
        self._is_partial = is_partial
        self._count = 0

    def properties(self, schema: Mapping[str, Any], values: Mapping[str, Any], depth: int) -> list[Field] | None:
        """Return the fields of an object; None where a form cannot show it."""
        found = resolve_refs(schema, self._root)
        known = found.get("properties", {}) if found is not None else None
        if found is None or not isinstance(known, Mapping) or (find_variants(found, self._root) is not None):
            return None
        required = found.get("required")
        required_names = set(map(str, required)) if isinstance(required, list) else set()
        fields = [
            self.field(str(name), each, values.get(name, ...), depth, required=name in required_names)
            for name, each in known.items()
        ]
        # Further arguments of the model, where the schema allows them.
        extra = [name for name in values if name not in known]
        fields += [self.field(str(name), {}, values[name], depth, required=False) for name in extra]
        return fields

    def field(self, name: str, schema: object, value: Any, depth: int, *, required: bool) -> Field:
        """Return one field; ``...`` means no value."""
        self._count += 1
        if self._count > _MOST_FIELDS or len(name) > _LONGEST_NAME or escape_surrogates(name) != name:
            raise _FormTooLargeError
        found = resolve_refs(schema, self._root)
        rest, nullable = unwrap_nullable(found, self._root) if found is not None else ({}, False)
        kind = self._kind(name, rest, None if value is ... else value, depth)
        fits = value is ... or (nullable and value is None) or _can_show(kind, value)
        if self._is_partial and not fits:
            value, fits = ..., True
        field: Field = {
            "name": name,
            "title": _shorten(rest.get("title"), _LONGEST_TITLE) or _shorten(name, _LONGEST_TITLE),
            "note": _note(rest),
            "required": required,
            "nullable": nullable,
            "text": None if value is ... else to_json_text(value),
            "start": _start_text(rest),
            **kind,
        }
        if self._is_partial and required and value is ...:
            field["awaited"] = True
        # A value that its field could not show as it is stands in the JSON editor.
        if not fits:
            field |= {"kind": "json"}
        elif field["text"] not in (None, "null"):
            field["text"] = _page_text(field)
        return field

    def _kind(self, name: str, schema: Mapping[str, Any], value: Any, depth: int) -> Field:
        options = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(options, list) and 0 < len(options) <= _MOST_FIELDS:
            texts = [to_json_text(option) for option in options]
            fit = sum(map(len, texts)) <= _LONGEST_OPTIONS
            return {"kind": "choice", "options": texts} if fit else {"kind": "json"}
        if (variants := find_variants(schema, self._root)) is not None:
            fit = depth < _DEEPEST and 0 < len(variants) <= _MOST_VARIANTS
            return self._variants(name, variants, value, depth) if fit else {"kind": "json"}
        match schema.get("type"):
            case "string":
                return _string(name, schema, value)
            case "integer" | "number":
                return {"kind": "number"}
            case "boolean":
                return {"kind": "boolean"}
            case "array" if depth < _DEEPEST and isinstance(schema.get("items"), Mapping):
                return self._list(schema, value, depth)
            case "object" if depth < _DEEPEST and schema.get("properties"):
                inner = self.properties(schema, value if isinstance(value, dict) else {}, depth + 1)
                if inner is not None:
                    return {"kind": "group", "fields": inner}
        return {"kind": "json"}

    def _list(self, schema: Mapping[str, Any], value: Any, depth: int) -> Field:
        given = value if isinstance(value, list) else []
        if len(given) > _MOST_ITEMS:
            return {"kind": "json"}
        item = self.field("", schema["items"], ..., depth + 1, required=True)
        items = [self.field("", schema["items"], each, depth + 1, required=True) for each in given]
        return {"kind": "list", "items": items, "item": item}

    def _variants(self, name: str, variants: list[Any], value: Any, depth: int) -> Field:
        from orchat.tools.schema_validation import validation_errors

        fields = []
        chosen = None
        for number, each in enumerate(variants):
            definitions = {key: self._root[key] for key in ("$defs", "definitions") if key in self._root}
            whole = {**each, **definitions} if isinstance(each, Mapping) else {}
            fits = value is not None and chosen is None and not validation_errors(whole, value)
            if fits:
                chosen = number
            field = self.field(name, each, value if fits else ..., depth + 1, required=True)
            shown = resolve_refs(each, self._root) or {}
            reference = each.get("$ref") if isinstance(each, Mapping) else None
            kind = shown.get("title") or str(reference or "").rpartition("/")[2] or shown.get("type")
            fields.append({**field, "title": _shorten(kind, _LONGEST_TITLE) or f"{number + 1}"})
        return {"kind": "variant", "variants": fields, "chosen": chosen}


def _start_text(schema: Mapping[str, Any]) -> str | None:
    """Return the JSON text of a field that a person adds: its default, unless that is too long."""
    text = to_json_text(schema["default"]) if "default" in schema else ""
    return text if 0 < len(text) <= _LONGEST_DEFAULT else None


def _page_text(field: Field) -> str:
    """Return a field's text as a page joins it, in the schema's order, so that the two can be compared."""
    match field["kind"]:
        case "group":
            given = (each for each in field["fields"] if each["text"] is not None)
            return "{" + ", ".join(f"{to_json_text(each['name'])}: {each['text']}" for each in given) + "}"
        case "list":
            return "[" + ", ".join(each["text"] or "null" for each in field["items"]) + "]"
        case "variant":
            return str(field["variants"][field["chosen"]]["text"])
    return str(field["text"])


def _string(name: str, schema: Mapping[str, Any], value: Any) -> Field:
    hint = schema.get("x-orchat") if isinstance(schema.get("x-orchat"), Mapping) else schema
    widget = hint.get("widget") if isinstance(hint, Mapping) else None
    text = value if isinstance(value, str) else ""
    code = widget == "code" or (widget is None and name.lower() in _CODE_NAMES)
    lines = code or widget == "textarea" or len(text) > _LONGEST_TEXT or "\n" in text
    kind = _INPUTS.get(str(schema.get("format")), "text")
    # The browser's own date and address fields change what they do not like: then plain text is shown.
    fits = kind not in ("date", "time") or not text
    return {"kind": "string", "lines": lines, "code": code, "input": kind if fits else "text"}


def _can_show(field: Field, value: Any) -> bool:
    """Return whether a field of that kind shows a value unchanged."""
    match field["kind"]:
        case "string":
            return isinstance(value, str) and "\r" not in value and (field["lines"] or "\n" not in value)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "choice":
            return to_json_text(value) in field["options"]
        case "list":
            return isinstance(value, list)
        case "group":
            return isinstance(value, dict)
        case "variant":
            return field["chosen"] is not None
    return True


def _note(schema: Mapping[str, Any]) -> str:
    """Return a field's note: its description, limits, default and examples."""
    parts = [_shorten(schema.get("description"), _LONGEST_NOTE)]
    parts += [text.format(_shorten(schema[key], 60)) for key, text in _LIMITS if schema.get(key) is not None]
    if "default" in schema:
        parts.append(f"default: {_shorten(to_json_text(schema['default']), 60)}")
    if isinstance(examples := schema.get("examples"), list) and examples:
        parts.append("such as " + ", ".join(_shorten(to_json_text(each), 40) for each in examples[:3]))
    return "; ".join(filter(None, parts))


def _shorten(value: object, longest: int) -> str:
    text = "" if value is None else str(value)
    text = " ".join("".join(each if each.isprintable() else " " for each in text[: 4 * longest]).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"
