"""What a call of an MCP tool costs beside the SDK's own client: ``python -m tests.benchmarks.mcp_calls``.

Each arm calls the same tool of the same kind of server, which is a process of its own, one call after the other. The
figure is this process's CPU time for a call, all its threads together: the median of several rounds, in which the arms
alternate.

Gate: a call costs at most 1 ms more than the SDK's own.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from mcp import Client, StdioServerParameters

from orchat.mcp import McpTool, McpToolset

GATE = 1.0  # ms
SDK, SYNC, ASYNC = "the SDK's client", "orchat, a thread waits", "orchat, a loop awaits"
SERVER = Path(__file__).parents[1] / "mcp" / "tide_server.py"


async def measure(calls: int, rounds: int) -> dict[str, list[float]]:
    """Return the CPU time of a call in each round of each arm, in milliseconds."""
    arguments = {"port": "Hull"}
    toolset = McpToolset([sys.executable, str(SERVER)])
    [tool] = [each for each in toolset if isinstance(each, McpTool) and each.server_tool == "high_water"]
    parameters = StdioServerParameters(command=sys.executable, args=[str(SERVER)])
    async with Client(parameters, mode="legacy") as client:
        await client.list_tools()

        async def with_sdk() -> None:
            for _ in range(calls):
                await client.call_tool("high_water", arguments)

        async def awaited() -> None:
            for _ in range(calls):
                await tool.invoke_async(**arguments)

        async def waited() -> None:
            for _ in range(calls):
                tool.invoke(**arguments)

        arms: dict[str, Callable[[], Awaitable[None]]] = {SDK: with_sdk, SYNC: waited, ASYNC: awaited}
        found: dict[str, list[float]] = {name: [] for name in arms}
        for _ in range(rounds + 1):  # the first one loads what is loaded once
            for name, arm in arms.items():
                started = time.process_time()
                await arm()
                found[name].append(1000 * (time.process_time() - started) / calls)
    await toolset.close_async()
    return {name: times[1:] for name, times in found.items()}


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found = asyncio.run(measure(options.calls, options.rounds))
    print(f"{'CPU, ms a call':26}{'median':>8}{'max':>8}")
    for name, times in found.items():
        print(f"{name:26}{statistics.median(times):8.2f}{max(times):8.2f}")
    more = max(statistics.median(found[name]) for name in (SYNC, ASYNC)) - statistics.median(found[SDK])
    print(f"at most {GATE:.0f} ms more than the SDK ({more:.2f}): gate {'passed' if more <= GATE else 'MISSED'}")
    return 0 if more <= GATE else 1


if __name__ == "__main__":
    sys.exit(main())
