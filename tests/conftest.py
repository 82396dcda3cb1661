"""Fixtures for every test."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from _pytest.doctest import DoctestModule
from hypothesis import HealthCheck, settings

from tests.local_model import local_server, weights
from tests.openrouter_server import ScriptedOpenRouter
from tests.python_path import LAZY_PACKAGES

__all__ = ["local_server", "openrouter", "weights"]

_ROOT: Final = Path(__file__).parents[1]
_BROWSER: Final = "tests/browser/"


# A busy machine is no failure: what is too slow is for the benchmarks to say.
# What was started in the background ignores Ctrl-C from birth, and so would all that these tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Nor need they, and this process, build parsers that nobody uses.
sys.path.insert(0, LAZY_PACKAGES)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [LAZY_PACKAGES, os.environ.get("PYTHONPATH")]))

# The many kernels and servers of the tests need not compile our modules anew each time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Ten thousand tests and the modules they import live to the end: the garbage collector need not walk them, neither here
# nor at each of its later rounds (`pytest_collection_finish`).
gc.disable()

# In CI the examples are the same each time: a rare find belongs to whoever looks for it, not to the change at hand.
settings.register_profile(
    "orchat", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("orchat")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Look for doctests of the tests' own modules only where there are some: others need not be imported for that."""
    collectors = yield
    if any(isinstance(collector, DoctestModule) for collector in collectors) and b">>>" not in file_path.read_bytes():
        return [collector for collector in collectors if not isinstance(collector, DoctestModule)]
    return collectors


def pytest_collection_finish() -> None:
    """Leave what is there now out of the garbage collector's rounds."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run the whole suite in five processes, file by file, and what somebody chose in this one.

    They wait often, for kernels, pages and paced streams: five keep two cores busy, and a sixth would only take turns.
    """
    return 5 if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a process file after file, in the order of the collection, and the tests with a browser to the first three.

    They need a browser and servers, which are started once in each.
    """
    from xdist.scheduler import LoadFileScheduling

    groups = _browser_groups()

    class BrowserInThreeProcesses(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            scope: str = super()._split_scope(nodeid)
            return groups.get(scope, scope)

    config.option.loadscopereorder = False
    return BrowserInThreeProcesses(config, log) if config.getoption("dist") == "loadfile" else None


def _browser_groups() -> dict[str, str]:
    """Return the group of each file of tests with a browser: three of about the same length."""
    lengths = {"browser 1": 0, "browser 2": 0, "browser 3": 0}
    groups: dict[str, str] = {}
    for path in sorted((_ROOT / _BROWSER).glob("test_*.py"), key=lambda path: -path.stat().st_size):
        shorter = min(lengths, key=lambda group: lengths[group])
        lengths[shorter] += path.stat().st_size
        groups[f"{_BROWSER}{path.name}"] = shorter
    return groups


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
