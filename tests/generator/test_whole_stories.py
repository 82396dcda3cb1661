"""Stories that need a live model upstream, told by the scripted one: the checklist of a real integration."""

from __future__ import annotations

import pytest

from orchat.errors import APIError, BadRequestError
from orchat.messages import ChatMessage
from orchat.tools import Toolset
from tests.generator.samples import River, names_of, tide_tool
from tests.generator.ways import Way
from tests.openrouter_server import (
    call,
    calls,
    error,
    event,
    finish,
    reasoning,
    reasoning_encrypted,
    stream,
    text,
    usage,
)


def test_a_question_gets_an_answer_with_its_facts(openrouter, generator, way: Way) -> None:
    openrouter.answers(text("Paris."))
    reply = way(generator, [ChatMessage.from_user("What's the capital of France?")])
    assert "Paris" in reply.text
    assert reply.meta["model"]
    assert reply.meta["finish_reason"] == "stop"
    assert reply.meta["usage"]["prompt_tokens"] > 0
    assert not way.streams or way.text == "Paris."


def test_a_model_that_does_not_exist_raises(openrouter, make, way: Way) -> None:
    openrouter.answers(error(400, "something-obviously-wrong is not a valid model ID"))
    with pytest.raises(APIError, match="not a valid model ID") as caught:
        way(make(model="something-obviously-wrong", max_retries=3))
    assert isinstance(caught.value, BadRequestError)
    assert "vendor/model" in caught.value.hint


def test_tools_are_called_their_results_sent_and_an_answer_given(openrouter, make, way: Way) -> None:
    openrouter.answers(
        calls(call("tide", {"port": "Hull"}), call("tide", {"port": "Ærø"}, id="call_2"), reasoning="Need both."),
        text("At ten past two."),
    )
    generator = make(tools=[tide_tool()])
    history = [ChatMessage.from_user("Tides at Hull and Ærø?")]
    asking = way(generator, history)
    assert asking.meta["finish_reason"] == "tool_calls"
    results = [ChatMessage.from_tool(tide_tool().invoke(**c.arguments), c) for c in asking.tool_calls]
    answer = way(generator, [*history, asking, *results])
    assert answer.text == "At ten past two."
    assert not answer.tool_calls
    sent = openrouter.request.json
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "tool", "tool"]
    assert sent["messages"][1]["reasoning_details"] == asking.reasoning.extra["reasoning_details"]
    assert [message["tool_call_id"] for message in sent["messages"][2:]] == ["call_1", "call_2"]
    assert sent["messages"][3]["content"] == "Ærø: 14:10"
    assert names_of(sent) == ["tide"]


def test_reasoning_comes_before_the_text_and_goes_back_unchanged(openrouter, generator, streaming: Way) -> None:
    openrouter.answers(
        stream(
            reasoning("First, "),
            reasoning("second."),
            reasoning_encrypted("b3BhcXVl"),
            event("Done."),
            finish(),
            usage(),
        )
    )
    reply = streaming(generator, generation_kwargs={"reasoning": {"effort": "low"}})
    assert reply.reasoning.reasoning_text == "First, second."
    assert [chunk.start for chunk in streaming.chunks if chunk.reasoning] == [True, False, False]
    saved = ChatMessage.from_dict(reply.to_dict())
    streaming(generator, [ChatMessage.from_user("Hi"), saved, ChatMessage.from_user("And?")])
    details = openrouter.request.json["messages"][1]["reasoning_details"]
    assert [detail["type"] for detail in details] == ["reasoning.text", "reasoning.encrypted"]
    assert details[0]["text"] == "First, second."
    assert details[1]["data"] == "b3BhcXVl"


@pytest.mark.parametrize(
    "form", [River, {"type": "json_schema", "json_schema": {"name": "r", "schema": {"type": "object"}}}]
)
def test_structured_output_is_asked_for_and_parsed(openrouter, generator, way: Way, form) -> None:
    openrouter.answers(text('{"name": "Humber", "length": 62}'))
    reply = way(generator, generation_kwargs={"response_format": form})
    assert reply.parsed in (River(name="Humber", length=62), {"name": "Humber", "length": 62})


def test_tools_and_toolsets_may_be_mixed_for_a_call(openrouter, generator, way: Way) -> None:
    openrouter.answers(calls(call("flood", {"port": "Hull"})))
    reply = way(generator, tools=[tide_tool("ebb"), Toolset([tide_tool("flood")])])
    assert names_of(openrouter.request.json) == ["ebb", "flood"]
    assert reply.tool_call.tool_name == "flood"


def test_a_conversation_survives_a_failure_with_the_partial_in_it(openrouter, generator, streaming: Way) -> None:
    openrouter.answers(stream(event("The Hum")), text("ber flows."))
    history = [ChatMessage.from_user("Name a river.")]
    with pytest.raises(APIError) as caught:
        streaming(generator, history)
    streaming(generator, [*history, caught.value.partial, ChatMessage.from_user("Go on.")])
    assert openrouter.request.json["messages"][1] == {"role": "assistant", "content": "The Hum"}
