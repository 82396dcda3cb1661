"""Memory under hostile answers: ``python -m tests.benchmarks.ceilings``.

Each answer is read in a process of its own, which has read a harmless one before: what counts is how far its memory
peaks above that (VmHWM, the kernel's high-water mark, which is reset in between). A server in this process sends the
answers, made block by block, until the reader hangs up. Printed are the peak, the size that was offered, the seconds,
and the error that ended it.

Gate: every peak is at most 64 MB over the start, and every answer ends in an `OrchatError`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import socketserver
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count, islice, repeat
from pathlib import Path
from typing import Any

from orchat.errors import APIError, OrchatError
from orchat.openrouter.account import key_status
from orchat.openrouter.catalog import load_catalog, load_catalog_async
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.openrouter.json_query import JsonEndpoint
from orchat.secret import Secret

GATE = 64.0  # MB
_BLOCK = 60_000
_MB = 1_000_000
WAYS = ("stream", "stream_async", "run", "run_async")
QUERIES = ("list", "list_async", "account")


@dataclass(frozen=True)
class Hostile:
    """A hostile answer: how its body is made, and how it is asked for."""

    head: bytes
    blocks: Iterator[bytes]
    repeats: str = ""


def _head(status: int = 200, kind: str = "application/json", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Well", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


_SSE = _head(kind="text/event-stream")


def _mb(text: str, megabytes: int) -> Iterator[bytes]:
    block = (text * max(1, _BLOCK // len(text))).encode()
    return repeat(block, megabytes * _MB // len(block))


def _events(delta: str, megabytes: int, outer: str = "") -> Iterator[bytes]:
    return _mb(f'data: {{"choices":[{{"index":0,"delta":{delta}}}]{outer}}}\n\n', megabytes)


def _numbered(form: str, megabytes: int) -> Iterator[bytes]:
    events = (form.replace("#", f"{number:07d}").encode() for number in count())
    size = len(form)
    return islice(iter(lambda: b"".join(islice(events, _BLOCK // size + 1)), b""), megabytes * _MB // _BLOCK)


def _compressed(blocks: Iterator[bytes], window_bits: int = 31, times: int = 1) -> Iterator[bytes]:
    for _ in range(times):
        blocks = _compressed_once(blocks, window_bits)
    return blocks


def _compressed_once(blocks: Iterator[bytes], window_bits: int) -> Iterator[bytes]:
    compressor = zlib.compressobj(9, zlib.DEFLATED, window_bits)
    for block in blocks:
        if piece := compressor.compress(block):
            yield piece
    yield compressor.flush()


def _around(before: str, blocks: Iterator[bytes], after: str = "") -> Iterator[bytes]:
    return chain([before.encode()], blocks, [after.encode()])


_EVENT, _WHOLE = 'data: {"choices":[{"delta":{"content":"', '{"choices":[{"message":{"content":"'
_CALL = (
    'data: {"choices":[{"delta":{"tool_calls":[{"index":1#,"id":"c#","function":{"name":"f","arguments":"{}"}}]}}]}\n\n'
)
_PIECE = (
    'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"xy"}}]}}]}\n\n'
)
_IMAGE = 'data: {"choices":[{"delta":{"images":[{"image_url":{"url":"data:image/png;base64,#"}}]}}]}\n\n'
_FACT = 'data: {"f#":{"a":[{}]},"choices":[{"delta":{"content":"a"}}]}\n\n'
_DETAIL = '{"reasoning":"a","reasoning_details":[{"a":{}},{"b":{}},{"c":{}},{"d":{}}]}'
_TEXT_DETAIL = '{"reasoning_details":[{"type":"reasoning.text","text":"' + "x" * 50_000 + '"}]}'


def hostile(name: str) -> Hostile:  # noqa: PLR0915 - a table of answers
    """Make an answer by its name."""
    match name:
        case "error, gzip bomb":
            return Hostile(_head(500, Content_Encoding="gzip"), _compressed(_mb("a", 300)))
        case "error, 600 MB":
            return Hostile(_head(500, "text/html"), _mb("<p>sorry</p>", 600))
        case "error, JSON values":
            return Hostile(_head(400), _around('{"error":[', _mb("[],{},", 600)))
        case "headers, 90 kB":
            return Hostile(_head(502, X_Generation_Id="g" * 45_000, Retry_After="9" * 45_000), _mb("x", 1))
        case "event, 600 MB":
            return Hostile(_SSE, _around(_EVENT, _mb("a", 600)))
        case "event, one wide character":
            return Hostile(_SSE, _around(_EVENT + "\N{FISH}", _mb("a", 600)))
        case "event, just below the limit":
            return Hostile(_SSE, _around(_EVENT, _mb("a", 12), '"},"finish_reason":"end"}]}\n\n'))
        case "event, image below the limit":
            image = 'data: {"choices":[{"delta":{"images":[{"image_url":{"url":"data:image/png;base64,'
            return Hostile(_SSE, _around(image, _mb("a", 12), '"}}]},"finish_reason":"e"}]}\n\n'))
        case "event, wide below the limit":
            return Hostile(_SSE, _around(_EVENT + "\N{FISH}", _mb("a", 3), '"},"finish_reason":"end"}]}\n\n'))
        case "event, JSON values":
            return Hostile(_SSE, _around('data: {"choices":[', _mb("[],{},", 600)))
        case "event, values below the limit":
            values = islice(repeat(b'{"a":1},' * 7500), 8)
            return Hostile(_SSE, _around('data: {"x":[', values, '1],"choices":[{"delta":{"content":"a"}}]}\n\n'))
        case "event, many lines":
            return Hostile(_SSE, _mb("data:xy\n", 600))
        case "error event, 12 MB":
            return Hostile(_SSE, _around('data: {"error":{"message":"', _mb("key sk-or- ", 12), '"}}\n\n'))
        case "error event, values":
            values = islice(repeat(b'{"a":1},' * 7500), 8)
            return Hostile(_SSE, _around('data: {"error":{"code":1,"metadata":{"raw":[', values, "1]}}}\n\n"))
        case "comments, gzip":
            return Hostile(
                _head(kind="text/event-stream", Content_Encoding="gzip"), _compressed(_mb(": wait\n\n", 600))
            )
        case "comment without end":
            return Hostile(_SSE, _around(":", _mb("a", 600)))
        case "blanks":
            return Hostile(_SSE, _mb(" \n", 600))
        case "stream, text":
            return Hostile(_SSE, _events('{"content":"' + "a" * 1000 + '"}', 600))
        case "stream, one wide text":
            wide = 'data: {"choices":[{"delta":{"content":"\N{FISH}"}}]}\n\n'
            return Hostile(_SSE, _around(wide, _events('{"content":"' + "a" * 1000 + '"}', 600)))
        case "stream, short texts":
            return Hostile(_SSE, _events('{"content":"ab"}', 600))
        case "stream, usage without end":
            return Hostile(_SSE, _events("{}", 600, ',"usage":{"cost":1}'))
        case "stream, details":
            return Hostile(_SSE, _events(_DETAIL, 600))
        case "stream, reasoning":
            return Hostile(_SSE, _events(_TEXT_DETAIL, 600))
        case "stream, logprobs":
            return Hostile(_SSE, _mb('data: {"choices":[{"delta":{"content":"a"},"logprobs":{"a":[{}]}}]}\n\n', 600))
        case "stream, other fields":
            return Hostile(_SSE, _events('{"x":[[],[]],"refusal":"aaaa"}', 600))
        case "stream, new fields":
            return Hostile(_SSE, _numbered(_FACT, 600))
        case "stream, calls":
            return Hostile(_SSE, _numbered(_CALL, 600))
        case "stream, a call's arguments":
            return Hostile(_SSE, _mb(_PIECE, 600))
        case "stream, images":
            return Hostile(_SSE, _numbered(_IMAGE, 600))
        case "whole, 600 MB":
            return Hostile(_head(), _around(_WHOLE, _mb("a", 600)))
        case "whole, just below the limit":
            return Hostile(_head(), _around(_WHOLE, _mb("a", 12), '"},"finish_reason":0}]}'))
        case "whole, wide":
            return Hostile(_head(), _around(_WHOLE + "\N{FISH}", _mb("a", 600)))
        case "whole, JSON values":
            return Hostile(_head(), _around('{"choices":[', _mb("[],{},", 600)))
        case "whole, values below the limit":
            values = islice(repeat(b'{"a":1},' * 7500), 8)
            return Hostile(_head(), _around('{"choices":[{"message":{"content":"a","x":[', values, "1]}}]}"))
        case "whole, lines":
            return Hostile(_head(), _mb("{}\n", 600))
        case "whole, calls":
            calls = _numbered('{"id":"#","function":{"name":"f","arguments":"{}"}},', 1)
            return Hostile(_head(), _around('{"choices":[{"message":{"tool_calls":[', calls, "{}]}}]}"))
        case "whole, gzip bomb":
            return Hostile(_head(Content_Encoding="gzip"), _compressed(_around(_WHOLE, _mb("a", 600))))
        case "whole, deflate bomb":
            return Hostile(_head(Content_Encoding="deflate"), _compressed(_around(_WHOLE, _mb("a", 600)), -15))
        case "whole, gzip in gzip":
            return Hostile(_head(Content_Encoding="gzip, gzip"), _compressed(_mb(" ", 600), times=2))
        case "whole, gzip tenfold":
            return Hostile(_head(Content_Encoding=", ".join(["gzip"] * 10)), _compressed(_mb(" ", 600), times=10))
        case "whole, brotli":
            return Hostile(_head(Content_Encoding="br"), _mb("a", 600))
        case "whole, an event stream":
            return Hostile(_SSE, _events('{"content":"ab"}', 600))
        case "list, 600 MB":
            return Hostile(_head(), _around('{"data":[{"id":"', _mb("a", 600)))
        case "list, just below the limit":
            return Hostile(_head(), _around('{"data":[{"id":"m","x":"', _mb("a", 8), '"}], "error": "no"}'))
        case "list, models":
            return Hostile(_head(), _around('{"data":[', _mb('{"id":"vendor/model"},', 600)))
        case "list, gzip bomb":
            return Hostile(_head(Content_Encoding="gzip"), _compressed(_around('{"data":[{"id":"', _mb("a", 600))))
        case "account, 600 MB":
            return Hostile(_head(), _around('{"data":{"label":"', _mb("a", 600)))
    raise SystemExit(f"There is no answer {name!r}.")


STREAMS = [
    "error, gzip bomb", "error, 600 MB", "error, JSON values", "headers, 90 kB", "event, 600 MB",
    "event, one wide character", "event, just below the limit", "event, image below the limit",
    "event, wide below the limit", "event, JSON values", "event, values below the limit", "event, many lines",
    "error event, 12 MB", "error event, values", "comments, gzip", "comment without end", "blanks", "stream, text",
    "stream, one wide text", "stream, short texts", "stream, usage without end", "stream, details", "stream, reasoning",
    "stream, logprobs", "stream, other fields", "stream, new fields", "stream, calls", "stream, a call's arguments",
    "stream, images",
]  # fmt: skip
WHOLES = [
    "error, gzip bomb", "error, 600 MB", "whole, 600 MB", "whole, just below the limit", "whole, wide",
    "whole, JSON values", "whole, values below the limit", "whole, lines", "whole, calls", "whole, gzip bomb",
    "whole, deflate bomb", "whole, gzip in gzip", "whole, gzip tenfold", "whole, brotli", "whole, an event stream",
]  # fmt: skip
LISTS = ["error, gzip bomb", "list, 600 MB", "list, just below the limit", "list, models", "list, gzip bomb"]
ACCOUNTS = ["account, 600 MB"]


def cases() -> list[tuple[str, str]]:
    """All answers, with the ways to ask for each."""
    return [
        *((name, way) for name in STREAMS for way in ("stream", "stream_async")),
        *((name, way) for name in WHOLES for way in ("run", "run_async")),
        *((name, way) for name in LISTS for way in ("list", "list_async")),
        *((name, "account") for name in ACCOUNTS),
    ]


_HARMLESS = b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"data":[{"id":"a/b"}]}'


class _Handler(socketserver.BaseRequestHandler):
    """Answers a request: harmless first, then as its path says."""

    def handle(self) -> None:
        request: socket.socket = self.request
        received = b""
        while b"\r\n\r\n" not in received and (block := request.recv(65_536)):
            received += block
        number = received.split(b" ", 2)[1].split(b"/")[1].decode()
        answer = Hostile(_head(), iter([_HARMLESS])) if number == "harmless" else hostile(cases()[int(number)][0])
        with contextlib.suppress(OSError):  # the reader has had enough
            request.sendall(answer.head)
            for block in answer.blocks:
                request.sendall(block)
            request.shutdown(socket.SHUT_WR)
            while request.recv(65_536):
                pass


@contextmanager
def server() -> Iterator[str]:
    """The server of hostile answers; gives its address."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as serving:
        serving.daemon_threads = True
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{serving.server_address[1]}"
        finally:
            serving.shutdown()
            thread.join()


# -- in a process of its own --------------------------------------------------------------------------------------


def read(address: str, way: str) -> None:
    """Ask in one way, and read the answer to its end."""
    key = Secret.from_token("sk-none")
    generator = OpenRouterChatGenerator(api_key=key, model="v/m", api_base_url=address, timeout=60, max_retries=0)
    endpoint = JsonEndpoint(address, key, timeout=60, max_retries=0)
    match way:
        case "stream":
            with generator.stream("Hi") as stream:
                for _ in stream:
                    pass
        case "stream_async":
            asyncio.run(_stream(generator))
        case "run":
            generator.run("Hi")
        case "run_async":
            asyncio.run(generator.run_async("Hi"))
        case "list":
            load_catalog(endpoint, refresh=True)
        case "list_async":
            asyncio.run(load_catalog_async(endpoint, refresh=True))
        case "account":
            key_status(endpoint)


async def _stream(generator: OpenRouterChatGenerator) -> None:
    async with generator.stream_async("Hi") as stream:
        async for _ in stream:
            pass


def memory(name: str) -> int:
    """Return a figure of ``/proc/self/status`` in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(name + ":")]
    return int(line.split()[1]) * 1024


def measure_here(address: str, number: int, way: str) -> dict[str, Any]:
    """Read a harmless answer, then a hostile one, and return how far memory peaked above the start."""
    with contextlib.suppress(OrchatError):
        read(f"{address}/harmless", way)
    start = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    started, ended, partial = time.monotonic(), "an answer", 0
    try:
        read(f"{address}/{number}", way)
    except OrchatError as error:
        ended = f"{type(error).__name__}: {error.message}"
        if isinstance(error, APIError) and error.partial is not None:
            partial = len(error.partial.text or "") + sum(
                len(image.base64_image or "") for image in error.partial.images
            )
    seconds = time.monotonic() - started
    return {"peak": memory("VmHWM") - start, "seconds": seconds, "ended": ended, "partial": partial}


# -- the table ----------------------------------------------------------------------------------------------------


def measure(address: str, number: int, way: str) -> dict[str, Any]:
    """Measure one answer in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.ceilings", "--address", address]
    command += ["--number", str(number), "--way", way]
    environment = {"NO_PROXY": "127.0.0.1", "PATH": "", "XDG_CACHE_HOME": "/nonexistent"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=environment)
    if done.returncode:
        return {"peak": 0, "seconds": 0.0, "ended": "CRASH " + done.stderr.strip()[-300:], "partial": 0}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ceilings", description=__doc__)
    parser.add_argument("--only", default="", help="the answers whose names contain this text")
    parser.add_argument("--ways", nargs="*", default=[*WAYS, *QUERIES])
    parser.add_argument("--check", action="store_true", help="exit with 1 when the gate is missed")
    parser.add_argument("--address", help=argparse.SUPPRESS)
    parser.add_argument("--number", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.address:
        print(json.dumps(measure_here(options.address, options.number, options.way)))
        return 0
    print(f"{'':32}{'asked by':14}{'peak MB':>8}{'s':>7}  {'kept':>9}  ended in")
    highest, passed = 0.0, True
    with server() as address:
        for number, (name, way) in enumerate(cases()):
            if options.only not in name or way not in options.ways:
                continue
            found = measure(address, number, way)
            peak = found["peak"] / _MB
            highest = max(highest, peak)
            passed = passed and peak <= GATE and not found["ended"].startswith("CRASH")
            mark = "" if peak <= GATE else "  OVER"
            figures = f"{peak:8.1f}{found['seconds']:7.2f}  {found['partial']:9}"
            print(f"{name:32}{way:14}{figures}  {found['ended'][:90]}{mark}", flush=True)
    print(f"highest peak {highest:.1f} MB over the start: gate of {GATE:.0f} MB {'passed' if passed else 'MISSED'}")
    return 0 if passed or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
