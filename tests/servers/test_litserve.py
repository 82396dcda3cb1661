"""LitServe: usage of its own, calls that end with stop, errors in every place, FastAPI's words."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from orchat.errors import APIError, BadRequestError, NotFoundError, ProviderError
from orchat.messages import ChatMessage, ToolCall
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.tools import Tool

pytest.importorskip("litserve", reason="LitServe is not installed: pip install -e '.[servers]'")
pytestmark = pytest.mark.server
Ask = Callable[..., ChatMessage]

PORT = {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]}
NO_COUNTS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@pytest.fixture
def generator(litserve_url: str) -> OpenRouterChatGenerator:
    return OpenRouterChatGenerator(api_key=None, model="m", api_base_url=litserve_url, timeout=60)


@pytest.fixture(params=["whole", "streamed"])
def ask(request: pytest.FixtureRequest, generator: OpenRouterChatGenerator) -> Ask:
    callback = (lambda chunk: None) if request.param == "streamed" else None
    return lambda messages, **options: generator.run(messages, callback, **options)["replies"][0]


def test_an_answer_and_its_counts(ask: Ask) -> None:
    reply = ask("Hi")
    assert (reply.text, reply.meta["finish_reason"], reply.meta["usage"]) == ("Hull at two.", "stop", NO_COUNTS)


def test_a_call_and_its_result_sent_back(ask: Ask) -> None:
    tide = Tool("tide", "Tell a tide.", PORT, lambda port: "14:10")
    reply = ask("When is the tide?", tools=[tide])
    [call] = reply.tool_calls
    assert (call.tool_name, call.arguments, call.id) == ("tide", {"port": "Hull"}, "call_1")
    history = [ChatMessage.from_user("When is the tide?"), reply, ChatMessage.from_tool("14:10", call)]
    assert ask(history, tools=[tide]).text == "Hull at two."


def test_a_call_without_words_goes_back(ask: Ask) -> None:
    call = ToolCall("tide", {"port": "Hull"}, "call_1")
    history = [ChatMessage.from_user("Tide?"), ChatMessage.from_assistant(tool_calls=[call])]
    assert ask([*history, ChatMessage.from_tool("14:10", call)]).text == "Hull at two."


def test_a_failure_raises_and_keeps_what_came(
    generator: OpenRouterChatGenerator, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(APIError, match="Internal Server Error") as caught, generator.stream("break") as stream:
        list(stream)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hull"
    with pytest.raises(APIError, match="Internal Server Error"), generator.stream("fail") as stream:
        list(stream)
    assert caplog.records == []
    with caplog.at_level(logging.WARNING), pytest.raises(ProviderError, match="its log may say more"):
        generator.run("fail")
    assert ["retry 1 of 1" in record.getMessage() for record in caplog.records] == [True]


def test_a_wrong_parameter_is_told_in_words(ask: Ask) -> None:
    with pytest.raises(BadRequestError, match=r"^HTTP 422: `max_tokens`: Input should be a valid integer"):
        ask("Hi", generation_kwargs={"max_tokens": "many"})


def test_a_base_url_without_the_version_is_told(litserve_url: str) -> None:
    base = litserve_url.removesuffix("/v1")
    generator = OpenRouterChatGenerator(api_key=None, model="m", api_base_url=base, timeout=60)
    with pytest.raises(NotFoundError) as caught:
        generator.run("Hi")
    assert caught.value.hint == f"The base URL is {base}: most hosts want {litserve_url}."
