"""`Reply`: what a user holds in hand after a question."""

from __future__ import annotations

import copy
import dataclasses
import enum
import pickle
from typing import Any

import narwhals
import pydantic
import pytest

import orchat
from orchat.chat.reply import Reply
from orchat.errors import ConfigurationError
from orchat.messages import ChatMessage, ImageContent, ToolCall
from orchat.openrouter.wire.response import read_replies
from tests.openrouter_server import PNG, call, completion, usage_object


def reply(content: str | None = "The Humber.", **fields: Any) -> Reply:
    """A reply as the endpoint would give it."""
    return Reply(read_replies(completion(content, **fields))[0])


def test_it_says_all_that_the_message_says() -> None:
    answer = reply(
        reasoning="Hm",
        tool_calls=[call("tide", {"port": "Hull"})],
        images=[{"image_url": {"url": PNG}}],
        finish_reason="tool_calls",
    )
    assert (answer.text, str(answer), answer.reasoning) == ("The Humber.", "The Humber.", "Hm")
    assert answer.tool_calls == [ToolCall("tide", {"port": "Hull"}, "call_1")]
    assert [type(image) for image in answer.images] == [ImageContent]
    assert answer.finish_reason == "tool_calls"
    assert (answer.usage, answer.cost) == (usage_object(), 0.00004)


def test_what_is_not_there_is_empty() -> None:
    answer = Reply(ChatMessage.from_assistant())
    assert (answer.text, str(answer), answer.reasoning, answer.usage) == ("", "", "", {})
    assert (answer.tool_calls, answer.images) == ([], [])
    assert (answer.cost, answer.finish_reason, answer.parsed) == (None, None, None)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (usage_object(cost=0.5), 0.5),
        (usage_object(cost=0), 0),
        (usage_object(cost=0, is_byok=True, upstream_cost=0.25), 0.25),
        (usage_object(cost=0.5, is_byok=True, upstream_cost=0.25), 0.75),
        (usage_object(cost=None, is_byok=True, upstream_cost=0.25), 0.25),
        (usage_object(cost=0.5, is_byok=True), 0.5),
        (usage_object(cost=0.5, is_byok=False, upstream_cost=0.25), 0.5),
        (usage_object(cost=None), None),
        ({"prompt_tokens": 3}, None),
        ({"cost": "0.5"}, None),
        ({"cost": "0.5", "is_byok": True, "cost_details": {"upstream_inference_cost": 1}}, None),
        ({"cost": 0.5, "is_byok": True, "cost_details": "odd"}, 0.5),
        ({"cost": True}, None),
        (None, None),
        ("odd", None),
    ],
)
def test_the_cost_is_the_endpoints_own_and_unknown_where_nobody_said(usage: Any, cost: float | None) -> None:
    assert reply(usage=usage).cost == cost


def test_the_parsed_object_is_the_messages() -> None:
    message = ChatMessage.from_assistant('{"a": 1}')
    message._parsed = {"a": 1}
    assert Reply(message).parsed == {"a": 1}


def test_its_repr_is_short() -> None:
    assert repr(reply(model="v/m")) == "Reply('The Humber.', model='v/m', finish_reason='stop')"
    assert len(repr(reply("x" * 9000, model="v/m"))) < 120


def test_it_cannot_be_changed_and_travels() -> None:
    answer = reply()
    with pytest.raises(dataclasses.FrozenInstanceError):
        answer.message = ChatMessage.from_assistant("forged")  # type: ignore[misc]
    assert copy.deepcopy(answer) == answer == pickle.loads(pickle.dumps(answer))


@dataclasses.dataclass
class Port:
    name: str
    high: float | None = None


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_a_list_becomes_a_data_frame(backend: str) -> None:
    message = ChatMessage.from_assistant("[]")
    message._parsed = [Port("Hull", 7.1), Port("Oslo")]
    frame = Reply(message).frame(backend)
    assert type(frame).__module__.startswith(backend)
    assert narwhals.from_native(frame)["name"].to_list() == ["Hull", "Oslo"]
    message._parsed = {"name": "Hull"}
    assert narwhals.from_native(Reply(message).frame(backend)).shape == (1, 1)
    message._parsed = ["a", "b"]
    assert narwhals.from_native(Reply(message).frame(backend))["answer"].to_list() == ["a", "b"]


class Tide(enum.Enum):
    HIGH = "high"


class Reading(pydantic.BaseModel):
    tide: Tide
    level: Any = None


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_enums_and_whole_numbers_among_others_are_in_the_frame_as_in_json(backend: str) -> None:
    message = ChatMessage.from_assistant("[]")
    message._parsed = [Reading(tide=Tide.HIGH, level=1), Reading(tide=Tide.HIGH, level=2.5)]
    frame = narwhals.from_native(Reply(message).frame(backend))
    assert (frame["tide"].to_list(), frame["level"].to_list()) == (["high", "high"], [1.0, 2.5])
    message._parsed = [{"level": 1}, {"level": "high"}]
    if backend == "pandas":
        assert list(Reply(message).frame(backend)["level"]) == [1, "high"]
    else:
        with pytest.raises(ConfigurationError, match=f'no table of {backend}: .*backend="pandas"'):
            Reply(message).frame(backend)


def test_a_reply_that_is_no_table_says_so() -> None:
    with pytest.raises(ConfigurationError, match=r"--schema list\[CLASS\]"):
        reply().frame()
    message = ChatMessage.from_assistant("[]")
    message._parsed = [1]
    with pytest.raises(ConfigurationError, match="one of pandas, polars, pyarrow"):
        Reply(message).frame("excel")


def test_a_reply_shows_itself_as_safe_markdown_in_notebooks_without_ipython() -> None:
    assert orchat.Chat is not None  # the front door knows how to make Markdown safe
    shown = Reply(ChatMessage.from_assistant("**So** <script>alert(1)</script> ![x](https://example.org/x.png)"))
    markdown = str(shown._repr_markdown_())
    assert markdown.startswith("**So**")
    assert "<script" not in markdown
    assert r"\![x]" in markdown  # no picture
