"""The sockets of connections: their options, and a quick way to them."""

from __future__ import annotations

import select
import socket
from asyncio.trsock import TransportSocket
from contextlib import suppress
from typing import Any

# A connection that swallows everything, as after a change of networks, is found dead while it is idle (seconds to the
# first probe, and between probes), and when nothing that was sent is confirmed for so long. A network between that
# forgets quiet connections does not forget those that are probed.
PROBE_AFTER, PROBE_INTERVAL, PROBES = 30, 10, 3
UNCONFIRMED_TIMEOUT = 30.0


def set_keep_alive(connection: socket.socket) -> None:
    """Set a TCP connection's options so that it is found dead where it is; on other sockets nothing happens."""
    options = [
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", PROBE_AFTER),
        (socket.IPPROTO_TCP, "TCP_KEEPALIVE", PROBE_AFTER),  # its name on macOS
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", PROBE_INTERVAL),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", PROBES),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", int(1000 * UNCONFIRMED_TIMEOUT)),
    ]
    for level, name, value in options:
        if (option := getattr(socket, name, None)) is not None:
            with suppress(OSError):
                connection.setsockopt(level, option, value)


def cache_socket(stream: Any) -> None:
    """Let an HTTP package's network stream look up its socket only once.

    The pools ask each idle connection whether its socket is readable whenever a request begins or ends, some eight
    times a request of 64 at once, and anyio 4.16 gathers a socket's addresses and its peer's each time it is looked up:
    together a tenth of a call's CPU time.
    """
    connection, look_up = stream.get_extra_info("socket"), stream.get_extra_info
    if not isinstance(connection, TransportSocket):  # the sockets of threads are at hand
        return

    def get_extra_info(info: str) -> Any:
        if info == "is_readable":
            return _is_readable(connection)
        return connection if info == "socket" else look_up(info)

    stream.get_extra_info = get_extra_info


def _is_readable(connection: TransportSocket) -> bool:
    """Whether something came, or the connection has ended."""
    if (descriptor := connection.fileno()) < 0:
        return True
    if not hasattr(select, "poll"):  # on Windows
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
