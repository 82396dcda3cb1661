#!/usr/bin/env bash
# The pool of httpx2 2.16.2 (httpcore2 2.16.2) looks at every connection that it keeps when a request begins, and again
# when it ends: a request over a pool of 64 idle connections asks eight times as many questions as over one of 8.
#
# Where many requests go out at a time this is a fifth of the client's processor time for each of them (64 at a time,
# answers of one kilobyte). Several small pools cost less than one large one, although they have as many connections.
# With httpx 0.28.1 (httpcore 1.0.9) it is the square: 176 and 8,576 questions. Counted are the calls of the
# connections' `is_closed`, `is_idle` and `is_available` for one request, while no other one is open.
#
# Seen:
#    8 idle connections:   65 questions a request
#   64 idle connections:  513 questions a request
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q httpx2==2.16.2 httpcore2==2.16.2 h11==0.16.0 anyio==4.12.0
cat > "$dir/count.py" <<'PYTHON'
import asyncio
from collections import Counter

import httpx2
from httpcore2 import AsyncHTTPConnection

asked = Counter()
for name in ("is_closed", "is_idle", "is_available"):

    def counted(self, name=name, real=getattr(AsyncHTTPConnection, name)):
        asked[name] += 1
        return real(self)

    setattr(AsyncHTTPConnection, name, counted)


async def serve(reader, writer):
    while await reader.readuntil(b"\r\n\r\n"):
        await asyncio.sleep(0.3)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()


async def questions(port, connections):
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx2.AsyncClient(limits=limits, trust_env=False) as client:
        await asyncio.gather(*(client.get(f"http://127.0.0.1:{port}/") for _ in range(connections)))
        asked.clear()
        await client.get(f"http://127.0.0.1:{port}/")
        return asked.total()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    few, many = await questions(port, 8), await questions(port, 64)
    print(f" 8 idle connections: {few:4d} questions a request\n64 idle connections: {many:4d} questions a request")
    assert many > 6 * few, "the pool does not look at all connections any more"


asyncio.run(main())
PYTHON
"$dir/venv/bin/python" "$dir/count.py" 2>/dev/null
