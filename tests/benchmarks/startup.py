"""CPU of starting: ``python -m tests.benchmarks.startup``.

What ``import orchat`` costs, what the first request costs up to the moment at which it is sent, and what
``%load_ext orchat`` adds to a bare IPython. Each figure is the CPU time, user and system, of a fresh Python process
that does just that, the median of several, which take turns; each is compared with a process that stops just before.
The table also says which heavy modules a step loads.

Goal: ``%load_ext orchat`` adds less than 0.15 s to IPython, which is also the gate; and ``import orchat`` loads none of
the heavy modules.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

GATE = 0.15
HEAVY = (
    "IPython",
    "anywidget",
    "httpx",
    "httpx2",
    "ipywidgets",
    "jsonschema",
    "jsonschema_rs",
    "pydantic",
    "pydantic_core",
)

_IPYTHON = "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance()"
_REPORT = "import sys, json; print(json.dumps([name for name in {heavy!r} if name in sys.modules]))"


@dataclass(frozen=True)
class Step:
    """What a fresh process does, and the name of the step that it adds to."""

    code: str
    over: str | None = None


PYTHON, IMPORT, GENERATOR, REQUEST = "bare Python", "import orchat", "a generator", "its first request, all but sent"
IPYTHON, EXTENSION = "bare IPython shell", "%load_ext orchat"

_MAKE = "from orchat import OpenRouterChatGenerator, Secret; "
_MAKE += "generator = OpenRouterChatGenerator(api_key=Secret.from_token('sk-none'))"
# The request goes to a port where nobody listens: all is done but the sending.
_ASK = """
import socket
from orchat.errors import APIConnectionError
with socket.socket() as nobody:
    nobody.bind(("127.0.0.1", 0))
    generator.api_base_url = "http://127.0.0.1:%d/api/v1" % nobody.getsockname()[1]
    generator.max_retries = 0
    try:
        generator.run("Name a river.")
    except APIConnectionError:
        pass
    else:
        raise SystemExit("Somebody answered.")
"""

STEPS = {
    PYTHON: Step("pass"),
    IMPORT: Step("import orchat", PYTHON),
    GENERATOR: Step(_MAKE, IMPORT),
    REQUEST: Step(_MAKE + _ASK, GENERATOR),
    IPYTHON: Step(_IPYTHON, PYTHON),
    EXTENSION: Step(f"{_IPYTHON}; shell.run_line_magic('load_ext', 'orchat')", IPYTHON),
}


def run(code: str) -> tuple[float, list[str]]:
    """Run code in a fresh process; give its CPU seconds and the heavy modules that it loaded."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    script = f"{code}\n{_REPORT.format(heavy=HEAVY)}"
    done = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return spent, json.loads(done.stdout.splitlines()[-1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="fresh processes for each step")
    parser.add_argument("--check", action="store_true", help="exit with 1 when the gate is missed")
    options = parser.parse_args(arguments)
    spent: dict[str, list[float]] = {name: [] for name in STEPS}
    modules: dict[str, list[str]] = {}
    for _ in range(options.rounds):
        for name, step in STEPS.items():
            seconds, modules[name] = run(step.code)
            spent[name].append(seconds)
    figures = {name: median(values) for name, values in spent.items()}

    print(f"{'':34}{'CPU s':>7}{'added':>8}  heavy modules that it adds")
    for name, step in STEPS.items():
        added, before = (figures[name] - figures[step.over], modules[step.over]) if step.over else (0.0, [])
        new = ", ".join(module for module in modules[name] if module not in before)
        print(f"{name:34}{figures[name]:7.3f}{added:8.3f}  {new or '-'}")
    print()
    added = figures[EXTENSION] - figures[IPYTHON]
    light = not modules[IMPORT]
    verdict = "gate passed" if added < GATE else "GATE MISSED"
    print(f"{EXTENSION} adds {added:.3f} s to IPython (gate {GATE} s): {verdict}")
    print(f"{IMPORT} loads {'no heavy module: gate passed' if light else 'heavy modules: GATE MISSED'}")
    return 0 if (added < GATE and light) or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
