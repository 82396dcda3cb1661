"""Checking against a JSON Schema (2020-12): is this one, and what is wrong with that value.

Schemas and values are untrusted: tool calls and structured output come from a model, schemas may come from a file. No
reference is ever fetched, patterns run under a backtracking limit, and what cannot be checked counts as wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from orchat.errors import ConfigurationError

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError

_MOST_MESSAGES = 20
_LONGEST_MESSAGE = 300


def check_schema(schema: object, *, what: str = "The schema") -> None:
    """Refuse what is no JSON Schema dictionary.

    Parameters
    ----------
    schema
        Supposed to be one.
    what
        Begins the message.

    Raises
    ------
    ConfigurationError
        It is none, or refers to something outside itself.

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
        _compile(schema)
    except ValueError as error:
        raise ConfigurationError(f"{what} is no valid JSON Schema: {_reason(error)}") from None


def validation_errors(schema: object, value: object) -> list[str]:
    """List what is wrong with a value, each entry naming the place; an empty list means it fits.

    Examples
    --------
    >>> schema = {"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}
    >>> validation_errors(schema, {"city": "Oslo", "days": 3})
    []
    >>> validation_errors(schema, {"days": "three"})
    ['city: is a required property', 'days: "three" is not of type "integer"']
    """
    try:
        validator = _compile(schema)
    except ValueError as error:
        return [f"it cannot be checked, the schema is wrong: {_reason(error)}"]
    try:
        errors = validator.iter_errors(value)
        messages = [_message(error) for error in islice(errors, _MOST_MESSAGES)]
    except ValueError as error:  # something in it is no JSON, or lies too deep
        return [f"it cannot be checked: {_reason(error)}"]
    if left := sum(1 for _ in errors):
        messages.append(f"... and {left} more")
    return messages


def _compile(schema: Any) -> Draft202012Validator:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(schema, retriever=_refuse_to_fetch)


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
        text = " or ".join(dict.fromkeys(_alternatives(error))) or text
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
    return f"{where}: {_short(text)}" if where else _short(text)


def _alternatives(error: ValidationError) -> Iterator[str]:
    """Say what each branch of an ``anyOf`` would have wanted, which the error of the whole does not."""
    for branch in error.kind.context:  # type: ignore[attr-defined]
        yield ", ".join(inner.message for inner in branch)


def _reason(error: ValueError) -> str:
    path = getattr(error, "instance_path", ())
    where = ".".join(str(step) for step in path)
    return _short(f"{where}: {error.args[0]}" if where else str(error.args[0] if error.args else error))


def _short(text: str) -> str:
    text = text.partition("\n")[0]
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 4] + " ..."
