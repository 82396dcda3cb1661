"""``mode="batch"``: the rows go as one job that takes up to a day, and the same call picks the answers up."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

import orchat
from orchat.errors import BudgetExceededError, ConfigurationError, ProviderError
from orchat.mapping import MapResult
from tests.mapping.conftest import questions
from tests.openrouter_server import ScriptedOpenRouter, completion, error, usage_object
from tests.openrouter_server.batches import Batches
from tests.patience import PATIENCE

ROWS = [f"row {number}" for number in range(12)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchat.mapping.batch_run._FIRST_POLL", 0.01)
    monkeypatch.setattr("orchat.mapping.batch_run._LONGEST_POLL", 0.02)


def reply(body: dict[str, Any]) -> dict[str, Any] | None:
    question = body["messages"][-1]["content"]
    if question == "row 3":
        return {"error": {"message": "Flagged.", "type": "invalid_request_error", "param": None}}
    return completion(question.upper(), usage=usage_object(cost=0.00002))


@pytest.fixture
def batches(service: ScriptedOpenRouter) -> Batches:
    return Batches(service, reply)


def run(data: Any = ROWS, **options: Any) -> MapResult:
    return orchat.map("{value}", data, mode="batch", progress=False, **options)


def test_a_batch_is_waited_for_and_a_row_that_failed_says_why(service: ScriptedOpenRouter, batches: Batches) -> None:
    result = run([*ROWS, "row 0"], system="Briefly.", generation_kwargs={"temperature": 0})
    assert [value for value in result.values if value] == [row.upper() for row in ROWS if row != "row 3"] + ["ROW 0"]
    assert [row["row"] for row in result.failures] == [3]
    assert "Flagged." in result.failures[0]["error"]
    assert result.spent.known == Decimal("0.00022")  # the bill is the server's, and the double row is free
    ((name, requests),) = batches.submitted.items()
    assert len(requests) == 12
    assert requests[0]["body"]["temperature"] == 0
    assert requests[0]["body"]["messages"][0]["content"] == "Briefly."
    assert "stream" not in requests[0]["body"]
    assert questions(service) == []
    # What a batch answered, a chat need not ask again, nor another batch.
    again = orchat.map("{value}", ROWS[:2], system="Briefly.", generation_kwargs={"temperature": 0}, progress=False)
    assert (again.values, again.cost, questions(service)) == (["ROW 0", "ROW 1"], 0.0, [])
    assert name == "batch_1"


def test_it_returns_at_once_and_another_process_picks_the_answers_up(
    service: ScriptedOpenRouter, batches: Batches, home: Path
) -> None:
    batches.status = "in_progress"
    first = run(wait=0)
    assert first.values == [None] * 12
    assert {row["error"] for row in first.failures} == {
        "not asked: batch batch_1 is in progress; the same call picks its answers up"
    }
    second = run([*ROWS, "one more"], wait=0)  # only what is not on its way is submitted
    assert [len(requests) for requests in batches.submitted.values()] == [12, 1]
    assert second.values == [None] * 13
    batches.status = "completed"
    code = """if True:
        import orchat
        rows = [f"row {number}" for number in range(12)] + ["one more"]
        result = orchat.map("{value}", rows, mode="batch", progress=False)
        print(sum(value is not None for value in result.values), result.spent)
    """
    names = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    environment = os.environ | names | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout == "12 $0.00024\n"
    assert len(batches.submitted) == 2
    polls = batches.polls
    assert run(ROWS[:3]).cost == 0.0  # all is in the store
    assert batches.polls == polls


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_what_a_batch_had_answered_before_it_ended_is_kept(
    service: ScriptedOpenRouter, batches: Batches, status: str
) -> None:
    batches._reply = lambda body: reply(body) if body["messages"][-1]["content"] < "row 2" else None
    batches.status = status
    result = run()
    assert result.values[:2] == ["ROW 0", "ROW 1"]
    assert {row["reason"] for row in result.failures} == {f"batch {status}"}
    count = len(result.failures)
    batches.status, batches._reply = "completed", reply
    mended = result.retry()
    assert [row["row"] for row in mended.failures] == [3]
    assert len(batches.submitted["batch_2"]) == count


def test_a_batch_that_failed_says_why(service: ScriptedOpenRouter, batches: Batches) -> None:
    batches.status, batches.error = "failed", "No provider runs batches of this model."
    result = run()
    assert result.failures[0]["error"] == "batch batch_1 failed: No provider runs batches of this model."
    service.on("POST", "/batches").always(error(502, "Down."))
    with pytest.raises(ProviderError):
        run(["other"])


def test_an_answer_that_does_not_fit_fails_alone(service: ScriptedOpenRouter, batches: Batches) -> None:
    batches._reply = lambda body: completion('{"answer": "good"}' if "row 1" in str(body) else "so so")
    result = run(["row 1", "row 2"], schema=Literal["good", "bad"])
    assert result.values == ["good", None]
    assert result.failures[0]["reason"] == "OutputValidationError"


def test_a_batch_that_its_host_has_deleted_is_asked_anew(service: ScriptedOpenRouter, batches: Batches) -> None:
    batches.status = "in_progress"
    run(wait=0)
    service.on("GET", "/batches/batch_1").always(error(404, "Not Found", user_id=None))
    gone = run()
    assert gone.failures[0]["error"] == "batch batch_1 expired: its host does not have it any more"
    batches.status = "completed"
    assert len(run().failures) == 1
    assert list(batches.submitted) == ["batch_1", "batch_2"]


def test_a_trouble_while_it_is_asked_for_is_waited_out(service: ScriptedOpenRouter, batches: Batches) -> None:
    batches.status = "in_progress"
    run(wait=0)
    batches.status = "completed"
    service.on("GET", "/batches/batch_1").answers(error(503, "Down."), error(429, "Slow."))
    assert len(run().failures) == 1


def test_the_limit_holds_before_a_batch_is_submitted(service: ScriptedOpenRouter, batches: Batches) -> None:
    with pytest.raises(BudgetExceededError):
        run(model="openai/gpt-4o-mini", max_cost=0.001)
    assert batches.submitted == {}
    assert len(run(model="openai/gpt-4o-mini", max_cost=1).failures) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"store": False}, "needs a store"),
        ({"generation_kwargs": {"provider": {"zdr": True}}}, "zdr is set"),
    ],
)
def test_what_a_batch_cannot_keep_is_refused(
    service: ScriptedOpenRouter, batches: Batches, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        run(**options)
    assert batches.submitted == {}


def test_modes_are_known_and_decisions_are_one_of_them(service: ScriptedOpenRouter) -> None:
    with pytest.raises(ConfigurationError, match="mode='fast'"):
        orchat.map("{value}", ["a"], mode="fast", progress=False)  # type: ignore[call-overload]
    result = orchat.map("Tone?", ["a"], mode="decide", schema=Literal["x", "y"], model="vendor/decider", progress=False)
    assert (result["answer"], result["probability"]) == (["x"], [0.7])
    with pytest.raises(ConfigurationError, match="Decisions are labels"):
        orchat.map("Tone?", ["a"], mode="decide", schema=int, progress=False)
