"""Calls one after another, as people make them: ``python -m tests.benchmarks.calls --against ANOTHER_CHECKOUT``.

50 times a single question by `orchat.ask`, 50 times a new ``Chat("model")`` that is asked once, 50 ``%%openrouter``
cells in a real kernel, and beside them 50 cells that only add two numbers. Counted are the CPU time of the client or
the kernel for each, and the connections that a scripted server saw. A first call loads what is loaded once, and does
not count. ``--against FOLDER`` measures another checkout in the same run.

Goal: at most 2 connections; `ask` and `Chat` take at most a twentieth of the CPU time of the checkout before
connections were shared; a ``%%openrouter`` cell takes at most 10 ms more than the other cell.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import psutil

from tests.openrouter_server import ScriptedOpenRouter

ASK, CHAT, CELL, PLAIN = "orchat.ask", 'Chat("model")', "%%openrouter cell", "plain cell"
CELLS = {CELL: "%%openrouter vendor/m --no-history\nName a river.", PLAIN: "1 + 1"}
CONNECTIONS, LESS, ABOVE_PLAIN = 2, 20.0, 10.0
BEFORE = ", before"
HERE = Path(__file__).parents[2]

_SCRIPT = """
import json, sys, time, orchat
ask = {"orchat.ask": lambda: orchat.ask("Name a river.", "vendor/m"),
       'Chat("model")': lambda: orchat.Chat("vendor/m")("Name a river.")}[sys.argv[1]]
ask()
print(flush=True)
sys.stdin.readline()
began = time.process_time()
for _ in range(int(sys.argv[2])):
    ask()
print(json.dumps(1000 * (time.process_time() - began) / int(sys.argv[2])))
"""


def environment_of(server: ScriptedOpenRouter, checkout: Path) -> dict[str, str]:
    """What leads a process to the server, with the orchat of a checkout."""
    address = {"OPENROUTER_BASE_URL": server.base_url, "OPENROUTER_API_KEY": "sk-or-v1-0123456789abcdef"}
    return {**address, "PYTHONPATH": str(checkout)}


def calls(name: str, count: int, checkout: Path) -> tuple[float, int]:
    """Make so many calls in a process of their own; the milliseconds of CPU for each, and the connections."""
    with ScriptedOpenRouter(validate=False) as server:
        command = [sys.executable, "-c", _SCRIPT, name, str(count)]
        environment = {**os.environ, **environment_of(server, checkout)}
        with subprocess.Popen(
            command, cwd=checkout, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            output, _ = process.communicate("\n")
            return float(json.loads(output)), server.connections


def cells(count: int, checkout: Path) -> dict[str, tuple[float, int]]:
    """Run so many cells of each kind in a kernel; the milliseconds of CPU for each, and the connections."""
    from tests.jupyter.kernel import Kernel

    found = {}
    with ScriptedOpenRouter(validate=False) as server, Kernel(environment_of(server, checkout)) as kernel:
        kernel.run("%load_ext orchat", f"import orchat; assert orchat.__file__.startswith({str(checkout)!r})")
        process = psutil.Process(int(kernel.value("__import__('os').getpid()")))
        for name, code in CELLS.items():
            _settle(process, lambda code=code: kernel.run(code))
            before, connections = process.cpu_times(), server.connections
            for _ in range(count):
                (cell,) = kernel.run(code)
                if cell.status != "ok":
                    raise SystemExit(f"{name} failed: {cell.content}")
            after = process.cpu_times()
            spent = after.user + after.system - before.user - before.system
            found[name] = 1000 * spent / count, server.connections - connections
    return found


def _settle(process: psutil.Process, run: Callable[[], object]) -> None:
    """Run something twice, and wait until what it left behind in the background is done."""
    run()
    run()
    time.sleep(0.5)
    while process.cpu_percent(0.2) > 20:
        pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.calls", description=__doc__)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3, help="how often calls are counted; the median is shown")
    parser.add_argument("--against", type=Path, help="another checkout")
    options = parser.parse_args(arguments)
    checkouts = {"": HERE} if options.against is None else {BEFORE: options.against, "": HERE}
    rounds: dict[str, list[tuple[float, int]]] = {}
    for _ in range(options.rounds):  # the checkouts take turns
        for suffix, checkout in checkouts.items():
            for name in (ASK, CHAT):
                rounds.setdefault(name + suffix, []).append(calls(name, options.calls, checkout))
    for suffix, checkout in checkouts.items():
        for name, figures in cells(options.calls, checkout).items():
            rounds[name + suffix] = [figures]
    found = {name: (median(spent for spent, _ in of), max(seen for _, seen in of)) for name, of in rounds.items()}
    print(f"{'':28}{'CPU ms':>9}{'connections':>13}")
    for name, (spent, connections) in found.items():
        print(f"{name:28}{spent:9.2f}{connections:13}")
    for name in (ASK, CHAT):
        verdict = "goal reached" if found[name][1] <= CONNECTIONS else "GOAL MISSED"
        print(f"{name}: {found[name][1]} connections (goal {CONNECTIONS}): {verdict}")
        if name + BEFORE in found:
            less = found[name + BEFORE][0] / found[name][0]
            print(f"{name}: {less:.1f} x less CPU (goal {LESS:g}): {'goal reached' if less >= LESS else 'GOAL MISSED'}")
    above = found[CELL][0] - found[PLAIN][0]
    print(f"{CELL}: {above:.1f} ms above {PLAIN} (goal {ABOVE_PLAIN:g})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
