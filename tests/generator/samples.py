"""What generators of these tests are built from: importable, as a saved generator needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel

from orchat.streaming import StreamingChunk
from orchat.tools import Tool, Toolset

PATH = "tests.generator.samples"
TIDE_SCHEMA = {
    "type": "object",
    "properties": {
        "port": {"type": "string", "description": "Where"},
        "when": {"type": "object", "properties": {"hour": {"type": "integer"}}},
    },
    "required": ["port"],
}


class River(BaseModel):
    """A river."""

    name: str
    length: int


def tide(port: str, when: dict[str, int] | None = None) -> str:
    """Tell a tide."""
    return f"{port}: 14:10"


def on_chunk(chunk: StreamingChunk) -> None:
    """A callback that can be saved."""


async def on_chunk_async(chunk: StreamingChunk) -> None:
    """An async one."""


def tide_tool(name: str = "tide") -> Tool:
    """A tool with a nested schema."""
    return Tool(name, "Tell a tide.", TIDE_SCHEMA, tide)


def toolset(*names: str) -> Toolset:
    """Several tools."""
    return Toolset([tide_tool(name) for name in names])


def names_of(body: dict[str, Any]) -> list[str]:
    """The tools in a request's body."""
    return [tool["function"]["name"] for tool in body.get("tools", [])]


@contextmanager
def allowed(monkeypatch: Any) -> Iterator[None]:
    """Let dictionaries name what is in this module."""
    with monkeypatch.context() as patch:
        patch.setenv("ORCHAT_ALLOWED_MODULES", PATH)
        yield


def haystacks_generator(**options: Any) -> Any:
    """Make one of Haystack's; OpenAI's SDK is imported with it only now, for that takes long."""
    from haystack_integrations.components.generators.openrouter import OpenRouterChatGenerator as HaystackGenerator

    return HaystackGenerator(**options)
