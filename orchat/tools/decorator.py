"""`tool` and `create_tool_from_function`: make a `Tool` of a typed function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, overload

from orchat.errors import ConfigurationError
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

    A tool may tell people how far it is: by `orchat.tools.report_progress`, by a parameter of the type
    `orchat.tools.ToolProgress`, or by what a generator yields.

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
    if inspect.isasyncgenfunction(inspect.unwrap(function)):
        raise ConfigurationError(
            f"`{own_name}` is an async generator, which has no result.",
            hint="Return the result, and report progress by a parameter of the type orchat.tools.ToolProgress.",
        )
    is_async = inspect.iscoroutinefunction(function)
    return Tool(
        name=name or own_name,
        description=description if description is not None else inspect.cleandoc(plain.__doc__ or ""),
        parameters=schema_of_function(function, name=own_name, skip=(inputs_from_state or {}).values()),
        function=None if is_async else function,
        async_function=function if is_async else None,
        inputs_from_state=inputs_from_state,
        outputs_to_state=outputs_to_state,
        outputs_to_string=outputs_to_string,
        title=title,
        preview=preview,
        typed=True,
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

    The tool can still be called like the function, with any arguments. When a model calls it, the arguments are JSON:
    they are checked against the schema of the type hints, shown, decided about, and then converted to these types. A
    hint may be anything that pydantic can convert, classes of your own included (here ``Place`` is a pydantic model,
    ``Spot`` a dataclass, ``Route`` a TypedDict, ``Point`` a NamedTuple, ``Kind`` an Enum)::

        hint                     | a model gives              | the function gets
        str                      | "Hull"                     | "Hull"
        int                      | 3.0                        | 3
        float                    | 3                          | 3.0
        bool                     | true                       | True
        None                     | null                       | None
        Any                      | [1, "a"]                   | [1, "a"]
        object                   | {"a": 1}                   | {"a": 1}
        list                     | [1, "a"]                   | [1, "a"]
        list[int]                | [1, 2.0]                   | [1, 2]
        dict                     | {"a": 1}                   | {"a": 1}
        dict[str, float]         | {"a": 1}                   | {"a": 1.0}
        dict[int, str]           | {"1": "a"}                 | {1: "a"}
        dict[date, int]          | {"2026-01-02": 1}          | {date(2026, 1, 2): 1}
        tuple[int, str]          | [1, "a"]                   | (1, "a")
        tuple[int, ...]          | [1, 2]                     | (1, 2)
        tuple[date, Decimal]     | ["2026-01-02", "0.10"]     | (date(2026, 1, 2), Decimal("0.10"))
        set[int]                 | [1, 2]                     | {1, 2}
        frozenset[str]           | ["a"]                      | frozenset({"a"})
        deque[int]               | [1, 2]                     | deque([1, 2])
        Sequence[int]            | [1, 2]                     | [1, 2]
        Mapping[str, int]        | {"a": 1}                   | {"a": 1}
        Counter[str]             | {"a": 2}                   | Counter({"a": 2})
        defaultdict[str, list[int]] | {"a": [1]}                 | defaultdict(list, {"a": [1]})
        OrderedDict[str, int]    | {"a": 1}                   | OrderedDict([("a", 1)])
        int | str                | "3"                        | "3"
        date | None              | "2026-01-02"               | date(2026, 1, 2)
        Optional[int]            | null                       | None
        Literal["a", 1, None, True] | 1                          | 1
        date                     | "2026-01-02"               | date(2026, 1, 2)
        datetime                 | "2026-01-02T10:30:00"      | datetime(2026, 1, 2, 10, 30)
        AwareDatetime            | "2026-01-02T10:30:00Z"     | datetime(2026, 1, 2, 10, 30, tzinfo=UTC)
        time                     | "10:30"                    | time(10, 30)
        timedelta                | "PT90S"                    | timedelta(seconds=90)
        Decimal                  | "19.90"                    | Decimal("19.90")
        Decimal                  | 19.9                       | Decimal("19.9")
        Fraction                 | "1/3"                      | Fraction(1, 3)
        complex                  | "1+2j"                     | (1+2j)
        UUID                     | "12345678-1234-5678-1234-567812345678" | UUID("12345678-1234-5678-1234-567812345678")
        Path                     | "data/tides.csv"           | Path("data/tides.csv")
        PurePosixPath            | "data/tides.csv"           | PurePosixPath("data/tides.csv")
        bytes                    | "Hull"                     | b"Hull"
        Base64Bytes              | "SHVsbA=="                 | b"Hull"
        re.Pattern               | "a+"                       | re.compile("a+")
        ZoneInfo                 | "Europe/London"            | ZoneInfo("Europe/London")
        IPv4Address              | "127.0.0.1"                | IPv4Address("127.0.0.1")
        IPv6Address              | "::1"                      | IPv6Address("::1")
        IPv4Network              | "10.0.0.0/8"               | IPv4Network("10.0.0.0/8")
        IPv4Interface            | "10.0.0.1/8"               | IPv4Interface("10.0.0.1/8")
        HttpUrl                  | "https://example.org"      | HttpUrl("https://example.org/")
        SecretStr                | "hidden"                   | SecretStr("hidden")
        ByteSize                 | "2KB"                      | ByteSize(2000)
        Json[list[int]]          | "[1, 2]"                   | [1, 2]
        Kind                     | "river"                    | Kind.RIVER
        Level                    | 2                          | Level.HIGH
        Tone                     | "warm"                     | Tone.WARM
        Rights                   | 2                          | Rights.WRITE
        set[Kind]                | ["sea"]                    | {Kind.SEA}
        Point                    | [1, 2]                     | Point(x=1, y=2)
        Pair                     | [1, 2]                     | Pair(a=1, b=2)
        Route                    | {"stops": ["2026-01-02"]}  | {"stops": [date(2026, 1, 2)]}
        Spot                     | {"name": "Hull", "since": "2026-01-02"} | Spot(name="Hull", since=date(2026, 1, 2))
        Place                    | {"name": "Hull"}           | Place(name="Hull", since=None)
        Strict                   | {"day": "2026-01-02"}      | Strict(day=date(2026, 1, 2))
        list[Place]              | [{"name": "Hull"}]         | [Place(name="Hull", since=None)]
        dict[str, Spot]          | {"a": {"name": "Hull"}}    | {"a": Spot(name="Hull", since=None)}
        Place | int              | {"name": "Hull"}           | Place(name="Hull", since=None)
        Tree                     | {"n": 1, "below": [{"n": 2}]} | Tree(n=1, below=[Tree(n=2, below=[])])
        Gen[date]                | {"item": "2026-01-02"}     | Gen[date](item=date(2026, 1, 2))
        Names                    | ["Hull"]                   | Names(root=["Hull"])
        Annotated[Cat | Dog, Field(discriminator="kind")] | {"kind": "dog"}            | Dog(kind="dog")
        PositiveInt              | 3                          | 3
        StrictInt                | 3                          | 3
        Port                     | "Hull"                     | "Hull"

    No model can give a function, so that a parameter of that type needs a default; an array or a frame is best built
    inside the tool, of lists or of a path.

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
