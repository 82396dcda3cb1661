"""`Tool`: a function that a model may call, with its name, description and parameter schema.

The module is not called after its class because ``orchat.tools.tool`` is the decorator.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import operator
import pkgutil
import re
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from orchat.errors import ConfigurationError, SerializationError, ToolInvocationError
from orchat.secrets import redact
from orchat.tools import output_mappings
from orchat.tools.argument_coercion import CoercedArguments, coerce_arguments
from orchat.tools.argument_conversion import ArgumentConversionError, ArgumentConverter
from orchat.tools.function_parameters import progress_parameter
from orchat.tools.function_schema import is_schema_of_function
from orchat.tools.import_path import import_path_of, resolve_import_path
from orchat.tools.schema_validation import check_schema, validation_errors
from orchat.tools.tool_adoption import adopted_fields
from orchat.tools.tool_progress import ToolProgress, run_generator

_FUNCTION_FIELDS = ("function", "async_function")
_UNSAVED_FIELDS = ("preview",)  # runs without anybody's approval, so that no dictionary may name it
_DERIVED_FIELDS = ("typed",)  # `from_dict` finds out, and Haystack's dictionaries have it not
_CACHED = frozenset({"_converter", "_progress", "_is_generator"})
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass
class Tool:
    """A function that a model may ask to be called.

    Parameters
    ----------
    name
        What the model calls it: 1 to 64 letters, digits, ``_`` and ``-``, or providers refuse the request.
    description
        What it does; the model decides by this when to use it.
    parameters
        JSON Schema of the arguments, in the dialect that its ``$schema`` names; 2020-12 without one.
    function
        The function to run; arguments are passed by name. What a generator yields is progress, and what it returns the
        result.
    outputs_to_string
        How the result becomes text: ``{"source"?, "handler"?, "raw_result"?}``, or several
        ``{key: {"source", "handler"?}}``.
    inputs_from_state
        State keys to parameters that are filled from them.
    outputs_to_state
        State keys to ``{"source"?, "handler"?}``.
    async_function
        The same as a coroutine function. One of the two is needed; with both, `invoke` uses ``function`` and
        `invoke_async` uses ``async_function``.
    title
        What people read beside the name when a call is asked about, such as "Send a mail"; no model is told.
    preview
        A function of the same arguments that returns what a call would do, as a short text in Markdown. People see it
        before they decide. It must be quick and change nothing, and is called only with arguments that fit.
    typed
        Whether JSON arguments are converted to the types of the function's hints, as `orchat.tools.tool` has it.

    Raises
    ------
    ConfigurationError
        There is no function or one of the wrong kind, the parameters are no JSON Schema, or a configuration is wrong.
    TypeError
        A value has the wrong type.

    Examples
    --------
    >>> schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    >>> length = Tool("length", "Count characters.", schema, lambda text: len(text))
    >>> length.invoke(text="four")
    4
    >>> length.validate_arguments({"text": 4})
    ['text: 4 is not of type "string"']
    """

    name: str
    description: str
    parameters: dict[str, Any]
    function: Callable[..., Any] | None = None
    outputs_to_string: dict[str, Any] | None = None
    inputs_from_state: dict[str, str] | None = None
    outputs_to_state: dict[str, dict[str, Any]] | None = None
    async_function: Callable[..., Any] | None = None
    title: str | None = field(default=None, kw_only=True)
    preview: Callable[..., str] | None = field(default=None, kw_only=True)
    typed: bool = field(default=False, kw_only=True, compare=False)

    asks_always: ClassVar[bool] = False
    """Whether each call needs a decision of its own, whatever a policy lets run; a class says so, never data."""

    def __post_init__(self) -> None:
        for attribute in ("name", "description"):
            if not isinstance(getattr(self, attribute), str):
                raise TypeError(f"A tool's {attribute} must be a text, not {getattr(self, attribute)!r}.")
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"{self.name!r:.100} is no name for a tool: providers take 1 to 64 letters, digits, _ and - (ASCII).",
                hint="Give another name, such as name='high_tide'.",
            )
        if self.function is None and self.async_function is None:
            raise ConfigurationError(f"The tool `{self.name}` needs a `function` or an `async_function`.")
        if self.function is not None and not callable(self.function):
            raise TypeError(f"The `function` of the tool `{self.name}` is not callable.")
        if inspect.iscoroutinefunction(self.function):
            raise ConfigurationError(
                f"The `function` of the tool `{self.name}` is a coroutine function.",
                hint="Give it as `async_function`.",
            )
        if self.async_function is not None and not inspect.iscoroutinefunction(self.async_function):
            raise ConfigurationError(
                f"The `async_function` of the tool `{self.name}` is no coroutine function.",
                hint="Define it with `async def`, or give it as `function`.",
            )
        if self.title is not None and not isinstance(self.title, str):
            raise TypeError(f"A tool's title must be a text, not {self.title!r}.")
        if self.preview is not None and not callable(self.preview):
            raise TypeError(f"The `preview` of the tool `{self.name}` is not callable.")
        if inspect.iscoroutinefunction(self.preview):
            raise ConfigurationError(
                f"The `preview` of the tool `{self.name}` is a coroutine function.", hint="Define it with `def`."
            )
        check_schema(self.parameters, what=f"The `parameters` dictionary of the tool `{self.name}`")
        if self.outputs_to_state is not None:
            output_mappings.check_outputs_to_state(self.outputs_to_state)
        if self.outputs_to_string is not None:
            output_mappings.check_outputs_to_string(self.outputs_to_string)
        if self.inputs_from_state is not None:
            output_mappings.check_inputs_from_state(self.inputs_from_state, self._parameter_names())

    def _parameter_names(self) -> set[str] | None:
        """Return the parameter names of function and schema; None for a function that takes any name."""
        names = set(self.parameters.get("properties", {}))
        try:
            parameters = inspect.signature(self._function).parameters
        except (ValueError, TypeError):  # some builtins have no signature
            return names
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            return None
        return names | set(parameters)

    @property
    def _function(self) -> Callable[..., Any]:
        function = self.function or self.async_function
        assert function is not None
        return function

    @property
    def is_deferred(self) -> bool:
        """Whether requests leave the tool out for now, until a search has found it."""
        return False

    @property
    def is_bound_to_loop(self) -> bool:
        """Whether it must run on the loop of the code that gave the tool: what it awaits may belong to that loop."""
        return self.async_function is not None

    @property
    def tool_spec(self) -> dict[str, Any]:
        """The tool's description for the model: name, description and parameters."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}

    def validate_arguments(self, arguments: object) -> list[str]:
        """List the errors of arguments, each with its place; an empty list means they fit.

        The arguments of a tool call come from a model: check them before `invoke`, which does not check the schema.
        """
        if not isinstance(arguments, dict):
            return [f"the arguments must be a JSON object, not a {type(arguments).__name__}"]
        errors = validation_errors(self.parameters, arguments)
        return errors or (self._converter.early_errors(arguments) if self.typed else [])

    def convert_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that the function is called with: of a typed tool the converted ones.

        Raises
        ------
        ArgumentConversionError
            A value cannot be converted (a ValueError).

        Examples
        --------
        >>> import datetime
        >>> def plan(day: datetime.date) -> None: ...
        >>> schema = {"properties": {"day": {"type": "string", "format": "date"}}}
        >>> Tool("plan", "Plan.", schema, plan, typed=True).convert_arguments({"day": "2026-01-02"})
        {'day': datetime.date(2026, 1, 2)}
        """
        return self._converter.convert(arguments) if self.typed else dict(arguments)

    @functools.cached_property
    def _converter(self) -> ArgumentConverter:
        return ArgumentConverter(self._function, name=self.name, skip=(self.inputs_from_state or {}).values())

    def coerce_arguments(self, arguments: dict[str, Any]) -> CoercedArguments:
        """Mend a model's arguments whose types are wrong, where that can be done in one way only.

        The rule is that of `orchat.tools.argument_coercion`; the given arguments are not modified.

        Examples
        --------
        >>> schema = {"properties": {"count": {"type": "integer"}}}
        >>> Tool("count", "Count.", schema, lambda count: count).coerce_arguments({"count": "5"}).values
        {'count': 5}
        """
        return coerce_arguments(self.parameters, arguments)

    @functools.cached_property
    def _progress(self) -> dict[str, ToolProgress]:
        name = progress_parameter(self._function)
        return {} if name is None else {name: ToolProgress()}

    @functools.cached_property
    def _is_generator(self) -> bool:
        return inspect.isgeneratorfunction(inspect.unwrap(self._function))

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function as if it had not been decorated: positional arguments, its own exceptions, a coroutine."""
        return self._function(*args, **kwargs)

    def invoke(self, /, **kwargs: Any) -> Any:
        """Run the tool in this thread, and return its result.

        Raises
        ------
        ToolInvocationError
            The function raised, the arguments of a typed tool cannot be converted, or it is asynchronous and an event
            loop is running here.
        """
        try:
            result = self._call(kwargs)
            return self._run(result) if inspect.iscoroutine(result) else result
        except ToolInvocationError:
            raise
        except Exception as error:
            raise self._invocation_error(kwargs, error) from error

    async def invoke_async(self, /, **kwargs: Any) -> Any:
        """Run the tool, and return its result; a synchronous function runs in a thread of its own.

        A coroutine that a synchronous function returns is awaited here, on the caller's event loop.

        Raises
        ------
        ToolInvocationError
            The function raised, or the arguments of a typed tool cannot be converted.
        """
        try:
            if self.async_function is None:
                result = await asyncio.to_thread(self._call, kwargs)
                return await result if inspect.iscoroutine(result) else result
            if (warm_up_async := getattr(self, "warm_up_async", None)) is not None:
                await warm_up_async()
            elif (warm_up := getattr(self, "warm_up", None)) is not None:
                warm_up()
            return await self.async_function(**self.convert_arguments(kwargs), **self._progress)
        except Exception as error:
            if (failure := self._invocation_error(kwargs, error)) is error:
                raise
            raise failure from error

    def _call(self, arguments: Mapping[str, Any]) -> Any:
        """Call the function; the result may be a coroutine. A StopIteration must not leave the thread that this is."""
        try:
            if (warm_up := getattr(self, "warm_up", None)) is not None:
                warm_up()
            result = self._function(**self.convert_arguments(arguments), **self._progress)
            return run_generator(result) if inspect.isgenerator(result) and self._is_generator else result
        except Exception as error:
            raise self._invocation_error(arguments, error) from error

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(coroutine)
        coroutine.close()
        raise ToolInvocationError(
            f"The tool `{self.name}` is asynchronous, and an event loop is already running here.",
            tool_name=self.name,
            hint="Use `await tool.invoke_async(...)`.",
        )

    def _invocation_error(self, arguments: Mapping[str, Any], error: Exception) -> ToolInvocationError:
        if isinstance(error, ToolInvocationError) and error.tool_name == self.name:
            return error
        shown = _truncate(repr(dict(arguments)), 500)
        ran = not isinstance(error, ArgumentConversionError)
        cause = _truncate(f"{type(error).__name__}: {error}" if ran else f"they do not fit: {error}", 2000)
        text = f"The tool `{self.name}` {'failed' if ran else 'did not run'} when called with {shown}: {cause}"
        return ToolInvocationError(redact(text), tool_name=self.name)

    def to_dict(self) -> dict[str, Any]:
        """Serialize the tool to Haystack's dictionary form with our type; functions become import paths.

        A title is in it where there is one; a preview is not, for nothing that comes out of a file runs unasked.

        Raises
        ------
        SerializationError
            A function or handler has no path (`orchat.tools.import_path`).
        """
        unsaved = (*_UNSAVED_FIELDS, *_DERIVED_FIELDS)
        data = {each.name: getattr(self, each.name) for each in fields(Tool) if each.name not in unsaved}
        if data["title"] is None:  # Haystack's tools have none
            del data["title"]
        for name in _FUNCTION_FIELDS:
            data[name] = None if data[name] is None else import_path_of(data[name])
        for name in ("outputs_to_string", "outputs_to_state"):
            if data[name] is not None:
                data[name] = output_mappings.convert_handlers(
                    data[name], import_path_of, several=name == "outputs_to_state"
                )
        cls = type(self)
        type_name = "orchat.tools.Tool" if cls is Tool else f"{cls.__module__}.{cls.__qualname__}"
        return {"type": type_name, "data": copy.deepcopy(data)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tool:
        """Restore a tool from `to_dict`'s form, ours or Haystack's, old ones included; ``data`` is not modified.

        It is typed where its parameters are those of its function's hints, so that it was made of that function.

        Raises
        ------
        SerializationError
            A path may not be loaded (`orchat.tools.allow_modules`), or there is no ``data`` dictionary.
        TypeError, ConfigurationError
            As of the constructor.
        """
        if not isinstance(inner := data.get("data"), Mapping):
            raise SerializationError("The dictionary of a tool needs a dictionary under `data`.")
        values = copy.deepcopy(dict(inner))
        if found := [name for name in _UNSAVED_FIELDS if values.get(name) is not None]:
            raise SerializationError(f"The dictionary of a tool must not name a `{found[0]}`.", hint="Set it in code.")
        for name in _FUNCTION_FIELDS:
            if values.get(name) is not None:
                values[name] = resolve_import_path(values[name])
        for name in ("outputs_to_string", "outputs_to_state"):
            if isinstance(config := values.get(name), Mapping):
                values[name] = output_mappings.convert_handlers(
                    config, resolve_import_path, several=name == "outputs_to_state"
                )
        restored = cls(**values)
        skip = (restored.inputs_from_state or {}).values()
        restored.typed = restored.typed or is_schema_of_function(restored.parameters, restored._function, skip)
        return restored

    @staticmethod
    def adopt(other: object) -> Tool:
        """Convert an object with the interface of a tool, such as Haystack's, to a `Tool`; a Tool is returned as it is.

        Raises
        ------
        TypeError
            It has not: a name, a description, a parameters dictionary and a function.
        """
        if isinstance(other, Tool):
            return other
        return Tool(**adopted_fields(other))

    def __getstate__(self) -> dict[str, Any]:
        """Make a decorated function picklable: its module has the tool under its name, which pickle would refuse."""
        state = {name: value for name, value in self.__dict__.items() if name not in _CACHED}
        for name in _FUNCTION_FIELDS:
            function = state[name]
            try:
                found = operator.attrgetter(function.__qualname__)(sys.modules[function.__module__])
            except (AttributeError, KeyError):
                continue
            if isinstance(found, Tool) and getattr(found, name) is function:
                state[name] = f"{function.__module__}:{function.__qualname__}.{name}"
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name in _FUNCTION_FIELDS:
            if isinstance(state[name], str):
                state = {**state, name: pkgutil.resolve_name(state[name])}
        self.__dict__.update(state)


def _truncate(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 4] + " ..."
