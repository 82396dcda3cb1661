"""What a column costs above its requests: ``python -m tests.benchmarks.map``.

The same requests to a scripted OpenRouter in another process, which waits 50 ms before each answer, 64 at a time: with
`run_async` and a semaphore, with `orchat.map` without a store, and with its store.

Goals: at most 5 % longer without a store, and 10 % with it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

BY_HAND, BARE, STORED = "run_async and a semaphore", "map, no store", "map, store on"
GOALS = {BARE: 1.05, STORED: 1.10}
PROMPT = "What is the tone of this review? {value}"


def texts(count: int, round_: int) -> list[str]:
    """So many reviews, no two of which are the same."""
    return [
        f"Round {round_}, number {number}: the strap broke after a week, but the screen is bright. " * 3
        for number in range(count)
    ]


def by_hand(rows: list[str], at_once: int, folder: Path) -> None:
    """What people write."""
    from orchat import ChatMessage
    from orchat.default_factories import connect

    async def main() -> None:
        generator, slots = connect("vendor/m"), asyncio.Semaphore(at_once)

        async def ask(row: str) -> str | None:
            async with slots:
                message = ChatMessage.from_user(PROMPT.replace("{value}", row))
                return (await generator.run_async([message]))["replies"][0].text

        answers = await asyncio.gather(*map(ask, rows))
        assert all(answers)
        await generator.close_async()

    asyncio.run(main())


def mapped(rows: list[str], at_once: int, folder: Path, *, stores: bool) -> None:
    """The same as a column."""
    import orchat

    store = folder / f"{time.monotonic_ns()}.sqlite" if stores else False
    result = orchat.map(PROMPT, rows, model="vendor/m", concurrency=at_once, store=store, progress=False)
    assert all(result.values)


ARMS: dict[str, Callable[[list[str], int, Path], None]] = {
    BY_HAND: by_hand,
    BARE: lambda *given: mapped(*given, stores=False),
    STORED: lambda *given: mapped(*given, stores=True),
}


def measure(rows: int, rounds: int, at_once: int, wait: float) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds of the clock and of the processor of each arm and round."""
    server = [sys.executable, "-m", "tests.openrouter_server", "--tokens", "20", "--flood", "--wait", str(wait)]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ARMS}
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        os.environ |= {
            "OPENROUTER_BASE_URL": process.stdout.readline().strip(),
            "OPENROUTER_API_KEY": "sk-or-v1-0123456789abcdef",
            "XDG_CACHE_HOME": folder,
        }
        try:
            for arm in ARMS.values():  # what is loaded once
                arm(texts(at_once, -1), at_once, Path(folder))
            for round_ in range(rounds):
                for name, arm in ARMS.items():
                    given = texts(rows, round_)
                    clock, processor = time.perf_counter(), time.process_time()
                    arm(given, at_once, Path(folder))
                    found[name].append((time.perf_counter() - clock, time.process_time() - processor))
        finally:
            process.communicate()
    return found


def report(found: dict[str, list[tuple[float, float]]], rows: int) -> bool:
    """Print the medians; return whether the goals are reached."""
    print(f"{'':26} seconds  processor, ms a row  calls/s")
    medians = {
        name: [statistics.median(column) for column in zip(*times, strict=True)] for name, times in found.items()
    }
    for name, (clock, processor) in medians.items():
        print(f"{name:26} {clock:7.3f} {1000 * processor / rows:20.3f} {rows / clock:8.0f}")
    reached = True
    for name, goal in GOALS.items():
        ratio = medians[name][0] / medians[BY_HAND][0]
        reached = reached and ratio <= goal
        print(f"{name}: {ratio:.3f} x by hand (goal {goal:.2f}): goal {'reached' if ratio <= goal else 'MISSED'}")
    print(f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")
    return reached


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.map", description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--wait", type=float, default=0.05, help="seconds before each answer")
    options = parser.parse_args(arguments)
    return 0 if report(measure(options.rows, options.rounds, options.at_once, options.wait), options.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
