"""Read the parameters of a function that is to be a tool: those that a model may give, with their hints and defaults.

Postponed hints are evaluated here, and functions that no model could call are refused. Nothing here needs pydantic.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from orchat.errors import ConfigurationError, SchemaGenerationError
from orchat.tools.tool_progress import ToolProgress

REQUIRED: Any = ...
"""The default of a parameter that has none, as pydantic writes it."""


@dataclass(frozen=True)
class FunctionParameters:
    """The parameters of a function that a model may give.

    Parameters
    ----------
    hints
        The type hint of each.
    defaults
        Of each its default, which may be pydantic's ``Field(...)``, or `REQUIRED`.
    extra
        The name of ``**kwargs``, which stands among the hints too; None without one.
    """

    hints: Mapping[str, Any]
    defaults: Mapping[str, Any]
    extra: str | None = None


def read_parameters(function: Callable[..., Any], *, name: str, skip: Collection[str] = ()) -> FunctionParameters:
    """Read a function's parameters.

    Left out are ``skip``, ``*args``, optional positional-only parameters (arguments go by name), parameters typed as
    Haystack's State or `orchat.tools.ToolProgress`, and optional ones typed as functions, which no model can give.

    Raises
    ------
    ConfigurationError
        A parameter has no hint, must be given by position, or must be a function.
    SchemaGenerationError
        There is no signature, or a hint means nothing.

    Examples
    --------
    >>> def forecast(city: str, days: int = 3): ...
    >>> read_parameters(forecast, name="forecast").hints
    {'city': <class 'str'>, 'days': <class 'int'>}
    """
    hints: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    extra: str | None = None
    parameters = _signature(function, name)
    if parameters and all(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        raise ConfigurationError(
            f"`{name}` takes its arguments by position only (`*{parameters[0].name}`), and tools are called by name.",
            hint="Write a function with named parameters around it, such as `def f(numbers: list[int])`.",
        )
    for parameter in parameters:
        hint = _evaluated_hint(parameter, function)
        if parameter.name in skip or parameter.kind is parameter.VAR_POSITIONAL:
            continue
        required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        if _is_function_type(hint) and required:
            raise ConfigurationError(
                f"The parameter `{parameter.name}` of `{name}` is a function, which no model can give.",
                hint="Give it a default, or fix it with functools.partial.",
            )
        if _is_function_type(hint) or _is_state(hint) or _is_progress(hint):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            if not required:
                continue
            raise ConfigurationError(
                f"The parameter `{parameter.name}` of `{name}` can be given by position only.",
                hint="Tools are called by name: take the `/` out of the signature.",
            )
        if parameter.kind is parameter.VAR_KEYWORD:
            extra = parameter.name
            hint = Any if hint is parameter.empty else hint
        if hint is parameter.empty:
            raise ConfigurationError(
                f"The parameter `{parameter.name}` of `{name}` has no type hint.", hint="Write one, such as `: str`."
            )
        if isinstance(hint, str):
            raise SchemaGenerationError(
                f"The type hint `{hint}` of the parameter `{parameter.name}` of `{name}` means nothing here.",
                hint="Postponed hints can use what is defined at the top level of the function's module.",
            )
        hints[parameter.name] = hint
        defaults[parameter.name] = _default_in(hint) if parameter.default is parameter.empty else parameter.default
    return FunctionParameters(hints, defaults, extra)


def progress_parameter(function: Callable[..., Any]) -> str | None:
    """Return the name of a function's parameter for progress; None without one.

    Examples
    --------
    >>> def fetch(pages: int, report: ToolProgress): ...
    >>> progress_parameter(fetch)
    'report'
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # some builtins have no signature
        return None
    return next((each.name for each in parameters if _is_progress(_evaluated_hint(each, function))), None)


def is_field(default: object) -> bool:
    """Return whether a default is pydantic's ``Field(...)``, which describes the value instead of being it.

    Examples
    --------
    >>> from pydantic import Field
    >>> is_field(Field(3)), is_field(3)
    (True, False)
    """
    pydantic_fields = sys.modules.get("pydantic.fields")  # without it there can be none
    return pydantic_fields is not None and isinstance(default, pydantic_fields.FieldInfo)


def _signature(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError) as error:
        raise SchemaGenerationError(
            f"`{name}` has no signature that can be read: {error}", hint="Write a function with type hints around it."
        ) from error


def _evaluated_hint(parameter: inspect.Parameter, function: Any) -> Any:
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


def _default_in(hint: Any) -> Any:
    """Return the ``Field(...)`` of ``Annotated[type, Field(default=...)]``, else `REQUIRED`."""
    for item in getattr(hint, "__metadata__", ()):
        if is_field(item) and not item.is_required():
            return item
    return REQUIRED


def _is_function_type(hint: Any) -> bool:
    return _has_member(hint, lambda member: member is Callable or get_origin(member) is Callable)


def _is_state(hint: Any) -> bool:
    """Whether a hint is Haystack's State, recognized by its name."""
    return _has_member(
        hint,
        lambda member: (
            isinstance(member, type) and member.__name__ == "State" and member.__module__.startswith("haystack.")
        ),
    )


def _is_progress(hint: Any) -> bool:
    return _has_member(hint, lambda member: member is ToolProgress)


def _has_member(hint: Any, is_meant: Callable[[Any], bool]) -> bool:
    """Whether a hint, or a member of a union, is meant."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _has_member(get_args(hint)[0], is_meant)
    if origin in (Union, types.UnionType):
        return any(_has_member(member, is_meant) for member in get_args(hint))
    return is_meant(hint)
