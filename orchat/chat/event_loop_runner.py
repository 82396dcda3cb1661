"""Run coroutines to their end from synchronous code, inside a running event loop too.

A synchronous call works inside a notebook's running loop as it is. Only an *async* tool needs a loop, and it may hold
objects that are bound to the notebook's. Python forbids to run a loop inside itself; the packages ``nest-asyncio`` and
``nest-asyncio2`` lift that, and are applied only when there is no other way. No other module knows of nested loops.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Self

from orchat.errors import ConfigurationError

_AWAIT = "Use `await chat.ask(...)` instead."


class EventLoopRunner:
    """Runs coroutines one after another: on this thread's running loop, else on a loop of its own.

    Examples
    --------
    >>> async def answer():
    ...     return 42
    >>> with EventLoopRunner() as loop:
    ...     loop.run(answer())
    42
    """

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            self._runner.close()

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Run an awaitable to its end, and return its result; an interrupt of this thread cancels it.

        Raises
        ------
        ConfigurationError
            This thread's loop cannot be run inside itself (a ValueError).
        """
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            self._runner = self._runner or asyncio.Runner()
            return self._runner.run(_as_coroutine(awaitable))
        try:
            _allow_nesting(running)
        except BaseException:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise
        task = running.create_task(_as_coroutine(awaitable))
        try:
            return running.run_until_complete(task)
        except BaseException:  # an interrupt of this thread: the task knows nothing of it yet
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    running.run_until_complete(task)
            raise


async def _as_coroutine(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _allow_nesting(loop: asyncio.AbstractEventLoop) -> None:
    name = _nesting_package()
    try:
        import_module(name).apply(loop)
    except ImportError:
        raise ConfigurationError(
            f"An async tool meets a running event loop, and the package `{name.replace('_', '-')}` is missing.",
            hint=_AWAIT,
        ) from None
    except ValueError as error:  # a loop that is not asyncio's own
        raise ConfigurationError(f"An async tool meets a running event loop: {error}.", hint=_AWAIT) from None


def _nesting_package() -> str:
    """Choose the package that allows nesting: on ipykernel 7 the older one loses the cell that is queued next."""
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
