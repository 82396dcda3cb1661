"""`InterruptibleStream`: an asynchronous generator whose waiting a kernel's interrupt ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Generic, Self, TypeVar

from orchat.event_loop_wakeup import LoopWakeup, is_interruptible

T = TypeVar("T")


class InterruptibleStream(Generic[T]):
    """The items of an asynchronous generator, for ``async for`` and ``async with``.

    Parameters
    ----------
    items
        Makes the items; it is closed with the ``async with`` block, or by the event loop.

    Examples
    --------
    >>> import asyncio
    >>> async def rivers():
    ...     yield "Humber"
    ...     yield "Ouse"
    >>> async def first():
    ...     async with InterruptibleStream(rivers()) as stream:
    ...         async for river in stream:
    ...             return river
    >>> asyncio.run(first())
    'Humber'
    """

    def __init__(self, items: AsyncGenerator[T]) -> None:
        self._items = items

    def __aiter__(self) -> AsyncIterator[T]:
        # Elsewhere no interrupt comes between two items, and the generator itself is the faster iterator.
        return self if is_interruptible() else self._items

    async def __anext__(self) -> T:
        with LoopWakeup(only_in_kernel=True):
            return await anext(self._items)

    async def aclose(self) -> None:
        """Close the generator, and with it what it reads from; what has arrived stays."""
        await self._items.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
