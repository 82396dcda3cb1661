"""Validate JSON Schemas, and values against them, in the dialect of each (`orchat.tools.schema_dialect`).

Schemas and values are untrusted: tool calls and structured output come from a model, schemas may come from a file. No
reference is ever fetched, patterns run under a backtracking limit (where there is jsonschema-rs), and a value that
cannot be checked is invalid.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, NoReturn

from orchat.errors import ConfigurationError
from orchat.tools.schema_dialect import make_validator

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

_MAX_MESSAGES = 20
_MAX_MESSAGE_LENGTH = 300


def check_schema(schema: object, *, what: str = "The schema") -> None:
    """Validate a JSON Schema; raise if it is invalid.

    Parameters
    ----------
    schema
        The schema.
    what
        The start of the error message.

    Raises
    ------
    ConfigurationError
        It is not a JSON Schema dictionary, or refers to something outside itself.

    Examples
    --------
    >>> check_schema({"type": "object", "properties": {"city": {"type": "string"}}})
    >>> check_schema({"minLength": "many"})
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: The schema is no valid JSON Schema: minLength: "many" is not of type "integer"
    """
    if not isinstance(schema, dict):
        raise ConfigurationError(f"{what} is no valid JSON Schema: it must be a dict, not {type(schema).__name__}.")
    try:
        make_validator(schema, retriever=_refuse_to_fetch)
    except ValueError as error:
        raise ConfigurationError(f"{what} is no valid JSON Schema: {_reason(error)}") from None


def validation_errors(schema: object, value: object) -> list[str]:
    """List the errors of a value, each with its place; an empty list means it fits the schema.

    Examples
    --------
    >>> schema = {"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}
    >>> validation_errors(schema, {"city": "Oslo", "days": 3})
    []
    >>> validation_errors(schema, {"days": "three"})
    ['city: is a required property', 'days: "three" is not of type "integer"']
    """
    try:
        validator = make_validator(schema, retriever=_refuse_to_fetch)
    except ValueError as error:
        return [f"it cannot be checked, the schema is wrong: {_reason(error)}"]
    try:
        errors = validator.iter_errors(value)
        messages = [_message(error) for error in islice(errors, _MAX_MESSAGES)]
    except ValueError as error:  # something in it is no JSON, or lies too deep
        return [f"it cannot be checked: {_reason(error)}"]
    if left := sum(1 for _ in errors):
        messages.append(f"... and {left} more")
    return messages


def _refuse_to_fetch(uri: str) -> NoReturn:
    raise LookupError(f"only references inside the schema are followed, not {uri}")


def _message(error: ValidationError) -> str:
    kind = type(error.kind).__name__
    path = list(error.instance_path)
    text = error.message
    if kind == "Required":
        path.append(error.kind.property)  # type: ignore[attr-defined]
        text = "is a required property"
    elif kind in ("AnyOf", "OneOfNotValid"):
        text = " or ".join(dict.fromkeys(_branch_errors(error))) or text
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
    return f"{where}: {_truncate(text)}" if where else _truncate(text)


def _branch_errors(error: ValidationError) -> Iterator[str]:
    """Yield the error of each branch of an ``anyOf``, which the error of the whole does not contain."""
    for branch in error.kind.context:  # type: ignore[attr-defined]
        yield ", ".join(inner.message for inner in branch)


def _reason(error: ValueError) -> str:
    path = getattr(error, "instance_path", ())
    where = ".".join(str(step) for step in path)
    return _truncate(f"{where}: {error.args[0]}" if where else str(error.args[0] if error.args else error))


def _truncate(text: str) -> str:
    text = text.partition("\n")[0]
    return text if len(text) <= _MAX_MESSAGE_LENGTH else text[: _MAX_MESSAGE_LENGTH - 4] + " ..."
