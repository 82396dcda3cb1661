"""Chats that talk to the scripted OpenRouter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx2
import pytest

from orchat.chat import Chat
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.secret import Secret
from tests.chat.ways import KEY, Way, check_sendable
from tests.openrouter_server import ScriptedOpenRouter

# Made once: reading the machine's certificates takes longer than most tests.
TRUST: Final = httpx2.create_ssl_context()

Make = Callable[..., Chat]


@pytest.fixture
def generator(openrouter: ScriptedOpenRouter) -> Iterator[OpenRouterChatGenerator]:
    """A generator that asks the scripted OpenRouter once."""
    generator = OpenRouterChatGenerator(
        api_key=Secret.from_token(KEY),
        model="vendor/m",
        api_base_url=openrouter.base_url,
        timeout=60.0,
        max_retries=0,
        http_client_kwargs={"verify": TRUST},
    )
    yield generator
    generator.close()


@pytest.fixture
def make(generator: OpenRouterChatGenerator) -> Iterator[Make]:
    """Make a chat; whatever a test does to it, its history can be sent in the end, and it is not busy."""
    made: list[Chat] = []

    def make(**parameters: Any) -> Chat:
        made.append(Chat(generator, **parameters))
        return made[-1]

    yield make
    for chat in made:
        check_sendable(chat.messages)
        chat.messages = chat.messages


@pytest.fixture
def chat(make: Make) -> Chat:
    """A chat without anything special."""
    return make()


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    """Both ways to drive it."""
    way = Way(request.param)
    yield way
    way.runner.close()
