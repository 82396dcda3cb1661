"""Connections: refused, closed when somebody leaves, and never a proxy on the way to this machine."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
import traceback
from contextlib import nullcontext

import httpx
import pytest

from orchat.errors import APIConnectionError
from orchat.openrouter.generator import OpenRouterChatGenerator
from tests.generator.ways import KEY, Way
from tests.openrouter_server import ScriptedOpenRouter, event, hold, stream, text
from tests.patience import PATIENCE, stretched

BOTH_PACKAGES = True


@pytest.fixture
def endless(openrouter):
    """A reply that does not end by itself."""
    answer = stream(event("Hel"), event("lo")).ending("stall")
    openrouter.always(answer)
    return answer


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_refused_connection_is_a_short_error_that_helps(make, way: Way) -> None:
    generator = make(api_base_url=f"http://127.0.0.1:{closed_port()}/api/v1")
    with pytest.raises(APIConnectionError, match=r"No connection to 127\.0\.0\.1") as caught:
        way(generator)
    assert "does a server run there?" in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert caught.value.retryable
    everything = "".join(traceback.format_exception(caught.value))
    assert "httpx" not in everything
    assert "httpcore" not in everything
    assert KEY not in everything


def test_a_refused_connection_is_tried_again(openrouter, make, driver: Way) -> None:
    port = closed_port()
    generator = make(api_base_url=f"http://127.0.0.1:{port}/api/v1", max_retries=3)
    late = ScriptedOpenRouter()
    starting = threading.Timer(0.3, late.start, [port])
    starting.start()
    try:
        assert driver(generator).text
    finally:
        starting.join()
        late.stop()


def test_a_name_that_does_not_exist_is_an_error_that_asks_about_the_spelling(make, way: Way) -> None:
    with pytest.raises(APIConnectionError, match="spelt right"):
        way(make(api_base_url="http://no-such-host.invalid/api/v1"))


def test_a_host_that_speaks_no_tls_is_not_connected_to(openrouter, make, driver: Way) -> None:
    with pytest.raises(APIConnectionError, match="could not be reached in time"):
        driver(make(timeout=0.3, api_base_url=openrouter.base_url.replace("http:", "https:")))
    openrouter.failures.clear()  # it saw bytes that are no HTTP


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_in_the_environment_catches_no_request_to_this_machine(
    openrouter, make, way: Way, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    assert way(make()).text
    assert way(make(api_base_url=openrouter.base_url.replace("127.0.0.1", "localhost"))).text


def test_a_proxy_given_by_hand_is_asked_for_other_hosts(make, driver: Way) -> None:
    with ScriptedOpenRouter(validate=False) as proxy:
        proxy.always(text("By proxy."))
        generator = make(
            api_base_url="http://elsewhere.invalid/api/v1", http_client_kwargs={"proxy": proxy.origin, "verify": True}
        )
        assert driver(generator).text == "By proxy."
        assert proxy.request.target == "http://elsewhere.invalid/api/v1/chat/completions"


@pytest.mark.parametrize("kind", ["run", "run_async", "run_async with async callback"])
def test_a_callback_that_raises_closes_the_connection(openrouter, generator, endless, kind: str) -> None:
    def fail(chunk) -> None:
        raise LookupError(chunk.content)

    async def fail_async(chunk) -> None:
        fail(chunk)

    def ask() -> None:
        if kind == "run":
            generator.run("Hi", fail)
        else:
            asyncio.run(generator.run_async("Hi", fail_async if "async callback" in kind else fail))

    with pytest.raises(LookupError, match="Hel"):
        ask()
    assert openrouter.request.client_closed.wait(PATIENCE)


@pytest.mark.parametrize("when", ["before the first token", "in the middle", "without streaming"])
def test_a_cancelled_task_closes_the_connection(openrouter, generator, endless, when: str) -> None:
    if when == "before the first token":
        openrouter.always(stream(b"", hold(threading.Event())))
    if when == "without streaming":
        openrouter.always(text("late").delayed(5))

    async def main() -> float:
        callback = None if when == "without streaming" else lambda chunk: None
        task = asyncio.create_task(generator.run_async("Hi", callback))
        await asyncio.to_thread(openrouter.wait_for_requests)
        await asyncio.sleep(0.05)
        task.cancel()
        started = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        # While the loop still runs: the task closed it, not the end of everything.
        assert await asyncio.to_thread(openrouter.request.client_closed.wait, PATIENCE)
        return time.monotonic() - started

    assert asyncio.run(main()) < stretched(0.5)


def test_asyncio_timeouts_cancel_as_well(openrouter, generator, endless) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(stretched(0.3)):
                await generator.run_async("Hi", lambda chunk: None)

    asyncio.run(main())
    assert openrouter.request.client_closed.wait(PATIENCE)


def test_leaving_the_with_block_early_closes_the_connection(openrouter, generator, endless) -> None:
    with generator.stream("Hi") as reply:
        chunk = next(reply)
    assert chunk.content == reply.message.text == "Hel"
    assert reply.message.meta["finish_reason"] is None
    assert openrouter.request.client_closed.wait(PATIENCE)
    assert list(reply) == []


def test_leaving_the_async_with_block_early_closes_the_connection(openrouter, generator, endless) -> None:
    async def main() -> None:
        async with generator.stream_async("Hi") as reply:
            chunk = await anext(reply)
        assert chunk.content == reply.message.text == "Hel"
        assert await asyncio.to_thread(openrouter.request.client_closed.wait, PATIENCE)
        assert [chunk async for chunk in reply] == []

    asyncio.run(main())


def test_closing_a_stream_closes_the_connection(openrouter, generator, endless) -> None:
    reply = generator.stream("Hi")
    assert next(reply).content == "Hel"
    reply.close()
    reply.close()
    assert openrouter.request.client_closed.wait(PATIENCE)


def test_closing_an_async_stream_closes_the_connection(openrouter, generator, endless) -> None:
    async def main() -> None:
        reply = generator.stream_async("Hi")
        assert (await anext(reply)).content == "Hel"
        await reply.aclose()
        await reply.aclose()
        assert await asyncio.to_thread(openrouter.request.client_closed.wait, PATIENCE)

    asyncio.run(main())


def test_an_exception_in_the_loop_closes_the_connection(openrouter, generator, endless) -> None:
    def read() -> None:
        with generator.stream("Hi") as reply:
            for chunk in reply:
                raise LookupError(chunk.content)

    with pytest.raises(LookupError, match="Hel"):
        read()
    assert openrouter.request.client_closed.wait(PATIENCE)


def test_a_stream_that_nobody_holds_any_more_closes_its_connection(openrouter, generator, endless) -> None:
    for _ in generator.stream("Hi"):
        break
    gc.collect()
    assert openrouter.request.client_closed.wait(PATIENCE)


def test_an_async_stream_that_nobody_holds_any_more_closes_its_connection(openrouter, generator, endless) -> None:
    async def main() -> None:
        async for _ in generator.stream_async("Hi"):
            break
        gc.collect()
        assert await asyncio.to_thread(openrouter.request.client_closed.wait, PATIENCE)

    asyncio.run(main())


_KEPT: list[object] = []


@pytest.mark.parametrize("way", ["left", "named", "kept", "failed", "one step"])
def test_an_async_stream_that_is_left_without_a_block_closes_quietly(openrouter, generator, endless, way) -> None:
    told: list[object] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        if way == "left":
            async for _ in generator.stream_async("Hi"):
                break
            # At once, not when the loop ends.
            assert await asyncio.to_thread(openrouter.request.client_closed.wait, PATIENCE)
            return
        stream = generator.stream_async("Hi")
        if way == "kept":
            _KEPT.append(stream)
        if way == "one step":
            assert await anext(stream)
            return
        async for _ in stream:
            if way == "failed":
                raise LookupError("mine")
            break

    with pytest.raises(LookupError, match="mine") if way == "failed" else nullcontext():
        asyncio.run(main())
    _KEPT.clear()
    gc.collect()
    assert told == []
    assert openrouter.request.client_closed.wait(PATIENCE)


def test_nothing_is_asked_before_the_first_chunk_is(openrouter, generator) -> None:
    reply = generator.stream("Hi")
    assert reply.message.text is None
    reply.close()

    async def main() -> None:
        await generator.stream_async("Hi").aclose()

    asyncio.run(main())
    assert openrouter.requests == []


def test_failed_requests_leave_no_connection_behind(openrouter, make, driver: Way) -> None:
    openrouter.always(text("x" * 300).cut(2).paced(0.05))
    generator = make(timeout=stretched(0.1), http_client_kwargs={"limits": httpx.Limits(max_connections=1)})
    for _ in range(3):
        with pytest.raises(APIConnectionError, match=r"sent nothing|did not finish|nothing new") as caught:
            driver(generator)
        assert "reached" not in str(caught.value)
    assert len(openrouter.requests) == 3


def test_a_generator_that_was_not_closed_leaves_no_open_socket(
    openrouter, make, recwarn: pytest.WarningsRecorder
) -> None:
    generator = OpenRouterChatGenerator(api_key=None, api_base_url=openrouter.base_url)
    generator.run("Hi")
    asyncio.run(generator.run_async("Hi"))
    del generator
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


def test_a_generator_dropped_while_its_loop_runs_leaves_no_open_socket(openrouter, recwarn) -> None:
    async def main() -> None:
        generator = OpenRouterChatGenerator(api_key=None, api_base_url=openrouter.base_url)
        await generator.run_async("Hi")
        del generator
        gc.collect()
        await asyncio.sleep(0.05)

    asyncio.run(main())
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
