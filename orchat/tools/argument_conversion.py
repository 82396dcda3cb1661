"""Convert the JSON arguments of a call to the types of a function's hints, by pydantic.

A call is shown and decided about as JSON; only when it runs are its arguments converted, from the very ones that were
shown. Types that run code of their own (validators, ``__post_init__``, ``default_factory``) wait for that moment; all
others, such as a date, are tried before, so that people see that there is no 30th of February.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchat.errors import ConfigurationError
from orchat.tools.function_parameters import FunctionParameters, is_field, read_parameters
from orchat.tools.function_schema import arguments_model

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_MOST_MESSAGES = 20
_NO_CONVERSION = frozenset({"serialization", "metadata"})  # keys of a core schema that say nothing about conversion
_OWN_CODE_FLAGS = ("custom_init", "post_init")
_LIBRARY_MODULES = frozenset({"pydantic", "pydantic_core", "builtins", "_operator"})


class ArgumentConversionError(ConfigurationError):
    """Arguments that cannot be converted.

    Parameters
    ----------
    messages
        What is wrong, each with its place.
    """

    def __init__(self, messages: list[str]) -> None:
        self.messages = messages
        super().__init__("; ".join(messages))


class ArgumentConverter:
    """Converts the arguments of a function; what it has no hint for stays as it is.

    Parameters
    ----------
    function, name, skip
        As of `orchat.tools.function_parameters.read_parameters`.

    Examples
    --------
    >>> import datetime
    >>> def plan(day: datetime.date, ports: set[str]): ...
    >>> converter = ArgumentConverter(plan, name="plan")
    >>> converter.convert({"day": "2026-01-02", "ports": ["Hull", "Hull"]})
    {'day': datetime.date(2026, 1, 2), 'ports': {'Hull'}}
    >>> converter.early_errors({"day": "2026-02-30", "ports": []})
    ['day: Input should be a valid date or datetime, day value is outside expected range']
    """

    def __init__(self, function: Callable[..., Any], *, name: str, skip: Collection[str] = ()) -> None:
        self._name = name
        self._parameters = _hint_of_extra_is_of_all(read_parameters(function, name=name, skip=skip))
        self._model = arguments_model(self._parameters, name=name)

    def convert(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Convert arguments, and add those whose default is pydantic's ``Field(...)``.

        Raises
        ------
        ArgumentConversionError
            A value cannot be converted.
        """
        extra, defaults = self._parameters.extra, self._parameters.defaults
        known = dict(arguments)
        if extra is not None:
            more = {name: known.pop(name) for name in list(known) if name == extra or name not in defaults}
            known[extra] = more
        values = _validated(self._model, known, extra)
        found = {name: value for name, value in known.items() if name not in defaults}
        for number, (name, default) in enumerate(defaults.items()):
            if name in known or is_field(default):
                found[name] = getattr(values, f"field_{number}")
        more = {} if extra is None else found.pop(extra)
        return {**found, **more}

    def early_errors(self, arguments: Mapping[str, Any]) -> list[str]:
        """List the errors that show without running code of the arguments' types."""
        model, names = self._early
        try:
            _validated(model, {name: value for name, value in arguments.items() if name in names})
        except ArgumentConversionError as error:
            return error.messages
        return []

    @functools.cached_property
    def _early(self) -> tuple[type[BaseModel], frozenset[str]]:
        """The model of the parameters whose types run no code of their own, and their names."""
        if not _runs_own_code(self._model):
            model, names = self._model, list(self._parameters.hints)
        else:
            alone = {name: arguments_model(self._selected([name]), name=self._name) for name in self._parameters.hints}
            names = [name for name, model in alone.items() if not _runs_own_code(model)]
            model = arguments_model(self._selected(names), name=self._name)
        return model, frozenset(names) - {self._parameters.extra}

    def _selected(self, names: Collection[str]) -> FunctionParameters:
        hints, defaults = self._parameters.hints, self._parameters.defaults
        return FunctionParameters({name: hints[name] for name in names}, {name: defaults[name] for name in names})


def _hint_of_extra_is_of_all(parameters: FunctionParameters) -> FunctionParameters:
    """Return the parameters with the hint that a dictionary of ``**kwargs`` has."""
    if (extra := parameters.extra) is None:
        return parameters
    hints = {**parameters.hints, extra: dict.__class_getitem__((str, parameters.hints[extra]))}
    return replace(parameters, hints=hints, defaults={**parameters.defaults, extra: {}})


def _validated(model: type[BaseModel], arguments: Mapping[str, Any], extra: str | None = None) -> BaseModel:
    from pydantic import ValidationError

    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        first = error
    except Exception as error:  # of the type's own code
        raise ArgumentConversionError([f"{type(error).__name__}: {error}"]) from error
    try:  # strict types take a date's text only out of JSON
        return model.model_validate_json(json.dumps(arguments))
    except Exception:  # noqa: BLE001 - not JSON, or as wrong as before
        raise ArgumentConversionError(_messages(first, extra)) from first


def _messages(error: ValidationError, extra: str | None) -> list[str]:
    found = []
    for each in error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_MESSAGES]:
        path = each["loc"][1:] if each["loc"][:1] == (extra,) else each["loc"]
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
        found.append(f"{where.removeprefix('.')}: {each['msg']}")
    return found


def _runs_own_code(model: type[BaseModel]) -> bool:
    """Return whether a conversion runs code of neither pydantic nor Python: any function that its core schema holds."""
    open_nodes: list[Any] = [{key: value for key, value in model.__pydantic_core_schema__.items() if key != "cls"}]
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, Mapping):
            if any(node.get(flag) for flag in _OWN_CODE_FLAGS):
                return True
            open_nodes += [value for key, value in node.items() if key not in _NO_CONVERSION]
        elif isinstance(node, list | tuple):
            open_nodes += node
        elif callable(node) and not isinstance(node, type):
            function = node.func if isinstance(node, functools.partial) else node
            module = getattr(inspect.unwrap(function), "__module__", None) or ""
            if module.partition(".")[0] not in _LIBRARY_MODULES:
                return True
    return False
