"""Generate the JSON Schema of a function's parameters, by pydantic.

This module removes what is useless to a model. pydantic is imported when the first schema is made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Annotated, Any

from orchat.errors import ConfigurationError, SchemaGenerationError
from orchat.tools.class_schema import schema_of_class
from orchat.tools.function_parameters import FunctionParameters, read_parameters

if TYPE_CHECKING:
    from pydantic import BaseModel

_NAMES_TO_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_PLAIN_DATA = frozenset({"default", "const", "enum", "examples"})


def schema_of_function(function: Callable[..., Any], *, name: str, skip: Collection[str] = ()) -> dict[str, Any]:
    """Generate the JSON Schema of a function's parameters, an object; ``**kwargs`` becomes ``additionalProperties``.

    Parameters
    ----------
    function
        With a type hint on every parameter; ``Annotated[type, "text"]`` describes one, and so does
        ``Annotated[type, Field(description="text")]``.
    name
        For error messages.
    skip
        Names to leave out.

    Raises
    ------
    ConfigurationError
        A model cannot give the function's arguments (`orchat.tools.function_parameters.read_parameters`).
    SchemaGenerationError
        A type has no JSON Schema.

    Examples
    --------
    >>> def forecast(city: Annotated[str, "where"], days: int = 3): ...
    >>> schema_of_function(forecast, name="forecast")["properties"]
    {'city': {'type': 'string', 'description': 'where'}, 'days': {'default': 3, 'type': 'integer'}}
    """
    parameters = read_parameters(function, name=name, skip=skip)
    schema: dict[str, Any] = _without_titles(_generate_schema(parameters, name))
    for parameter, hint in parameters.hints.items():
        if texts := [item for item in getattr(hint, "__metadata__", ()) if isinstance(item, str)]:
            schema["properties"][parameter]["description"] = texts[0]
    if parameters.extra is not None:
        _to_additional_properties(schema, parameters.extra)
    return schema


def is_schema_of_function(schema: object, function: Callable[..., Any], skip: Collection[str] = ()) -> bool:
    """Return whether a schema is the one that `schema_of_function` generates of a function.

    Examples
    --------
    >>> def forecast(city: str): ...
    >>> is_schema_of_function(schema_of_function(forecast, name="forecast"), forecast)
    True
    >>> is_schema_of_function({"type": "object"}, forecast)
    False
    """
    try:
        return schema_of_function(function, name="function", skip=skip) == schema
    except (ConfigurationError, SchemaGenerationError):
        return False


def arguments_model(parameters: FunctionParameters, *, name: str) -> type[BaseModel]:
    """Make a pydantic model of a function's parameters, under aliases: not every name is a valid field name.

    The fields are called ``field_0``, ``field_1`` ... in the order of the parameters.

    Examples
    --------
    >>> def forecast(city: str, days: int = 3): ...
    >>> arguments_model(read_parameters(forecast, name="forecast"), name="forecast")(city="Hull")
    arguments of forecast(field_0='Hull', field_1=3)
    """
    from pydantic import Field, create_model

    definitions: dict[str, Any] = {
        f"field_{number}": (Annotated[hint, Field(alias=parameter)], parameters.defaults[parameter])
        for number, (parameter, hint) in enumerate(parameters.hints.items())
    }
    model: type[BaseModel] = create_model(f"arguments of {name}", **definitions)
    for parameter, field in zip(parameters.hints, model.model_fields.values(), strict=True):
        if field.validation_alias != parameter:
            raise ConfigurationError(
                f"The parameter `{parameter}` of `{name}` has the alias {field.alias!r}: tools are called by the names "
                "of their parameters.",
                hint="Rename the parameter.",
            )
    return model


def _generate_schema(parameters: FunctionParameters, name: str) -> dict[str, Any]:
    try:
        return schema_of_class(arguments_model(parameters, name=name))
    except ConfigurationError:
        raise
    except Exception as error:
        first = str(error).partition("\n")[0]
        raise SchemaGenerationError(
            f"The signature of `{name}` has no JSON Schema: {first}", hint="Use hints that JSON can express."
        ) from error


def _without_titles(schema: Any, *, keys_are_names: bool = False) -> Any:
    """Copy a schema without its ``title`` keywords; properties and data of that name stay."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value
        if key in _PLAIN_DATA and not keys_are_names
        else _without_titles(value, keys_are_names=not keys_are_names and key in _NAMES_TO_SCHEMAS)
        for key, value in schema.items()
        if keys_are_names or key != "title"
    }


def _to_additional_properties(schema: dict[str, Any], parameter: str) -> None:
    """Convert the property of ``**kwargs`` to ``additionalProperties``."""
    schema["additionalProperties"] = schema["properties"].pop(parameter) or True
    schema["required"].remove(parameter)
    if not schema["required"]:
        del schema["required"]
