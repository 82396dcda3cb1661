#!/usr/bin/env bash
# A chunked answer is given out one HTTP chunk at a time by httpx2 2.16.2 (h11 0.16.0), however many came at once; the
# same bytes with a length come in one block.
#
# Servers of language models send each event of a stream as a chunk. Where a hundred of them lie in the socket already
# (a slow reader, a proxy that collects), the client still takes a hundred turns through its layers. aiohttp 3.13.2
# (`iter_any`) gives all that it has read at once. So the cost of a token depends on the transfer coding, not on how the
# bytes arrive.
#
# Seen:
#   httpx2,  chunked: 100 blocks
#   httpx2,  length:    1 block
#   aiohttp, chunked:   1 block
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q httpx2==2.16.2 httpcore2==2.16.2 h11==0.16.0 anyio==4.16.0 aiohttp==3.13.2
cat > "$dir/blocks.py" <<'PYTHON'
import asyncio

import aiohttp
import httpx2

EVENTS = [b'data: {"choices":[{"delta":{"content":"tide "}}]}\n\n'] * 100


async def serve(reader, writer):
    path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    if path == b"/chunked":
        body = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in EVENTS) + b"0\r\n\r\n"
        head += b"Transfer-Encoding: chunked\r\n\r\n"
    else:
        body = b"".join(EVENTS)
        head += b"Content-Length: %d\r\n\r\n" % len(body)
    writer.write(head + body)
    await writer.drain()
    writer.close()


async def of_httpx2(url):
    async with httpx2.AsyncClient(trust_env=False) as client, client.stream("GET", url) as response:
        return [block async for block in response.aiter_raw()]


async def of_aiohttp(url):
    async with aiohttp.ClientSession() as client, client.get(url) as response:
        await asyncio.sleep(0.2)
        return [block async for block in response.content.iter_any()]


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    chunked, whole = await of_httpx2(f"{base}/chunked"), await of_httpx2(f"{base}/length")
    other = await of_aiohttp(f"{base}/chunked")
    print(f"httpx2,  chunked: {len(chunked):3} blocks\nhttpx2,  length:  {len(whole):3}\naiohttp, chunked: {len(other):3}")
    assert b"".join(chunked) == b"".join(whole) == b"".join(other) == b"".join(EVENTS)
    assert len(chunked) == len(EVENTS) and len(whole) < 5 and len(other) < 5, "the blocks are others now"


asyncio.run(main())
PYTHON
"$dir/venv/bin/python" "$dir/blocks.py"
