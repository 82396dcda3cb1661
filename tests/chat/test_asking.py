"""A chat remembers, streams, and says clearly what it will not do."""

from __future__ import annotations

import base64
import copy
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from orchat.chat import Chat, ask
from orchat.chat.chat_dependencies import set_generator_factory
from orchat.errors import ConfigurationError, MissingKeyError, ProviderError, TurnInProgressError
from orchat.messages import ChatMessage, ImageContent, ToolCall
from orchat.openrouter.generator import OpenRouterChatGenerator
from tests.chat.conftest import Make
from tests.chat.ways import KEY, Way
from tests.openrouter_server import PNG, ScriptedOpenRouter, error, text, url_citation

PIXEL = base64.b64decode(PNG.partition(",")[2])


def sent(openrouter: ScriptedOpenRouter) -> list[tuple[str, Any]]:
    """Who said what in the latest request."""
    return [(message["role"], message["content"]) for message in openrouter.request.json["messages"]]


def test_it_remembers(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make(system="Be brief.")
    openrouter.answers(text("The Humber."), text("62 km."))
    assert way.ask(chat, "Name a river.").text == "The Humber."
    reply = way.ask(chat, "How long?")
    assert sent(openrouter) == [
        ("system", "Be brief."),
        ("user", "Name a river."),
        ("assistant", "The Humber."),
        ("user", "How long?"),
    ]
    assert (reply.text, reply.ending, [m.text for m in reply.messages]) == (
        "62 km.",
        "finished",
        ["How long?", "62 km."],
    )
    assert [message.text for message in chat.messages][-1] == "62 km."


@pytest.mark.parametrize(
    "question",
    [
        ["What is this?", ImageContent.from_url(PNG)],
        ChatMessage.from_user(content_parts=["What is this?", ImageContent.from_url(PNG)]),
    ],
    ids=["parts", "message"],
)
def test_a_question_may_have_parts(chat: Chat, way: Way, openrouter: ScriptedOpenRouter, question: Any) -> None:
    way.ask(chat, question)
    [(role, content)] = sent(openrouter)
    assert (role, [part["type"] for part in content]) == ("user", ["text", "image_url"])


@pytest.mark.parametrize("question", [ImageContent.from_url(PNG), PIXEL], ids=["part", "bytes"])
def test_a_question_may_be_one_part(chat: Chat, way: Way, openrouter: ScriptedOpenRouter, question: Any) -> None:
    way.ask(chat, question)
    assert [part["type"] for part in sent(openrouter)[0][1]] == ["image_url"]


def test_a_question_may_hold_files_and_values(
    chat: Chat, way: Way, openrouter: ScriptedOpenRouter, tmp_path: Path
) -> None:
    (tmp_path / "tide.png").write_bytes(PIXEL)
    (tmp_path / "tides.csv").write_text("port,high")
    (tmp_path / "tides.pdf").write_bytes(b"%PDF-1.4")
    picture = PIL.Image.new("RGB", (3, 3))
    files = [tmp_path / name for name in ("tide.png", "tides.csv", "tides.pdf")]
    of_openai = [{"type": "text", "text": "two"}, {"type": "image_url", "image_url": {"url": PNG}}]
    records = {"type": "text", "port": "Hull"}
    way.ask(chat, ["one", *files, PIXEL, picture, pd.DataFrame({"port": ["Hull"]}), *of_openai, records])
    [(_, content)] = sent(openrouter)
    kinds = "text image_url text file image_url image_url text text image_url text"
    assert [part["type"] for part in content] == kinds.split()
    assert all(part["image_url"]["url"].startswith("data:image/png") for part in content if "image_url" in part)
    texts = [part["text"] for part in content if part["type"] == "text"]
    assert texts[1].startswith("The file tides.csv:\n\nport,high")
    assert "Hull" in texts[2]
    assert texts[3:] == ["two", '{"type": "text", "port": "Hull"}']
    saved = Chat.from_dict(chat.to_dict())
    assert saved.messages[0] == chat.messages[0]


def test_a_question_may_hold_parts_of_haystack(chat: Chat, way: Way, openrouter: ScriptedOpenRouter) -> None:
    from haystack.dataclasses import ImageContent as HaystackImage

    way.ask(chat, ["What is this?", HaystackImage(PNG.partition(",")[2], "image/png")])
    assert [part["type"] for part in sent(openrouter)[0][1]] == ["text", "image_url"]


@pytest.mark.parametrize(
    ("question", "kind", "words"),
    [
        (["See.", Path("tides.pgn")], ConfigurationError, "There is no file tides.pgn"),
        (["See.", b"abc"], ConfigurationError, "These 3 bytes are neither an image nor a PDF. Of a sound"),
        (["See.", None], TypeError, "None is nothing that a question can hold"),
        ([{"role": "user", "content": "Hi"}], TypeError, "is a message, not a part of one"),
        ([ChatMessage.from_user("Hi")], TypeError, "is a message, not a part of one"),
        (["See.", ToolCall("tide", {})], TypeError, "is a ToolCall, which a user's message cannot hold"),
        ([], ConfigurationError, "needs at least one"),
        ("", ConfigurationError, "The question is empty"),
        (" \n", ConfigurationError, "The question is empty"),
        (42, TypeError, r"42 is a int, and no question by itself. Put it into a list, beside a text: \[text, value\]"),
    ],
)
def test_what_is_no_question_is_not_sent(
    chat: Chat, way: Way, openrouter: ScriptedOpenRouter, question: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        way.ask(chat, question)
    assert (openrouter.requests, chat.messages) == ([], [])


def test_a_turn_begins_with_a_user(chat: Chat, way: Way) -> None:
    with pytest.raises(ConfigurationError, match="begins with a user's message, not one of role assistant"):
        way.ask(chat, ChatMessage.from_assistant("Hi"))


def test_it_streams(chat: Chat, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(text("The Humber flows."))
    chunks, reply = way.stream(chat)
    assert "".join(chunk.content for chunk in chunks) == reply.text == "The Humber flows."
    assert chat.messages[-1] is reply.message


def test_the_iterators_work_without_with(chat: Chat, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(text("One two"), text("Three four"))
    assert [chunk.content for chunk in chat.stream("Hi") if chunk.content] == ["One", " two"]
    stream = chat.stream("Hi")
    assert stream.reply.text == ""
    assert next(stream).content == "Three"
    stream.close()
    assert (stream.reply.text, stream.reply.ending) == ("Three", "stopped")


async def anext_of(chat: Chat) -> tuple[str, str]:
    """Take one chunk and leave."""
    stream = chat.stream_async("Hi")
    chunk = await anext(stream)
    await stream.aclose()
    return chunk.content, stream.reply.ending


def test_the_async_iterator_works_by_hand(chat: Chat, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(text("Three four"))
    assert way.runner.run(anext_of(chat)) == ("Three", "stopped")


def test_options_hold_for_one_turn(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make(generation_kwargs={"temperature": 0, "seed": 7})
    way.ask(chat, generation_kwargs={"temperature": 1})
    assert (openrouter.request.json["temperature"], openrouter.request.json["seed"]) == (1, 7)
    way.ask(chat)
    assert openrouter.request.json["temperature"] == 0


def test_the_model_may_change(chat: Chat, way: Way, openrouter: ScriptedOpenRouter) -> None:
    assert chat.model == "vendor/m"
    chat.model = "vendor/other"
    way.ask(chat)
    assert (openrouter.request.json["model"], chat.model) == ("vendor/other", "vendor/other")
    chat.generation_kwargs["model"] = "vendor/third"
    assert chat.model == "vendor/third"
    chat.model = None
    assert chat.model == "vendor/m"


def test_reasoning_details_go_back_to_the_model_that_wrote_them_only(
    chat: Chat, way: Way, openrouter: ScriptedOpenRouter
) -> None:
    openrouter.answers(text("Yes.", reasoning="Hm.", signature="abc"))
    way.ask(chat)
    way.ask(chat)
    assert openrouter.request.json["messages"][1]["reasoning_details"][0]["signature"] == "abc"
    chat.model = "vendor/other"
    way.ask(chat)
    assert "reasoning_details" not in openrouter.request.json["messages"][1]
    assert chat.messages[1].reasoning.extra["reasoning_details"]  # type: ignore[union-attr]


def test_a_reply_tells_all(chat: Chat, way: Way, openrouter: ScriptedOpenRouter) -> None:
    odd = [{"type": "url_citation"}, {"type": "url_citation", "url_citation": {"url": 7}}, "odd"]
    source = url_citation("https://example.org/tides", title="Tides")
    openrouter.answers(text("Yes.", reasoning="Hm.", images=[PNG], annotations=[source]))
    reply = way.ask(chat)
    assert [(each.url, each.title) for each in reply.citations] == [("https://example.org/tides", "Tides")]
    assert (reply.reasoning, len(reply.images), reply.raw["role"]) == ("Hm.", 1, "assistant")
    reply.message.meta["annotations"] = odd
    assert reply.citations == []
    reply.message.meta["annotations"] = "odd"
    assert reply.citations == []


# -- one turn at a time ---------------------------------------------------------------------------------------------


def test_a_busy_chat_says_so(chat: Chat, way: Way, openrouter: ScriptedOpenRouter) -> None:
    gate = threading.Event()
    openrouter.answers(text("Slow.").held(gate))
    asking = threading.Thread(target=chat, args=("Hi",))
    asking.start()
    openrouter.wait_for_requests(1)
    refused = []

    def ask_as_well() -> None:
        with pytest.raises(TurnInProgressError):
            chat("Me too")
        refused.append(True)

    threads = [threading.Thread(target=ask_as_well) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(TurnInProgressError):
        way.ask(chat)
    for change in (chat.reset, chat.undo):
        with pytest.raises(TurnInProgressError, match="busy with another turn"):
            change()
    with pytest.raises(TurnInProgressError):
        chat.messages = []
    assert [message.text for message in chat.messages] == ["Hi"]
    gate.set()
    asking.join()
    assert (len(refused), len(chat.messages)) == (8, 2)


def test_a_stream_that_nobody_asks_holds_nothing(chat: Chat, way: Way) -> None:
    chat.stream("never asked")
    assert way.ask(chat).text


# -- failures -------------------------------------------------------------------------------------------------------


def test_a_question_that_nothing_came_of_can_be_asked_again(
    chat: Chat, way: Way, openrouter: ScriptedOpenRouter
) -> None:
    openrouter.answers(error(503), text("Now."))
    with pytest.raises(ProviderError):
        way.ask(chat)
    assert chat.messages == []
    assert chat.cost.total == 0
    assert way.ask(chat).text == "Now."
    assert sent(openrouter) == [("user", "Hi")]


def test_connections_that_fail_cost_nothing(way: Way) -> None:
    chat = Chat(OpenRouterChatGenerator(api_key=None, api_base_url="http://127.0.0.1:9", max_retries=0))
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        way.ask(chat)
    assert (chat.messages, chat.cost.total) == ([], 0)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(TypeError, match="a generator or a model's name, not int"):
        Chat(7)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="max_rounds=0"):
        Chat("vendor/m", max_rounds=0)
    with pytest.raises(ConfigurationError, match="approve='sometimes'"):
        Chat("vendor/m", approve="sometimes")  # type: ignore[arg-type]


# -- what was said --------------------------------------------------------------------------------------------------


def test_undo_reset_and_fork(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make(system="Be brief.", name="tides")
    openrouter.answers(text("One."), text("Two."), text("Three."))
    way.ask(chat, "1")
    way.ask(chat, "2")
    twin = chat.fork("twin")
    assert [message.text for message in chat.undo()] == ["2", "Two."]
    assert [message.text for message in chat.messages] == ["Be brief.", "1", "One."]
    way.ask(twin, "3")
    assert [message.text for message in twin.messages][-3:] == ["Two.", "3", "Three."]
    assert (twin.name, len(chat.messages)) == ("twin", 3)
    assert twin.cost.total == 0.00004
    twin.messages[0].meta["x"] = 1
    assert "x" not in chat.messages[0].meta
    chat.reset()
    assert [message.text for message in chat.messages] == ["Be brief."]
    assert chat.undo() == []
    assert repr(chat) == "Chat('tides', model='vendor/m', messages=1, cost=$0.00008)"


def test_messages_may_be_set(chat: Chat, way: Way, openrouter: ScriptedOpenRouter) -> None:
    mine = [ChatMessage.from_user("1"), ChatMessage.from_assistant("One.")]
    chat.messages = mine
    way.ask(chat, "2")
    assert [content for _, content in sent(openrouter)] == ["1", "One.", "2"]
    assert mine[1] is not chat.messages[1]
    with pytest.raises(TypeError):
        chat.messages = ["Hi"]  # type: ignore[list-item]


# -- who answers ----------------------------------------------------------------------------------------------------


@pytest.fixture
def _environment(openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", openrouter.base_url)
    monkeypatch.delenv("ORCHAT_MODEL", raising=False)


@pytest.mark.usefixtures("_environment")
def test_a_models_name_is_enough(way: Way, openrouter: ScriptedOpenRouter) -> None:
    from orchat import Chat as FrontDoorChat

    chat = FrontDoorChat("vendor/m")
    assert way.ask(chat).text
    assert openrouter.request.json["model"] == "vendor/m"
    chat.model = "vendor/other"
    way.ask(chat)
    assert openrouter.request.json["model"] == "vendor/other"
    usual = FrontDoorChat()
    assert usual.model is None
    way.ask(usual)
    assert usual.model == "openai/gpt-4o-mini"


@pytest.mark.usefixtures("_environment")
def test_in_a_fresh_script(openrouter: ScriptedOpenRouter) -> None:
    code = "from orchat import Chat, ask; print(Chat('vendor/m')('hi'), ask('hi').cost)"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert (done.stdout, done.stderr) == ("The Humber flows past Hull into the North Sea. 4e-05\n", "")


def test_without_a_key_the_hint_names_the_ways_on(monkeypatch: pytest.MonkeyPatch, way: Way) -> None:
    from orchat import Chat as FrontDoorChat

    for name in ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingKeyError, match="embedded model"):
        way.ask(FrontDoorChat())


def test_without_a_connector_a_generator_is_needed(way: Way) -> None:
    from orchat.default_factories import connect

    set_generator_factory(None)
    try:
        with pytest.raises(ConfigurationError, match="needs a generator here"):
            way.ask(Chat("vendor/m"))
    finally:
        set_generator_factory(connect)


def test_ask_remembers_nothing(generator: OpenRouterChatGenerator, openrouter: ScriptedOpenRouter) -> None:
    assert ask("Hi", generator, system="Be brief.", generation_kwargs={"seed": 7}).text
    assert sent(openrouter) == [("system", "Be brief."), ("user", "Hi")]
    assert openrouter.request.json["seed"] == 7


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("https://openrouter.ai/api/v1", True),
        ("https://eu.openrouter.ai/api/v1", True),
        (None, True),
        ("https://example.org", False),
    ],
)
def test_the_session_is_told_to_openrouter_only(host: str | None, told: bool) -> None:
    chat = Chat(OpenRouterChatGenerator(api_key=None, api_base_url=host))
    first, second = (chat._turn_context({}, None).generation_kwargs.get("session_id") for _ in range(2))
    assert first == second
    assert (first is not None) == told
    assert chat.fork()._session != chat._session


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (
            None,
            "None is no question: give a text, an image, a file, or a list of these. `retry` asks the last one again.",
        ),
        (
            {"a": 1},
            "{'a': 1} is no question: give a text, an image, a file, or a list of these. `resume` takes decisions",
        ),
    ],
)
def test_what_is_no_question_is_told_so(chat: Chat, way: Way, question: Any, said: str) -> None:
    with pytest.raises(TypeError) as caught:
        way.ask(chat, question)
    assert str(caught.value).startswith(said)


def test_an_option_that_a_question_has_not_is_told_where_it_goes(
    chat: Chat, way: Way, openrouter: ScriptedOpenRouter
) -> None:
    with pytest.raises(TypeError, match=r"no option 'temperature'.* goes .* generation_kwargs=\{'temperature': ...\}"):
        way.ask(chat, "Name a river.", temperature=0)
    assert not openrouter.requests


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"system": 7}, "7 is of the type int, where a message takes a text"),
        ({"history": 7}, "history=7 makes no sense. Give functions"),
        ({"exit_conditions": 7}, "The exit condition 7 makes no sense. Give a tool's name"),
        ({"result_store": 7}, "result_store=7 makes no sense. Give a ResultStore()"),
        ({"generation_kwargs": 7}, "generation_kwargs=7 makes no sense. Give a dictionary"),
        ({"generation_kwargs": {7: 7}}, "generation_kwargs={7: 7} makes no sense. Give a dictionary"),
        ({"tools": len}, "tools must be a list .* Put it in a list"),
    ],
)
def test_what_a_chat_cannot_take_is_named(make: Make, given: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ConfigurationError), match=said):
        make(**given)


def test_scalars_of_numpy_are_parameters_like_others(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make(generation_kwargs={"max_tokens": np.int64(50)})
    way.ask(chat, "Name a river.", generation_kwargs={"seed": np.int64(7)})
    assert (openrouter.request.json["max_tokens"], openrouter.request.json["seed"]) == (50, 7)
    assert chat.to_dict()["parameters"]["max_tokens"] == 50


def test_a_copy_is_a_chat_of_its_own_and_no_pickle(chat: Chat) -> None:
    chat("Name a river.")
    for twin in (copy.copy(chat), copy.deepcopy(chat)):
        twin("And another?")
        assert (len(twin.messages), len(chat.messages)) == (4, 2)
    with pytest.raises(TypeError, match=r"`chat.to_dict\(\)` makes data of it"):
        pickle.dumps(chat)
