"""How long ``%openrouter restore`` takes: ``python -m tests.benchmarks.restore``.

Notebooks with many turns are restored from their cells: turns that their cells keep, turns that their outputs keep,
turns of one cell that asks in a loop, and half as many with a call whose decision came in another cell. Each is
measured in a process of its own, with a quarter of the turns as well: four times the turns take four times as long
where the time is linear. ``--against FOLDER`` measures another checkout beside this one, in the same run.

Goal: 20,000 turns in 2 s; those with calls hold twice as much.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

GOAL = 2.0  # seconds
CONTINUED = "half, continued"
KINDS = ("kept in cells", "kept in outputs", "of one cell", CONTINUED)
HERE = Path(__file__).parents[2]


def cells_of(kind: str, turns: int) -> list[dict[str, Any]]:
    """The cells of a notebook with so many turns."""
    from orchat.jupyter.kernel.conversations.notebook_conversations import CellTurn, TurnLocation
    from orchat.jupyter.kernel.conversations.turn_serialization import encode_turn, split_record
    from orchat.jupyter.kernel.output.mime_types import MIME_TYPE, write_extras
    from orchat.messages import ChatMessage, ToolCall

    cells: list[dict[str, Any]] = []
    for number in range(turns):
        port = number // 2 if kind == CONTINUED else number
        question, answer = f"When is the tide high at port {port}?", f"At port {port} it is high at 14:10."
        tide = ToolCall("tide", {"port": port}, f"call_{port}")
        waiting = [ChatMessage.from_user(question), ChatMessage.from_assistant(None, tool_calls=[tide])]
        continued = kind == CONTINUED and number % 2 == 1
        if kind != CONTINUED:
            messages = [ChatMessage.from_user(question), ChatMessage.from_assistant(answer)]
        elif continued:
            messages = [*waiting, ChatMessage.from_tool("14:10", tide), ChatMessage.from_assistant(answer)]
        else:
            messages = [*waiting, ChatMessage.from_tool("", tide, error=True, meta={"pending": True})]
        turn = CellTurn(TurnLocation(), messages)
        source = None if kind == "of one cell" else question  # code of the cell made it
        record = encode_turn(turn, "notebook", source, answer, continued=continued, cell=f"cell-{number}")
        code = f"%%openrouter\n{question}" if source else "for port in range(ports): ask(port)"
        cell = {"id": f"cell-{number}", "source": code, "metadata": {}}
        if kind == "kept in cells":
            entry, record = split_record(record, 0)
            cell["metadata"] = {"version": 1, "turns": {"notebook": [entry]}}
        output = {"data": {"text/plain": answer, MIME_TYPE: write_extras({"turn": record})}}
        if kind == "of one cell" and cells:
            cells[0]["outputs"].append(output)
            record["cell"] = "cell-0"
            continue
        cells.append({**cell, "outputs": [output]})
    return cells


def measure_here(kind: str, turns: int) -> float:
    """Restore a notebook, and return the seconds."""
    from orchat.jupyter.kernel.conversations.notebook_conversations import NotebookConversations
    from orchat.jupyter.kernel.conversations.restored_conversations import restore_conversations

    restore_conversations(NotebookConversations(), cells_of(kind, 2))  # loads what is loaded once
    cells = cells_of(kind, turns)
    started = time.process_time()
    [conversation], damaged = restore_conversations(NotebookConversations(), cells)
    seconds = time.process_time() - started
    expected = turns // 2 if kind == CONTINUED else 1 if kind == "of one cell" else turns
    if damaged or len(conversation.turns) < expected:
        raise SystemExit(f"{kind}: {len(conversation.turns)} of {turns} turns were restored; {damaged[:1]}")
    return seconds


def measure(kind: str, turns: int, checkout: Path) -> float:
    """Measure in a fresh process, with the package of a checkout."""
    command = [sys.executable, __file__, "--kind", kind, "--turns", str(turns)]  # by its path: others have no such file
    environment = {"PYTHONPATH": str(checkout), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(json.loads(done.stdout))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.restore", description=__doc__)
    parser.add_argument("--turns", type=int, default=20_000)
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.kind:
        print(json.dumps(measure_here(options.kind, options.turns)))
        return 0
    before = [] if options.against is None else [options.against]
    print(f"{'seconds for turns':24}{options.turns // 4:>10}{options.turns:>10}{'ratio':>8}")
    slowest = 0.0
    for kind in KINDS:
        for checkout in (*before, HERE):
            few, many = (measure(kind, turns, checkout) for turns in (options.turns // 4, options.turns))
            name = kind if checkout == HERE else f"{kind}, before"
            print(f"{name:24}{few:10.2f}{many:10.2f}{many / max(few, 1e-6):8.1f}", flush=True)
        slowest = slowest if kind == CONTINUED else max(slowest, many)
    print(f"at most {GOAL:.0f} s: {'goal reached' if slowest <= GOAL else 'GOAL MISSED'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
