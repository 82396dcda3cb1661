"""What a person sees of each failure, in a notebook and at a terminal: one screen, the cause and what to do next."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.jupyter.conftest import KEY
from tests.jupyter.ipython_terminal import Terminal
from tests.jupyter.kernel import Kernel
from tests.openrouter_server import PNG, PROVIDER, USER_ID, Answer, ScriptedOpenRouter, error, raw, text, usage_object
from tests.openrouter_server.server import CHAT

pytestmark = pytest.mark.slow

AFFORD = (
    "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, "
    "but can only afford 1200"
)
LONG = "This endpoint's maximum context length is 8192 tokens. However, you requested about 90210 tokens."
ANYWHERE: dict[str, Any] = {"provider_name": PROVIDER}


class Screen(NamedTuple):
    """A failure; the words of its cause, and of what to do next."""

    answer: Answer
    kind: str
    cause: str
    action: str


def limit(source: str, **more: Any) -> Answer:
    return error(403, "Budget exceeded", metadata={"error_type": "permission_denied", "limit_source": source, **more})


SPENT = {"scope": "key", "limit_usd": 5, "spend_usd": 5.02, "resets_at": "2026-12-01T00:00:00Z"}

REFUSED = {
    "wrong key": Screen(
        error(401, "User not found."), "The key was refused · 401", "User not found", "`%openrouter key set`"
    ),
    "out of credits": Screen(
        error(402, "Insufficient credits", metadata={"limit_source": "openrouter_credits"}),
        "Not enough credit · 402",
        "Insufficient credits",
        "Add credits at openrouter.ai/settings/credits",
    ),
    "too expensive": Screen(error(402, AFFORD), "Not enough credit · 402", "can only afford 1200", "Lower max_tokens"),
    "too many at once": Screen(
        error(402, "in_flight_budget_exhausted", metadata={"limit_source": "openrouter_in_flight_budget"}),
        "Not enough credit · 402",
        "in_flight_budget_exhausted",
        "wait a moment and try again",
    ),
    "moderation": Screen(
        error(403, "Input was flagged", metadata={"reasons": ["violence"], "flagged_input": "How do I", **ANYWHERE}),
        f"The prompt was flagged · 403 · {PROVIDER}",
        "reasons: violence; flagged: 'How do I'",
        "Rephrase the prompt",
    ),
    "limit of the key": Screen(
        limit("openrouter_key_limit", **SPENT),
        "A spending limit is reached · 403",
        "spent $5.02 of $5",
        "The limit resets at 2026-12-01T00:00:00Z. Until then, raise the limit of the key.",
    ),
    "limit of a guardrail": Screen(
        limit("openrouter_guardrail_budget", **SPENT),
        "A spending limit is reached · 403",
        "spent $5.02 of $5",
        "The limit resets at 2026-12-01T00:00:00Z. Until then, raise the limit of the guardrail.",
    ),
    "limit of the workspace": Screen(
        limit("openrouter_workspace_budget"),
        "A spending limit is reached · 403",
        "Budget exceeded",
        "Raise the limit of the workspace",
    ),
    "older words for a limit": Screen(
        error(403, "Key limit exceeded (total limit)"),
        "A spending limit is reached · 403",
        "Key limit exceeded (total limit)",
        "Raise the limit of the key",
    ),
    "patterns of a guardrail": Screen(
        error(403, "Blocked by guardrail", metadata={"patterns": ["ssn"]}),
        "The prompt was flagged · 403",
        "Blocked by guardrail",
        "Rephrase the prompt",
    ),
    "no endpoint": Screen(
        error(404, "No endpoints found that support tool use."),
        "Not found · 404",
        "No endpoints found that support tool use",
        "loosen provider, tools or privacy settings",
    ),
    "no such model": Screen(
        error(400, "vendor/nothing is not a valid model ID"),
        "The request was refused · 400",
        "vendor/nothing is not a valid model ID",
        "Check the model's name",
    ),
    "too many a minute": Screen(
        error(429, "Rate limit exceeded: free-models-per-min", metadata={"retry_after_seconds": 12}),
        "Too many requests · 429",
        "free-models-per-min",
        "Wait 12 s and try again",
    ),
    "too many a day": Screen(
        error(429, "Rate limit exceeded: free-models-per-day", metadata={"limit_source": "openrouter_free_tier_daily"}),
        "Too many requests · 429",
        "free-models-per-day",
        "they return at 00:00 UTC",
    ),
    "a full provider": Screen(
        error(429, metadata={"limit_source": "upstream_provider_shared_pool", "raw": "slow down", **ANYWHERE}),
        f"Too many requests · 429 · {PROVIDER}",
        "slow down",
        "another model or provider helps at once",
    ),
    "500": Screen(
        error(500, "Internal Server Error"), "The provider failed · 500", "Internal Server Error", "try again"
    ),
    "502": Screen(
        error(502, metadata={"raw": '{"error": {"message": "The model is overheated"}}', **ANYWHERE}),
        f"The provider failed · 502 · {PROVIDER}",
        "The model is overheated",
        "try again, or choose another model or provider",
    ),
    "503": Screen(
        error(503, "No provider available"), "The provider failed · 503", "No provider available", "try again"
    ),
    "a page of the edge": Screen(
        raw(b"<html><title>Bad gateway</title>" + b"<p>x</p>" * 3_000, status=502, content_type="text/html"),
        "The provider failed · 502",
        "Bad gateway",
        "try again",
    ),
    "context too long": Screen(
        error(400, LONG, metadata={"error_type": "context_length_exceeded"}),
        "The request was refused · 400",
        "maximum context length is 8192 tokens",
        "Shorten the conversation or choose a model with a longer context",
    ),
    "endless words": Screen(
        error(400, "word * " * 2_000), "The request was refused · 400", "word * word * word", "Change the request"
    ),
}
THOUGHT = text(
    None,
    reasoning="Hm. " * 30,
    finish_reason="length",
    usage=usage_object(completion_tokens=30) | {"completion_tokens_details": {"reasoning_tokens": 30}},
)
EMPTY = "The answer is empty: thinking took all its tokens. Raise -n, or use --reasoning low."


def unescaped(markdown: str) -> str:
    """The words of a card, as a reader sees them."""
    lines = markdown.replace("\n>\n> ", "\n").replace("<span>&#36;</span>", "$")
    return re.sub(r"\\{1,2}([!-/:-@[-`{-~])", r"\1", lines)


@pytest.fixture(autouse=True)
def _no_answer_is_left_over(endpoint: ScriptedOpenRouter) -> Iterator[None]:
    yield
    endpoint.on(*CHAT).queue.clear()


@pytest.fixture(scope="module")
def once(endpoint: ScriptedOpenRouter) -> Iterator[Kernel]:
    """A kernel that asks once."""
    environment = {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": KEY, "OPENAI_MAX_RETRIES": "0"}
    with Kernel(environment) as kernel:
        kernel.run("%load_ext orchat")
        yield kernel


def shown(kernel: Kernel, endpoint: ScriptedOpenRouter, line: str = "") -> str:
    """The words of the card that a cell which fails shows; it is one screen, and its error one line."""
    (cell,) = kernel.run(f"%%openrouter {line}\nHi")
    assert cell.status == "error"
    (failed,) = cell.content["traceback"]
    markdown = cell.bundles[-1]["text/markdown"]
    assert len(markdown.encode()) + len(failed.encode()) < 1_300
    assert len(markdown.encode()) < 1_000
    assert len(cell.bundles[-1]["text/plain"].encode()) < 1_000
    assert failed.startswith("openrouter: ")
    assert len(failed) < 200
    assert cell.printed == ""
    assert not any(secret in str(cell.messages) + str(cell.content) for secret in (KEY, USER_ID))
    return unescaped(markdown)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_one_screen(once: Kernel, endpoint: ScriptedOpenRouter, name: str) -> None:
    screen = REFUSED[name]
    endpoint.answers(screen.answer)
    card = shown(once, endpoint)
    title, cause, action = card.splitlines()
    assert title == f"> **{screen.kind}**"
    assert screen.cause in cause
    assert action.startswith("→ ")
    assert screen.action in action


def test_the_traceback_comes_when_it_is_asked_for(once: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(error(402, "Insufficient credits"))
    (cell,) = once.run("%%openrouter --debug\nHi")
    assert cell.content["ename"] == "InsufficientCreditsError"
    assert len("".join(cell.content["traceback"])) > 1_000
    assert KEY not in str(cell.content)


def test_an_answer_over_a_limit_is_one_screen_and_what_came_is_kept(once: Kernel, endpoint: ScriptedOpenRouter) -> None:
    pictures = [f"data:image/png;base64,{PNG}{'A' * 4 * number}" for number in range(3)]
    endpoint.answers(text("Look.", images=pictures), text("Look.", images=pictures))
    once.run('%config OpenRouterMagics.limits = {"images": 2}')
    try:
        card = shown(once, endpoint)
    finally:
        once.run("%config OpenRouterMagics.limits = None")
    assert card.startswith("Look.\n")
    assert (
        "> **More than is read of a response**\nThe response is over a limit: more than 2 images in one answer.\n"
        '→ If you trust the endpoint, give its generator limits={"images": 4}; '
        'in a notebook: %config OpenRouterMagics.limits = {"images": 4}.'
    ) in card
    (cell,) = once.run("%%openrouter\nHi")
    assert cell.status == "ok"


def test_no_network_is_one_screen(once: Kernel, endpoint: ScriptedOpenRouter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    try:
        for address, host in (
            (f"http://127.0.0.1:{port}/api/v1", "127.0.0.1"),
            ("http://nowhere.invalid/api/v1", "nowhere.invalid"),
        ):
            once.run(f"%config OpenRouterMagics.base_url = {address!r}")
            title, cause, action = shown(once, endpoint).splitlines()
            assert title == "> **No connection**"
            assert host in cause
            assert action.startswith("→ ")
            assert len(action) > 20
    finally:
        once.run("%config OpenRouterMagics.base_url = None")


def test_no_key_is_one_screen_with_three_ways_on(once: Kernel, endpoint: ScriptedOpenRouter) -> None:
    asked = len(endpoint.requests)
    once.run("import os; saved = os.environ.pop('OPENROUTER_API_KEY')")
    once.run("%config OpenRouterMagics.base_url = 'https://openrouter.ai/api/v1'")
    try:
        card = shown(once, endpoint)
    finally:
        once.run("%config OpenRouterMagics.base_url = None", "os.environ['OPENROUTER_API_KEY'] = saved")
    for words in ("No API key yet", "openrouter.ai/settings/keys", "local/smollm2-135m-instruct", "BASE_URL"):
        assert words in card
    assert len(endpoint.requests) == asked


def test_an_answer_that_was_all_thought_says_so(once: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(THOUGHT)
    (cell,) = once.run("%%openrouter -n 30\nHi")
    assert cell.status == "ok"
    assert EMPTY in unescaped(cell.bundles[-1]["text/markdown"])
    assert EMPTY in cell.bundles[-1]["text/plain"]
    assert len(cell.bundles[-1]["text/markdown"].encode()) < 1_000


def test_at_a_terminal_they_are_one_screen_as_well(
    endpoint: ScriptedOpenRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_MAX_RETRIES", "0")
    terminal = Terminal(endpoint, tmp_path)
    try:
        terminal.run("%load_ext orchat")
        for name, screen in REFUSED.items():
            endpoint.answers(screen.answer)
            seen = terminal.run("%openrouter -- Hi")
            assert len(seen.encode()) < 1_000, name
            words = " ".join(seen.split())
            assert screen.kind.split(" · ")[0] in words, name
            if len(screen.cause) < 80:
                assert screen.cause in words, name
            assert screen.action in words, name
            assert "Traceback" not in seen, name
            assert KEY not in seen
            assert USER_ID not in seen
        endpoint.answers(THOUGHT)
        assert EMPTY in terminal.run("%openrouter -n 30 -- Hi")
        terminal.run("import os; del os.environ['OPENROUTER_API_KEY']")
        terminal.run("%config OpenRouterMagics.base_url = 'https://openrouter.ai/api/v1'")
        seen = terminal.run("%openrouter -- Hi")
        assert "No API key yet" in seen
        assert len(seen.encode()) < 1_000
    finally:
        terminal.close()
