"""The bodies that Haystack's own generator sends, and ours: both are run, the server compares."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack.dataclasses import ChatMessage as Message
from haystack.dataclasses import FileContent, ImageContent, ReasoningContent, TextContent, ToolCall
from haystack.tools import Tool as HaystackTool
from haystack.tools import Toolset as HaystackToolset
from haystack.utils import Secret as HaystackSecret

from orchat.messages import ChatMessage
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.secret import Secret
from tests.generator.samples import TIDE_SCHEMA, River, haystacks_generator, tide
from tests.generator.ways import KEY
from tests.openrouter_server import PNG, ScriptedOpenRouter, call, calls, text

PIXEL = PNG.partition(",")[2]
PDF = base64.b64encode(b"%PDF-1.4").decode()
FLAT = {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]}
ASKED = ToolCall("tide", {"port": "Húll", "n": 1.5, "deep": {"a": [None, True]}}, "call_1")
DETAILS = [{"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}]

CONVERSATIONS: dict[str, list[Message]] = {
    "text": [Message.from_user("Name a river.")],
    "unicode": [Message.from_user('Größe 🌊 \u2028 "quoted" \\ \n\t')],
    "empty text": [Message.from_user("")],
    "system and names": [Message.from_system("Be brief."), Message.from_user("Hi", name="ann")],
    "two texts": [Message.from_user(content_parts=["One", TextContent("Two")])],
    "image": [Message.from_user(content_parts=["What?", ImageContent(PIXEL, "image/png", detail="low")])],
    "image alone": [Message.from_user(content_parts=[ImageContent(PIXEL, "image/png")])],
    "file": [Message.from_user(content_parts=["Read.", FileContent(PDF, "application/pdf", "a.pdf")])],
    "file without a name": [Message.from_user(content_parts=["Read.", FileContent(PDF, "application/pdf")])],
    "assistant": [Message.from_user("Hi"), Message.from_assistant("Hello.", name="bot"), Message.from_user("Bye")],
    # Blank answers and results are sent otherwise, for providers refuse them: tests/chat/test_sending_back.py.
    "tool turn": [
        Message.from_user("Tide?"),
        Message.from_assistant(tool_calls=[ASKED, ToolCall("tide", {}, "call_2")]),
        Message.from_tool("14:10", ASKED),
        Message.from_tool("No tide.", ToolCall("tide", {}, "call_2"), error=True),
    ],
    "tool turn with text": [
        Message.from_user("Tide?"),
        Message.from_assistant("I look.", tool_calls=[ASKED]),
        Message.from_tool([TextContent("14:10"), TextContent("high")], ASKED),
    ],
    "reasoning": [
        Message.from_user("Tide?"),
        Message.from_assistant("At two.", reasoning=ReasoningContent("Hm.", {"reasoning_details": DETAILS})),
        Message.from_user("Sure?"),
    ],
    "reasoning without details": [
        Message.from_user("Tide?"),
        Message.from_assistant("At two.", reasoning="Hm."),
        Message.from_user("Sure?"),
    ],
    "meta is not sent": [Message.from_user("Hi", meta={"secret": 1}), Message.from_assistant("x", meta={"usage": {}})],
    "refusal": [Message.from_user("Hi"), Message.from_assistant(meta={"refusal": "No."}), Message.from_user("Why?")],
    "refusal and text": [Message.from_user("Hi"), Message.from_assistant("Hm", meta={"refusal": "No."})],
}
KWARGS: dict[str, dict[str, Any]] = {
    "sampling": {"temperature": 0.0, "top_p": 1, "max_tokens": 16, "stop": ["\n"], "seed": 7, "logit_bias": {"5": -1}},
    "nulls": {"temperature": None, "stop": None},
    "n": {"n": 1},
    "routing": {"provider": {"order": ["a", "b"], "max_price": {"prompt": 1}}, "models": ["a/b", "c/d"]},
    "reasoning": {"reasoning": {"effort": "low"}, "plugins": [{"id": "web", "max_results": 2}]},
    "model": {"model": "vendor/other"},
    "tool choice": {"tool_choice": {"type": "function", "function": {"name": "tide"}}, "parallel_tool_calls": False},
    "schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": FLAT}}},
    "json object": {"response_format": {"type": "json_object"}},
    "no format": {"response_format": None},
    "usage": {"usage": {"include": True}, "stream_options": {"include_usage": True}},
}


def tool(name: str = "tide", schema: dict[str, Any] = TIDE_SCHEMA) -> HaystackTool:
    """A tool of Haystack's; ours is made of it by its shape."""
    return HaystackTool(name, "Tell a tide.", json.loads(json.dumps(schema)), tide)


TOOLS: dict[str, Any] = {
    "none": None,
    "empty": [],
    "list": [tool(), tool("ebb", FLAT)],
    "toolset": HaystackToolset([tool("ebb")]),
    "mixed": [tool(), HaystackToolset([tool("flood")])],
}


@pytest.fixture(autouse=True, scope="module")
def _one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each client of Haystack's reads all authorities of `certifi`, which takes 25 ms; none is needed here."""
    end = "-----END CERTIFICATE-----\n"
    file = tmp_path_factory.mktemp("certificates") / "one.pem"
    file.write_text(Path(certifi.where()).read_text().partition(end)[0] + end)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture
def endpoint(openrouter: ScriptedOpenRouter) -> dict[str, Any]:
    """OpenRouter's own address, with the scripted server as the proxy on the way: other hosts get other bodies."""
    proxy = openrouter.base_url.partition("/api")[0]
    return {"api_base_url": "http://openrouter.ai/api/v1", "http_client_kwargs": {"proxy": proxy}}


@pytest.fixture
def both(openrouter: ScriptedOpenRouter, endpoint: dict[str, Any]) -> Iterator[Any]:
    """Ask both generators the same in all four ways, and return the bodies of each way."""
    answer = '{"port": "Hull", "name": "Humber", "length": 62}'
    openrouter.always(text(answer))
    openrouter.validate = False  # what Haystack sends is what counts here; a refusal part is none of OpenRouter's

    def ask(messages: Any, init: dict[str, Any] | None = None, ways: int = 4, **run: Any) -> list[tuple[Any, Any]]:
        init = {"model": "vendor/m", "max_retries": 0} | endpoint | (init or {})
        theirs = haystacks_generator(api_key=HaystackSecret.from_token(KEY), **init)
        ours = OpenRouterChatGenerator(api_key=Secret.from_token(KEY), **init)

        async def keep(chunk: Any) -> None: ...

        async def ask_async(generator: Any) -> None:
            await generator.run_async(messages, **run)
            await generator.run_async(messages, keep, **run)
            await generator.close_async()

        bodies = []
        for generator in (theirs, ours):
            openrouter.requests.clear()
            generator.run(messages, **run)
            if ways > 1:
                generator.run(messages, lambda chunk: None, **run)
            generator.close()
            if ways > 2:
                asyncio.run(ask_async(generator))
            bodies.append([request.json for request in openrouter.requests])
        assert len(bodies[0]) == len(bodies[1]) == ways
        return list(zip(*bodies, strict=True))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # theirs
        yield ask


def as_openrouter_takes(body: dict[str, Any]) -> dict[str, Any]:
    """What Haystack sends, but a refusal as a field: content parts of that kind are none of OpenRouter's."""
    for message in body["messages"]:
        match message.get("content"):
            case [{"type": "refusal", "refusal": refusal}]:
                message |= {"content": None, "refusal": refusal}
    return body


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversations_are_sent_as_haystack_sends_them(both, name: str) -> None:
    messages = CONVERSATIONS[name]
    for theirs, ours in both(messages):
        assert ours == as_openrouter_takes(theirs)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_our_own_messages_are_sent_so_as_well(openrouter, make, endpoint, both, name: str) -> None:
    (theirs, _), *_ = both(CONVERSATIONS[name], ways=1)
    make(model="vendor/m", **endpoint).run(
        [ChatMessage.from_dict(message.to_dict()) for message in CONVERSATIONS[name]]
    )
    assert openrouter.request.json == as_openrouter_takes(theirs)


def test_a_conversation_goes_on_after_a_refusal(openrouter, make, endpoint) -> None:
    openrouter.answers(text("Because."))  # the server takes only what OpenRouter's schema describes
    messages = [ChatMessage.from_dict(message.to_dict()) for message in CONVERSATIONS["refusal"]]
    [reply] = make(model="vendor/m", **endpoint).run(messages)["replies"]
    assert reply.text == "Because."


@pytest.mark.parametrize("place", ["init", "run"])
@pytest.mark.parametrize("name", KWARGS)
def test_generation_kwargs_are_sent_as_haystack_sends_them(both, name: str, place: str) -> None:
    options: dict[str, Any] = {"generation_kwargs": KWARGS[name]}
    tools = {"tools": [tool()]} if name == "tool choice" else {}
    pairs = both("Hi", options | tools) if place == "init" else both("Hi", tools, **options)
    for theirs, ours in pairs:
        assert ours == theirs
        assert list(ours)[:4] == ["model", "messages", "n", "stream"]


@pytest.mark.parametrize("name", TOOLS)
def test_tools_are_sent_as_haystack_sends_them(both, name: str) -> None:
    for theirs, ours in both("Hi", {"tools": TOOLS[name]}):
        assert ours == theirs
    for theirs, ours in both("Hi", tools=TOOLS[name]):
        assert ours == theirs


def test_flat_strict_tools_are_sent_as_haystack_sends_them(both) -> None:
    for theirs, ours in both("Hi", {"tools": [tool("ebb", FLAT)]}, tools_strict=True):
        assert ours == theirs
        assert ours["tools"][0]["function"]["strict"] is True


def test_a_pydantic_response_format_is_sent_as_haystack_sends_it(both) -> None:
    for theirs, ours in both("Hi", ways=1, generation_kwargs={"response_format": River}):
        assert ours == theirs


def test_runtime_kwargs_are_laid_over_the_constructors_as_haystack_does(both) -> None:
    init = {"generation_kwargs": {"temperature": 1.0, "provider": {"order": ["a"]}}, "model": "vendor/m"}
    for theirs, ours in both("Hi", init, generation_kwargs={"provider": {"sort": "price"}, "seed": 1}):
        assert ours == theirs


def test_extra_headers_and_the_key_are_sent_as_haystack_sends_them(openrouter, both) -> None:
    init = {"extra_headers": {"HTTP-Referer": "https://example.org", "X-Title": "tides"}}
    both("Hi", init, ways=1)
    ours = openrouter.request.headers
    both("Hi", init, ways=1)
    for name in ("authorization", "http-referer", "x-title", "content-type"):
        assert ours[name] == openrouter.requests[-1].headers[name]


@pytest.mark.parametrize("streams", [False, True])
def test_replies_have_the_text_calls_and_meta_that_haystacks_have(openrouter, generator, streams: bool) -> None:
    # What Haystack does not keep comes on top; null padding of its SDK is not looked at.
    openrouter.always(calls(call("tide", {"port": "Hull"}), content="I look.", reasoning="Hm.", signature="c2ln"))
    openrouter.always(text("At two.", reasoning="Hm.", signature="c2ln"))
    theirs_of = haystacks_generator(api_key=HaystackSecret.from_token(KEY), api_base_url=openrouter.base_url)
    callback = {"streaming_callback": (lambda chunk: None)} if streams else {}
    [theirs] = theirs_of.run([Message.from_user("Tide?")], **callback)["replies"]
    theirs_of.close()
    [ours] = generator.run("Tide?", **callback)["replies"]
    assert ours.text == theirs.text
    assert ours.role.value == theirs.role.value
    assert ours.reasoning.reasoning_text == theirs.reasoning.reasoning_text
    assert ours.reasoning.extra == theirs.reasoning.extra
    assert theirs.meta.keys() <= ours.meta.keys()
    for name in ("model", "index", "finish_reason"):
        assert ours.meta[name] == theirs.meta[name]
    for name in ("prompt_tokens", "completion_tokens", "total_tokens", "cost"):
        assert ours.meta["usage"][name] == theirs.meta["usage"][name]


@pytest.mark.parametrize(
    "messages",
    [
        [Message.from_assistant(tool_calls=[ToolCall("tide", {})])],
        [Message.from_tool("x", ToolCall("tide", {}))],
    ],
    ids=["call without id", "result without id"],
)
def test_what_haystack_refuses_with_a_value_error_so_do_we(both, openrouter, messages) -> None:
    for generator in (
        haystacks_generator(api_key=HaystackSecret.from_token(KEY), api_base_url=openrouter.base_url),
        OpenRouterChatGenerator(api_key=Secret.from_token(KEY), api_base_url=openrouter.base_url),
    ):
        with pytest.raises(ValueError, match="id"):
            generator.run(messages)
        generator.close()
    assert openrouter.requests == []
