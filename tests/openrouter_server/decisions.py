"""What a decision model says to typed questions (``POST /api/alpha/decisions``)."""

from __future__ import annotations

from typing import Any, Final

from tests.openrouter_server.answers import Answer, reply_json
from tests.openrouter_server.request import Request

DECISION_MODEL: Final = "vendor/decider"


def decision_answer(request: Request) -> Answer:
    """Answer each question: the first option, yes, or the middle of the scale."""
    answers = {name: _answer(question) for name, question in request.json["questions"].items()}
    return decisions(answers)


def decisions(answers: dict[str, Any], *, cost: float | None = 0.00001) -> Answer:
    """A reply with these answers."""
    usage: dict[str, Any] = {"input_tokens": 12, "output_tokens": 0}
    if cost is not None:
        usage["cost"] = cost
    body = {"id": "dec-1", "model": f"{DECISION_MODEL}-20260301", "provider": "SomeProvider", "answers": answers}
    return reply_json(body | {"usage": usage})


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    if question["type"] == "noul":
        return {"type": "noul", "noul": 0.8}
    if question["type"] == "score":
        middle = (len(question["criteria"]) - 1) / 2
        return {"type": "score", "score": middle, "confidence": 0.6, "probabilities": {"0": 0.2, "1": 0.6, "2": 0.2}}
    first, *others = question["criteria"]
    shares = {first: 0.7} | dict.fromkeys(others, 0.3 / len(others))
    return {"type": "choice", "choice": first, "confidence": 0.7, "probabilities": shares}
