"""Build the form of a tool call as JSON. Pure; text from schemas and models is untrusted and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchat.jupyter.kernel.forms.argument_values import arguments_of, escape_surrogates, to_json_text
from orchat.jupyter.kernel.forms.schema_resolution import find_variants, resolve_refs, unwrap_nullable
from orchat.jupyter.kernel.forms.variant_labels import variant_labels
from orchat.tools import Tool

_DEEPEST = 7
_MOST_FIELDS = 150  # with a value, and as many again without
_MOST_ITEMS = 50
_MOST_DESCRIBED = 3_000  # fields described while a form is made; a schema may branch without end
_MOST_OPTIONS = 150
_MOST_VARIANTS = 10
_LARGEST = 200_000  # characters of arguments; more of them are read as one text
_LONGEST_NAME = 200
_LONGEST_DEFAULT = 2_000
_LONGEST_OPTIONS = 10_000
_LONGEST_TITLE = 80
_LONGEST_NOTE = 500
_INPUTS = {"date": "date", "time": "time", "email": "email", "uri": "url"}
# Texts of these formats have no lines: a page may show one line, which takes no others.
_ONE_LINE_FORMATS = frozenset(
    {"date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uri-reference", "uuid"}
)
_CODE_NAMES = frozenset({"code", "python", "sql", "script", "command", "javascript"})
_LARGEST_INTEGERS = (2**53 - 1, 1 - 2**53)  # limits that generators of schemas write at every integer
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
    """There are too many fields, or a name that no field can show."""


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
    schema_title = schema.get("title")
    titles = (tool.title, schema_title if schema_title != f"{tool.name}Arguments" else None, tool.name)
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
        "omitted": 0,
    }
    if error is None and len(text) <= _LARGEST:
        builder = _FormBuilder(schema, is_partial=partial_text is not None)
        try:
            form |= {"fields": builder.properties(schema, given, 0), "omitted": builder.omitted}
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
    """Builds fields within limits: those with a value first, others with what is left, else as JSON."""

    def __init__(self, root: Mapping[str, Any], *, is_partial: bool = False) -> None:
        self._root = root
        self._is_partial = is_partial
        self._given = self._spare = _MOST_FIELDS
        self._work = _MOST_DESCRIBED
        self.omitted = 0

    def properties(self, schema: Mapping[str, Any], values: Mapping[str, Any], depth: int) -> list[Field] | None:
        """Return the fields of an object; None where a form cannot show it."""
        found = resolve_refs(schema, self._root)
        known = found.get("properties", {}) if found is not None else None
        if found is None or not isinstance(known, Mapping) or (find_variants(found, self._root) is not None):
            return None
        required = found.get("required")
        required_names = set(map(str, required)) if isinstance(required, list) else set()
        # Further arguments of the model, where the schema allows them, come last.
        schemas = {**{str(name): each for name, each in known.items()}, **{n: {} for n in values if n not in known}}
        shown = [name for name in schemas if name in values or name in required_names]
        spare = [name for name in schemas if name not in values and name not in required_names]
        if depth == 0:
            wanted = len(spare)
            spare = [name for name in spare if _can_be_shown(name)][: self._spare]
            self.omitted = wanted - len(spare)
        self._charge(len(shown), len(spare))
        if not all(map(_can_be_shown, [*shown, *spare])):
            raise _FormTooLargeError
        fields = {
            name: self.field(name, schemas[name], values.get(name, ...), depth, required=name in required_names)
            for name in [*shown, *spare]
        }
        return [fields[name] for name in schemas if name in fields]

    def field(self, name: str, schema: object, value: Any, depth: int, *, required: bool) -> Field:
        """Return one field; ``...`` means no value."""
        found = resolve_refs(schema, self._root)
        rest, nullable = unwrap_nullable(found, self._root) if found is not None else ({}, False)
        start = _start_text(rest)
        kind = self._bounded_kind(name, rest, None if value is ... else value, depth)
        if value is ... and start is not None and kind["kind"] in ("list", "group", "variant"):
            # A person who gives it begins with its default.
            begun = self._bounded_kind(name, rest, rest["default"], depth)
            kind = begun if _can_show(begun, rest["default"]) else kind
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
            "start": start,
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

    def _charge(self, given: int, spare: int) -> None:
        self._work -= given + spare
        if given > self._given or spare > self._spare or self._work < 0:
            raise _FormTooLargeError
        self._given -= given
        self._spare -= spare

    def _bounded_kind(self, name: str, schema: Mapping[str, Any], value: Any, depth: int) -> Field:
        """Return the kind of a field: JSON where its inner fields are too many."""
        before = self._given, self._spare
        try:
            return self._kind(name, schema, value, depth)
        except _FormTooLargeError:
            self._given, self._spare = before
            return {"kind": "json"}

    def _kind(self, name: str, schema: Mapping[str, Any], value: Any, depth: int) -> Field:
        options = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(options, list) and 0 < len(options) <= _MOST_OPTIONS:
            texts = [to_json_text(option) for option in options]
            fit = sum(map(len, texts)) <= _LONGEST_OPTIONS
            return {"kind": "choice", "options": texts} if fit else {"kind": "json"}
        if (variants := find_variants(schema, self._root)) is not None:
            fit = depth < _DEEPEST and 0 < len(variants) <= _MOST_VARIANTS
            return self._variants(name, variants, value, depth) if fit else {"kind": "json"}
        match schema.get("type"):
            case [_, *_] as kinds if depth < _DEEPEST and len(kinds) <= _MOST_VARIANTS:
                return self._variants(name, [{**schema, "type": each} for each in kinds], value, depth)
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
        self._charge(len(given), 1)
        items = [self.field("", schema["items"], each, depth + 1, required=True) for each in given]
        item = self.field("", schema["items"], ..., depth + 1, required=True)
        return {"kind": "list", "items": items, "item": item}

    def _variants(self, name: str, variants: list[Any], value: Any, depth: int) -> Field:
        from orchat.tools.schema_validation import validation_errors

        self._charge(0, len(variants))
        fields = []
        chosen = None
        for number, each in enumerate(variants):
            definitions = {key: self._root[key] for key in ("$defs", "definitions") if key in self._root}
            whole = {**each, **definitions} if isinstance(each, Mapping) else {}
            fits = value is not None and chosen is None and not validation_errors(whole, value)
            if fits:
                chosen = number
            fields.append(self.field(name, each, value if fits else ..., depth + 1, required=True))
        for field, label in zip(fields, variant_labels(variants, self._root), strict=True):
            field["title"] = _shorten(label, _LONGEST_TITLE)
        return {"kind": "variant", "variants": fields, "chosen": chosen}


def _can_be_shown(name: str) -> bool:
    return len(name) <= _LONGEST_NAME and escape_surrogates(name) == name


def _start_text(schema: Mapping[str, Any]) -> str | None:
    """Return the JSON text of a field that a person gives: its default, unless that is null or too long."""
    text = to_json_text(schema["default"]) if schema.get("default") is not None else ""
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
    # A one-line input flattens what is pasted, so it stands only where the schema allows no lines.
    lines = code or widget == "textarea" or schema.get("format") not in _ONE_LINE_FORMATS or "\n" in text
    kind = _INPUTS.get(str(schema.get("format")), "text")
    # The browser's own date fields change what they do not like: then plain text is shown.
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
    limits = [(text, schema[key]) for key, text in _LIMITS if schema.get(key) not in (None, *_LARGEST_INTEGERS)]
    parts += [text.format(_shorten(limit, 60)) for text, limit in limits]
    if schema.get("default") is not None:
        parts.append(f"default: {_shorten(to_json_text(schema['default']), 60)}")
    if isinstance(examples := schema.get("examples"), list) and examples:
        parts.append("such as " + ", ".join(_shorten(to_json_text(each), 40) for each in examples[:3]))
    return "; ".join(filter(None, parts))


def _shorten(value: object, longest: int) -> str:
    text = "" if value is None else str(value)
    text = " ".join("".join(each if each.isprintable() else " " for each in text[: 4 * longest]).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"
