"""llama.cpp's own server as any other host: usage on demand, its context length, and what it refuses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchat.errors import AuthenticationError, BadRequestError
from orchat.local import LocalServer
from orchat.messages import ChatMessage, ImageContent, ToolCall
from orchat.openrouter.catalog import load_catalog
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.openrouter.json_query import JsonEndpoint
from orchat.secret import Secret
from tests.openrouter_server import PNG
from tests.patience import stretched

pytestmark = pytest.mark.slow
SHORT = {"max_tokens": 4, "temperature": 0}


@pytest.fixture
def generator(local_server: LocalServer) -> Iterator[OpenRouterChatGenerator]:
    """A generator that does not know which model it asks."""
    generator = OpenRouterChatGenerator(
        api_key=local_server.api_key, model="smol", api_base_url=local_server.base_url, generation_kwargs=SHORT
    )
    yield generator
    generator.close()


def test_a_stream_tells_its_usage_because_it_is_asked(generator: OpenRouterChatGenerator) -> None:
    with generator.stream("Name a river.") as stream:
        text = "".join(chunk.content for chunk in stream)
    assert text == stream.message.text
    assert stream.message.meta["usage"]["completion_tokens"] == 4
    assert stream.message.meta["finish_reason"] == "length"


def test_a_call_without_words_goes_back(generator: OpenRouterChatGenerator) -> None:
    call = ToolCall("tide", {"port": "Hull"}, "call_1")
    asked = [ChatMessage.from_user("Tide?"), ChatMessage.from_assistant(tool_calls=[call])]
    [reply] = generator.run([*asked, ChatMessage.from_tool("14:10", call)])["replies"]
    assert reply.meta["usage"]["completion_tokens"] == 4


@pytest.mark.parametrize("streams", [False, True])
def test_an_image_is_refused_at_once_though_the_status_is_500(
    generator: OpenRouterChatGenerator, streams: bool
) -> None:
    image = ImageContent(PNG.partition(",")[2], "image/png")
    started = time.monotonic()
    with pytest.raises(BadRequestError, match="image input is not supported") as caught:
        generator.run(
            [ChatMessage.from_user(content_parts=["What?", image])], (lambda chunk: None) if streams else None
        )
    assert (caught.value.status_code, time.monotonic() - started < stretched(3)) == (500, True)


def test_a_conversation_that_is_too_long_says_so(generator: OpenRouterChatGenerator) -> None:
    with pytest.raises(BadRequestError, match="Shorten the conversation"), generator.stream("word " * 6000) as stream:
        list(stream)


def test_a_wrong_key_is_told_for_this_host(local_server: LocalServer) -> None:
    wrong = OpenRouterChatGenerator(
        api_key=Secret.from_token("wrong-key"), model="smol", api_base_url=local_server.base_url
    )
    with pytest.raises(AuthenticationError, match=r"Check the key for 127\.0\.0\.1:"):
        wrong.run("Hi")
    wrong.close()


def test_its_list_of_models_tells_the_context_length(
    local_server: LocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    catalog = load_catalog(JsonEndpoint(local_server.base_url, local_server.api_key))
    assert [model.context_length for model in catalog.models] == [4096]
