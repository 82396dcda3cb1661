"""LiteLLM's proxy: usage and cost that come only when they are asked for, tool turns, reasoning, its refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchat.errors import BadRequestError
from orchat.messages import ChatMessage, ToolCall
from orchat.openrouter.catalog import load_catalog
from orchat.openrouter.json_query import JsonEndpoint
from orchat.secret import Secret
from tests.openrouter_server import ScriptedOpenRouter, completion, reply_json, text, usage_object
from tests.servers.gateways import LITELLM_KEY, ask, needs_program, streamed

needs_program("litellm", "litellm[proxy]==1.108.7")
pytestmark = pytest.mark.server
CALL = ToolCall("tide", {"port": "Hull"}, "call_1")
TOOL_TURN = [
    ChatMessage.from_user("Tide?"),
    ChatMessage.from_assistant(tool_calls=[CALL]),
    ChatMessage.from_tool("14:10", CALL),
]


@streamed
def test_litellm_tells_usage_and_cost(litellm_url: str, upstream: ScriptedOpenRouter, streams: bool) -> None:
    upstream.answers(text("The Humber."))
    reply = ask(litellm_url, streams=streams)
    assert (reply.text, reply.meta["finish_reason"]) == ("The Humber.", "stop")
    assert reply.meta["usage"]["cost"] == usage_object()["cost"]


@streamed
def test_litellm_takes_a_tool_turn(litellm_url: str, upstream: ScriptedOpenRouter, streams: bool) -> None:
    upstream.answers(text("At two."))
    assert ask(litellm_url, TOOL_TURN, streams=streams).text == "At two."
    assert upstream.request.json["messages"][1]["tool_calls"][0]["id"] == "call_1"


def test_reasoning_details_go_through_litellm_and_back(litellm_url: str, upstream: ScriptedOpenRouter) -> None:
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "index": 0}]
    payload = completion("Two.")
    payload["choices"][0]["message"] |= {"reasoning": "Hm.", "reasoning_details": details}
    upstream.answers(reply_json(payload), text("Sure."))
    reply = ask(litellm_url, streams=False)
    assert reply.reasoning is not None
    assert reply.reasoning.extra["reasoning_details"] == details
    ask(litellm_url, [ChatMessage.from_user("Hi"), reply, ChatMessage.from_user("Sure?")])
    assert upstream.request.json["messages"][1]["reasoning_details"] == details


@streamed
@pytest.mark.parametrize(
    ("model", "key", "hint"),
    [
        ("nobody", LITELLM_KEY, "`orchat models` lists what 127"),
        ("smol", "sk-wrong-0123456789", "Check the key for 127"),
    ],
    ids=["an unknown model", "a wrong key"],
)
def test_litellms_refusals(litellm_url: str, model: str, key: str, hint: str, streams: bool) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(litellm_url, model=model, key=key, streams=streams)
    assert hint in str(caught.value.hint)


def test_litellms_list_tells_the_context_length(
    litellm_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    catalog = load_catalog(JsonEndpoint(litellm_url, Secret.from_token(LITELLM_KEY)))
    assert {model.id: model.context_length for model in catalog.models} == {"smol": None, "gpt-4o-mini": 128_000}
