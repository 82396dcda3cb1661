"""What it costs to keep a conversation: ``python -m tests.benchmarks.keeping``.

A chat is written with a limit of half its size, and of twice its size, it is forked, and its messages are set. A panel
writes a checkpoint after one more turn, as it does at each step: with 2,000 messages, with 500 messages that have
reasoning, with 200 pictures, and with nine other chats of 50 messages each. Each is measured in a process of its own,
and the chats with a quarter of the messages as well: a linear time is a quarter. What of a checkpoint goes to the page
is told in bytes. ``--against FOLDER`` measures the chats of another checkout beside this one, in the same run.

Goal: a checkpoint of 2,000 messages and one of ten chats in 5 ms, of 200 pictures in 10 ms; a limited chat 100 times as
fast as the other checkout, if that is one from before sizes were counted once.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[2]
HALF, DOUBLE = "chat, limit of half", "chat, limit of twice"
FORK, ASSIGN = "chat.fork()", "chat.messages = ..."
PLAIN, REASONING, PICTURES, OTHERS = "panel, words", "panel, reasoning", "panel, pictures", "panel, ten chats"
# Milliseconds for a checkpoint.
GOALS = {PLAIN: 5.0, PICTURES: 10.0, OTHERS: 5.0}
FASTER = 100.0
_PICTURE = 60_000  # bytes


def chat_of(messages: int, *, reasoning: bool = False, pictures: int = 0) -> Any:
    """Make a chat with so many messages, half of them questions; the first questions hold a picture each."""
    from orchat import Chat, ChatMessage
    from orchat.messages import ImageContent

    chat, noise = Chat("vendor/m"), random.Random(7)
    said = []
    for number in range(messages // 2):
        question: list[Any] = [f"How high is the tide on day {number}?"]
        if number < pictures:
            question.append(ImageContent(base64.b64encode(noise.randbytes(_PICTURE)).decode(), "image/png"))
        said.append(ChatMessage.from_user(content_parts=question))
        thought = f"Day {number} comes after the day before it. " * 20 if reasoning else None
        said.append(ChatMessage.from_assistant(f"It is *{number}* cm high. " * 15, reasoning=thought))
    chat.messages = said
    return chat


def work_of(kind: str, messages: int) -> Callable[[], Any]:
    """Return what is measured; it is done once before."""
    if kind in (HALF, DOUBLE, FORK, ASSIGN):
        chat = chat_of(messages)
        if kind == FORK:
            return chat.fork
        if kind == ASSIGN:
            return lambda: setattr(chat, "messages", chat.messages)
        size = len(json.dumps(chat.to_dict(), ensure_ascii=False))
        limit = size // 2 if kind == HALF else 2 * size
        return lambda: chat.to_dict(max_bytes=limit)
    from orchat import ChatMessage
    from orchat.chat.state import ChatState
    from orchat.jupyter.panel.panel_serialization import PanelSnapshot, encoded_chats, to_entry

    said = chat_of(messages, reasoning=kind == REASONING, pictures=messages // 2 if kind == PICTURES else 0).messages

    others = {f"chat {n}": ChatState(chat_of(messages).messages) for n in range(2, 11) if kind == OTHERS}
    encoded = encoded_chats()

    def checkpoint() -> dict[str, Any]:
        said.append(ChatMessage.from_user(f"And then, {len(said)}?"))
        said.append(ChatMessage.from_assistant(f"Then it is {len(said)} cm high."))
        chats = {"chat": ChatState(said, model="vendor/m"), **others}
        return to_entry(PanelSnapshot(chats, "chat"), encoded=encoded)

    return checkpoint


def sent_bytes(checkpoint: Callable[[], Any]) -> int:
    """Return how many bytes a checkpoint sends to the page, which knows the one before."""
    from orchat.jupyter.kernel.cell_storage.write_queue import WriteQueue

    queue = WriteQueue()
    for number in range(2):
        queue.put("cell", checkpoint())
        ((_, message),) = queue.take(0.0, everything=True)
        queue.sent("cell", str(number))
    return len(json.dumps(message))


def measure_here(kind: str, messages: int) -> float:
    """Return milliseconds of CPU, the least of five times."""
    work = work_of(kind, messages)
    work()
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return 1000 * best


def measure(kind: str, messages: int, checkout: Path) -> float:
    """Measure in a fresh process, with the package of a checkout."""
    command = [sys.executable, __file__, "--only", kind, "--messages", str(messages)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(command, cwd=checkout, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.keeping", description=__doc__)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument(
        "--only", choices=(HALF, DOUBLE, FORK, ASSIGN, PLAIN, REASONING, PICTURES, OTHERS), help=argparse.SUPPRESS
    )
    options = parser.parse_args(arguments)
    if options.only:
        print(measure_here(options.only, options.messages))
        return 0
    print(f"{'':24}{'messages':>10}{'ms':>10}{'bytes sent':>12}")
    missed = False
    sizes = {
        PLAIN: options.messages,
        REASONING: max(8, options.messages // 4),
        PICTURES: 2 * options.pictures,
        OTHERS: max(8, options.messages // 40),
    }
    for kind, messages in sizes.items():
        taken = measure(kind, messages, HERE)
        goal = GOALS.get(kind, float("inf"))
        missed |= taken > goal
        verdict = "" if kind not in GOALS else f"   goal {goal:g}: {'reached' if taken <= goal else 'MISSED'}"
        print(f"{kind:24}{messages:10d}{taken:10.2f}{sent_bytes(work_of(kind, messages)):12d}{verdict}")
    for kind in (HALF, DOUBLE, FORK, ASSIGN):
        for messages in (max(8, options.messages // 4), options.messages):
            taken = measure(kind, messages, HERE)
            line = f"{kind:24}{messages:10d}{taken:10.2f}"
            if options.against is not None:
                before = measure(kind, messages, options.against)
                line += f"{before:12.1f} before: {before / taken:.0f} x"
                missed |= kind == HALF and messages == options.messages and before / taken < FASTER
            print(line)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
