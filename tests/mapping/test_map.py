"""`orchat.map`: each row is asked, identical ones once, and the result is as the data."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypedDict

import pytest
from PIL import Image
from pydantic import BaseModel

import orchat
from orchat import ChatMessage, OpenRouterChatGenerator, Secret
from orchat.chat.money import Budget
from orchat.errors import (
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
    ModerationError,
    OutputValidationError,
    UnknownColumnError,
)
from orchat.mapping import MapResult
from orchat.messages import VideoContent
from tests.mapping.conftest import KEY, question_of, questions, repeated
from tests.openrouter_server import Answer, Request, ScriptedOpenRouter, error, reply_json, text, usage_object
from tests.patience import PATIENCE, wait_until

CITIES = ["Hull", "Goole", "York"]


class Tone(BaseModel):
    tone: Literal["good", "bad"]
    score: int


class Mood(Enum):
    GLAD = "glad"
    SAD = "sad"


class Place(TypedDict):
    name: str
    inhabitants: int


@dataclass
class Span:
    start: int
    end: int | None


def run(prompt: Any, data: Any, **options: Any) -> MapResult:
    return orchat.map(prompt, data, progress=False, **options)


def test_values_are_asked_in_order_and_the_bill_is_the_servers(service: ScriptedOpenRouter) -> None:
    result = run("Where is {value}?", CITIES, system="Be brief.", generation_kwargs={"temperature": 0})
    assert result["answer"] == result.values == [f"Where is {city}?" for city in CITIES]
    assert result.cost == pytest.approx(3 * 0.00004)
    assert result.spent.known == Decimal("0.00012")  # exact
    assert result.frame[0] == {
        "answer": "Where is Hull?",
        "error": None,
        "cost": 0.00004,
        "model": "vendor/some-model-20260301",
        "finish_reason": "stop",
    }
    assert result.failures == []
    assert service.request.json["messages"][0] == {"role": "system", "content": "Be brief."}
    assert service.request.json["temperature"] == 0
    assert service.request.headers["authorization"] == f"Bearer {KEY}"


def test_identical_rows_are_asked_once_unless_they_shall_not(service: ScriptedOpenRouter) -> None:
    result = run("Where is {value}?", ["Hull", "York", "Hull"])
    assert sorted(questions(service)) == ["Where is Hull?", "Where is York?"]
    assert result.values == ["Where is Hull?", "Where is York?", "Where is Hull?"]
    assert result.spent.known == Decimal("0.00008")
    assert [row["cost"] for row in result.frame] == [0.00004, 0.00004, 0.0]
    run("Who is in {value}?", ["Hull", "York", "Hull"], distinct=False, store=False)
    assert questions(service).count("Who is in Hull?") == 2


def test_identical_rows_that_failed_are_asked_once_by_retry(service: ScriptedOpenRouter) -> None:
    service.always(error(400, "No."))
    result = run("{value}", [*CITIES, *CITIES])
    assert len(result.failures) == 6
    service.always(lambda request: repeated(request).delayed(0.02))
    asked = len(questions(service))
    result = result.retry()
    assert result.values == [*CITIES, *CITIES]
    assert len(questions(service)) == asked + 3


def test_running_it_again_asks_nothing_and_costs_nothing(service: ScriptedOpenRouter, home: Path) -> None:
    first = run("Where is {value}?", CITIES)
    again = run("Where is {value}?", [*CITIES, "Hull"])
    assert len(questions(service)) == 3
    assert (again.cost, again.values) == (0.0, [*first.values, first.values[0]])
    run("Where is {value}?", CITIES, generation_kwargs={"temperature": 1})  # that is another request
    run("Where is {value}?", CITIES, store=False)
    run("Where is {value}?", CITIES, store=home / "other.sqlite")
    assert len(questions(service)) == 12


def test_the_store_holds_no_key_and_no_user(service: ScriptedOpenRouter, home: Path) -> None:
    run("Where is {value}?", CITIES, generation_kwargs={"user": "user_secretive"})
    run("Where is {value}?", CITIES, generation_kwargs={"user": "user_other"})
    assert len(questions(service)) == 3
    (path,) = home.glob("orchat/answers.sqlite")
    content = path.read_bytes()
    assert b"sk-or" not in content
    assert b"user_secretive" not in content


def test_records_columns_and_iterators(service: ScriptedOpenRouter) -> None:
    records = [{"city": "Hull", "land": "England"}, {"city": "Bonn"}]
    result = run("Is {city} in {land}?", records)
    assert result.values == ["Is Hull in England?", "Is Bonn in ?"]
    columns = run("Is {city} in {land}?", {"city": ["Hull"], "land": ["England"]})
    assert columns.frame["answer"] == ["Is Hull in England?"]
    assert columns["cost"] == [0.0]
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(5):
            read.append(number)
            yield number

    assert run("Is {value} prime?", numbers()).values == [f"Is {number} prime?" for number in range(5)]
    assert read == [0, 1, 2, 3, 4]
    assert run("Where is {city}?", iter(records)).values == ["Where is Hull?", "Where is Bonn?"]
    assert run("Where is {row['the city']}?", [{"the city": "Hull"}]).values == ["Where is Hull?"]
    assert run("Where is {place.name}, {place.parts[0]}?", [{"place": Named()}]).values == ["Where is Hull, north?"]


class Named:
    name = "Hull"
    parts = ("north",)


def test_rows_of_a_sqlite_cursor_are_read_although_it_belongs_to_one_thread(service: ScriptedOpenRouter) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript("create table ports (name); insert into ports values ('Hull'), ('Goole');")
        assert run("{value[0]}", database.execute("select * from ports")).values == ["Hull", "Goole"]
        database.row_factory = sqlite3.Row
        assert run("{value['name']}", database.execute("select * from ports")).values == ["Hull", "Goole"]
        with pytest.raises(UnknownColumnError, match=r"did you mean \{value\['name'\]\}\?"):
            run("{name}", database.execute("select * from ports"))


def test_a_row_of_another_kind_and_bytes_that_nobody_asks_about(service: ScriptedOpenRouter) -> None:
    rows = [{"city": "Hull", "scan": b"\xff"}, "Goole", {"city": "York"}]
    result = orchat.map("Where is {city}?", iter(rows), progress=False)
    assert result.values == ["Where is Hull?", None, "Where is York?"]
    assert [failure["error"] for failure in result.failures] == ["this row is a str; the first one has columns"]


def test_no_rows_need_no_request_and_no_key(openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", openrouter.base_url)
    for data in ([], iter(())):
        result = run("Where is {value}?", data)
        assert (len(result), result.frame, result.cost, result.failures) == (0, [], 0.0, [])
        assert repr(result) == "0 of 0 rows answered for $0."
    assert questions(openrouter) == []


def test_a_function_makes_texts_parts_or_messages(service: ScriptedOpenRouter, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"\0" * 9)

    def prompt(row: dict[str, Any]) -> Any:
        if row["kind"] == "text":
            return "Hello."
        if row["kind"] == "parts":
            return ["What is it?", Image.new("RGB", (2, 2)), VideoContent("AAAA"), clip]
        return [ChatMessage.from_user("Hi."), ChatMessage.from_assistant("Yes?"), ChatMessage.from_user("Bye.")]

    assert run(prompt, [{"kind": "text"}, {"kind": "parts"}, {"kind": "all"}], concurrency=1).values == [
        "Hello.",
        "What is it?",
        "Bye.",
    ]
    sent = [request.json["messages"] for request in service.requests if request.json]
    assert sent[1][0]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert [part["type"] for part in sent[1][0]["content"]] == ["text", "image_url", "video_url", "video_url"]
    assert [message["role"] for message in sent[2]] == ["user", "assistant", "user"]


def test_a_function_makes_messages_of_the_openai_format(service: ScriptedOpenRouter) -> None:
    orchat.map(lambda row: {"role": "user", "content": row}, ["a"], system="Briefly.", progress=False)
    assert service.request.json["messages"] == [
        {"role": "system", "content": "Briefly."},
        {"role": "user", "content": "a"},
    ]


@pytest.mark.parametrize("prompt", ["{text}", lambda row: row["text"]])
def test_a_system_message_that_names_columns_is_filled(service: ScriptedOpenRouter, prompt: Any) -> None:
    rows = [{"text": "a", "lang": "German"}, {"text": "a", "lang": "French"}, {"text": "b", "lang": None}]
    found = orchat.map(prompt, rows, system="Answer in {lang}, as {{lang}}.", progress=False, concurrency=1)
    asked = [request.json["messages"][0]["content"] for request in service.requests if request.method == "POST"]
    assert asked == ["Answer in German, as {{lang}}.", "Answer in French, as {{lang}}."]
    assert found.outcomes[2].error == "not asked: `lang` has no value in this row"
    orchat.map(prompt, rows[:1], system='As {"tone": "good"}, {persona}.', progress=False)  # it names none
    assert service.request.json["messages"][0]["content"] == 'As {"tone": "good"}, {persona}.'


def test_a_row_for_which_the_function_gives_none_is_not_asked(service: ScriptedOpenRouter) -> None:
    result = run(lambda row: f"Of {row}." if row else None, [0, 1])
    assert result.values == [None, "Of 1."]
    assert [failure["reason"] for failure in result.failures] == ["not asked"]
    assert questions(service) == ["Of 1."]


def test_a_function_that_fails_at_once_is_told_and_later_it_is_its_rows_failure(service: ScriptedOpenRouter) -> None:
    with pytest.raises(ZeroDivisionError):
        run(lambda row: str(1 // row), [0, 1])
    result = run(lambda row: f"{6 // row}?", [1, 0, 2])
    assert result.values == ["6?", None, "3?"]
    assert result.failures[0]["reason"] == "ZeroDivisionError"


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 3), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_a_column_of_images_goes_as_images(service: ScriptedOpenRouter, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    address = "https://example.org/a.png"
    photos = [path, png(), Image.new("RGB", (3, 3)), str(path), address]
    data = [{"id": number, "photo": photo} for number, photo in enumerate(photos)]
    result = run("{id}: what is in {photo}?", data, images="photo", concurrency=1)
    assert not result.failures
    contents = [request.json["messages"][0]["content"] for request in service.requests if request.json]
    kinds = [[part["type"] for part in content] for content in contents]
    assert kinds == [["text", "image_url", "text"]] * 5
    assert contents[4][1]["image_url"]["url"] == address
    assert all(content[1]["image_url"]["url"].startswith("data:image/png") for content in contents[:4])
    run("{id}?", data, images=["photo"], concurrency=1)  # behind the prompt where it is not in it
    assert [part["type"] for part in service.request.json["messages"][0]["content"]] == ["text", "image_url"]
    result = run("What is in {photo}?", [{"photo": str(path)}, {"photo": "/etc/passwd"}], images="photo")
    assert "no name of an image" in result.failures[0]["error"]
    assert run("Say {photo}.", [{"photo": str(path)}]).values == [f"Say {path}."]  # a text is no file by itself


@pytest.mark.parametrize(
    ("schema", "reply", "value", "row"),
    [
        (Tone, {"tone": "bad", "score": 3}, Tone(tone="bad", score=3), {"tone": "bad", "score": 3}),
        (Span, {"start": 1, "end": None}, Span(1, None), {"start": 1, "end": None}),
        (Place, {"name": "Hull", "inhabitants": 5}, {"name": "Hull", "inhabitants": 5}, {"inhabitants": 5}),
        (Literal["a", "b"], {"answer": "b"}, "b", {"answer": "b"}),
        (Mood, {"answer": "sad"}, Mood.SAD, {"answer": "sad"}),
        (bool, {"answer": True}, True, {"answer": True}),
        (list[str], {"items": ["x"]}, ["x"], {"answer": ["x"]}),
        ({"type": "object", "properties": {"n": {"type": "integer"}}}, {"n": 5}, {"n": 5}, {"n": 5}),
        ({"enum": ["x", "y"]}, {"answer": "y"}, "y", {"answer": "y"}),
        (["x", "y"], {"answer": "y"}, "y", {"answer": "y"}),
    ],
)
def test_schemas(service: ScriptedOpenRouter, schema: Any, reply: Any, value: Any, row: dict[str, Any]) -> None:
    service.always(text(json.dumps(reply)))
    for stored in (False, True):
        result = run("What of {value}?", ["Hull"], schema=schema)
        assert result.values == [value]
        assert row.items() <= result.frame[0].items()
        assert len(questions(service)) == 1, stored
    assert service.requests[-1].json["response_format"]["json_schema"]["schema"]["type"] == "object"


def test_a_list_of_models_explodes_into_rows(service: ScriptedOpenRouter) -> None:
    answers = {"Hull": [("good", 1), ("bad", 2)], "Goole": [], "York": [("bad", 3)]}

    def reply(request: Request) -> Answer:
        city = question_of(request).split()[-1]
        return text(json.dumps({"items": [{"tone": tone, "score": score} for tone, score in answers[city]]}))

    service.always(reply)
    result = run("Tones of {value}", CITIES, schema=list[Tone], explode=True)
    assert [(row["row"], row["tone"], row["score"]) for row in result.frame] == [
        (0, "good", 1),
        (0, "bad", 2),
        (1, None, None),
        (2, "bad", 3),
    ]
    assert sum(row["cost"] for row in result.frame) == pytest.approx(result.cost)
    assert result.values[0] == [Tone(tone="good", score=1), Tone(tone="bad", score=2)]


def test_a_field_called_cost_keeps_its_name(service: ScriptedOpenRouter) -> None:
    service.always(text('{"cost": 7, "error": "none"}'))
    schema = {"type": "object", "properties": {"cost": {"type": "integer"}, "error": {"type": "string"}}}
    (row,) = run("Price of {value}", ["Hull"], schema=schema).frame
    assert (row["cost"], row["answer_cost"], row["error"], row["answer_error"]) == (7, 0.00004, "none", None)


def test_a_row_that_is_too_long_refused_or_malformed_fails_alone(service: ScriptedOpenRouter) -> None:
    def reply(request: Request) -> Answer:
        match question_of(request):
            case "long":
                return error(400, "This model's maximum context length is 8 tokens.")
            case "flagged":
                return error(403, "Flagged.", metadata={"reasons": ["violence"], "flagged_input": "x"})
            case "malformed":
                return text("{'tone': ", usage=usage_object(cost=0.5))
            case "refused":
                return reply_json(refusal())
        return text('{"tone": "good", "score": 1}')

    service.always(reply)
    rows = ["fine", "long", "flagged", "malformed", "refused", "well"]
    result = run("{value}", rows, schema=Tone, on_error="collect")
    assert [value is not None for value in result.values] == [True, False, False, False, False, True]
    reasons = {row["row"]: row["reason"] for row in result.failures}
    kinds = (BadRequestError, ModerationError, OutputValidationError)
    assert reasons == {1: kinds[0].__name__, 2: kinds[1].__name__, 3: kinds[2].__name__, 4: kinds[2].__name__}
    assert result.spent.known == Decimal("0.50012")  # a malformed answer is paid
    count = len(questions(service))
    again = run("{value}", rows, schema=Tone)
    assert sorted(questions(service)[count:]) == ["flagged", "long"]  # what was paid is not paid again
    assert again.spent.known == 0
    service.always(text('{"tone": "bad", "score": 2}'))
    mended = result.retry()
    assert len(mended.failures) == 0
    assert sorted(questions(service)[count + 2 :]) == ["flagged", "long", "malformed", "refused"]
    assert mended.spent.known == Decimal("0.50028")  # of both attempts
    assert mended.retry() is mended


def refusal() -> dict[str, Any]:
    from tests.openrouter_server import completion

    return completion(None, refusal="I will not.")


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthenticationError), (402, orchat.errors.InsufficientCreditsError)]
)
def test_a_refusal_of_all_ends_the_run_and_keeps_the_rows_so_far(
    service: ScriptedOpenRouter, status: int, kind: type[Exception]
) -> None:
    def reply(request: Request) -> Answer:
        if (number := int(question_of(request))) > 5:
            time.sleep(1)  # the refusal arrives before, also on a busy machine
        return error(status, "No.") if number == 5 else text("Yes.")

    service.always(reply)
    result = run("{value}", [str(number) for number in range(200)], concurrency=2)
    assert isinstance(result.ended_by, kind)
    asked = len(questions(service))
    assert asked <= 5 + 2 + 1
    assert result.values[:5] == ["Yes."] * 5
    assert result.failures[0]["reason"] == kind.__name__
    assert result.failures[-1]["error"].startswith("not asked: HTTP")
    assert "The run ended early" in repr(result)
    service.always(text("Yes."))
    assert result.retry().values == ["Yes."] * 200
    assert len(questions(service)) <= 200 + 1
    service.always(error(status, "No."))
    with pytest.raises(kind):  # there is nothing to keep
        run("{value}?", ["a", "b"])


def test_on_error_raise_raises_and_keeps_what_was_answered(service: ScriptedOpenRouter) -> None:
    service.always(lambda request: error(400, "No.") if question_of(request) == "3" else text("Yes."))
    with pytest.raises(BadRequestError):
        run("{value}", list("0123456789"), concurrency=1, on_error="raise")
    count = len(questions(service))
    assert count <= 5
    service.always(text("Yes."))
    assert run("{value}", list("0123456789")).values == ["Yes."] * 10
    assert len(questions(service)) == count + 7


def test_a_request_that_is_wrong_for_all_rows_is_not_sent_for_all(service: ScriptedOpenRouter) -> None:
    service.always(error(400, "This model takes no response_format."))
    with pytest.raises(BadRequestError, match="takes no response_format"):
        run("{value}", list(range(500)), schema=Tone)
    assert len(questions(service)) <= 20 + 64


def test_a_generator_of_ones_own_is_asked_and_stays_as_it_is(openrouter: ScriptedOpenRouter) -> None:
    openrouter.always(text("Yes."))
    generator = OpenRouterChatGenerator(
        api_key=Secret.from_token(KEY),
        api_base_url=openrouter.base_url,
        model="vendor/mine",
        generation_kwargs={"seed": 7},
        max_retries=3,
    )
    result = asyncio.run(
        orchat.map_async("{value}?", ["a"], model=generator, generation_kwargs={"top_p": 0.5}, progress=False)
    )
    assert result.values == ["Yes."]
    assert (openrouter.request.json["model"], openrouter.request.json["seed"]) == ("vendor/mine", 7)
    assert (generator.max_retries, generator.generation_kwargs) == (3, {"seed": 7})


def test_secrets_in_values_stay_here_unless_allowed(service: ScriptedOpenRouter) -> None:
    note = "The key is sk-or-v1-aaaabbbbccccddddeeeeffff0000111122223333."
    assert run("Say: {note}", [{"note": note}]).values == ["Say: The key is [redacted]."]
    assert run("Say: {note}", [{"note": note}], allow_secrets=True).values == [f"Say: {note}"]


def test_an_answer_that_holds_a_secret_is_given_and_not_kept(service: ScriptedOpenRouter, home: Path) -> None:
    secret = "sk-or-v1-aaaabbbbccccddddeeeeffff0000111122223333"
    service.always(text(f"It is {secret}."))
    assert run("{value}", ["a"]).values == [f"It is {secret}."]
    run("{value}", ["a"])
    assert len(questions(service)) == 2
    assert secret.encode() not in b"".join(path.read_bytes() for path in (home / "orchat").glob("answers*"))


def test_what_it_would_take_is_told_before(service: ScriptedOpenRouter) -> None:
    run("Where is {value}?", ["Hull"], model="openai/gpt-4o-mini")
    count = len(questions(service))
    rows = ["Hull", *(f"City {number}" for number in range(600)), "City 1"]
    estimate = orchat.map("Where is {value}?", rows, model="openai/gpt-4o-mini", dry_run=True)
    assert (estimate.rows, estimate.requests, estimate.stored) == (602, 600, 1)
    assert 5 * 600 < estimate.prompt_tokens < 15 * 600
    expected = estimate.prompt_tokens * Decimal("0.00000015") + estimate.completion_tokens * Decimal("0.0000006")
    assert estimate.cost == pytest.approx(expected)
    assert estimate.most is not None
    assert estimate.most > estimate.cost
    assert len(questions(service)) == count


def test_a_dear_column_is_not_begun_without_a_limit(
    service: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHAT_CONFIRM_ABOVE", "0.01")
    rows = [f"City {number}" for number in range(1000)]
    with pytest.raises(BudgetExceededError, match=r"1,000 rows: 1,000 requests; .* about \$0\.0\d+.*max_cost="):
        run("Where is {value}?", rows, model="openai/gpt-4o-mini")
    assert questions(service) == []
    assert not run("Where is {value}?", ["x"] * 1000, model="openai/gpt-4o-mini").failures  # one different row
    assert not run("Where is {value}?", rows[:5], model="vendor/unlisted-facts").failures  # nobody knows
    monkeypatch.setenv("ORCHAT_CONFIRM_ABOVE", "0.004")
    limited = run("Who is in {value}?", (row for row in rows), model="openai/gpt-4o-mini", concurrency=2)
    assert isinstance(limited.ended_by, BudgetExceededError)  # of unknown length: that much is spent at most
    assert 0 < limited.spent.known <= Decimal("0.004")


def test_a_prompt_without_a_field_is_told_and_asked_once(service: ScriptedOpenRouter) -> None:
    with pytest.warns(UserWarning, match="names no column"):
        result = run("Name a city.", CITIES)
    assert (result.values, len(questions(service))) == (["Name a city."] * 3, 1)


def test_the_summary_shows_figures_rows_failures_and_a_chart_without_a_kernel(service: ScriptedOpenRouter) -> None:
    def reply(request: Request) -> Answer:
        if question_of(request) == "3":
            return error(400, "<b>No</b>.")
        return text(json.dumps({"tone": "good" if question_of(request) < "7" else "bad", "score": 1}))

    service.always(reply)
    result = run("{value}", list("0123456789"), schema=Tone)
    bundle = result._repr_mimebundle_()
    assert bundle["text/plain"].startswith("9 of 10 rows answered for $0.00036.\n1 x BadRequestError: HTTP 400")
    html = bundle["text/html"]
    assert 'alt="Bar chart of tone: good 6, bad 3" src="data:image/svg+xml;base64,' in html
    assert "&lt;b&gt;No" in html
    assert "<b>" not in html
    assert "<script" not in html
    assert '<th scope="col">tone</th>' in html
    assert html.count("<tr>") == 1 + 5


def test_progress_tells_cost_total_and_failures(
    service: ScriptedOpenRouter, capsys: pytest.CaptureFixture[str]
) -> None:
    service.answers(error(400, "No."), error(429, "Slow down.", headers={"Retry-After": "0.5"}))
    orchat.map("{value}", CITIES, concurrency=1, store=False)
    told = capsys.readouterr().err
    assert "the host asks to wait 0.5 s" in told
    shown = told.splitlines()[-1].rsplit("\r", 1)[-1]
    assert "3/3" in shown
    assert "$0.00008, 1 failed" in shown


def test_nothing_is_logged_with_a_key(service: ScriptedOpenRouter, caplog: pytest.LogCaptureFixture) -> None:
    service.always(error(401, f"The key {KEY} is wrong."))
    with caplog.at_level(logging.DEBUG), pytest.raises(AuthenticationError) as raised:
        run("{value}", CITIES)
    assert KEY not in caplog.text
    assert KEY not in str(raised.value)


def test_a_budget_is_shared_and_the_session_counts(service: ScriptedOpenRouter) -> None:
    budget = Budget(1)
    run("{value}", CITIES, model="openai/gpt-4o-mini", max_cost=budget)
    assert budget.spent.known == Decimal("0.00012")
    from orchat.default_factories import session_budget

    assert session_budget().spent.known == Decimal("0.00012")


def test_what_was_asked_before_an_error_of_the_source_is_not_paid_twice(service: ScriptedOpenRouter) -> None:
    def rows() -> Iterator[str]:
        yield from CITIES
        yield from CITIES
        raise OSError("The pipe broke.")

    with pytest.raises(OSError, match="The pipe broke"):
        run("Where is {value}?", rows(), concurrency=2)
    asked = len(questions(service))
    assert asked >= 2
    assert run("Where is {value}?", CITIES).spent.known == Decimal("0.00004") * (3 - asked)
    assert len(questions(service)) == 3


def test_an_error_of_the_source_behind_rows_that_were_not_asked_is_told_by_retry(service: ScriptedOpenRouter) -> None:
    third = threading.Event()

    def reply(request: Request) -> Answer:
        if question_of(request) == CITIES[0]:
            return repeated(request)
        if question_of(request) == CITIES[2]:
            third.set()
        third.wait(PATIENCE)
        return error(402, "Insufficient credits")

    def rows() -> Iterator[str]:
        yield from CITIES
        raise OSError("The pipe broke.")

    service.always(reply)
    result = run("{value}", rows(), concurrency=2)
    assert result.values == [CITIES[0], None, None]
    service.always(repeated)
    with pytest.raises(OSError, match="The pipe broke"):
        result.retry()
    asked = len(questions(service))
    assert run("{value}", CITIES).values == CITIES
    assert len(questions(service)) == asked  # what `retry` asked is kept


def test_a_source_that_leaves_the_process_ends_the_run_and_what_was_asked_is_kept(service: ScriptedOpenRouter) -> None:
    def prompt(city: str) -> str:
        if city == CITIES[2]:
            raise SystemExit
        return city

    for _ in range(2):
        with pytest.raises(SystemExit):
            run(prompt, iter(CITIES), concurrency=1)
    assert questions(service) == CITIES[:2]


def test_a_row_that_waits_for_the_answer_before_it_is_not_read_ahead(service: ScriptedOpenRouter) -> None:
    asked: list[int] = []

    def rows() -> Iterator[str]:
        for number, city in enumerate(CITIES):
            assert wait_until(partial(lambda count: len(questions(service)) >= count, number))
            asked.append(len(questions(service)))
            yield city

    assert run("Where is {value}?", rows(), concurrency=1).failures == []
    assert asked == [0, 1, 2]


PORT: ContextVar[str] = ContextVar("PORT", default="none")


class Ports:
    """Rows that are read while a context variable is set, as within `numpy.errstate`."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[str]:
        for number, city in enumerate(CITIES * 2):
            token = PORT.set(city)
            try:
                yield f"{city} {number}"
                self.seen.append((city, PORT.get()))
            finally:
                PORT.reset(token)

    def __len__(self) -> int:
        return 6

    def __getitem__(self, position: int) -> str:
        return CITIES[position % 3]


@pytest.mark.parametrize("kind", ["generator", "iterator", "sized"])
def test_all_rows_are_read_in_one_context(service: ScriptedOpenRouter, kind: str) -> None:
    ports = Ports()
    data: Any = {"generator": iter(ports), "iterator": map(str, ports), "sized": ports}[kind]
    answers = orchat.map("{value}?", data, model="vendor/m", store=False, concurrency=2, progress=False)
    assert answers.values == [f"{city} {number}?" for number, city in enumerate(CITIES * 2)]
    assert ports.seen[-6:] == [(city, city) for city in CITIES * 2]
    assert PORT.get() == "none"
