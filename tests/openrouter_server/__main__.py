"""Serve a browser test or a benchmark: ``python -m tests.openrouter_server --tokens 400 --rate 100``.

Prints the base URL as one line, the number of connections so far for each line of its standard input, and ends when
that closes. Every chat request gets the same reply of so
many tokens, each one chunk; the bytes are made once. ``--flood`` sends them as fast as the client reads. Requests are
not validated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import cycle, islice

from tests.openrouter_server.answers import Answer, text
from tests.openrouter_server.replies import words
from tests.openrouter_server.server import ScriptedOpenRouter

_SENTENCE = "\n\nThe river runs down to the sea, and the tide comes up to meet it again."


def reply(tokens: int, *, rate: float | None = None, per_chunk: int = 1) -> Answer:
    """An answer of so many content chunks, at so many a second or as fast as possible."""
    answer = text("".join(islice(cycle(words(_SENTENCE)), tokens)).lstrip())
    return answer.flooded(per_chunk) if rate is None else answer.prepared().paced(1 / rate)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m tests.openrouter_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--tokens", type=int, default=100, help="content chunks of each reply")
    parser.add_argument("--rate", type=float, default=100.0, help="chunks per second")
    parser.add_argument("--flood", action="store_true", help="no pauses at all")
    parser.add_argument("--wait", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--per-chunk", type=int, default=1, help="events in an HTTP chunk of a flood")
    parser.add_argument("--key", help="the API key that requests must bear")
    options = parser.parse_args(arguments)
    server = ScriptedOpenRouter(validate=False, required_key=options.key, keep_requests=False)
    rate = None if options.flood else options.rate
    server.always(reply(options.tokens, rate=rate, per_chunk=options.per_chunk).delayed(options.wait))
    server.start(options.port)
    try:
        print(server.base_url, flush=True)
        for _ in sys.stdin:
            print(server.connections, flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()


if __name__ == "__main__":
    main()
