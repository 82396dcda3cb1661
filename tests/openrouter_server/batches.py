"""Batches of the scripted OpenRouter: they are submitted, go on as a test says, and end with answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

from tests.openrouter_server.answers import Answer, error, reply_json
from tests.openrouter_server.request import Request
from tests.openrouter_server.server import ScriptedOpenRouter
from tests.openrouter_server.validation import problems_of_body, problems_with

Reply = Callable[[dict[str, Any]], dict[str, Any] | None]


class Batches:
    """The routes ``POST /batches`` and ``GET /batches/{id}`` of a server.

    Parameters
    ----------
    server
        Gets the routes.
    reply
        The result of a request by its body: a completion, an object with ``error``, or None for no result.

    Attributes
    ----------
    status
        What batches that are asked for say; those that have ended stay so.
    submitted
        The requests of each batch, by its name.
    """

    def __init__(self, server: ScriptedOpenRouter, reply: Reply) -> None:
        self.status = "completed"
        self.error: str | None = None
        self.submitted: dict[str, list[dict[str, Any]]] = {}
        self.polls = 0
        self._server = server
        self._reply = reply
        self._ended: dict[str, dict[str, Any]] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()
        server.on("POST", "/batches").always(self._submit)

    def _submit(self, request: Request) -> Answer:
        from openrouter.components.batchsubmitbody import BatchSubmitBody

        body = request.json
        problems = problems_with(BatchSubmitBody, body)
        problems += [
            f"{each['custom_id']}: {problem}"
            for each in body["requests"]
            for problem in problems_of_body({"model": body["model"], **each["body"]})
        ]
        names = list(body)
        if max(names.index("endpoint"), names.index("model")) > names.index("requests"):
            problems.append("endpoint and model must stand before requests")
        if problems:
            self._server.failures += [f"batch: {problem}" for problem in problems]
            return error(400, "; ".join(problems))
        with self._lock:
            name = f"batch_{next(self._numbers)}"
            self.submitted[name] = body["requests"]
        self._server.on("GET", f"/batches/{name}").always(lambda _: reply_json(self._object(name, body)))
        return reply_json(self._object(name, body, "validating"))

    def _object(self, name: str, body: dict[str, Any], status: str | None = None) -> dict[str, Any]:
        if name in self._ended:
            return self._ended[name]
        self.polls += status is None
        status = status or self.status
        total = len(body["requests"])
        counts = {"completed": 0, "failed": 0, "total": total}
        found: dict[str, Any] = {
            "id": name,
            "object": "batch",
            "endpoint": body["endpoint"],
            "model": body["model"],
            "completion_window": "24h",
            "created_at": 1_790_000_000,
            "expires_at": 1_790_086_400,
            "finalized_at": None,
            "provider": "SomeProvider",
            "status": status,
            "request_counts": counts,
            "results": None,
            "usage": None,
            "error": None if self.error is None else {"message": self.error},
        }
        if status in {"completed", "expired", "cancelled", "failed"}:
            found["results"] = [] if status == "failed" else list(filter(None, map(self._result, body["requests"])))
            counts["completed"] = sum(each["error"] is None for each in found["results"])
            counts["failed"] = total - counts["completed"]
            self._ended[name] = found
        return found

    def _result(self, request: dict[str, Any]) -> dict[str, Any] | None:
        reply = self._reply(request["body"])
        if reply is None:
            return None
        result = {"id": f"result-{request['custom_id'][:8]}", "custom_id": request["custom_id"]}
        if "error" in reply:
            return {**result, "response": None, "error": reply["error"]}
        return {**result, "response": {"status_code": 200, "request_id": "req-1", "body": reply}, "error": None}
