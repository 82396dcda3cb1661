"""An MCP server for the tests, made with the official SDK: ``python tide_server.py [--port PORT] [--many COUNT]``."""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import signal
import sys
import time
from pathlib import Path

from mcp.server.mcpserver import Context, MCPServer
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from pydantic import BaseModel, Field

# One red pixel, and a sound of no length.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="

server = MCPServer("tides")


class Tide(BaseModel):
    """A tide."""

    port: str
    metres: float


class Choice(BaseModel):
    """A choice."""

    port: str = Field(description="Which harbour", default="Hull")
    day: int


@server.tool(title="High water", annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
def high_water(port: str, day: int = 1) -> Tide:
    """Say how high the tide is."""
    return Tide(port=port, metres=7.1 + day)


@server.tool()
async def wait(path: str, seconds: float = 60) -> str:
    """Wait, and write a file when that is cancelled."""
    Path(path + ".began").touch()
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        Path(path).write_text("cancelled")
        raise
    return "waited"


@server.tool()
def fail(words: str) -> str:
    """Write to stderr, and fail."""
    print(f"about to fail: {words}", file=sys.stderr, flush=True)
    raise RuntimeError("the words of the exception")


@server.tool()
def refuse() -> CallToolResult:
    """Fail with a picture."""
    return CallToolResult(
        content=[TextContent(type="text", text="no tide"), ImageContent(type="image", data=PNG, mime_type="image/png")],
        is_error=True,
    )


@server.tool()
def crash() -> str:
    """End the server in the middle of a call."""
    print("out of water", file=sys.stderr, flush=True)
    os._exit(3)


@server.tool()
def show() -> CallToolResult:
    """Show everything that a result may hold."""
    text = TextResourceContents(uri="file:///tides.csv", mime_type="text/csv", text="port,metres\nHull,7.1")
    blob = BlobResourceContents(uri="file:///t.bin", mime_type="application/zip", blob=base64.b64encode(b"x").decode())
    return CallToolResult(
        content=[
            TextContent(type="text", text="A chart:"),
            ImageContent(type="image", data=PNG, mime_type="image/png"),
            AudioContent(type="audio", data=WAV, mime_type="audio/wav"),
            EmbeddedResource(type="resource", resource=text),
            EmbeddedResource(type="resource", resource=blob),
            ResourceLink(type="resource_link", uri="https://tides.example/hull", name="hull", size=7),
        ],
        structured_content={"port": "Hull"},
    )


@server.tool()
async def choose(ctx: Context) -> str:  # type: ignore[type-arg]
    """Ask the person."""
    answer = await ctx.elicit("Which tide?", Choice)
    return f"{answer.action}: {answer.data if answer.action == 'accept' else None}"


@server.tool()
async def step(ctx: Context, count: int = 3, until: str = "") -> str:  # type: ignore[type-arg]
    """Tell progress, and wait in the middle until a file is there."""
    for number in range(count):
        while until and number == count // 2 and not Path(until).exists():
            await asyncio.sleep(0.01)
        await ctx.report_progress(number + 1, count, f"step {number + 1}")
    return "done"


@server.tool()
async def change(ctx: Context, name: str) -> str:  # type: ignore[type-arg]
    """Change what another tool takes, and tell it."""
    server.remove_tool(name)

    async def changed(port: str, launch: bool = True) -> str:
        return f"changed {port} {launch}"

    server.add_tool(changed, name=name, description="Something else.")
    await ctx.request_context.session.send_tool_list_changed()
    return "changed"


@server.tool()
def where() -> str:
    """Say which process this is."""
    return str(os.getpid())


def dig(site: str, depth: int = 1) -> str:
    """Dig at a site."""
    return f"{site} {depth}"


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--many", type=int, default=0)
    parser.add_argument("--stubborn", action="store_true")
    options = parser.parse_args()
    for number in range(options.many):
        about = f"Dig for {'gold' if number == 222 else 'sand'} at site {number}. " + "Mind the tide. " * 20
        server.add_tool(dig, name=f"dig_{number}", description=about)
    if options.port is not None:
        server.run("streamable-http", host="127.0.0.1", port=options.port)
    if options.port is None:
        server.run()
    if options.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)


if __name__ == "__main__":
    main()
