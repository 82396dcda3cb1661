"""Generators that talk to the scripted OpenRouter, and the ways to ask them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx
import httpx2
import pytest

from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.secret import Secret
from tests.generator.ways import KEY, STREAMING, WHOLE, Way
from tests.openrouter_server import ScriptedOpenRouter

# Made once: reading the machine's certificates takes longer than most tests.
TRUST: Final = httpx2.create_ssl_context()


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "OPENAI_API_KEY", "OPENAI_TIMEOUT", "OPENAI_MAX_RETRIES"):
        monkeypatch.delenv(name, raising=False)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of the modules that are about connections with both HTTP packages."""
    if getattr(metafunc.module, "BOTH_PACKAGES", False) and "make" in metafunc.fixturenames:
        metafunc.parametrize("package", ["httpx2", "httpx"], indirect=True)


@pytest.fixture
def package(request: pytest.FixtureRequest) -> str:
    """The HTTP package that generators use."""
    return str(getattr(request, "param", "httpx2"))


@pytest.fixture
def make(openrouter: ScriptedOpenRouter, package: str) -> Iterator[Callable[..., OpenRouterChatGenerator]]:
    """Make a generator that asks the scripted OpenRouter once."""
    made: list[OpenRouterChatGenerator] = []

    def make(**parameters: Any) -> OpenRouterChatGenerator:
        defaults = {"api_key": Secret.from_token(KEY), "api_base_url": openrouter.base_url}
        parameters = defaults | {"timeout": 60.0, "max_retries": 0} | parameters
        # Any object of the package makes it the one that is used.
        usual = {"verify": TRUST} | ({"params": httpx.QueryParams()} if package == "httpx" else {})
        parameters["http_client_kwargs"] = usual | (parameters.get("http_client_kwargs") or {})
        made.append(OpenRouterChatGenerator(**parameters))
        return made[-1]

    yield make
    for generator in made:
        generator.close()


@pytest.fixture
def generator(make: Callable[..., OpenRouterChatGenerator]) -> OpenRouterChatGenerator:
    """A generator without anything special."""
    return make()


def _way(request: pytest.FixtureRequest) -> Iterator[Way]:
    way = Way(request.param)
    yield way
    way.runner.close()


way = pytest.fixture(params=[*WHOLE, *STREAMING], name="way")(_way)
whole = pytest.fixture(params=WHOLE, name="whole")(_way)
streaming = pytest.fixture(params=STREAMING, name="streaming")(_way)
driver = pytest.fixture(params=["stream", "stream_async"], ids=["sync", "async"], name="driver")(_way)
