"""CPU of tools in large numbers: ``python -m tests.benchmarks.tools``.

1,367 synthetic tools, as many as 32 real servers have and of the same shape (`tests.benchmarks.tool_schemas`), are
made, described in a request, rewritten for strict mode, indexed and searched; a call of each is validated, mended and
shown as a form. Beside them typed functions are made tools, and called.

Goals, which are also the gates, are in the table `GATES`: some eight times what a quiet machine of 2026 needs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from statistics import median
from typing import Any

from orchat.jupyter.kernel.forms import build_form
from orchat.openrouter.wire.request import tool_to_wire
from orchat.openrouter.wire.strict_schema import NotStrictError, strict_schema
from orchat.tools import Tool, create_tool_from_function
from orchat.tools.tool_search import ToolIndex
from tests.benchmarks.tool_schemas import REAL, SampleTool, sample_tools

MADE, DESCRIBED, STRICT = "made of schemas", "described in a request", "rewritten as strict"
INDEXED, SEARCHED = "indexed for a search", "a search in all of them"
VALIDATED, MENDED, SHOWN = "a call validated", "a call mended, nothing wrong", "a call as a form"
TYPED, CALLED = "made of typed functions", "a typed call"
GATES = {MADE: 0.5, DESCRIBED: 0.2, STRICT: 0.5, VALIDATED: 0.5, MENDED: 0.5, SHOWN: 2.0, TYPED: 15.0, CALLED: 0.1}
GATES |= {INDEXED: 1.0, SEARCHED: 100.0}
"""The most milliseconds of CPU for each tool or call."""

_FUNCTIONS, _SEARCHES = 50, 10


@dataclass
class Place:
    port: str
    since: date | None = None


def plan(day: date, places: list[Place], budget: Decimal = Decimal(10), notes: set[str] | None = None) -> int:
    """Plan a trip."""
    return len(places)


CALL: dict[str, Any] = {"day": "2026-01-02", "places": [{"port": "Hull", "since": "2026-01-01"}], "budget": 1.5}


def _strict(tool: Tool) -> None:
    with suppress(NotStrictError):
        strict_schema(tool.parameters)


def _made(sample: SampleTool) -> Tool:
    return Tool(sample.name, sample.description, sample.schema, print)


def steps(samples: Sequence[SampleTool]) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return the number of tools or calls of each step, and what does it for all."""
    tools = [(_made(sample), sample.arguments) for sample in samples]
    for tool, arguments in tools:
        assert tool.validate_arguments(arguments) == [], tool.name
    typed = create_tool_from_function(plan)
    assert typed.invoke(**CALL) == 1
    count = len(samples)
    index = ToolIndex([tool for tool, _ in tools])
    words = " ".join(tools[count // 2][0].description.split()[:4])
    assert index.search(words)
    return {
        MADE: (count, lambda: [_made(sample) for sample in samples]),
        DESCRIBED: (count, lambda: json.dumps([tool_to_wire(tool) for tool, _ in tools])),
        STRICT: (count, lambda: [_strict(tool) for tool, _ in tools]),
        INDEXED: (count, lambda: ToolIndex([tool for tool, _ in tools])),
        SEARCHED: (_SEARCHES, lambda: [index.search(words) for _ in range(_SEARCHES)]),
        VALIDATED: (count, lambda: [tool.validate_arguments(arguments) for tool, arguments in tools]),
        MENDED: (count, lambda: [tool.coerce_arguments(arguments) for tool, arguments in tools]),
        SHOWN: (count, lambda: [build_form(tool, arguments, None) for tool, arguments in tools]),
        TYPED: (_FUNCTIONS, lambda: [create_tool_from_function(plan) for _ in range(_FUNCTIONS)]),
        CALLED: (_FUNCTIONS, lambda: [typed.invoke(**CALL) for _ in range(_FUNCTIONS)]),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.tools", description=__doc__)
    parser.add_argument("--tools", type=int, default=REAL, help="how many")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="exit with 1 when a gate is missed")
    options = parser.parse_args(arguments)
    missed = []
    print(f"{options.tools:,} tools\n{'':32}{'CPU s':>8}{'ms each':>9}")
    for name, (count, run) in steps(sample_tools(options.tools)).items():
        spent = []
        for _ in range(options.rounds):
            started = time.process_time()
            run()
            spent.append(time.process_time() - started)
        seconds = median(spent)
        each = 1000 * seconds / count
        missed += [name] if each > GATES[name] else []
        print(f"{name:32}{seconds:8.3f}{each:9.3f}  {'GATE MISSED' if each > GATES[name] else 'gate passed'}")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
