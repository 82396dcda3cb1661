"""Connections are shared by all who ask one endpoint in one way, kept for minutes, and found dead where they are."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from asyncio.trsock import TransportSocket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import httpx
import httpx2
import pytest

from orchat.chat import Chat
from orchat.errors import APIConnectionError
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.openrouter.json_query import JsonEndpoint, JsonQuery
from orchat.openrouter.transport import connection_pool, connection_socket
from orchat.openrouter.transport.connection_pool import ConnectionPools
from orchat.openrouter.transport.connection_socket import cache_socket, set_keep_alive
from orchat.openrouter.transport.sharded_transport import ShardedTransport
from orchat.secret import Secret
from tests.generator.ways import KEY, Way
from tests.openrouter_server import ScriptedOpenRouter, completion, text


def asked(openrouter: ScriptedOpenRouter) -> list[int]:
    """The number of each request's connection."""
    return [request.connection for request in openrouter.requests]


def test_generators_that_come_and_go_share_a_connection(openrouter, make, way: Way) -> None:
    for number in range(4):
        way(make(extra_headers={"X-Number": str(number)}, timeout=30 + number, model=f"vendor/{number}"))
    assert asked(openrouter) == [1, 1, 1, 1]
    assert [request.headers["x-number"] for request in openrouter.requests] == ["0", "1", "2", "3"]


def test_a_chat_and_a_query_share_it_too(openrouter) -> None:
    def connect() -> OpenRouterChatGenerator:
        return OpenRouterChatGenerator(api_key=Secret.from_token(KEY), api_base_url=openrouter.base_url)

    assert Chat(connect())("Hi").text
    assert Chat(connect())("Hi").text
    assert JsonEndpoint(openrouter.base_url, Secret.from_token(KEY)).get(JsonQuery("/models"))
    assert connect().run("Hi")["replies"][0].text
    assert asked(openrouter) == [1, 1, 1, 1]


def test_neither_headers_nor_cookies_are_shared(openrouter, make, driver: Way) -> None:
    openrouter.always(text("Hi").headers({"Set-Cookie": "session=theirs; Path=/"}))
    for name in ("harbour", "port"):
        driver(make(http_client_kwargs={"cookies": {name: "hull"}, "headers": {"X-Name": name}}))
        assert (openrouter.request.headers["cookie"], openrouter.request.headers["x-name"]) == (f"{name}=hull", name)
    driver(make())
    assert "cookie" not in openrouter.request.headers
    assert asked(openrouter) == [1, 1, 1]


@pytest.mark.parametrize(
    "kwargs",
    [
        {"verify": False},
        {"verify": ssl.create_default_context()},
        {"limits": {"max_connections": 3}},
        {"trust_env": False},
        {"limits": httpx.Limits()},
        {"limits": httpx2.Limits()},
        {"proxy": "http://127.0.0.1:9"},
    ],
    ids=["verify", "context", "limits", "environment", "httpx", "httpx2", "proxy"],
)
def test_clients_with_other_settings_have_connections_of_their_own(openrouter, make, driver: Way, kwargs) -> None:
    driver(make())
    driver(make(http_client_kwargs=kwargs))
    driver(make())
    assert asked(openrouter) == [1, 2, 1]


def test_another_proxy_in_the_environment_is_another_way(make, driver: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with ScriptedOpenRouter(validate=False) as one, ScriptedOpenRouter(validate=False) as another:
        for proxy in (one, another, one):
            monkeypatch.setenv("HTTP_PROXY", proxy.origin)
            driver(make(api_base_url="http://elsewhere.invalid/api/v1"))
        assert (asked(one), asked(another)) == ([1, 1], [1])


def test_other_certificates_in_the_environment_are_another_way(make, monkeypatch, tmp_path) -> None:
    generator = make(http_client_kwargs={"verify": True}, api_base_url="https://elsewhere.invalid/api/v1")
    transport = generator._get_transport()
    usual = transport.client(generator.api_base_url)
    file = tmp_path / "own.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(ssl.create_default_context().get_ca_certs(binary_form=True)[0]))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    own = transport.client(generator.api_base_url)
    assert own is transport.client(generator.api_base_url)
    os.utime(file, ns=(1, 1))
    assert len({id(usual), id(own), id(transport.client(generator.api_base_url))}) == 3


def test_closing_one_closes_nobody_elses(openrouter, make, driver: Way) -> None:
    one, another = make(), make()

    def close(generator: OpenRouterChatGenerator) -> None:
        driver.runner.run(generator.close_async()) if driver.is_async else generator.close()

    driver(one)
    driver(another)
    close(one)
    close(one)
    driver(another)
    driver(one)
    assert asked(openrouter) == [1, 1, 1, 1]
    close(one)
    close(another)
    driver(another)
    assert openrouter.request.connection == 2


def test_a_burst_leaves_its_connections_for_the_next(openrouter, make) -> None:
    openrouter.always(text("Hi").delayed(0.05))

    async def main() -> None:
        for _ in range(3):
            await asyncio.gather(*(make().run_async("Hi") for _ in range(60)))

    asyncio.run(main())
    assert len(openrouter.requests) == 180
    assert openrouter.connections <= 60


@pytest.mark.parametrize("package", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_many_requests_at_once_have_several_pools_and_one_after_another_have_one(openrouter, package) -> None:
    made, closed = [], []

    class Counted(package.HTTPTransport):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

        def close(self) -> None:
            closed.append(self)
            super().close()
            if len(closed) == 1:
                raise OSError("a connection that nobody uses")

    transport = ShardedTransport(package, Counted, 0.2)
    with closing(package.Client(transport=transport)) as client:
        for _ in range(3):
            client.get(f"{openrouter.base_url}/models")
        with pytest.raises(package.ConnectError):
            client.get("http://127.0.0.1:9/")
        assert (len(made), openrouter.connections) == (1, 1)
        with ExitStack() as opened:
            for _ in range(20):  # what was read leaves its place, and its connection, to the next
                opened.enter_context(client.stream("GET", f"{openrouter.base_url}/models")).read()
            assert (len(made), openrouter.connections) == (1, 1)
            for _ in range(20):
                opened.enter_context(client.stream("GET", f"{openrouter.base_url}/models"))
            assert (len(made), openrouter.connections, closed) == (3, 20, [])
        time.sleep(0.3)
        client.get(f"{openrouter.base_url}/models")
        assert closed == [made[2], made[1]]
    assert len(closed) == 3


def test_pools_that_nobody_holds_are_few_and_close_when_they_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    class Holder:
        pass

    class Transport:
        is_open = True

        def close(self) -> None:
            self.is_open = False

    pools, holder = ConnectionPools(), Holder()
    kept = pools.pool("kept", holder, Transport).transport
    made = [pools.pool(number, Holder(), Transport).transport for number in range(30)]
    assert [number for number, each in enumerate(made) if each.is_open] == list(range(13, 30))
    monkeypatch.setattr(connection_pool, "monotonic", lambda: time.monotonic() + connection_pool.KEEP_ALIVE + 1)
    pools.pool("new", Holder(), Transport)
    assert (kept.is_open, any(each.is_open for each in made)) == (True, False)
    pools.close()
    assert not kept.is_open


def test_nothing_is_left_open_at_exit(openrouter) -> None:
    code = (
        "import asyncio, orchat\n"
        f"make = lambda: orchat.OpenRouterChatGenerator(api_key=None, api_base_url={openrouter.base_url!r})\n"
        "kept = make()\n"
        "for _ in range(2):\n"
        "    kept.run('Hi'), make().run('Hi'), asyncio.run(make().run_async('Hi'))\n"
    )
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert openrouter.connections == 3


# -- engines ----------------------------------------------------------------------------------------------------------


def test_objects_of_both_packages_cannot_be_mixed(make, driver: Way) -> None:
    kwargs = {"limits": httpx2.Limits(), "mounts": {"all://": httpx.MockTransport(lambda request: httpx.Response(200))}}
    with pytest.raises(TypeError, match="objects of both httpx and httpx2"):
        driver(make(http_client_kwargs=kwargs))


@pytest.mark.parametrize("package", [httpx, httpx2])
def test_an_authorization_of_ones_own_is_used(openrouter, make, way: Way, package) -> None:
    class Signature(package.Auth):
        requires_request_body = True

        def auth_flow(self, request):
            request.headers["X-Signature"] = str(len(request.content))
            yield request

    assert way(make(http_client_kwargs={"auth": Signature()})).text
    request = openrouter.request
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-signature"] == str(len(request.body))
    assert way(make(api_key=None, http_client_kwargs={"auth": ("me", "secret")})).text
    assert openrouter.request.headers["authorization"].startswith("Basic ")


# -- connections that are dead ----------------------------------------------------------------------------------------


def receive(connection: socket.socket) -> bytes:
    """Take what has come, and wait for it; where the connection ends, raise an `OSError`."""
    if piece := connection.recv(65536):
        return piece
    raise ConnectionAbortedError


@contextmanager
def swallowing_server() -> Iterator[tuple[str, list[int]]]:
    """A server whose first connection answers once, and from then on takes nothing and says nothing."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    hi = json.dumps(completion("Hi")).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(hi), hi)
    held: list[socket.socket] = []
    sizes: list[int] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                held.append(connection)
                head = b""
                while b"\r\n\r\n" not in head:
                    head += receive(connection)
                head, _, body = head.partition(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length:")[2].split()[0])
                got = len(body)
                while got < size:
                    got += len(receive(connection))
                sizes.append(got)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1", sizes
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in held:
            connection.close()
        thread.join()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system cannot tell when a peer is silent")
def test_a_kept_connection_that_swallows_everything_is_replaced(make, whole: Way, monkeypatch) -> None:
    monkeypatch.setattr(connection_socket, "UNCONFIRMED_TIMEOUT", 0.4)
    with swallowing_server() as (url, sizes):
        generator = make(api_base_url=url, max_retries=1)
        assert whole(generator).text == "Hi"
        assert whole(generator, "x" * 8_000_000).text == "Hi"
        assert [size > 8_000_000 for size in sizes] == [False, True]
        with pytest.raises(APIConnectionError, match="nothing that was sent to it was confirmed"):
            whole(make(api_base_url=url, max_retries=0), "x" * 8_000_000)


def test_idle_connections_are_probed(openrouter, make) -> None:
    with make().stream("Hi") as reply:
        next(reply)
        connection = reply._body._socket()
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == connection_socket.PROBE_AFTER
    local, other = socket.socketpair()
    with local, other:
        set_keep_alive(local)  # no TCP: nothing to set, and no error


@pytest.mark.parametrize("package", ["httpcore", "httpcore2"])
def test_the_end_of_a_connection_is_seen_at_its_cached_socket(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(listener: socket.socket) -> None:
        backend = importlib.import_module(package).AnyIOBackend()
        stream = await backend.connect_tcp(*listener.getsockname())
        peer, _ = listener.accept()
        cache_socket(stream)
        assert stream.get_extra_info("server_addr") == listener.getsockname()
        monkeypatch.setattr(TransportSocket, "getpeername", None)  # nothing looks it up again
        assert not stream.get_extra_info("is_readable")
        peer.close()
        assert select.select([stream.get_extra_info("socket")], [], [], 10)[0]
        assert stream.get_extra_info("is_readable")
        await stream.aclose()
        assert stream.get_extra_info("is_readable")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        asyncio.run(main(listener))
