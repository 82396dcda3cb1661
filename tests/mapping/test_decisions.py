"""`orchat.decide`: typed questions, answered with probabilities, about one value or a column."""

from __future__ import annotations

import json
from decimal import Decimal as Amount
from typing import Any

import pandas as pd
import pytest

import orchat
from orchat.errors import AuthenticationError, ConfigurationError, OutputValidationError
from orchat.mapping import Decision
from tests.mapping.conftest import KEY
from tests.openrouter_server import DECISION_MODEL, MODELS, ScriptedOpenRouter, decisions, error, model, reply_json

PATH = "/api/alpha/decisions"


def asked(service: ScriptedOpenRouter) -> list[Any]:
    return [request.json for request in service.requests if request.path == PATH]


@pytest.fixture
def service(service: ScriptedOpenRouter) -> ScriptedOpenRouter:
    decider = model(DECISION_MODEL, "Decider", {"prompt": "0.000001", "completion": "0"}, outputs=["decisions"])
    service.on("GET", "/models").always(reply_json({"data": [*MODELS, decider]}))
    return service


def test_one_value_is_decided_and_shown_as_bars(service: ScriptedOpenRouter) -> None:
    found = orchat.decide("What is the tone?", "Bright & light.", options={"good": "praise", "bad": None})
    assert isinstance(found, Decision)
    assert (found.answer, found.probability, found.cost) == ("good", 0.7, 0.00001)
    assert found.probabilities == {"good": 0.7, "bad": pytest.approx(0.3)}
    assert found.model == f"{DECISION_MODEL}-20260301"
    (body,) = asked(service)
    question = {"type": "choice", "instructions": "What is the tone?", "criteria": {"good": "praise", "bad": None}}
    assert body == {"model": DECISION_MODEL, "questions": {"answer": question}, "state": "Bright & light."}
    assert service.request.headers["authorization"] == f"Bearer {KEY}"
    html = found._repr_mimebundle_()["text/html"]
    assert 'alt="Bar chart of What is the tone?: good 70%, bad 30%"' in html


def test_yes_or_no_and_scores(service: ScriptedOpenRouter) -> None:
    yes = orchat.decide("Is it about a lamp?", {"title": "Lamp", "stars": 5})
    assert (yes.answer, yes.probability) == (True, 0.8)
    assert asked(service)[-1]["state"] == {"title": "Lamp", "stars": 5}
    score = orchat.decide("How glad?", "I love it.", scale=["not at all", "so so", "very"])
    assert (score.answer, score.probability) == (1.0, 0.6)
    assert asked(service)[-1]["questions"]["answer"]["criteria"] == ["not at all", "so so", "very"]


def test_a_column_is_decided_once_for_each_different_row(service: ScriptedOpenRouter) -> None:
    data = pd.DataFrame({"text": ["a", "b", "a", None], "n": [1, 2, 1, None]}, index=list("wxyz"))
    result = orchat.decide("Good or bad?", data, options=["good", "bad"], progress=False, max_cost=1)
    assert list(result.frame.columns[:3]) == ["answer", "probability", "probabilities"]
    assert result["answer"].tolist() == ["good"] * 4
    assert result.frame["probability"].tolist() == [0.7] * 4
    assert list(result.frame.index) == list("wxyz")
    assert result.spent.known == Amount("0.00003")
    states = sorted((body["state"] for body in asked(service)), key=json.dumps)
    assert states == [{"text": "a", "n": 1.0}, {"text": "b", "n": 2.0}, {"text": None, "n": None}]
    again = orchat.decide("Good or bad?", ["a", "b"], options=["good", "bad"], progress=False)
    assert again["answer"] == ["good", "good"]
    count = len(asked(service))
    orchat.decide("Good or bad?", ["b", "a"], options=["good", "bad"], progress=False)
    assert len(asked(service)) == count  # it is in the store
    orchat.decide("Bad or good?", ["b", "a"], options=["good", "bad"], progress=False)
    assert len(asked(service)) == count + 2


def test_an_answer_that_is_none_fails_alone_and_a_refusal_is_raised(service: ScriptedOpenRouter) -> None:
    service.on("POST", PATH).answers(decisions({"answer": {"type": "choice", "choice": "odd"}}))
    result = orchat.decide("?", ["a", "b"], options=["x", "y"], concurrency=1, progress=False)
    assert result.failures[0]["reason"] == OutputValidationError.__name__
    assert "'odd' is none of the options" in result.failures[0]["error"]
    assert result.spent.known == Amount("0.00002")
    service.on("POST", PATH).always(error(401, "No."))
    with pytest.raises(AuthenticationError):
        orchat.decide("?", "c", options=["x", "y"])


def test_values_that_tables_take_for_missing_are_not_asked_about(service: ScriptedOpenRouter) -> None:
    data = pd.Series(["a", pd.NA, pd.NaT, None, float("nan")], dtype=object)
    result = orchat.decide("Good or bad?", data, options=["good", "bad"], progress=False)
    assert result.failures["reason"].tolist() == ["not asked"] * 4
    orchat.decide("Good or bad?", {"text": "b", "day": pd.NaT}, options=["good", "bad"], progress=False)
    assert [body["state"] for body in asked(service)] == ["a", {"text": "b", "day": None}]


def test_secrets_in_a_state_stay_here(service: ScriptedOpenRouter) -> None:
    orchat.decide("Is it a key?", {"note": "sk-or-v1-aaaabbbbccccddddeeeeffff0000111122223333"})
    assert asked(service)[-1]["state"] == {"note": "[redacted]"}


@pytest.mark.parametrize(
    ("question", "options", "says"),
    [
        ("", {}, "question is empty"),
        ("?", {"options": ["one"]}, "nothing to decide"),
        ("?", {"options": "good"}, "lists of texts"),
        ("?", {"options": [1, 2]}, "The option 1 is no text"),
        ("?", {"options": ["good", " "]}, "The option ' ' is no text"),
        ("?", {"scale": ["low", None]}, "The option None is no text"),
        ("?", {"options": ["a", "b"], "scale": ["c", "d"]}, "Both options and a scale"),
    ],
)
def test_mistakes_are_told(service: ScriptedOpenRouter, question: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        orchat.decide(question, "a", **options)
    assert asked(service) == []


def test_without_a_decision_model_one_must_be_named(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", openrouter.base_url)
    with pytest.raises(ConfigurationError, match="No decision model is listed"):
        orchat.decide("?", "a")
    assert orchat.decide("?", "a", model="vendor/other").answer is True
