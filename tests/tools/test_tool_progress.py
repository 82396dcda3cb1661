"""Tools that tell how far they are, in each way that there is; the model and the schema know nothing of it."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from orchat.errors import ConfigurationError, ToolInvocationError
from orchat.tools import (
    ProgressUpdate,
    Tool,
    ToolProgress,
    create_tool_from_function,
    report_progress,
    tool,
    watch_progress,
)

THREE = ["page: 1 of 3", "page: 2 of 3", "page: 3 of 3"]


def by_function(pages: int) -> str:
    """Fetch pages."""
    for number in range(pages):
        report_progress("page", number + 1, pages)
    return "all there"


async def by_function_async(pages: int) -> str:
    """Fetch pages."""
    for number in range(pages):
        await asyncio.sleep(0)
        report_progress("page", number + 1, pages)
    return "all there"


def by_argument(pages: int, progress: ToolProgress) -> str:
    """Fetch pages."""
    for number in range(pages):
        progress("page", number + 1, pages)
    return "all there"


async def by_optional_argument(pages: int, progress: ToolProgress | None = None) -> str:
    """Fetch pages."""
    assert progress is not None
    for number in range(pages):
        progress("page", number + 1, pages)
    return "all there"


def by_generator(pages: int) -> Iterator[Any]:
    """Fetch pages."""
    for number in range(pages):
        yield ProgressUpdate("page", number + 1, pages) if number else f"page: 1 of {pages}"
    return "all there"


WAYS = [by_function, by_function_async, by_argument, by_optional_argument, by_generator]


@pytest.mark.parametrize("function", WAYS)
@pytest.mark.parametrize("invoked", ["sync", "async"])
def test_a_tool_tells_how_far_it_is(function: Any, invoked: str) -> None:
    made = create_tool_from_function(function)
    assert list(made.parameters["properties"]) == ["pages"]
    for each in (made, copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        told: list[str] = []
        with watch_progress(lambda update, told=told: told.append(str(update))):
            result = each.invoke(pages=3) if invoked == "sync" else asyncio.run(each.invoke_async(pages=3))
        assert (result, told) == ("all there", THREE)
    report_progress("nobody watches")


def test_a_generator_without_a_tool_of_its_own_schema_too() -> None:
    told: list[str] = []
    with watch_progress(lambda update: told.append(str(update))):
        assert Tool("pages", "", {"type": "object"}, by_generator).invoke(pages=3) == "all there"
        assert (
            Tool("pages", "", {"type": "object"}, lambda: iter([1])).invoke().__next__() == 1
        )  # no generator function
    assert told == THREE


def test_a_generator_that_fails_is_a_failure() -> None:
    def fails() -> Iterator[str]:
        """Fail."""
        yield "begun"
        raise OSError("no line")

    with pytest.raises(ToolInvocationError, match="no line"):
        create_tool_from_function(fails).invoke()


def test_an_async_generator_is_refused() -> None:
    async def pages() -> Any:
        """Fetch pages."""
        yield 1

    with pytest.raises(ConfigurationError, match="`pages` is an async generator"):
        create_tool_from_function(pages)


def test_what_a_generator_without_a_result_yields_is_its_result() -> None:
    @tool
    def rows(count: int) -> Iterator[dict[str, int]]:
        """Make rows."""
        for number in range(count):
            yield {"row": number}

    assert rows.invoke(count=2) == [{"row": 0}, {"row": 1}]
    assert rows.invoke(count=0) is None
    assert len(rows.invoke(count=5_000)) == 1_000
