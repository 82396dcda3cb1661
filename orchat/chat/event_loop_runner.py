"""Run a coroutine where nobody can await it: the one place that knows of nested event loops.

A synchronous call works inside a notebook's running loop as it is. Only an *async* tool needs a loop to run on, and it
may hold things that belong to the notebook's. Python forbids to run a loop inside itself; the packages ``nest-asyncio``
and ``nest-asyncio2`` lift that, and are applied in the moment when there is no other way.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Self

from orchat.errors import ConfigurationError

_AWAIT = "Use `await chat.ask(...)` instead."


class EventLoopRunner:
    """Runs coroutines one after another: on the loop that is running here, else on one of its own.

    Examples
    --------
    >>> async def answer():
    ...     return 42
    >>> with EventLoopRunner() as loop:
    ...     loop.run(answer())
    42
    """

    def __init__(self) -> None:
        self._own: asyncio.Runner | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own is not None:
            self._own.close()

    def run(self, waiting: Awaitable[Any]) -> Any:
        """Run something awaitable to its end.

        Raises
        ------
        ConfigurationError
            A loop is running here that cannot be run inside itself (a ValueError).
        """
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            self._own = self._own or asyncio.Runner()
            return self._own.run(_awaited(waiting))
        try:
            _let_nest(running)
        except BaseException:
            if inspect.iscoroutine(waiting):
                waiting.close()
            raise
        return running.run_until_complete(_awaited(waiting))


async def _awaited(waiting: Awaitable[Any]) -> Any:
    return await waiting


def _let_nest(loop: asyncio.AbstractEventLoop) -> None:
    name = _package()
    try:
        import_module(name).apply(loop)
    except ImportError:
        raise ConfigurationError(
            f"An async tool meets a running event loop, and the package `{name.replace('_', '-')}` is missing.",
            hint=_AWAIT,
        ) from None
    except ValueError as error:  # a loop that is not asyncio's own
        raise ConfigurationError(f"An async tool meets a running event loop: {error}.", hint=_AWAIT) from None


def _package() -> str:
    """Choose the package: on ipykernel 7 the older one loses the cell that is queued next."""
    try:
        major = int(version("ipykernel").partition(".")[0])
    except (PackageNotFoundError, ValueError):
        major = 0
    if major >= 7:
        try:
            import_module("nest_asyncio2")
        except ImportError:
            return "nest_asyncio"
        return "nest_asyncio2"
    return "nest_asyncio"
