"""Hosts other than OpenRouter: what each is asked for, and what follows a refusal or a stream without an event."""

from __future__ import annotations

from typing import Any

import pytest

from orchat.errors import APIConnectionError, BadRequestError, ProviderError, StreamError
from orchat.messages import ChatMessage, ToolCall
from orchat.openrouter.dialect import dialect_of
from tests.generator.ways import Way
from tests.openrouter_server import (
    Answer,
    Request,
    ScriptedOpenRouter,
    comment,
    completion,
    done,
    event,
    finish,
    fragment,
    raw,
    reply_json,
    stream,
    text,
)

USAGE = {"include_usage": True}
EMPTY = raw(b"", content_type="text/event-stream")
CUT = stream(comment("ping")).ending("eof")


@pytest.fixture
def asked(openrouter: ScriptedOpenRouter) -> list[Request]:
    return openrouter.requests


def refusal(message: str, status: int = 400) -> Answer:
    return reply_json({"error": {"message": message, "type": "invalid_request_error", "code": status}}, status=status)


def test_the_usage_of_a_stream_is_asked_for(generator, asked, way: Way) -> None:
    way(generator)
    assert asked[0].json.get("stream_options") == (USAGE if way.streams else None)


@pytest.mark.parametrize("given", [None, {"include_usage": False}, USAGE])
def test_what_the_user_says_about_it_is_sent_in_streams_only(generator, asked, way: Way, given: Any) -> None:
    way(generator, generation_kwargs={"stream_options": given})
    assert asked[0].json.get("stream_options", "nothing") == (given if way.streams else "nothing")


@pytest.mark.parametrize(
    "refused",
    [
        refusal("Unrecognized request argument supplied: stream_options"),
        refusal("Unexpected fields: {'stream_options'}", 422),
        reply_json(
            {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}, status=422
        ),
        reply_json({"detail": "include_usage is unknown"}, status=400),
    ],
    ids=["named", "422", "FastAPI", "the inner name"],
)
def test_a_host_that_refuses_that_is_asked_without_it_and_so_from_then_on(
    openrouter, make, asked, driver: Way, refused: Answer
) -> None:
    openrouter.answers(refused, text("One."), text("Two."))
    assert [driver(make()).text, driver(make()).text] == ["One.", "Two."]
    assert [request.json.get("stream_options") for request in asked] == [USAGE, None, None]
    first, second = (request.json for request in asked[:2])
    del first["stream_options"]
    assert second == first


def test_another_refusal_is_raised_at_once(openrouter, generator, asked, driver: Way) -> None:
    openrouter.answers(refusal("The model does not exist."))
    with pytest.raises(BadRequestError, match="does not exist"):
        driver(generator)
    assert len(asked) == 1


def test_what_the_user_asked_for_is_not_left_out(openrouter, generator, asked, driver: Way) -> None:
    openrouter.answers(refusal("stream_options are not supported"))
    with pytest.raises(BadRequestError, match="stream_options"):
        driver(generator, generation_kwargs={"stream_options": USAGE})
    assert len(asked) == 1


def test_a_refusal_without_it_is_final(openrouter, generator, asked, driver: Way) -> None:
    openrouter.always(refusal("stream_options: no"))
    with pytest.raises(BadRequestError):
        driver(generator)
    assert len(asked) == 2


def test_a_message_that_only_calls_tools_has_an_empty_content(generator, asked, way: Way) -> None:
    call = ToolCall("tide", {"port": "Hull"}, "call_1")
    messages = [
        ChatMessage.from_user("Tide?"),
        ChatMessage.from_assistant(tool_calls=[call]),
        ChatMessage.from_tool("14:10", call),
        ChatMessage.from_assistant("At two.", tool_calls=[call]),
        ChatMessage.from_tool("14:10", call),
    ]
    way(generator, messages)
    sent = asked[0].json["messages"]
    assert [message.get("content") for message in sent] == ["Tide?", "", "14:10", "At two.", "14:10"]


def test_what_gemini_adds_to_a_call_goes_back_with_it(openrouter, make, asked, way: Way) -> None:
    openrouter.validate = False  # it speaks for Gemini
    signature = {"extra_content": {"google": {"thought_signature": "Eg=="}}}
    answer = [event(None, tool_calls=[{**fragment("tide", "{}", id="a"), **signature}]), finish("tool_calls"), done()]
    openrouter.answers(stream(*answer))
    message = ChatMessage.from_dict(way(make()).to_dict())
    [call] = message.tool_calls
    openrouter.answers(text("At two."))
    way(make(), [ChatMessage.from_user("Tide?"), message, ChatMessage.from_tool("14:10", call)])
    [sent] = asked[1].json["messages"][1]["tool_calls"]
    assert sent == {"id": "a", "type": "function", "function": {"name": "tide", "arguments": "{}"}, **signature}
    assert ChatMessage.from_openai_dict_format(message.to_openai_dict_format()).tool_calls == [call]


@pytest.mark.parametrize("host", ["https://openrouter.ai/api/v1", "https://api.openai.com/v1"])
def test_hosts_that_add_nothing_get_nothing_of_what_others_add(host: str) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "tide", "arguments": "{}"}}
    bare = {"role": "assistant", "content": "", "tool_calls": [call]}
    added = {**bare, "tool_calls": [{**call, "extra_content": {"a": 1}}], "thinking_blocks": [{"type": "thinking"}]}
    prepared, _ = dialect_of(host, "vendor/m").prepare({"messages": [added]})
    assert prepared["messages"] == [bare]


# -- streams without an event -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nothing",
    [EMPTY, CUT, stream(), stream(comment("ping"), comment("ping")), stream(done())],
    ids=["no byte", "cut", "no event", "comments", "done"],
)
def test_a_server_of_ones_own_that_sends_nothing_is_asked_for_the_reason_without_streaming(
    openrouter, make, asked, driver: Way, nothing: Answer
) -> None:
    reason = {
        "error": {"message": "Requested tokens (81) exceed context window of 64", "type": "invalid_request_error"}
    }
    openrouter.answers(nothing, reply_json(reason, status=400))
    with pytest.raises(BadRequestError, match="exceed context window of 64") as caught:
        driver(make(max_retries=3))
    assert "Shorten the conversation" in str(caught.value)
    first, second = (request.json for request in asked)
    assert (first.pop("stream"), first.pop("stream_options"), second.pop("stream")) == (True, USAGE, False)
    assert second == first


def test_the_reason_is_asked_for_once_however_it_is_refused(openrouter, make, asked, driver: Way) -> None:
    openrouter.answers(EMPTY, reply_json({"detail": "Internal Server Error"}, status=500))
    with pytest.raises(ProviderError, match="Internal Server Error"):
        driver(make(max_retries=3))
    assert len(asked) == 2


def test_an_answer_instead_of_the_reason_is_the_answer(openrouter, generator, asked, driver: Way) -> None:
    openrouter.answers(EMPTY, reply_json(completion("The Humber.")))
    reply = driver(generator)
    assert (reply.text, reply.meta["finish_reason"], len(asked)) == ("The Humber.", "stop", 2)
    assert driver.text == "The Humber."


@pytest.mark.parametrize("second", [EMPTY, CUT], ids=["nothing", "cut"])
def test_without_a_reason_it_says_that_nothing_came(openrouter, generator, asked, driver: Way, second: Answer) -> None:
    openrouter.answers(EMPTY, second)
    with pytest.raises(StreamError, match="sent nothing at all") as caught:
        driver(generator)
    assert caught.value.partial is None
    assert len(asked) == 2


def test_a_stream_that_began_is_not_asked_for_its_reason(openrouter, generator, asked, driver: Way) -> None:
    openrouter.answers(stream(event("The story of"), done()))
    with pytest.raises(StreamError, match="ended before") as caught:
        driver(generator)
    assert caught.value.partial.text == "The story of"
    assert len(asked) == 1


def test_nor_is_one_that_sent_what_is_no_event(openrouter, generator, asked, driver: Way) -> None:
    openrouter.answers(raw(b"data: Bad Gateway\n\n", content_type="text/event-stream"))
    with pytest.raises(StreamError, match="no chat completion event"):
        driver(generator)
    assert len(asked) == 1


def test_a_host_elsewhere_may_have_charged_and_is_not_asked_again(openrouter, make, asked, driver: Way) -> None:
    openrouter.answers(EMPTY, text("Paid for twice."))
    proxy = openrouter.base_url.partition("/api")[0]
    elsewhere = make(api_base_url="http://gateway.example/api/v1", http_client_kwargs={"proxy": proxy})
    with pytest.raises(StreamError, match="sent nothing at all"):
        driver(elsewhere)
    assert len(asked) == 1


def test_a_stream_that_was_stopped_before_it_began_asks_nothing_more(openrouter, generator, asked) -> None:
    openrouter.answers(stream(comment("ping"), event("Hi"), finish()).paced(0.2))
    running = generator.stream("Hi")
    running.abort()
    with pytest.raises(APIConnectionError):
        list(running)
    assert len(asked) == 1
