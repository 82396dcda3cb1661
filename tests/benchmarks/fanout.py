"""Many calls at once: ``python -m tests.benchmarks.fanout --against ANOTHER_CHECKOUT``.

A server in a process of its own answers each request after 50 ms. Each contender asks it 1,000 times, 64 at a time:
``run_async`` of one generator, and bare httpx2 with a pool of as many connections, which posts the same body and reads
the JSON. Each runs in a process of its own, and they take turns. Counted are the calls a second, the client's CPU time
for each call, and the connections that it opened; what is printed is the median of the rounds. On a busy machine the
CPU time is the better measure: a client that needs less of it answers more calls.

Goal, by CPU time: 1.45 times as fast as the other checkout, if that is the one before connections were shared; at least
0.9 times as fast as bare httpx2; at most 80 connections.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

OURS, BEFORE, BARE = "orchat run_async", "the same, before", "bare httpx2"
LIKE_BARE, FASTER, CONNECTIONS = 0.9, 1.45, 80
HERE = Path(__file__).parents[2]

_KEY, _MODEL, _QUESTION = "sk-none", "vendor/some-model", "Name a river."

Figures = dict[str, float]


@contextmanager
def server(delay: float) -> Iterator[tuple[str, Callable[[], int]]]:
    """A server in a process of its own: its base URL, and what tells how many connections it has had."""
    command = [sys.executable, "-m", "tests.openrouter_server", "--tokens", "20", "--flood", "--wait", str(delay)]
    with subprocess.Popen(command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asking, told = process.stdin, process.stdout

        def connections() -> int:
            asking.write("\n")
            asking.flush()
            return int(told.readline())

        try:
            yield told.readline().strip(), connections
        finally:
            asking.close()


def orchat_call(base_url: str, width: int) -> Callable[[], Awaitable[str | None]]:
    """One generator for all calls."""
    from orchat import OpenRouterChatGenerator, Secret

    generator = OpenRouterChatGenerator(api_key=Secret.from_token(_KEY), model=_MODEL, api_base_url=base_url)

    async def call() -> str | None:
        text: str | None = (await generator.run_async(_QUESTION))["replies"][0].text
        return text

    return call


def bare_call(base_url: str, width: int) -> Callable[[], Awaitable[str | None]]:
    """What any client of httpx2 must do."""
    import httpx2

    limits = httpx2.Limits(max_connections=width, max_keepalive_connections=width)
    client = httpx2.AsyncClient(limits=limits, timeout=60, trust_env=False, headers={"Authorization": f"Bearer {_KEY}"})
    body = {"model": _MODEL, "messages": [{"role": "user", "content": _QUESTION}], "stream": False, "n": 1}

    async def call() -> str | None:
        response = await client.post(f"{base_url}/chat/completions", json=body)
        text: str | None = response.json()["choices"][0]["message"]["content"]
        return text

    return call


CALLS = {OURS: orchat_call, BARE: bare_call}


async def _ask(call: Callable[[], Awaitable[str | None]], calls: int, width: int) -> Figures:
    rest = iter(range(calls))
    expected = await call()

    async def worker() -> None:
        for _ in rest:
            if await call() != expected:
                raise SystemExit("An answer is not like the others.")

    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(width)))
    return {
        "calls/s": calls / (time.perf_counter() - began),
        "CPU ms/call": 1000 * (time.process_time() - cpu) / calls,
    }


def measure(name: str, base_url: str, calls: int, width: int, checkout: Path = HERE) -> Figures:
    """Run a contender in a process of its own, with the orchat of a checkout."""
    command = [
        sys.executable,
        __file__,
        "--only",
        name,
        "--url",
        base_url,
        "--calls",
        str(calls),
        "--width",
        str(width),
    ]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True, text=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def report(figures: dict[str, Figures]) -> None:
    """Print the table and the verdicts."""
    print(f"{'':24}{'calls/s':>10}{'CPU ms/call':>13}{'connections':>13}")
    for name, of in figures.items():
        print(f"{name:24}{of['calls/s']:10.0f}{of['CPU ms/call']:13.3f}{of['connections']:13.0f}")
    ours = figures[OURS]
    for name, goal in ((BARE, LIKE_BARE), (BEFORE, FASTER)):
        if name in figures:
            ratio = figures[name]["CPU ms/call"] / ours["CPU ms/call"]
            verdict = "goal reached" if ratio >= goal else "GOAL MISSED"
            print(f"{ratio:.2f} x as fast as {name} (goal {goal}): {verdict}")
    verdict = "goal reached" if ours["connections"] <= CONNECTIONS else "GOAL MISSED"
    print(f"{ours['connections']:.0f} connections (goal {CONNECTIONS}): {verdict}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.fanout", description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--width", type=int, default=64, help="calls at a time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--only", choices=CALLS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.only:
        call = CALLS[options.only](options.url, options.width)
        print(json.dumps(asyncio.run(_ask(call, options.calls, options.width))))
        return 0
    contenders = {OURS: (OURS, HERE), BARE: (BARE, HERE)}
    if options.against is not None:
        contenders[BEFORE] = OURS, options.against
    found: dict[str, list[Figures]] = {name: [] for name in contenders}
    with server(0.05) as (base_url, connections):
        for _ in range(options.rounds):
            for name, (kind, checkout) in contenders.items():
                before = connections()
                figures = measure(kind, base_url, options.calls, options.width, checkout)
                found[name].append({**figures, "connections": connections() - before})
    report({name: {what: median(one[what] for one in rounds) for what in rounds[0]} for name, rounds in found.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
