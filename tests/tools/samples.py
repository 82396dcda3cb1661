"""Functions, methods and tools under known paths, as a user's module would have them."""

from __future__ import annotations

import functools
import os as re_exported_module  # noqa: F401
from enum import Enum
from os import getcwd as re_exported_function  # noqa: F401
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel

from orchat.tools import Tool, Toolset, tool

if TYPE_CHECKING:
    from decimal import Decimal

PATH = "tests.tools.samples"


def shout(value: Any) -> str:
    return str(value).upper()


async def wait_for(text: str) -> str:
    """Return the text, later."""
    return text


def weather(city: Annotated[str, "where"], days: int = 3) -> str:
    """Tell the weather."""
    return f"{city}: {days} days of rain"


def typed_for_checkers_only(city: str, ignored: Decimal) -> Decimal:
    raise NotImplementedError


class Unit(Enum):
    """A unit."""

    CELSIUS = "C"
    FAHRENHEIT = "F"


class Place(BaseModel):
    """A place."""

    title: str
    size: int = 1


class Maker:
    @classmethod
    def make(cls, text: str) -> str:
        return cls.__name__ + text

    @staticmethod
    def plain(text: str) -> str:
        return text

    def method(self, text: str) -> str:
        return text

    def __call__(self, text: str) -> str:
        return text

    @tool
    def decorated_inside(text: str) -> str:
        return text

    class Inner:
        @staticmethod
        def deep() -> str:
            return "deep"


class Heir(Maker):
    pass


class AsyncCaller:
    async def __call__(self, text: str) -> str:
        return text


@tool
def decorated(text: str) -> str:
    """Return the text."""
    return text


@tool
async def decorated_async(text: str) -> str:
    """Return the text."""
    return text


class OwnTool(Tool):
    pass


class Remote(Toolset):
    """Saved by address, not by its tools."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__([decorated])

    def to_dict(self) -> dict[str, Any]:
        return {"type": f"{PATH}.Remote", "data": {"address": self.address}}

    @classmethod
    def from_dict(cls, data: Any) -> Remote:
        return cls(data["data"]["address"])


instance = Maker()
lambda_ = lambda text: text  # noqa: E731
partial = functools.partial(weather, days=1)
number = 3
cached = functools.lru_cache(shout)
