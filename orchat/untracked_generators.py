"""Await the start of nested async generators of which the event loop closes the outermost one only.

An event loop closes all async generators that it knows when it ends, at once and in any order. Where one iterates over
another both are closed twice, and the second time fails: "asynchronous generator is already running".
"""

from __future__ import annotations

import sys
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def untracked(step: Callable[[], Awaitable[T]]) -> Generator[Any, Any, T]:
    """Await a step; async generators that start meanwhile are not known to the event loop.

    Who starts them closes them, in the end as well as after an error.

    Parameters
    ----------
    step
        Returns the first step of an async generator that iterates over others.

    Examples
    --------
    >>> import asyncio
    >>> async def numbers():
    ...     yield 42
    >>> async def main():
    ...     return await untracked(lambda: anext(numbers()))
    >>> asyncio.run(main())
    42
    """
    steps: Any = None
    value: Any = None
    failure: BaseException | None = None
    while True:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)  # of this thread, for as long as nothing else can run in it
        try:
            steps = steps or step().__await__()
            awaited = steps.send(value) if failure is None else steps.throw(failure)
        except StopIteration as ended:
            return ended.value  # type: ignore[no-any-return]
        finally:
            sys.set_asyncgen_hooks(*hooks)
        value = failure = None
        try:
            value = yield awaited
        except GeneratorExit:
            steps.close()
            raise
        except BaseException as error:  # noqa: BLE001 - the cancellation of a task, for example
            failure = error
