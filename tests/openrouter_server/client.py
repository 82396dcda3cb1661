"""The plainest client of the scripted OpenRouter: httpx2 with nothing of ours in between."""

from __future__ import annotations

from typing import Any, Final

import httpx2

from tests.openrouter_server.server import ScriptedOpenRouter
from tests.patience import PATIENCE

BODY: Final[dict[str, Any]] = {"model": "vendor/some-model", "messages": [{"role": "user", "content": "Name a river."}]}
STREAM: Final[dict[str, Any]] = BODY | {"stream": True}


def client(server: ScriptedOpenRouter) -> httpx2.Client:
    """A client whose paths are relative to the base URL."""
    return httpx2.Client(base_url=server.base_url, timeout=PATIENCE, trust_env=False)


def ask(server: ScriptedOpenRouter, body: dict[str, Any] | None = None, **options: Any) -> httpx2.Response:
    """One chat request on a connection of its own."""
    with client(server) as http:
        return http.post("/chat/completions", json=BODY if body is None else body, **options)


def streamed(server: ScriptedOpenRouter) -> list[str]:
    """The data of each event of one streamed answer."""
    with client(server) as http, http.stream("POST", "/chat/completions", json=STREAM) as response:
        return [sse.data for sse in httpx2.EventSource(response, max_event_size=None)]


def pieces(server: ScriptedOpenRouter) -> list[bytes]:
    """The HTTP chunks of one streamed answer."""
    with client(server) as http, http.stream("POST", "/chat/completions", json=STREAM) as response:
        return list(response.iter_raw())
