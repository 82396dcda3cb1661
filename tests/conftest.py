"""Fixtures for every test."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings

from tests.local_model import local_server, weights
from tests.openrouter_server import ScriptedOpenRouter

__all__ = ["local_server", "openrouter", "weights"]

_BROWSER: Final = "tests/browser/"


# A busy machine is no failure: what is too slow is for the benchmarks to say.
# What was started in the background ignores Ctrl-C from birth, and so would all that these tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The many kernels and servers of the tests need not compile our modules anew each time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# In CI the examples are the same each time: a rare find belongs to whoever looks for it, not to the change at hand.
settings.register_profile(
    "orchat", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("orchat")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run the whole suite in three processes, file by file, and what somebody chose in this one."""
    return 3 if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a process file after file, in the order of the collection, and all tests with a browser to the first one.

    They need a browser and servers that are started once then, and keep about one core busy, while the other two mostly
    wait: for kernels, and for answers that arrive word by word.
    """
    from xdist.scheduler import LoadFileScheduling

    class BrowserInOneProcess(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _BROWSER if nodeid.startswith(_BROWSER) else super()._split_scope(nodeid)

    config.option.loadscopereorder = False
    return BrowserInOneProcess(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests with a browser first, then the files with slow tests: no process ends long after another."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (not item.nodeid.startswith(_BROWSER), item.path not in slow))


@pytest.fixture
def openrouter() -> Iterator[ScriptedOpenRouter]:
    """A scripted OpenRouter; the test fails if it was sent a request that the real one would refuse."""
    with ScriptedOpenRouter() as server:
        yield server
    server.check()
