"""The schema of a column's answers: what the model is told, and the typed columns that its answers become."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Literal, get_origin

from orchat.errors import ConfigurationError, OutputValidationError
from orchat.messages import ChatMessage
from orchat.openrouter.wire.response_format_builder import ANSWER, ITEMS, ResponseType, response_type
from orchat.openrouter.wire.structured import OutputFormat, read_response_format

ColumnKind = Literal["text", "label", "integer", "number", "boolean", "any"]

_KINDS: Mapping[str, ColumnKind] = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
}
# One of these stands in each JSON Schema that says what an answer is.
_TELLING = frozenset({"type", "properties", "items", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"})


@dataclass(frozen=True)
class AnswerColumn:
    """A column that answers become.

    Parameters
    ----------
    name
        Its name.
    kind
        The type of its values; ``any`` for what has no type of its own in a table.
    labels
        The values that a label may have, in order.
    """

    name: str
    kind: ColumnKind
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnswerSchema:
    """What the model must answer, and how an answer becomes values of columns.

    Parameters
    ----------
    response_format
        For the generator; None where any text will do.
    columns
        The columns.
    explodes
        Whether each item of an answer becomes a row.
    has_fields
        Whether the columns are fields of an answer; else the answer is the only column.
    unwrap
        Makes the user's object of a parsed answer.
    """

    response_format: Any
    columns: tuple[AnswerColumn, ...]
    explodes: bool
    has_fields: bool
    unwrap: Callable[[Any], Any]
    output: OutputFormat | None

    def read(self, message: ChatMessage) -> Any:
        """Return the user's object of an answer, which is parsed unless it is.

        Raises
        ------
        OutputValidationError
            It does not fit.
        """
        if self.output is None or self.output.read is None:
            return message.text or ""
        if message.parsed is None:
            self.output.parse(message)
        if message.parsed is None and (message.meta.get("refusal") or message.tool_calls):
            what = f"refused: {message.meta['refusal']}" if message.meta.get("refusal") else "called a tool"
            raise OutputValidationError(f"The model {what}.", partial=message)
        return self.unwrap(message.parsed)

    def rows(self, value: Any) -> Iterator[dict[str, Any]]:
        """Yield the values of the columns: once, or for each item where answers explode."""
        for item in value if self.explodes else (value,):
            fields = _fields_of(item) if self.has_fields else {ANSWER: item}
            yield {column.name: _plain(fields.get(column.name)) for column in self.columns}


def answer_schema(schema: Any = None, *, explode: bool = False) -> AnswerSchema:
    """Read a schema: a pydantic model, dataclass, TypedDict, Literal, Enum, type, list of one, labels, JSON Schema.

    Parameters
    ----------
    schema
        The schema; None for text.
    explode
        Whether each item of a list becomes a row.

    Raises
    ------
    ConfigurationError
        It has no JSON Schema, or is no list that could explode (a ValueError).

    Examples
    --------
    >>> answer_schema(Literal["good", "bad"]).columns
    (AnswerColumn(name='answer', kind='label', labels=('good', 'bad')),)
    >>> [column.kind for column in answer_schema({"properties": {"n": {"type": "integer"}, "x": {}}}).columns]
    ['integer', 'any']
    """
    if isinstance(schema, list | tuple) and schema and all(isinstance(label, str) for label in schema):
        schema = {"type": "string", "enum": list(dict.fromkeys(schema))}
    if isinstance(schema, Mapping) and schema and not _TELLING & set(schema):
        raise ConfigurationError(
            f"{schema!r:.120} is no JSON Schema.",
            hint='Such as {"type": "object", "properties": {"tone": {"type": "string"}}}; or give a TypedDict.',
        )
    is_list = get_origin(schema) is list or (isinstance(schema, Mapping) and schema.get("type") == "array")
    if explode and not is_list:
        raise ConfigurationError("explode=True needs a list of answers.", hint="Give a schema such as list[Model].")
    if schema is None:
        return AnswerSchema(None, (AnswerColumn(ANSWER, "text"),), False, False, lambda value: value, None)
    if isinstance(schema, FunctionType | str):
        raise ConfigurationError(f"{schema!r:.120} is no schema.", hint="Give a class, such as a pydantic model.")
    try:
        shape = _of_json_schema(dict(schema)) if isinstance(schema, Mapping) else response_type(schema)
        output = read_response_format(shape.response_format)
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 - pydantic asks the schema's own classes
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(
            f"The schema {schema!r:.120} has no JSON Schema: {reason}",
            hint="Give a pydantic model, dataclass, TypedDict, Literal or Enum, a list of one, or a JSON Schema.",
        ) from None
    root = _root_schema(output)
    fields = _properties(root, root)
    has_fields = shape.wrapper is None and bool(fields)
    if shape.wrapper == ITEMS:
        item = _resolved(_resolved(fields.get(ITEMS), root).get("items"), root) if explode else {}
        fields = _properties(item, root)
        has_fields = bool(fields)
        fields = fields or {ANSWER: item}
    columns = tuple(_column(name, each, root) for name, each in fields.items()) or (AnswerColumn(ANSWER, "any"),)
    return AnswerSchema(shape.response_format, columns, explode, has_fields, shape.unwrap, output)


def _of_json_schema(schema: dict[str, Any]) -> ResponseType:
    """Make a ``response_format`` of a JSON Schema; one that is a ``response_format`` stays."""
    kind = schema.get("type")
    if kind in {"object", "json_schema", "json_object", "text", "grammar", "python"} or "properties" in schema:
        return ResponseType(schema)
    name = ITEMS if kind == "array" else ANSWER
    definitions = {key: schema.pop(key) for key in ("$defs", "definitions") if key in schema}
    wrapped = {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}
    return ResponseType(wrapped | definitions, lambda parsed: parsed[name], name)


def _root_schema(output: OutputFormat | None) -> Mapping[str, Any]:
    schema = (output.wire.get("json_schema") or {}).get("schema") if output is not None else None
    return schema if isinstance(schema, Mapping) else {}


def _properties(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    found = _resolved(schema, root).get("properties")
    return found if isinstance(found, Mapping) else {}


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference inside the schema, and take null out of a choice."""
    for _ in range(8):
        if not isinstance(schema, Mapping):
            return {}
        choices = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(reference := schema.get("$ref"), str):
            name = reference.rpartition("/")[2]
            schema = (root.get("$defs") or root.get("definitions") or {}).get(name)
        elif isinstance(choices, list):
            others = [each for each in choices if not (isinstance(each, Mapping) and each.get("type") == "null")]
            if len(others) != 1:
                return {}
            schema = others[0]
        else:
            return schema
    return {}


def _column(name: str, schema: Any, root: Mapping[str, Any]) -> AnswerColumn:
    found = _resolved(schema, root)
    values = found.get("enum", [found["const"]] if "const" in found else None)
    if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
        return AnswerColumn(name, "label", tuple(dict.fromkeys(values)))
    kind = found.get("type")
    if isinstance(kind, list):  # ["string", "null"]
        kind = next((each for each in kind if each != "null"), None)
    if found.get("format") in {"date", "date-time", "time", "duration"}:
        return AnswerColumn(name, "any")
    return AnswerColumn(name, _KINDS.get(str(kind), "any"))


def _fields_of(item: Any) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return item
    if hasattr(item, "model_dump"):
        return item.model_dump(by_alias=True)  # type: ignore[no-any-return]
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return dataclasses.asdict(item)
    return {ANSWER: item}


def _plain(value: Any) -> Any:
    """Convert enumerations and models in a value to plain data."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if hasattr(value, "model_dump"):
        return _plain(value.model_dump(by_alias=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    return value
