"""An endpoint that is the scripted OpenRouter, an empty cache folder, and two ways to ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import platformdirs
import pytest

from orchat.openrouter import account, catalog
from orchat.openrouter.catalog import Catalog
from orchat.openrouter.json_query import JsonEndpoint
from orchat.secret import Secret
from tests.openrouter_server import ScriptedOpenRouter

KEY: Final = "sk-or-v1-0123456789abcdef0123456789abcdef"
# Made once: reading the machine's certificates takes longer than most tests.
TRUST: Final = httpx2.create_ssl_context()

Ask = Callable[..., Any]
Make = Callable[..., JsonEndpoint]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, hence an empty cache folder; of the environment only what a test sets counts."""
    for name in ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "OPENAI_TIMEOUT", "OPENAI_MAX_RETRIES", "ORCHAT_MODEL"):
        monkeypatch.delenv(name, raising=False)
    catalog._empty_lists.clear()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return platformdirs.user_cache_path("orchat", appauthor=False) / "models"


@pytest.fixture
def make(openrouter: ScriptedOpenRouter) -> Make:
    """Make an endpoint that is the scripted OpenRouter, asked once unless told otherwise."""

    def make(**parameters: Any) -> JsonEndpoint:
        defaults = {"api_base_url": openrouter.base_url, "api_key": Secret.from_token(KEY), "max_retries": 0}
        return JsonEndpoint(**(defaults | {"timeout": 60.0, "http_client_kwargs": {"verify": TRUST}} | parameters))

    return make


@pytest.fixture
def endpoint(make: Make) -> JsonEndpoint:
    """One without anything special."""
    return make()


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Iterator[Ask]:
    """Call a function of `catalog` or `account` by its name, or its async twin on an event loop."""
    with asyncio.Runner() as runner:

        def ask(name: str, *arguments: Any, **options: Any) -> Any:
            module = catalog if hasattr(catalog, name) else account
            if request.param == "sync":
                return getattr(module, name)(*arguments, **options)
            return runner.run(getattr(module, f"{name}_async")(*arguments, **options))

        yield ask


@pytest.fixture
def listed(endpoint: JsonEndpoint) -> Catalog:
    """The catalogue of the scripted OpenRouter."""
    return catalog.load_catalog(endpoint)
