#!/usr/bin/env bash
# Asking a network stream of anyio 4.16.0 for its socket asks the system for the address of its peer, too.
#
# `stream.extra(SocketAttribute.raw_socket)` makes a dictionary of all attributes first: whether there is a remote address
# decides about two of its keys, and so it is looked up and parsed each time. httpcore2 2.16.2 asks each idle connection
# for its socket ("is it readable?") whenever a request begins or ends. So a client that never wants an address makes
# several of these system calls for each request.
#
# Seen:
#   10 look-ups of the socket: 10 of the peer's address
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q anyio==4.16.0
cat > "$dir/count.py" <<'PYTHON'
import asyncio
from asyncio.trsock import TransportSocket

import anyio
from anyio.abc import SocketAttribute

asked = []
getpeername = TransportSocket.getpeername


def counted(self):
    asked.append(self)
    return getpeername(self)


TransportSocket.getpeername = counted


async def main():
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with await anyio.connect_tcp("127.0.0.1", server.sockets[0].getsockname()[1]) as stream:
        asked.clear()
        for _ in range(10):
            stream.extra(SocketAttribute.raw_socket)
        print(f"10 look-ups of the socket: {len(asked)} of the peer's address")
        assert len(asked) >= 10, "the socket is looked up alone now"
    server.close()


asyncio.run(main())
PYTHON
"$dir/venv/bin/python" "$dir/count.py"
