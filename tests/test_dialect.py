"""Dialects: OpenRouter's extras go to OpenRouter only, and the embedded model's one tool is asked for as JSON."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from orchat import ChatMessage
from orchat.errors import ConfigurationError
from orchat.openrouter.dialect import (
    DEMO_NOTE,
    Dialect,
    dialect_of,
    host_of,
    is_loopback,
)
from orchat.openrouter.wire.response import read_replies
from orchat.openrouter.wire.stream import ChunkReader
from tests.openrouter_server import call, completion, done, event, finish
from tests.wire.reading import lines

GATEWAY = "https://litellm.example/v1"
LOCAL = dialect_of("http://127.0.0.1:8000/v1", "local/smollm2-135m-instruct")


@pytest.mark.parametrize("url", ["https://openrouter.ai/api/v1", "https://EU.OpenRouter.ai/api/v1"])
@pytest.mark.parametrize("model", ["v/m", "local/m"])
def test_openrouter_is_told_the_apps_title(url: str, model: str) -> None:
    dialect = dialect_of(url, model)
    assert (dict(dialect.headers), dialect.note) == ({"X-OpenRouter-Title": "orchat"}, None)


@pytest.mark.parametrize(
    "url",
    [
        "https://litellm.example/v1",
        "https://openrouter.ai.evil.example/api/v1",
        "https://evilopenrouter.ai/api/v1",
        "http://127.0.0.1:8000/api/v1",
        "https://example.org/openrouter.ai",
        "https://openrouter.ai@evil.example/",
        "https://api.openai.com/v1",
        "https://me.openai.azure.com/v1",
        "no address",
        "",
    ],
)
def test_other_hosts_get_no_extras(url: str) -> None:
    dialect = dialect_of(url, "v/m")
    assert (dict(dialect.headers), dialect.note) == ({}, None)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://openrouter.ai/api/v1", {"content": None, "refusal": "No."}),
        ("https://api.openai.com/v1", {"content": [{"type": "refusal", "refusal": "No."}]}),
        (GATEWAY, {"content": "No."}),
    ],
)
def test_each_host_gets_a_refusal_as_it_knows_it(url: str, sent: dict[str, Any]) -> None:
    body = {"messages": [ChatMessage.from_assistant(meta={"refusal": "No."}).to_openai_dict_format()]}
    prepared, _ = dialect_of(url, "v/m").prepare(body)
    assert prepared["messages"] == [{"role": "assistant", **sent}]


@pytest.mark.parametrize("url", ["https://litellm.example/v1", "https://openrouter.ai/api/v1"])
def test_what_a_message_holds_goes_to_every_host(url: str) -> None:
    body = {"messages": [{"role": "assistant", "content": "a", "reasoning_details": [1], "annotations": [2]}]}
    assert dialect_of(url, "v/m").prepare(body) == (body, None)


@pytest.mark.parametrize("url", ["https://api.openai.com/v1", "https://me.openai.azure.com/v1"])
def test_hosts_that_refuse_openrouters_fields_do_not_get_them(url: str) -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "assistant", "content": "a", "reasoning_details": [1], "annotations": [2], "images": [3]}
        ],
    }
    before = copy.deepcopy(body)
    prepared, rewrite = dialect_of(url, "gpt").prepare(body)
    assert prepared == {"model": "m", "messages": [{"role": "assistant", "content": "a"}]}
    assert (rewrite, body) == (None, before)


@pytest.mark.parametrize("url", ["https://litellm.example/v1", "https://openrouter.ai/api/v1"])
def test_a_local_model_of_another_host_is_not_the_embedded_one(url: str) -> None:
    assert dialect_of(url, "local/smollm2-135m-instruct").note is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST", "127.8.0.1"])
def test_the_embedded_model_is_stamped(host: str) -> None:
    assert is_loopback(f"http://{host}:1/v1")
    assert dialect_of(f"http://{host}:1/v1", "local/m").note == DEMO_NOTE
    assert dialect_of(f"http://{host}:1/v1", "vendor/m").note is None


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.2", True),
        ("localhost.", True),
        ("api.localhost", True),
        ("[0:0::1]", True),
        ("[::ffff:127.0.0.1]", True),
        ("128.0.0.1", False),
        ("localhost.example", False),
        ("mylocalhost", False),
        ("[::2]", False),
        ("[::ffff:10.0.0.1]", False),
        ("0.0.0.0", False),
    ],
)
def test_the_loopback_has_many_names(host: str, here: bool) -> None:
    assert is_loopback(f"https://{host}:8000/v1") is here


def test_hosts_are_in_lower_case_and_empty_where_there_is_none() -> None:
    assert (host_of("HTTPS://Example.ORG:8/x"), host_of("nothing"), is_loopback("nothing")) == (
        "example.org",
        "",
        False,
    )


TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "tide",
        "description": "Tell the tide",
        "parameters": {
            "type": "object",
            "properties": {
                "port": {"type": "string"},
                "kind": {"type": "string", "enum": ["a"]},
                "short": {"type": "string", "maxLength": 3},
                "many": {"type": "array", "items": [{"type": "string"}]},
            },
        },
    },
}
OTHER: dict[str, Any] = {"type": "function", "function": {"name": "wind"}}
NAMED = {"type": "function", "function": {"name": "tide"}}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "local/m", "messages": [{"role": "user", "content": "Tide at Hull?"}], **fields}


@pytest.mark.parametrize(("tools", "choice"), [([TOOL, OTHER], NAMED), ([TOOL], NAMED), ([TOOL], "required")])
def test_the_one_tool_that_must_be_called_is_asked_for_as_bounded_json(tools: Any, choice: Any) -> None:
    given = body(tools=tools, tool_choice=choice)
    before = copy.deepcopy(given)
    prepared, rewrite = LOCAL.prepare(given)
    assert given == before
    assert rewrite is not None
    assert not prepared.keys() & {"tools", "tool_choice"}
    assert "tide(port, kind, short, many): Tell the tide" in prepared["messages"][0]["content"]
    assert prepared["messages"][1:] == given["messages"]
    schema = prepared["response_format"]["json_schema"]["schema"]["properties"]
    assert schema["port"] == {"type": "string", "maxLength": 120}
    assert schema["kind"] == {"type": "string", "enum": ["a"]}
    assert schema["short"] == {"type": "string", "maxLength": 3}
    assert schema["many"]["items"] == [{"type": "string", "maxLength": 120}]


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        ([TOOL, OTHER], "required"),
        ([TOOL], "auto"),
        ([TOOL], "none"),
        ([TOOL], {"type": "function", "function": {"name": "nobody"}}),
        ([TOOL], {"type": "openrouter:web_search"}),
        ([{"type": "openrouter:web_search"}], "required"),
        ([], NAMED),
        (None, "auto"),
    ],
)
def test_what_is_beyond_it_is_answered_in_words(tools: Any, choice: Any) -> None:
    assert LOCAL.prepare(body(tools=tools, tool_choice=choice, max_tokens=9)) == (body(max_tokens=9), None)


@pytest.mark.parametrize("cap", [{"max_tokens": 9}, {"max_completion_tokens": None}])
def test_it_is_kept_from_rambling_unless_the_user_says_how_long(cap: dict[str, Any]) -> None:
    assert LOCAL.prepare(body())[0]["max_tokens"] > 0
    assert LOCAL.prepare(body(**cap))[0] == body(**cap)


@pytest.mark.parametrize("dialect", [LOCAL, *(dialect_of(url, "m") for url in ("https://api.openai.com/v1", GATEWAY))])
def test_hosts_that_send_the_usage_of_a_stream_only_when_asked_are_asked(dialect: Dialect) -> None:
    assert dialect.prepare(body(stream=True))[0]["stream_options"] == {"include_usage": True}
    assert dialect.prepare(body(stream=True, stream_options=None))[0]["stream_options"] is None
    for option in ({}, {"stream_options": {"include_usage": True}}):
        assert "stream_options" not in dialect.prepare(body(stream=False, **option))[0]


def test_a_message_that_only_calls_tools_has_an_empty_content_but_for_openrouter() -> None:
    messages = [{"role": "assistant", "tool_calls": [1]}, {"role": "assistant", "content": None, "tool_calls": [1]}]
    kept = [{"role": "assistant", "content": "Hm", "tool_calls": [1]}, {"role": "user", "content": "Hi"}]
    given = {"messages": [*messages, *kept]}
    before = copy.deepcopy(given)
    for url in (GATEWAY, "https://api.openai.com/v1"):
        prepared, _ = dialect_of(url, "m").prepare(given)
        assert [message["content"] for message in prepared["messages"]] == ["", "", "Hm", "Hi"]
    assert dialect_of("https://openrouter.ai/api/v1", "m").prepare(given) == (before, None)
    assert given == before


def test_openrouter_sends_the_usage_unasked() -> None:
    given = body(stream=True)
    assert dialect_of("https://openrouter.ai/api/v1", "v/m").prepare(given) == (given, None)


def test_what_it_cannot_read_is_refused_before_it_is_sent() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "file"}]
    with pytest.raises(ConfigurationError, match="text only, not file, image_url"):
        LOCAL.prepare({"messages": [{"role": "user", "content": parts}]})


def test_a_tool_without_parameters_is_asked_for_as_an_empty_object() -> None:
    prepared, _ = LOCAL.prepare(body(tools=[OTHER], tool_choice="required"))
    assert prepared["response_format"]["json_schema"]["schema"] == {"type": "object", "properties": {}}
    assert "wind(): wind" in prepared["messages"][0]["content"]


def test_tool_turns_of_a_conversation_become_words_that_its_template_knows() -> None:
    messages = [
        {"role": "assistant", "tool_calls": [call("tide", {"port": "Hull"})]},
        {"role": "tool", "content": "14:10", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "Wait.", "tool_calls": [call("a"), call("b", "{}")]},
        {"role": "tool", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]},
    ]
    prepared, _ = LOCAL.prepare({"messages": messages})
    assert prepared["messages"] == [
        {"role": "assistant", "content": 'I call tide({"port": "Hull"}).'},
        {"role": "user", "content": "The tool answered: 14:10"},
        {"role": "assistant", "content": "Wait.\nI call a(); b({})."},
        {"role": "user", "content": "The tool answered: x\ny"},
    ]


def rewriting() -> Any:
    """A fresh rewrite of an answer as a call of `tide`."""
    return LOCAL.prepare(body(tools=[TOOL], tool_choice="required"))[1]


def test_its_streamed_json_becomes_the_call() -> None:
    reader = ChunkReader(rewrite=rewriting())
    for data in lines(event('{"port": '), event(""), event('"Hull"}'), finish("stop"), done()):
        reader.read(data)
    reader.end()
    [only] = reader.fold.message().tool_calls
    assert (only.tool_name, only.arguments) == ("tide", {"port": "Hull"})
    assert (reader.fold.message().text, reader.fold.message().meta["finish_reason"]) == (None, "tool_calls")


def test_its_whole_json_becomes_the_call() -> None:
    [reply] = read_replies(rewriting()(completion('{"port": "Hull"}')))
    assert (reply.tool_calls[0].arguments, reply.text) == ({"port": "Hull"}, None)
    assert reply.meta["finish_reason"] == "tool_calls"


def test_an_answer_that_was_cut_stays_cut() -> None:
    [reply] = read_replies(rewriting()(completion('{"port": "Hu', finish_reason="length")))
    assert (reply.tool_calls[0].malformed_arguments, reply.meta["finish_reason"]) == ('{"port": "Hu', "length")


def test_events_without_choices_pass_through_the_rewrite() -> None:
    assert rewriting()({"usage": {}}) == {"usage": {}}
    assert rewriting()({"choices": None}) == {"choices": None}


def test_a_plain_dialect_changes_nothing() -> None:
    assert Dialect().prepare({"a": 1}) == ({"a": 1}, None)
