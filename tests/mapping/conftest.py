"""A scripted OpenRouter that the environment names, with a store and a cache of the test's own."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from orchat.chat.money import Cost
from orchat.default_factories import session_budget
from orchat.openrouter import catalog
from tests.openrouter_server import Answer, Request, ScriptedOpenRouter, text

KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; of the environment only what a test sets counts."""
    for name in ("ORCHAT_MODEL", "ORCHAT_STORE", "ORCHAT_MAX_COST", "ORCHAT_CONFIRM_ABOVE", "OPENAI_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "LOCALAPPDATA", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    catalog._empty_lists.clear()
    monkeypatch.setattr(session_budget(), "spent", Cost())
    monkeypatch.setattr(session_budget(), "_reserved", Decimal(0))
    return tmp_path


@pytest.fixture
def service(openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch) -> ScriptedOpenRouter:
    """The scripted OpenRouter; without a script it repeats the question."""
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", openrouter.base_url)
    openrouter.always(repeated)
    return openrouter


def repeated(request: Request) -> Answer:
    """Answer with the question."""
    return text(question_of(request))


def question_of(request: Request) -> str:
    """The text of the last message."""
    content = request.json["messages"][-1]["content"]
    return content if isinstance(content, str) else content[0]["text"]


def questions(service: ScriptedOpenRouter) -> list[str]:
    """The questions that arrived, in order."""
    return [question_of(request) for request in service.requests if request.path == "/chat/completions"]
