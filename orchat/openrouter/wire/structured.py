"""Structured output: parse a ``response_format`` (API section 2.5), and validate a reply against it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, get_origin, is_typeddict

from orchat.errors import OutputValidationError, SchemaGenerationError
from orchat.messages import ChatMessage
from orchat.messages.lenient_json import find_json
from orchat.openrouter.wire.response_format_builder import ANSWER, ITEMS, response_type
from orchat.openrouter.wire.strict_schema import (
    OPENAI,
    NotStrictError,
    StrictDialect,
    strict_schema,
    without_added_nulls,
)
from orchat.tools.class_schema import schema_of_class
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
    note
        What people must know of it; None for nothing.
    """

    wire: dict[str, Any]
    read: Callable[[str], Any] | None
    note: str | None = None

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
            message._parsed = self._read(self.read, find_json(text) or text)
        except (ValueError, RecursionError) as error:
            raise _mismatch(message, str(error)) from None

    def _read(self, read: Callable[[str], Any], text: str) -> Any:
        """Read an answer; hosts without schemas may leave out an object that orchat puts around a value."""
        try:
            return read(text)
        except ValueError:
            schema = (self.wire.get("json_schema") or {}).get("schema") or {}
            names = [*schema.get("properties", ())]
            if names in ([ITEMS], [ANSWER]):
                with suppress(ValueError):
                    return read(json.dumps({names[0]: _bare_value(text)}))
            raise


def _bare_value(text: str) -> Any:
    """Return the value of JSON, or a text that looks like none, such as a label without its quotes."""
    try:
        return json.loads(text)
    except ValueError:
        if not text.strip() or text.lstrip()[0] in '{["`':  # JSON that was cut, which is no text
            raise
        return text.strip()


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


def read_response_format(value: Any, dialect: StrictDialect = OPENAI) -> OutputFormat | None:
    """Parse a ``response_format``: a dictionary as the API takes it, a bare JSON Schema, a pydantic class, or a type.

    Other types are dataclasses, TypedDicts, Literals, Enums and lists of these. A class is sent as a strict schema, if
    one can hold it (`orchat.openrouter.wire.strict_schema`); a dictionary stays as it is.

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
        return _format_of_class(value, dialect)
    if not isinstance(value, Mapping):
        return _format_of_type(value, dialect)
    wire = dict(value)
    if wire.get("type") not in _FORMATS:
        name = wire.get("title")
        wire = {"type": "json_schema", "json_schema": {"name": _clean_name(name or "response"), "schema": wire}}
    if wire["type"] == "json_object":
        return OutputFormat(wire, _json_object)
    if wire["type"] != "json_schema":
        return OutputFormat(wire, None)
    schema = (wire.get("json_schema") or {}).get("schema")
    return OutputFormat(wire, json.loads if schema is None else _reader_of(schema))


def response_format_to_dict(value: Any) -> Any:
    """Serialize a ``response_format``: a class becomes its schema."""
    if value is None or isinstance(value, Mapping) or not (output := read_response_format(value)):
        return value
    return deepcopy(output.wire)


def _clean_name(name: object) -> str:
    """Return a name as the API takes it; of ``Gen[int]`` that is ``Gen_int``."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", str(name)).rstrip("_")[:64] or "response"


@lru_cache(maxsize=64)  # making a schema takes longer than all else of a request
def _format_of_class(model: Any, dialect: StrictDialect) -> OutputFormat:
    name, schema, note = _clean_name(model.__name__), _schema_of_class(model), None
    try:
        described = {"name": name, "strict": True, "schema": strict_schema(schema, dialect)}
    except NotStrictError as error:
        described = {"name": name, "strict": False, "schema": schema}
        note = f"The response_format `{name}` was not sent as strict: {error}. The answer was checked after it came."

    def read(text: str) -> Any:
        try:
            return model.model_validate_json(text)
        except ValueError as error:
            try:
                cleaned = without_added_nulls(schema, json.loads(text))
            except ValueError:
                raise error from None
            return model.model_validate_json(json.dumps(cleaned))

    return OutputFormat({"type": "json_schema", "json_schema": described}, read, note)


def _schema_of_class(model: Any) -> dict[str, Any]:
    try:
        return schema_of_class(model)
    except Exception as error:
        first = str(error).partition("\n")[0]
        raise SchemaGenerationError(
            f"The response_format `{model.__name__}` has no JSON Schema: {first}",
            hint="Give a class whose fields JSON can hold.",
        ) from error


def _format_of_type(value: Any, dialect: StrictDialect) -> OutputFormat:
    """Parse a type that is no pydantic class; the parsed object is of that type."""
    wrong = TypeError(
        f"response_format is {value!r:.100}. It must be a pydantic class, dataclass, TypedDict, Enum, Literal or union "
        "of types, a list or dictionary of one, such as list[int], or a JSON Schema as a dict."
    )
    is_class = isinstance(value, type) and (is_dataclass(value) or is_typeddict(value) or issubclass(value, Enum))
    if not is_class and get_origin(value) is None:
        raise wrong
    try:
        shape = response_type(value)
        output = _format_of_class(shape.response_format, dialect)
    except SchemaGenerationError:
        raise
    except Exception as error:
        raise wrong from error
    read = output.read
    assert read is not None
    return OutputFormat(output.wire, lambda text: shape.unwrap(read(text)), output.note)


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
