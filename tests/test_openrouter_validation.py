"""Requests are held against the official request models, and each gap of those is one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.openrouter_server.client import BODY
from tests.openrouter_server.validation import GAPS, Gap, problems_of_body

FULL: dict[str, Any] = {
    "model": "vendor/some-model",
    "models": ["vendor/other"],
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
        {"role": "developer", "content": "Really."},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "See."},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0=", "detail": "high"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                {"type": "video_url", "video_url": {"url": "https://example.org/a.mp4"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "reasoning": "Hm.",
            "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "index": 0}],
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "tide", "arguments": ""}}],
        },
        {
            "role": "tool",
            "tool_call_id": "call_1",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}}],
        },
        {"role": "assistant", "content": "So", "images": [{"image_url": {"url": "data:image/png;base64,iVBORw0="}}]},
    ],
    "stream": True,
    "tools": [
        {"type": "function", "function": {"name": "tide", "parameters": {"type": "object", "any": 1}, "strict": True}},
        {"type": "openrouter:web_search", "parameters": {"max_results": 3}},
    ],
    "tool_choice": {"type": "function", "function": {"name": "tide"}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    "reasoning": {"effort": "high", "summary": "auto"},
    "provider": {"order": ["a"], "sort": {"by": "price", "partition": "none"}, "preferred_max_latency": {"p50": 1.5}},
    "plugins": [{"id": "web", "max_results": 2}, {"id": "file-parser", "pdf": {"engine": "native"}}],
    "temperature": 1,
    "seed": None,
    "stop": ["x"],
    "logit_bias": {"7": -1},
    "metadata": {"a": "b"},
    "trace": {"trace_id": "1", "own": {"deep": 1}},
    "session_id": "s",
    "service_tier": "flex",
}


def test_a_full_request_is_fine() -> None:
    assert problems_of_body(FULL, gaps=()) == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "alien", "content": "x"}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": "x", "tone": "low"}]}, "messages.0.tone"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "u"}]}]},
            "messages.0.content.0",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool.tool_call_id"),
        ({"tools": [{"type": "function", "name": "flat"}]}, "tools.0.name"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"temperature": "1"}, "temperature"),
        ({"seed": True}, "seed"),
        ({"plugins": [{"id": "nope"}]}, "plugins.0"),
        ({"functions": []}, "functions"),
    ],
)
def test_a_wrong_request_is_refused(change: dict[str, Any], where: str) -> None:
    problems = problems_of_body(BODY | change)
    assert problems
    assert problems[0].startswith(where)


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: gap.path)
def test_each_gap_is_one_and_is_let_through(gap: Gap) -> None:
    """When a newer release of the official package knows the key, its gap goes."""
    body = json.loads(json.dumps(FULL))
    *path, last = gap.path.split(".")
    target = body
    if path[:2] == ["messages", "*"]:
        wanted = path[2] if len(path) > 2 else "reasoning"
        target = next(message for message in body["messages"] if wanted in message)
        path = path[2:]
    for key in path:
        target = target[0] if key == "*" else target[key]
    target[last] = gap.example
    assert len(problems_of_body(body, gaps=())) == 1
    assert problems_of_body(body) == []
