"""What one streamed answer costs a notebook: ``python -m tests.benchmarks.cell_traffic``.

A scripted OpenRouter sends 1,000 tokens, 5.3 kB, at 100 tokens a second. In a real kernel ``%%openrouter`` shows them
in a plain output cell; beside it, in the same kernel, the usual way of the field, one ``update(Markdown(all))`` for
every token, and bare httpx2, which reads the lines of the stream and shows nothing. Counted are the messages on IOPub
and the bytes of their contents, and the kernel's CPU time: of several rounds in turns, the median.

Goal and gate: the answer takes no more than 150 kB and 25 messages a second. Goal: 1.3 x the CPU time of bare httpx2.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from statistics import median

import psutil

from tests.jupyter.kernel import Ended, Kernel
from tests.openrouter_server import ScriptedOpenRouter, text

OURS, NAIVE, BARE = "%%openrouter", "update(Markdown(all)) per token", "bare httpx2, nothing shown"
MOST_BYTES, MOST_PER_SECOND, MOST_CPU = 150_000, 25.0, 1.3

_NAIVE = """
from IPython.display import Markdown, display
from orchat.default_factories import connect
_handle, _all = display(Markdown(""), display_id=True), []
def _show(chunk):
    _all.append(chunk.content)
    _handle.update(Markdown("".join(_all)))
_ = connect("vendor/m", streaming_callback=_show).run("Go on.")
"""
_BARE = """
import httpx2, os
_key = {"Authorization": "Bearer " + os.environ["OPENROUTER_API_KEY"]}
_body = {"model": "vendor/m", "messages": [{"role": "user", "content": "Go on."}], "stream": True}
_client = globals().get("_client") or httpx2.AsyncClient()
async with _client.stream(
    "POST", os.environ["OPENROUTER_BASE_URL"] + "/chat/completions", headers=_key, json=_body, timeout=60
) as _response:
    async for _line in _response.aiter_lines():
        pass
"""
CELLS = {OURS: "%%openrouter vendor/m --no-history\nGo on.", NAIVE: _NAIVE, BARE: _BARE}


@dataclass(frozen=True)
class Traffic:
    """What a cell sent, and what it took."""

    messages: int
    content: int
    seconds: float
    cpu: float

    @classmethod
    def of(cls, cell: Ended, cpu: float) -> Traffic:
        """Count the messages of a cell."""
        sizes = [len(json.dumps(message["content"], default=str)) for message in cell.messages]
        seconds = cell.times[-1] - cell.times[0] if cell.times else 0.0
        return cls(len(sizes), sum(sizes), seconds, cpu)


def measure(tokens: int, rate: float, rounds: int) -> dict[str, Traffic]:
    """Run the cells in turns and count."""
    words = [f"word{number % 7} " for number in range(tokens)]
    found: dict[str, list[Traffic]] = {name: [] for name in CELLS}
    with ScriptedOpenRouter() as server:
        environment = {"OPENROUTER_BASE_URL": server.base_url, "OPENROUTER_API_KEY": "sk-or-v1-0123456789abcdef"}
        with Kernel(environment) as kernel:
            kernel.run("%load_ext orchat")
            process = psutil.Process(int(kernel.value("__import__('os').getpid()")))
            for code in CELLS.values():
                server.answers(text("Ready."))
                kernel.run(code)  # what is loaded and connected once is not counted
            for name, code in list(CELLS.items()) * rounds:
                server.answers(text("".join(words)).paced(1 / rate))
                before = process.cpu_times()
                (cell,) = kernel.run(code, timeout=600)
                after = process.cpu_times()
                if cell.status != "ok":
                    raise SystemExit(f"{name} failed: {cell.content}")
                found[name].append(Traffic.of(cell, after.user + after.system - before.user - before.system))
    return {name: replace(each[0], cpu=median(one.cpu for one in each)) for name, each in found.items()}


def report(found: dict[str, Traffic]) -> bool:
    """Print a table and the verdict; whether the gate is passed."""
    print(f"{'':34}{'messages':>9}{'a second':>9}{'kB':>9}{'CPU s':>8}")
    for name, traffic in found.items():
        rate = traffic.messages / max(traffic.seconds, 0.001)
        print(f"{name:34}{traffic.messages:9}{rate:9.1f}{traffic.content / 1000:9.1f}{traffic.cpu:8.2f}")
    ours, naive = found[OURS], found[NAIVE]
    passed = ours.content <= MOST_BYTES and ours.messages / max(ours.seconds, 0.001) <= MOST_PER_SECOND
    print(f"{naive.content / ours.content:.0f} x fewer bytes, {naive.messages / ours.messages:.0f} x fewer messages")
    ratio = ours.cpu / found[BARE].cpu
    verdict = "reached" if ratio <= MOST_CPU else "MISSED"
    print(f"{OURS}: {ratio:.2f} x the CPU time of bare httpx2 (goal {MOST_CPU}): {verdict}")
    verdict = "passed" if passed else "MISSED"
    print(f"{OURS}: at most {MOST_BYTES / 1000:.0f} kB and {MOST_PER_SECOND:.0f} messages a second: gate {verdict}")
    return passed


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=100.0, help="tokens a second")
    options = parser.parse_args()
    return 0 if report(measure(options.tokens, options.rate, options.rounds)) else 1


if __name__ == "__main__":
    sys.exit(main())
