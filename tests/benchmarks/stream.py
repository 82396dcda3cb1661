"""CPU per streamed chunk: ``python -m tests.benchmarks.stream``.

A child process serves the same reply to everyone, as fast as it is read, in two ways: several events in an HTTP chunk,
as servers and proxies send when many are due, and each event in an HTTP chunk of its own, the dearest case. What is
counted is the CPU time of this process alone, the client's. The contenders take turns, so that a busy moment hits
all of them, and each one's figure is the median of its rounds. The floor is a loop over a bare socket that does what
cannot be left out: read, split lines, decode JSON, join the text. It may skip the lines of the HTTP chunking, which a
real client must not.

Goals: our generator takes at most 2.5 times the floor's CPU, with a sync callback and with an async one; more than 3.5
times, or more than a tenth of what Haystack's generator takes in the same way, misses the gate. With an HTTP chunk for
each event no client that is made with httpx2 reaches that: the floor's own loop over httpx2's raw blocks takes 3.3
times the floor's CPU (sync) and 3.7 times (async), for the package parses each chunk in Python. There the goal is at
most 1.4 times that, and the comparisons with the floor and with Haystack are printed and do not count.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from orchat import ChatMessage, OpenRouterChatGenerator, Secret, StreamingChunk

GOAL, GATE, LIKE_PACKAGE, LESS_THAN_HAYSTACK = 2.5, 3.5, 1.4, 10.0
PER_CHUNK = (8, 1)
FLOOR, SYNC, ASYNC = "raw socket + json", "orchat run, sync callback", "orchat run_async, async callback"
PACKAGE_SYNC, PACKAGE_ASYNC = "bare httpx2 + json, sync", "bare httpx2 + json, async"
OPENAI = "openai SDK stream, sync"
HAYSTACK_SYNC, HAYSTACK_ASYNC = "Haystack run, sync callback", "Haystack run_async, async callback"

_KEY, _MODEL, _QUESTION = "sk-none", "vendor/some-model", "Name a river."
_BODY = {"model": _MODEL, "messages": [{"role": "user", "content": _QUESTION}], "stream": True}

Contender = Callable[[], str]
"""Asks once and returns the text of the reply."""


@contextmanager
def server(tokens: int, per_chunk: int) -> Iterator[str]:
    """A server in a process of its own; gives its base URL."""
    command = [sys.executable, "-m", "tests.openrouter_server", "--tokens", str(tokens), "--flood"]
    command += ["--per-chunk", str(per_chunk)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if not (base_url := process.stdout.readline().strip()):
                raise SystemExit("The server did not start.")
            yield base_url
        finally:
            process.stdin.close()


def raw(base_url: str) -> Contender:
    """The floor. It stops at ``[DONE]``, for the server keeps its connections open."""
    url = urlsplit(base_url)
    body = json.dumps(_BODY).encode()
    head = f"POST {url.path}/chat/completions HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def ask() -> str:
        texts: list[str] = []
        rest = b""
        with socket.create_connection((url.hostname or "", url.port or 80)) as connection:
            connection.sendall(request)
            while block := connection.recv(65536):
                *lines, rest = (rest + block).split(b"\n")
                for line in lines:
                    if not line.startswith(b"data: "):
                        continue
                    if line == b"data: [DONE]":
                        return "".join(texts)
                    event = json.loads(line[6:])
                    if event["choices"]:
                        texts.append(event["choices"][0]["delta"].get("content") or "")
        raise SystemExit("The server hung up in the middle of a reply.")

    return ask


class _Lines:
    """What the floor does with the blocks of a body."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._rest = b""

    def add(self, block: bytes) -> None:
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                event = json.loads(line[6:])
                if event["choices"]:
                    self._texts.append(event["choices"][0]["delta"].get("content") or "")

    @property
    def text(self) -> str:
        return "".join(self._texts)


def package_sync(base_url: str) -> Contender:
    """The floor on the HTTP package's raw blocks: less than that no client takes that is made with it."""
    import httpx2

    client = httpx2.Client()

    def ask() -> str:
        lines = _Lines()
        with client.stream("POST", f"{base_url}/chat/completions", json=_BODY) as response:
            for block in response.iter_raw():
                lines.add(block)
        return lines.text

    return ask


def package_async(base_url: str, runner: asyncio.Runner) -> Contender:
    """The same on the event loop."""
    import httpx2

    client = httpx2.AsyncClient()

    async def ask() -> str:
        lines = _Lines()
        async with client.stream("POST", f"{base_url}/chat/completions", json=_BODY) as response:
            async for block in response.aiter_raw():
                lines.add(block)
        return lines.text

    return lambda: runner.run(ask())


def orchat_sync(base_url: str) -> Contender:
    """Our generator, with a callback that does next to nothing, as all callbacks here."""
    generator = OpenRouterChatGenerator(api_key=Secret.from_token(_KEY), model=_MODEL, api_base_url=base_url)

    def callback(chunk: StreamingChunk) -> None:
        pass

    return lambda: _text(generator.run(_QUESTION, callback))


def orchat_async(base_url: str, runner: asyncio.Runner) -> Contender:
    """The same on an event loop, which stays, as a notebook's does: with it the connection."""
    generator = OpenRouterChatGenerator(api_key=Secret.from_token(_KEY), model=_MODEL, api_base_url=base_url)

    async def callback(chunk: StreamingChunk) -> None:
        pass

    return lambda: _text(runner.run(generator.run_async(_QUESTION, callback)))


def _text(result: dict[str, list[ChatMessage]]) -> str:
    return result["replies"][0].text or ""


def openai_sdk(base_url: str) -> Contender:
    """The SDK that most others are built on."""
    from openai import OpenAI

    client = OpenAI(api_key=_KEY, base_url=base_url)

    def ask() -> str:
        with client.chat.completions.create(
            model=_MODEL, messages=[{"role": "user", "content": _QUESTION}], stream=True
        ) as stream:
            return "".join([chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices])

    return ask


def haystack_sync(base_url: str) -> Contender:
    """The generator whose contract ours keeps."""
    generator, question = _haystack(base_url)

    def callback(chunk: Any) -> None:
        pass

    return lambda: generator.run(question, callback)["replies"][0].text


def haystack_async(base_url: str, runner: asyncio.Runner) -> Contender:
    """The same on the event loop."""
    generator, question = _haystack(base_url)

    async def callback(chunk: Any) -> None:
        pass

    return lambda: runner.run(generator.run_async(question, callback))["replies"][0].text


def _haystack(base_url: str) -> tuple[Any, Any]:
    os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
    from haystack.dataclasses import ChatMessage as HaystackMessage
    from haystack.utils import Secret as HaystackSecret
    from haystack_integrations.components.generators.openrouter import OpenRouterChatGenerator as HaystackGenerator

    generator = HaystackGenerator(api_key=HaystackSecret.from_token(_KEY), model=_MODEL, api_base_url=base_url)
    return generator, [HaystackMessage.from_user(_QUESTION)]


def rivals(base_url: str, runner: asyncio.Runner) -> dict[str, Contender]:
    """What is installed of the others."""
    contenders: dict[str, Contender] = {}
    if find_spec("openai") is not None:
        contenders[OPENAI] = openai_sdk(base_url)
    if find_spec("haystack_integrations") is not None:
        contenders[HAYSTACK_SYNC] = haystack_sync(base_url)
        contenders[HAYSTACK_ASYNC] = haystack_async(base_url, runner)
    missing = [name for name in (OPENAI, HAYSTACK_SYNC, HAYSTACK_ASYNC) if name not in contenders]
    if missing:
        print(f"Not installed, left out: {'; '.join(missing)}")
    return contenders


def measure(contenders: dict[str, Contender], tokens: int, rounds: int) -> dict[str, float]:
    """Give each contender's microseconds of CPU per chunk; everyone must have read the same text."""
    expected = next(iter(contenders.values()))()
    for name, ask in contenders.items():  # also warms up: imports, connections
        if (got := ask()) != expected:
            raise SystemExit(f"{name} read {len(got)} characters, the first contender {len(expected)}.")
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, ask in contenders.items():
            gc.collect()  # nobody pays for another one's garbage
            started = time.process_time()
            ask()
            spent[name].append((time.process_time() - started) / tokens * 1e6)
    return {name: median(values) for name, values in spent.items()}


def report(figures: dict[str, float], per_chunk: int = PER_CHUNK[0]) -> bool:
    """Print the table and the verdict; return whether the gate is passed."""
    floor = figures[FLOOR]
    print(f"\nEvents in an HTTP chunk: {per_chunk}")
    print(f"{'':34}{'us/chunk':>9}{'x raw':>8}")
    for name, figure in figures.items():
        print(f"{name:34}{figure:9.2f}{figure / floor:8.2f}")
    print()
    passed = True
    for name, package, rival in ((SYNC, PACKAGE_SYNC, HAYSTACK_SYNC), (ASYNC, PACKAGE_ASYNC, HAYSTACK_ASYNC)):
        ratio, less = figures[name] / floor, figures[rival] / figures[name] if rival in figures else None
        if per_chunk == 1:
            like = figures[name] / figures[package]
            verdict = "goal reached" if like <= LIKE_PACKAGE else "GOAL MISSED"
            print(f"{name}: {ratio:.2f} x raw, {like:.2f} x bare httpx2 (goal {LIKE_PACKAGE}): {verdict}")
            passed = passed and like <= LIKE_PACKAGE
        else:
            verdict = "goal reached" if ratio <= GOAL else "gate passed" if ratio <= GATE else "GATE MISSED"
            print(f"{name}: {ratio:.2f} x raw (goal {GOAL}, gate {GATE}): {verdict}")
            passed = passed and ratio <= GATE
        if less is not None and per_chunk == 1:
            print(f"{rival}: {less:.1f} x ours")
        elif less is not None:
            verdict = "gate passed" if less >= LESS_THAN_HAYSTACK else "GATE MISSED"
            print(f"{rival}: {less:.1f} x ours (gate {LESS_THAN_HAYSTACK:g}): {verdict}")
            passed = passed and less >= LESS_THAN_HAYSTACK
    return passed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stream", description=__doc__)
    parser.add_argument("--tokens", type=int, default=10_000, help="chunks of a reply")
    parser.add_argument("--rounds", type=int, default=7, help="replies that each contender reads")
    parser.add_argument("--check", action="store_true", help="exit with 1 when the gate is missed")
    parser.add_argument("--ours", action="store_true", help="leave the openai SDK and Haystack out")
    options = parser.parse_args(arguments)
    os.environ["NO_PROXY"] = "127.0.0.1"  # for those who would send loopback requests to a proxy
    passed = True
    for per_chunk in PER_CHUNK:
        with server(options.tokens, per_chunk) as base_url, asyncio.Runner() as runner:
            contenders = {
                FLOOR: raw(base_url),
                PACKAGE_SYNC: package_sync(base_url),
                PACKAGE_ASYNC: package_async(base_url, runner),
                SYNC: orchat_sync(base_url),
                ASYNC: orchat_async(base_url, runner),
            }
            if not options.ours:
                contenders |= rivals(base_url, runner)
            passed = report(measure(contenders, options.tokens, options.rounds), per_chunk) and passed
    return 0 if passed or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
