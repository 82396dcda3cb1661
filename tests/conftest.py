"""Fixtures for every test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.local_model import local_server, weights
from tests.openrouter_server import ScriptedOpenRouter

__all__ = ["local_server", "openrouter", "weights"]


# A busy machine is no failure: what is too slow is for the benchmarks to say.
# What was started in the background ignores Ctrl-C from birth, and so would all that these tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# In CI the examples are the same each time: a rare find belongs to whoever looks for it, not to the change at hand.
settings.register_profile(
    "orchat", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("orchat")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run the whole suite in two processes, file by file, and what somebody chose in this one."""
    return 2 if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


@pytest.fixture
def openrouter() -> Iterator[ScriptedOpenRouter]:
    """A scripted OpenRouter; the test fails if it was sent a request that the real one would refuse."""
    with ScriptedOpenRouter() as server:
        yield server
    server.check()
