"""Structured output: parse a ``response_format`` (API section 2.5), and validate a reply against it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchat.errors import OutputValidationError
from orchat.messages import ChatMessage
from orchat.messages.lenient_json import find_json
from orchat.tools.schema_validation import check_schema, validation_errors

# The formats that the API knows; a dictionary of any other type is taken for a bare JSON Schema.
_FORMATS = frozenset({"text", "json_object", "json_schema", "grammar", "python"})


@dataclass(frozen=True)
class OutputFormat:
    """A parsed ``response_format``: its wire form, and the parser of replies.

    Parameters
    ----------
    wire
        What is sent.
    read
        Makes the parsed object of an answer's text, or raises ValueError; None where any text will do.
    """

    wire: dict[str, Any]
    read: Callable[[str], Any] | None

    def parse(self, message: ChatMessage) -> None:
        """Set a reply's parsed object, unless it calls tools or refuses.

        Raises
        ------
        OutputValidationError
            The text does not fit; the reply is its ``partial``.
        """
        if self.read is None or message.tool_calls or message.meta.get("refusal"):
            return
        text = message.text or ""
        try:
            message._parsed = self.read(find_json(text) or text)
        except (ValueError, RecursionError) as error:
            raise _mismatch(message, str(error)) from None


def _mismatch(message: ChatMessage, why: str) -> OutputValidationError:
    hint = "The raw text is in `.partial.text`."
    finish_reason = message.meta.get("finish_reason")
    if finish_reason == "length":
        hint = "The answer was cut at its token limit (reasoning counts): raise max_tokens. " + hint
    elif finish_reason == "content_filter":
        hint = "A content filter cut the answer. " + hint
    return OutputValidationError(
        f"The answer does not fit the response_format: {why[:500]}.",
        partial=message,
        generation_id=message.meta.get("id"),
        provider_name=message.meta.get("provider"),
        hint=hint,
    )


def read_response_format(value: Any) -> OutputFormat | None:
    """Parse a ``response_format``: a dictionary as the API takes it, a bare JSON Schema, or a pydantic class.

    Raises
    ------
    TypeError
        It is something else.
    ConfigurationError
        The schema is no JSON Schema (a ValueError).

    Examples
    --------
    >>> read_response_format({"type": "object", "properties": {"age": {"type": "integer"}}}).wire["type"]
    'json_schema'
    """
    if not value:
        return None
    if isinstance(value, type) and hasattr(value, "model_json_schema"):
        return OutputFormat(_wire_of_class(value), value.model_validate_json)  # type: ignore[attr-defined]
    if not isinstance(value, Mapping):
        raise TypeError(f"response_format must be a dict or a pydantic class, not {value!r:.100}.")
    wire = dict(value)
    if wire.get("type") not in _FORMATS:
        name = re.sub(r"[^A-Za-z0-9_-]", "_", str(wire.get("title") or "response"))[:64]
        wire = {"type": "json_schema", "json_schema": {"name": name, "schema": wire}}
    if wire["type"] == "json_object":
        return OutputFormat(wire, _json_object)
    if wire["type"] != "json_schema":
        return OutputFormat(wire, None)
    schema = (wire.get("json_schema") or {}).get("schema")
    return OutputFormat(wire, json.loads if schema is None else _reader_of(schema))


def response_format_to_dict(value: Any) -> Any:
    """Serialize a ``response_format``: a class becomes its schema."""
    return _wire_of_class(value) if isinstance(value, type) else value


def _wire_of_class(model: Any) -> dict[str, Any]:
    schema = strict_schema(model.model_json_schema())
    return {"type": "json_schema", "json_schema": {"name": model.__name__, "strict": True, "schema": schema}}


def _json_object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"it is valid JSON but a {type(value).__name__}, not an object")
    return value


def _reader_of(schema: Any) -> Callable[[str], Any]:
    check_schema(schema, what="The response_format")

    def read(text: str) -> Any:
        value = json.loads(text)
        if found := validation_errors(schema, value):
            raise ValueError("; ".join(found))
        return value

    return read


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a strict copy of a JSON Schema, as OpenAI's strict mode requires, at every level.

    Each object closes (``additionalProperties: false``) and requires all its properties, mappings excepted; null
    defaults go, and a ``$ref`` beside other keys is inlined.

    Examples
    --------
    >>> strict_schema({"type": "object", "properties": {"a": {"type": "object", "properties": {}}}})["properties"]["a"]
    {'type': 'object', 'properties': {}, 'additionalProperties': False, 'required': []}
    """
    strict: dict[str, Any] = _strict(schema, schema, ())
    return strict


def _strict(node: Any, root: Mapping[str, Any], inlining: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_strict(item, root, inlining) for item in node]
    if not isinstance(node, Mapping):
        return node
    node = dict(node)
    ref = node.get("$ref")
    if isinstance(ref, str) and len(node) > 1 and ref not in inlining:
        target = _resolve(ref, root)
        if isinstance(target, Mapping):
            del node["$ref"]
            return _strict({**target, **node}, root, (*inlining, ref))
    if node.get("default", ...) is None:
        del node["default"]
    if isinstance(parts := node.get("allOf"), list) and len(parts) == 1 and isinstance(parts[0], Mapping):
        del node["allOf"]
        node = {**node, **parts[0]}
    for key in ("properties", "$defs", "definitions"):
        if isinstance(children := node.get(key), Mapping):
            node[key] = {name: _strict(child, root, inlining) for name, child in children.items()}
    for key in ("items", "prefixItems", "anyOf", "oneOf", "allOf", "additionalProperties"):
        if key in node:
            node[key] = _strict(node[key], root, inlining)
    # An object that names no properties but says what others are like is a mapping; closed, it could hold nothing.
    is_mapping = not node.get("properties") and "additionalProperties" in node
    if (node.get("type") == "object" or "properties" in node) and not is_mapping:
        node["additionalProperties"] = False
        node["required"] = list(node.get("properties") or ())
    return node


def _resolve(ref: str, root: Mapping[str, Any]) -> Any:
    """Resolve a ``#/a/b`` reference; None where it has no target."""
    node: Any = root
    for step in ref.removeprefix("#/").split("/"):
        if not isinstance(node, Mapping):
            return None
        node = node.get(step.replace("~1", "/").replace("~0", "~"))
    return node
