"""How soon a kernel's interrupt ends a cell: ``python -m tests.benchmarks.interrupt``.

In a real kernel cells ask a scripted OpenRouter and are interrupted: before the first token, while an answer streams,
before an answer that comes whole, while a tool runs, and in a cell that asks a `Chat`. Beside it, in the same run, what
Python itself needs: ``time.sleep`` interrupted in the same kernel.

Goal: 0.3 s.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Sequence

from tests.jupyter.kernel import INSTALLED, Kernel
from tests.openrouter_server import Answer, ScriptedOpenRouter, call, calls, text

GOAL = 0.3  # seconds
SLEEP = "time.sleep, by itself"
ARMS = {
    SLEEP: "time.sleep(30)",
    "before the first token": "%%openrouter\nGo on.",
    "while an answer streams": "%%openrouter\nGo on.",
    "before a whole answer": "%%openrouter --no-stream\nGo on.",
    "while a tool runs": "%%openrouter -T slow --approve always\nGo on.",
    "in a chat's cell": "chat('Go on.')",
}
_KERNEL = """
%load_ext orchat
import time, orchat
chat = orchat.Chat("some/model")
def slow() -> str:
    "Take long."
    time.sleep(30)
"""


def answer(name: str, gate: threading.Event) -> Answer:
    """What a cell is answered, which would take longer than anybody waits."""
    if name == "while a tool runs":
        return calls(call("slow", {}))
    return text("on and on " * 200).paced(0.05) if "streams" in name or "chat" in name else text("late").held(gate)


def measure(rounds: int, ipykernel: str) -> dict[str, list[float]]:
    """Return the seconds from each interrupt to the end of its cell."""
    found: dict[str, list[float]] = {name: [] for name in ARMS}
    with ScriptedOpenRouter() as endpoint:
        environment = {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": "sk-or-v1-0123456789abcdef"}
        with Kernel(environment, ipykernel) as kernel:
            kernel.run(_KERNEL)
            for _ in range(rounds):
                for name, cell in ARMS.items():
                    gate = threading.Event()
                    if name != SLEEP:
                        endpoint.answers(answer(name, gate))
                    due = time.monotonic() + 1.0
                    (ended,) = kernel.run(cell, interrupt_when=lambda _, due=due: time.monotonic() > due)
                    gate.set()
                    assert ended.status == "error", name
                    found[name].append(ended.seconds)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.interrupt", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ipykernel", default=INSTALLED, help="the version of the kernel")
    options = parser.parse_args(arguments)
    found = measure(options.rounds, options.ipykernel)
    print(f"ipykernel {options.ipykernel}: seconds from the interrupt to the end of the cell")
    print(f"{'':28}{'median':>8}{'longest':>9}")
    for name, seconds in found.items():
        print(f"{name:28}{statistics.median(seconds):8.3f}{max(seconds):9.3f}")
    longest = max(max(seconds) for name, seconds in found.items() if name != SLEEP)
    print(f"at most {GOAL} s: {'goal reached' if longest <= GOAL else 'GOAL MISSED'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
