"""A scripted OpenRouter on the loopback, for every test that needs an endpoint.

In a test (the fixture ``openrouter`` is in ``tests/conftest.py``)::

    from tests.openrouter_server import done, event, finish, stream, text, usage

    def test_streams(openrouter):
        openrouter.answers(text("Hello there."), stream(event("Hi"), finish("stop"), usage(), done()).cut(1))
        ... talk to openrouter.base_url ...
        assert openrouter.request.json["model"] == "openai/gpt-4o-mini"

From low to high: `events` and `replies` build the JSON, `sse` writes it as bytes, `answers` says how they travel,
`facts` tells of models and a key, `connection` sends answers, `server` records the requests, which `validation` checks
against the official request models.
``python -m tests.openrouter_server`` serves a browser or a benchmark.
"""

from tests.openrouter_server.answers import Answer, calls, endless, error, raw, reply_json, stream, text, wire
from tests.openrouter_server.decisions import DECISION_MODEL, decisions
from tests.openrouter_server.events import (
    ERROR_SHAPES,
    GENERATION_ID,
    MODEL,
    PNG,
    PROVIDER,
    USAGE_SHAPES,
    USER_ID,
    annotation,
    audio,
    debug,
    error_event,
    error_object,
    event,
    file_annotation,
    finish,
    fragment,
    image,
    reasoning,
    reasoning_encrypted,
    reasoning_signature,
    reasoning_summary,
    tool_call,
    url_citation,
    usage,
    usage_object,
)
from tests.openrouter_server.facts import KEY_STATUS, MODELS, model
from tests.openrouter_server.replies import call, completion, events_of, words
from tests.openrouter_server.request import Headers, Request
from tests.openrouter_server.server import DEFAULT_TEXT, Route, ScriptedOpenRouter
from tests.openrouter_server.sse import comment, data, done, hold, pause, sse_bytes

__all__ = [
    "DECISION_MODEL",
    "DEFAULT_TEXT",
    "ERROR_SHAPES",
    "GENERATION_ID",
    "KEY_STATUS",
    "MODEL",
    "MODELS",
    "PNG",
    "PROVIDER",
    "USAGE_SHAPES",
    "USER_ID",
    "Answer",
    "Headers",
    "Request",
    "Route",
    "ScriptedOpenRouter",
    "annotation",
    "audio",
    "call",
    "calls",
    "comment",
    "completion",
    "data",
    "debug",
    "decisions",
    "done",
    "endless",
    "error",
    "error_event",
    "error_object",
    "event",
    "events_of",
    "file_annotation",
    "finish",
    "fragment",
    "hold",
    "image",
    "model",
    "pause",
    "raw",
    "reasoning",
    "reasoning_encrypted",
    "reasoning_signature",
    "reasoning_summary",
    "reply_json",
    "sse_bytes",
    "stream",
    "text",
    "tool_call",
    "url_citation",
    "usage",
    "usage_object",
    "wire",
    "words",
]
