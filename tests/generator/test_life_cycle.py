"""Warming up and closing: needed by nobody, harmless in any order."""

from __future__ import annotations

import asyncio
import gc
from itertools import permutations

import pytest

from orchat.errors import ConfigurationError, MissingKeyError
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.secret import Secret
from tests.generator.ways import KEY, Way

BOTH_PACKAGES = True
STEPS = ["warm_up", "warm_up_async", "close", "close_async"]

BOTH_PACKAGES = True


@pytest.mark.parametrize("order", list(permutations(STEPS, 3)), ids="-".join)
def test_warming_up_and_closing_work_in_any_order_and_twice(openrouter, make, order) -> None:
    generator = make()

    async def main() -> None:
        for step in order:
            for _ in range(2):
                if step.endswith("async"):
                    await getattr(generator, step)()
                else:
                    getattr(generator, step)()
        assert generator.run("Hi")["replies"][0].text
        assert (await generator.run_async("Hi"))["replies"][0].text

    asyncio.run(main())


def test_a_closed_generator_opens_a_new_connection(openrouter, generator, driver: Way) -> None:
    driver(generator)
    if driver.is_async:
        driver.runner.run(generator.close_async())
    else:
        generator.close()
    driver(generator)
    assert openrouter.connections == 2


def test_sync_and_async_clients_close_independently(openrouter, generator) -> None:
    async def main() -> None:
        await generator.run_async("Hi")
        generator.run("Hi")
        generator.close()
        await generator.run_async("Hi")
        await generator.close_async()
        generator.run("Hi")

    asyncio.run(main())
    assert [request.connection for request in openrouter.requests] == [1, 2, 1, 3]


@pytest.mark.parametrize("step", ["warm_up", "warm_up_async"])
def test_warming_up_sends_nothing_and_finds_what_is_wrong(openrouter, make, monkeypatch, step: str) -> None:
    def warm(generator: OpenRouterChatGenerator) -> None:
        if step == "warm_up":
            generator.warm_up()
        else:
            asyncio.run(generator.warm_up_async())

    warm(make())
    assert openrouter.connections == 0
    with pytest.raises(MissingKeyError, match=r"None of the .* environment variables are set"):
        warm(make(api_key=Secret.from_env_var("OPENROUTER_API_KEY")))
    monkeypatch.setenv("OPENAI_MAX_RETRIES", "many")
    with pytest.raises(ConfigurationError, match="OPENAI_MAX_RETRIES"):
        warm(make(max_retries=None))
    with pytest.raises(TypeError):
        warm(make(http_client_kwargs={"no_such_argument": 1}))


def test_a_generator_is_made_without_a_key_or_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = OpenRouterChatGenerator()
    assert generator._transport is None
    assert generator.api_key == Secret.from_env_var("OPENROUTER_API_KEY")


@pytest.mark.parametrize("step", ["run", "run_async"])
def test_no_messages_without_a_key_is_a_value_error(make, step: str) -> None:
    generator = make(api_key=Secret.from_env_var("OPENROUTER_API_KEY"))

    def ask() -> None:
        asyncio.run(generator.run_async([])) if step == "run_async" else generator.run([])

    with pytest.raises(ValueError, match=r"None of the .* environment variables are set"):
        ask()


def test_no_messages_with_a_key_are_no_replies_and_no_request(openrouter, generator) -> None:
    assert generator.run([]) == {"replies": []}
    assert asyncio.run(generator.run_async([])) == {"replies": []}
    assert openrouter.connections == 0
    for stream in (generator.stream, generator.stream_async):
        with pytest.raises(ConfigurationError, match="no messages"):
            stream([])


def test_closing_an_unused_generator_loads_no_http_client(make) -> None:
    generator = make()
    generator.close()
    asyncio.run(generator.close_async())
    assert generator._transport is None


def test_attributes_changed_later_count_for_the_next_call(openrouter, generator, driver: Way) -> None:
    driver(generator)
    generator.model = "vendor/other"
    generator.api_key = Secret.from_token("sk-another-0123456789")
    generator.extra_headers = {"X-New": "1"}
    generator.generation_kwargs = {"seed": 1}
    driver(generator)
    request = openrouter.request
    assert (request.json["model"], request.json["seed"]) == ("vendor/other", 1)
    assert (request.headers["authorization"], request.headers["x-new"]) == ("Bearer sk-another-0123456789", "1")
    assert KEY not in str(request.headers)


@pytest.mark.parametrize("reads", [1, 0])
def test_a_loop_that_ends_with_an_open_stream_complains_of_nothing(
    openrouter, generator, capsys, recwarn, reads
) -> None:
    async def main() -> None:
        stream = generator.stream_async("Hi")
        for _ in range(reads):
            await anext(stream)

    asyncio.run(main(), debug=True)
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
    assert "never retrieved" not in capsys.readouterr().err
