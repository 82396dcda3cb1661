"""Generate the JSON Schema of a function's parameters from its signature.

pydantic converts the types; this module selects the parameters, resolves postponed annotations, and removes what is
useless to a model. pydantic is imported when the first schema is made.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Collection
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from orchat.errors import ConfigurationError, SchemaGenerationError

_NAMES_TO_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_PLAIN_DATA = frozenset({"default", "const", "enum", "examples"})


def schema_of_function(function: Callable[..., Any], *, name: str, skip: Collection[str] = ()) -> dict[str, Any]:
    """Generate the JSON Schema of a function's parameters, an object.

    Left out are ``skip``, parameters typed as Haystack's State, and callables, which no model can give. So are
    ``*args`` and optional positional-only parameters, for arguments go by name. ``**kwargs`` becomes
    ``additionalProperties``.

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
        A parameter has no hint, or can be given by position only.
    SchemaGenerationError
        A type has no JSON Schema.

    Examples
    --------
    >>> def forecast(city: Annotated[str, "where"], days: int = 3): ...
    >>> schema_of_function(forecast, name="forecast")["properties"]
    {'city': {'type': 'string', 'description': 'where'}, 'days': {'default': 3, 'type': 'integer'}}
    """
    fields: dict[str, tuple[Any, Any]] = {}
    extra: str | None = None
    for parameter in _schema_parameters(function, name):
        annotation = _resolve_annotation(parameter, function)
        if parameter.name in skip or parameter.kind is parameter.VAR_POSITIONAL or _is_excluded(annotation):
            continue
        required = parameter.default is parameter.empty
        if parameter.kind is parameter.POSITIONAL_ONLY:
            if not required:
                continue
            raise ConfigurationError(
                f"The parameter `{parameter.name}` of `{name}` can be given by position only.",
                hint="Tools are called by name: take the `/` out of the signature.",
            )
        if parameter.kind is parameter.VAR_KEYWORD:
            extra = parameter.name
            annotation = Any if annotation is parameter.empty else annotation
        if annotation is parameter.empty:
            raise ConfigurationError(
                f"The parameter `{parameter.name}` of `{name}` has no type hint.", hint="Write one, such as `: str`."
            )
        if isinstance(annotation, str):
            raise SchemaGenerationError(
                f"The type hint `{annotation}` of the parameter `{parameter.name}` of `{name}` means nothing here.",
                hint="Postponed hints can use what is defined at the top level of the function's module.",
            )
        fields[parameter.name] = (annotation, ... if required else parameter.default)
    schema: dict[str, Any] = _without_titles(_generate_schema(fields, name))
    for parameter_name, (annotation, _) in fields.items():
        if texts := [item for item in getattr(annotation, "__metadata__", ()) if isinstance(item, str)]:
            schema["properties"][parameter_name]["description"] = texts[0]
    if extra is not None:
        _to_additional_properties(schema, extra)
    return schema


def _schema_parameters(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError) as error:
        raise SchemaGenerationError(f"`{name}` has no signature that can be read: {error}") from error


def _resolve_annotation(parameter: inspect.Parameter, function: Any) -> Any:
    """Evaluate one postponed hint; another parameter's hint may exist for type checkers only."""
    if parameter.annotation is parameter.empty:
        return parameter.annotation
    function = inspect.unwrap(getattr(function, "func", function))  # a partial has its function there
    if not inspect.isroutine(function):
        function = type(function).__call__
    function = getattr(function, "__func__", function)

    def holder() -> None: ...

    holder.__annotations__ = {"hint": parameter.annotation}
    try:
        return get_type_hints(holder, globalns=getattr(function, "__globals__", {}), include_extras=True)["hint"]
    except Exception:  # noqa: BLE001 - evaluating a hint can do anything; the caller refuses those that matter
        return parameter.annotation


def _is_excluded(annotation: Any) -> bool:
    """Whether no model can give a value of that type: a callable, or Haystack's State, recognized by its name."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_excluded(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return any(_is_excluded(member) for member in get_args(annotation))
    is_state = isinstance(annotation, type) and annotation.__name__ == "State"
    return annotation is Callable or origin is Callable or (is_state and annotation.__module__.startswith("haystack."))


def _generate_schema(fields: dict[str, tuple[Any, Any]], name: str) -> dict[str, Any]:
    """Generate the schema by pydantic, under aliases, since not every parameter name is a valid field name."""
    from pydantic import Field, create_model
    from pydantic.json_schema import GenerateJsonSchema

    class WithoutWarnings(GenerateJsonSchema):
        # A default that is no JSON is left out of the schema; the function still has it.
        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    definitions: dict[str, Any] = {
        f"field_{number}": (Annotated[annotation, Field(alias=parameter)], default)
        for number, (parameter, (annotation, default)) in enumerate(fields.items())
    }
    try:
        model: Any = create_model(f"arguments of {name}", **definitions)
        schema: dict[str, Any] = model.model_json_schema(schema_generator=WithoutWarnings)
    except Exception as error:
        first = str(error).partition("\n")[0]
        raise SchemaGenerationError(
            f"The signature of `{name}` has no JSON Schema: {first}", hint="Use hints that JSON can express."
        ) from error
    return schema


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
