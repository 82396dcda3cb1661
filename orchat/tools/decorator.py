"""`tool` and `create_tool_from_function`: make a `Tool` of a typed function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, overload

from orchat.tools.definition import Tool
from orchat.tools.function_schema import schema_of_function


def create_tool_from_function(
    function: Callable[..., Any],
    name: str | None = None,
    description: str | None = None,
    inputs_from_state: dict[str, str] | None = None,
    outputs_to_state: dict[str, dict[str, Any]] | None = None,
    outputs_to_string: dict[str, Any] | None = None,
    *,
    title: str | None = None,
    preview: Callable[..., str] | None = None,
) -> Tool:
    """Make a `Tool` of a function, with a parameter schema from its type hints.

    ``Annotated[type, "text"]`` or ``Annotated[type, Field(description="text")]`` describes a parameter.
    ``**kwargs`` lets the model add arguments; ``*args`` is left out, for arguments go by name.

    A hint in a parameter's schema chooses its field in a notebook's form:
    ``Annotated[str, Field(json_schema_extra={"x-orchat": {"widget": "code"}})]`` is for code, ``"textarea"`` for long
    text.

    Parameters
    ----------
    function
        With a type hint on every parameter; a coroutine function becomes the tool's ``async_function``.
    name
        What the model calls it; otherwise the function's name.
    description
        What it does; otherwise the docstring.
    inputs_from_state, outputs_to_state, outputs_to_string
        As for `Tool`. Parameters that are filled from state are not shown to the model.
    title, preview
        What people are told before they decide about a call, as for `Tool`.

    Raises
    ------
    ConfigurationError
        A parameter has no type hint, or can be given by position only.
    SchemaGenerationError
        A type has no JSON Schema.

    Examples
    --------
    >>> def forecast(city: str, days: int = 3) -> str:
    ...     "Tell the weather."
    ...     return f"{days} days of rain in {city}"
    >>> forecast_tool = create_tool_from_function(forecast, name="weather")
    >>> forecast_tool.tool_spec["parameters"]["required"]
    ['city']
    """
    if isinstance(function, Tool):  # a notebook cell that decorates by assignment, run again
        function = function.function or function.async_function or function
    plain: Any = function.func if isinstance(function, functools.partial) else function
    own_name: str = getattr(plain, "__name__", type(plain).__name__)
    if not inspect.iscoroutinefunction(function) and inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        function = plain.__call__
    is_async = inspect.iscoroutinefunction(function)
    return Tool(
        name=name or own_name,
        description=description if description is not None else (plain.__doc__ or ""),
        parameters=schema_of_function(function, name=own_name, skip=(inputs_from_state or {}).values()),
        function=None if is_async else function,
        async_function=function if is_async else None,
        inputs_from_state=inputs_from_state,
        outputs_to_state=outputs_to_state,
        outputs_to_string=outputs_to_string,
        title=title,
        preview=preview,
    )


@overload
def tool(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    inputs_from_state: dict[str, str] | None = None,
    outputs_to_state: dict[str, dict[str, Any]] | None = None,
    outputs_to_string: dict[str, Any] | None = None,
    title: str | None = None,
    preview: Callable[..., str] | None = None,
) -> Tool: ...
@overload
def tool(
    function: None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    inputs_from_state: dict[str, str] | None = None,
    outputs_to_state: dict[str, dict[str, Any]] | None = None,
    outputs_to_string: dict[str, Any] | None = None,
    title: str | None = None,
    preview: Callable[..., str] | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    inputs_from_state: dict[str, str] | None = None,
    outputs_to_state: dict[str, dict[str, Any]] | None = None,
    outputs_to_string: dict[str, Any] | None = None,
    title: str | None = None,
    preview: Callable[..., str] | None = None,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Decorate a function to make it a `Tool`, bare or with the keywords of `create_tool_from_function`.

    The tool can still be called like the function.

    Examples
    --------
    >>> @tool
    ... def add(a: int, b: int) -> int:
    ...     "Add two numbers."
    ...     return a + b
    >>> add.description, add(2, 3)
    ('Add two numbers.', 5)
    >>> @tool(name="minus")
    ... def subtract(a: int, b: int) -> int: return a - b
    >>> subtract.name
    'minus'

    What people see of a call before they decide:

    >>> @tool(title="Send a mail", preview=lambda to, text: f"Mails **{len(text)}** characters to {to}.")
    ... def send(to: str, text: str) -> None: ...
    >>> send.title, send.preview(to="Zoë", text="Hi")
    ('Send a mail', 'Mails **2** characters to Zoë.')
    """
    make = functools.partial(
        create_tool_from_function,
        name=name,
        description=description,
        inputs_from_state=inputs_from_state,
        outputs_to_state=outputs_to_state,
        outputs_to_string=outputs_to_string,
        title=title,
        preview=preview,
    )
    return make if function is None else make(function)


def as_tools(tools: Any) -> Any:
    """Convert the plain functions and methods of a ``tools`` argument to tools; all else is unchanged.

    Raises
    ------
    ConfigurationError
        A function's parameters lack type hints (a ValueError).

    Examples
    --------
    >>> def tide(port: str) -> str:
    ...     "Say when the tide is high."
    ...     return "14:10"
    >>> [tool.name for tool in as_tools([tide])]
    ['tide']
    """
    if not isinstance(tools, list | tuple):
        return tools
    return [create_tool_from_function(each) if inspect.isroutine(each) else each for each in tools]
