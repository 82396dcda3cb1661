"""One generator in many threads, loops, processes and copies."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchat.errors import ConfigurationError
from orchat.messages import ChatMessage
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.secret import Secret
from tests.generator.samples import tide_tool
from tests.generator.ways import KEY
from tests.openrouter_server import text


def echo(request):
    """Say what was asked, and by which key."""
    return text(f"{request.json['messages'][-1]['content']} {request.headers['authorization']}")


@pytest.fixture
def saved(openrouter, monkeypatch: pytest.MonkeyPatch):
    """A generator that may be copied: its key goes by name."""
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    generator = OpenRouterChatGenerator(api_base_url=openrouter.base_url, max_retries=0, timeout=10)
    yield generator
    generator.close()


def test_twenty_threads_may_share_one_generator(openrouter, generator) -> None:
    openrouter.always(echo)

    def ask(number: int) -> list[str]:
        texts = []
        for turn in range(5):
            question = f"{number}/{turn}"
            if turn % 2:
                [reply] = generator.run(question)["replies"]
            else:
                with generator.stream(question) as stream:
                    list(stream)
                reply = stream.message
            texts.append(reply.text == f"{question} Bearer {KEY}")
        return texts

    with ThreadPoolExecutor(20) as pool:
        assert [all(texts) and len(texts) == 5 for texts in pool.map(ask, range(20))] == [True] * 20
    assert len(openrouter.requests) == 100
    assert openrouter.connections < 60


def test_one_generator_serves_one_loop_after_another_and_threads_in_between(openrouter, generator, recwarn) -> None:
    openrouter.always(echo)

    async def ask(number: int) -> list[str]:
        replies = await asyncio.gather(*(generator.run_async(f"{number}/{n}") for n in range(5)))
        async with generator.stream_async("streamed") as stream:
            texts = [chunk.content async for chunk in stream]
        return [reply["replies"][0].text.split()[0] for reply in replies] + ["".join(texts).split()[0]]

    for number in range(3):
        assert asyncio.run(ask(number)) == [*(f"{number}/{n}" for n in range(5)), "streamed"]
        assert generator.run("between")["replies"][0].text.startswith("between")
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
    loops = [loop for process, loop, way in generator._transport._clients if loop is not None]
    assert len(loops) == 1  # of the last one; clients of those that are closed are gone


def test_several_loops_at_once_may_share_one_generator(openrouter, generator) -> None:
    openrouter.always(echo)
    meeting = threading.Barrier(4)

    def live(number: int) -> str:
        async def main() -> str:
            await asyncio.to_thread(meeting.wait)
            replies = [await generator.run_async(f"{number}") for _ in range(3)]
            return replies[-1]["replies"][0].text

        return asyncio.run(main())

    with ThreadPoolExecutor(4) as pool:
        assert [reply.split()[0] for reply in pool.map(live, range(4))] == ["0", "1", "2", "3"]


def test_a_loop_keeps_its_connection(openrouter, generator) -> None:
    async def main() -> None:
        for _ in range(3):
            await generator.run_async("Hi")

    asyncio.run(main())
    assert openrouter.connections == 1


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))],
                         ids=["copy", "deepcopy", "pickle"])  # fmt: skip
def test_a_generator_may_be_copied_after_use(openrouter, saved, duplicate) -> None:
    openrouter.always(echo)
    saved.tools = [tide_tool()]
    saved.generation_kwargs = {"seed": 7}
    saved.run("Hi")
    asyncio.run(saved.run_async("Hi"))
    twin = duplicate(saved)
    try:
        assert twin.run("Again")["replies"][0].text == f"Again Bearer {KEY}"
        assert openrouter.request.json["seed"] == 7
        assert openrouter.request.connection == openrouter.requests[0].connection
        twin.close()
        assert twin.api_key == saved.api_key
        assert saved.run("Still here")["replies"][0].text.startswith("Still")
    finally:
        twin.close()


def test_a_pickle_holds_the_name_of_the_variable_and_not_the_key(saved) -> None:
    saved.run("Hi")
    data = pickle.dumps(saved)
    assert b"OPENROUTER_API_KEY" in data
    assert KEY.encode() not in data


def test_a_generator_with_a_token_refuses_to_be_pickled_but_may_be_copied(openrouter, saved) -> None:
    saved.api_key = Secret.from_token("sk-or-v1-of-a-token")
    saved.run("Hi")
    with pytest.raises(ConfigurationError, match="refuses to be pickled"):
        pickle.dumps(saved)
    twin = copy.deepcopy(saved)
    twin.run("Hi")
    twin.close()
    assert openrouter.request.headers["authorization"] == "Bearer sk-or-v1-of-a-token"


def test_a_generator_with_a_token_in_a_header_refuses_to_be_pickled(saved) -> None:
    saved.extra_headers = {"X-Gateway": Secret.from_token("gateway-0123")}
    with pytest.raises(ConfigurationError, match="refuses to be pickled"):
        pickle.dumps(saved)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_opens_connections_of_its_own(openrouter, generator) -> None:
    openrouter.always(echo)
    generator.run("parent")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            plain = generator.run("child")["replies"][0].text
            looped = asyncio.run(generator.run_async("loop"))["replies"][0].text
            os.write(writer, f"{plain}|{looped}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        assert answers.read() == f"child Bearer {KEY}|loop Bearer {KEY}"
    os.waitpid(child, 0)
    assert generator.run("parent again")["replies"][0].text.startswith("parent again")
    connections = [request.connection for request in openrouter.requests]
    assert connections[0] == connections[3]
    assert len({connections[0], connections[1], connections[2]}) == 3


def test_many_streams_may_be_read_at_once_by_one_thread(openrouter, generator) -> None:
    openrouter.always(echo)
    streams = [generator.stream(str(number)) for number in range(5)]
    while [chunk for stream in streams if (chunk := next(stream, None)) is not None]:
        pass
    assert [stream.message.text.split()[0] for stream in streams] == ["0", "1", "2", "3", "4"]
    assert isinstance(streams[0].message, ChatMessage)
