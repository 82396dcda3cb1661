"""A conversation goes back so that strict providers take it: reasoning beside calls, names, blanks, arguments."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchat.chat import Chat
from orchat.messages import ChatMessage, ImageContent, TextContent, ToolCall
from orchat.tools import Tool, tool
from tests.chat.ways import Way
from tests.openrouter_server import PNG, call, calls, done, event, finish, fragment, image, stream, text, tool_call


@tool
def now() -> str:
    """Say the time."""
    return "12:00"


DETAIL = [{"type": "reasoning.text", "text": "Let me see.", "signature": "c2ln", "index": 0}]


def asks(**delta: Any) -> Any:
    """A response that thinks and calls."""
    return stream(event("", **delta), tool_call("now", "{}", id="a"), finish("tool_calls"), done())


def thinks(**delta: Any) -> Any:
    thought = event("")
    thought["choices"][0]["delta"] = {"role": "assistant", **delta}
    return stream(thought, tool_call("now", "{}", id="a"), finish("tool_calls"), done())


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_plain_reasoning_goes_back_beside_calls_under_its_own_name(openrouter, make, way: Way, name) -> None:
    openrouter.answers(thinks(**{name: "Let me see."}), text("Noon."), text("Yes."))
    chat = make(tools=[now], approve="always")
    way.ask(chat)
    sent = openrouter.requests[1].json["messages"][1]
    assert {key: sent.get(key) for key in ("reasoning", "reasoning_content")} == {
        "reasoning": None,
        "reasoning_content": None,
        name: "Let me see.",
    }
    # It is still there after the chat was saved, and reasoning without a call is not sent.
    loaded = Chat.from_dict(json.loads(json.dumps(chat.to_dict())), chat.generator, tools=[now])
    way.ask(loaded)
    assert openrouter.requests[2].json["messages"][1][name] == "Let me see."
    assert not {"reasoning", "reasoning_content"} & openrouter.requests[2].json["messages"][3].keys()


def test_details_go_back_alone(openrouter, make, way: Way) -> None:
    openrouter.answers(asks(reasoning="Let me see.", reasoning_details=DETAIL), text("Noon."))
    way.ask(make(tools=[now], approve="always"))
    sent = openrouter.requests[1].json["messages"][1]
    assert sent["reasoning_details"] == DETAIL
    assert "reasoning" not in sent


@pytest.mark.parametrize(
    ("model", "kept"),
    [
        ("vendor/m:nitro", True),
        ("vendor/m:free", True),
        ("vendor/m:online@preset/x", True),
        ("~vendor/m-latest", True),
        ("vendor/m-2026-08-06", True),
        ("vendor/m2", False),
        ("other/m", False),
    ],
)
@pytest.mark.parametrize("thought", [{"reasoning_details": DETAIL}, {"reasoning": "Hm."}], ids=["details", "plain"])
def test_only_a_variant_of_the_model_gets_its_reasoning_back(openrouter, make, model, kept, thought) -> None:
    openrouter.answers(thinks(**thought), text("Noon.", model="vendor/m"), text("Yes."))
    chat = make(tools=[now], approve="always")
    chat("When?")
    chat.model = model
    chat("And now?")
    assert bool(thought.keys() & openrouter.requests[2].json["messages"][1].keys()) is kept


@pytest.mark.parametrize(("model", "kept"), [("vendor/m:nitro", True), ("other/m", False)])
def test_only_a_variant_of_the_model_gets_back_what_was_added_to_a_call(openrouter, make, model, kept) -> None:
    openrouter.validate = False  # it speaks for Gemini
    added = {"extra_content": {"google": {"thought_signature": "Eg=="}}}
    asks_now = event(None, tool_calls=[{**fragment("now", "{}", id="a"), **added}])
    openrouter.answers(stream(asks_now, finish("tool_calls"), done()), text("Noon.", model="vendor/m"), text("Yes."))
    chat = make(tools=[now], approve="always")
    chat("When?")
    chat.model = model
    chat("And now?")
    [[first], [later]] = [each.json["messages"][1]["tool_calls"] for each in openrouter.requests[1:]]
    assert (first.keys() >= added.keys(), later.keys() >= added.keys()) == (True, kept)


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("", "unnamed"),
        ("multi_tool_use.parallel", "multi_tool_use_parallel"),
        ("tide<|channel|>commentary", "tide_channel_commentary"),
        ("x" * 80, "x" * 64),
        ("flüt", "fl_t"),
        ("tide at", "tide_at"),
    ],
)
def test_names_that_no_provider_takes_are_kept_and_sent_in_a_form_that_all_take(openrouter, make, name, sent) -> None:
    openrouter.answers(calls(call(name, "{}", id="a")), text("Sorry."))
    chat = make(tools=[now], approve="always")
    reply = chat("When?")
    assert reply.tool_calls[0].tool_name == name
    assert openrouter.requests[1].json["messages"][1]["tool_calls"][0]["function"]["name"] == sent


@pytest.mark.parametrize("name", ["", "high tide", "a.b", "flüt", "x" * 65, "a\n"])
def test_a_tool_is_not_made_with_a_name_that_no_provider_takes(name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a tool"):
        Tool(name, "d", {"type": "object"}, print)
    if name:
        with pytest.raises(ValueError, match="64 letters"):
            tool(name=name)(lambda: None)


@pytest.mark.parametrize("blank", ["\n\n", " ", "\u00a0\n"])
def test_blank_answers_are_not_sent(openrouter, make, way: Way, blank) -> None:
    openrouter.answers(text(blank), text("ok"))
    chat = make()
    way.ask(chat, "A")
    way.ask(chat, "B")
    assert openrouter.requests[1].json["messages"] == [{"role": "user", "content": t} for t in "AB"]


def test_blanks_beside_a_call_and_as_its_result_are_not_sent(openrouter, make, way: Way) -> None:
    @tool
    def nothing() -> str:
        """Say nothing."""
        return " \n"

    openrouter.answers(calls(call("nothing", {}), content="\n\n"), text("ok"))
    way.ask(make(tools=[nothing], approve="always"), "A")
    _, asked, answered = openrouter.requests[1].json["messages"]
    assert not asked.get("content")
    assert answered["content"] == "(empty)"


def test_blank_system_and_user_texts_are_not_sent(openrouter, generator) -> None:
    openrouter.answers(text("ok"))
    parts = [TextContent(" \n"), TextContent("Hi"), "\t"]
    messages = [ChatMessage.from_system("\n"), ChatMessage.from_user(" "), ChatMessage.from_user(content_parts=parts)]
    generator.run(messages)
    assert openrouter.request.json["messages"] == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("result", ["", "  ", [TextContent("\n")], []])
def test_an_empty_result_of_a_tool_is_sent_as_a_word(result: Any) -> None:
    sent = ChatMessage.from_tool(result, ToolCall("tide", {}, "a")).to_openai_dict_format()
    assert sent["content"] == "(empty)"


def test_a_made_image_goes_back_with_its_index(openrouter, make, way: Way) -> None:
    openrouter.answers(stream(event("Here."), image(PNG, index=0), finish(), done()), text("ok"))
    chat = make()
    way.ask(chat)
    way.ask(chat)
    assert openrouter.requests[1].json["messages"][1]["images"][0]["index"] == 0


ROUND_TRIPS: list[dict[str, Any]] = [
    {"role": "developer", "content": "Be brief.", "name": "Dev"},
    {"role": "system", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
    {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
    {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "b"},
        ],
    },
    {"role": "assistant", "content": "a", "reasoning_details": DETAIL},
    {"role": "assistant", "content": "a", "reasoning_details": []} | {"reasoning_details": DETAIL},
    {
        "role": "assistant",
        "reasoning_content": "Hm.",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "tide", "arguments": '{"a":1 }'}}],
    },
    {
        "role": "assistant",
        "content": "a",
        "images": [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}, "index": 1}],
    },
]


@pytest.mark.parametrize("wire", ROUND_TRIPS, ids=[",".join(wire) for wire in ROUND_TRIPS])
def test_messages_in_the_apis_form_come_back_as_they_were(wire: dict[str, Any]) -> None:
    message = ChatMessage.from_openai_dict_format(wire)
    assert message.to_openai_dict_format() == wire
    loaded = ChatMessage.from_dict(json.loads(json.dumps(message.to_dict())))
    assert loaded == message
    assert loaded.to_openai_dict_format() == wire


def test_bare_texts_in_a_list_of_parts_are_read() -> None:
    message = ChatMessage.from_openai_dict_format({"role": "user", "content": ["Hi", {"type": "text", "text": "you"}]})
    assert message.texts == ["Hi", "you"]


def test_messages_with_parts_can_be_made() -> None:
    cached = TextContent("Rules.", cache_control={"type": "ephemeral"})
    assert ChatMessage.from_system(content_parts=[cached]).to_openai_dict_format()["content"] == [
        {"type": "text", "text": "Rules.", "cache_control": {"type": "ephemeral"}}
    ]
    picture = ImageContent(url="https://a.example/b.png")
    answer = ChatMessage.from_assistant(content_parts=["a", cached, picture])
    assert [part["text"] for part in answer.to_openai_dict_format()["content"]] == ["a", "Rules."]
    assert answer.images == [picture]
    for wrong in ({}, {"text": "a", "content_parts": ["b"]}, {"content_parts": []}):
        with pytest.raises(ValueError, match=r"content_parts|at least one"):
            ChatMessage.from_system(**wrong)
    odd: Any = [picture]
    with pytest.raises(TypeError, match="cannot hold"):
        ChatMessage.from_system(content_parts=odd)
