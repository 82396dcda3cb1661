"""How long completion takes: ``python -m tests.benchmarks.completion``.

The worst case that is likely: a catalogue of 500 models, 5,000 variables and a table of 2,000 columns. Each figure is
the median and the maximum of what one press of Tab takes in `orchat.jupyter.magic.completion`, without IPython around.

Gate: no press takes more than 50 ms.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from types import SimpleNamespace
from typing import Any

import pandas as pd

from orchat.jupyter.kernel.prompt.prompt_namespace import PromptNamespace
from orchat.jupyter.magic.completion import Completions

GATE = 50.0  # ms
PRESSES = {
    "an option": "%%openrouter --te",
    "a model": "%%openrouter gpt-4",
    "a tool": "%%openrouter -T run",
    "a schema": "%%openrouter --schema Person",
    "a variable in the prompt": "%%openrouter\nWhat is {variable_49",
    "a column": '%%openrouter\nWhat is {table["column 19',
    "a variable after a long prompt": "%%openrouter\n" + "Some `code` and {x} prose.\n" * 200 + "What is {variable_49",
}


def completions(models: int = 500, variables: int = 5_000, columns: int = 2_000) -> Completions:
    """Make completions for a namespace that is rather full."""
    names: dict[str, Any] = {f"variable_{number}": number for number in range(variables)}
    names["Person"] = type("Person", (), {})
    names["table"] = pd.DataFrame([[0] * columns], columns=[f"column {number}" for number in range(columns)])
    known = [f"vendor-{number % 40}/gpt-{number}" for number in range(models)]
    shell: Any = SimpleNamespace(user_ns=names, user_ns_hidden={}, history_manager=None)
    return Completions(
        shell,
        names=lambda: PromptNamespace(shell),
        models=lambda: known,
        aliases=dict,
        conversations=list,
        commands=lambda: ["models"],
    )


def measure(rounds: int) -> dict[str, list[float]]:
    """Press Tab at each place, as often as said; milliseconds."""
    complete = completions()
    found: dict[str, list[float]] = {}
    for name, text in PRESSES.items():
        lines = text.split("\n")
        for _ in range(rounds + 1):  # the first one loads what is loaded once
            started = time.perf_counter()
            offered = complete.complete_at(text, len(lines) - 1, len(lines[-1]))
            found.setdefault(name, []).append(1000 * (time.perf_counter() - started))
            if offered is None or not offered[1]:
                raise SystemExit(f"{name}: nothing was offered.")
        del found[name][0]
    return found


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    found = measure(parser.parse_args().rounds)
    print(f"{'ms':34}{'median':>8}{'max':>8}")
    for name, times in found.items():
        print(f"{name:34}{statistics.median(times):8.2f}{max(times):8.2f}")
    passed = all(max(times) <= GATE for times in found.values())
    print(f"at most {GATE:.0f} ms: gate {'passed' if passed else 'MISSED'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
