"""The background tasks of a panel; their errors are logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from orchat.errors import OrchatError

_logger = logging.getLogger(__name__)


class PanelTasks:
    """Tasks that run to their end; the panel has shown our own errors, others are logged.

    Examples
    --------
    >>> async def main():
    ...     await PanelTasks().start(asyncio.sleep(0))
    >>> asyncio.run(main())
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()  # a loop holds its tasks weakly

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[None]:
        """Run a coroutine as a task of the running loop."""
        task = asyncio.get_running_loop().create_task(_log_errors(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _log_errors(work: Coroutine[Any, Any, Any]) -> None:
    with suppress(OrchatError):
        try:
            await work
        except OrchatError:
            raise
        except Exception:
            _logger.exception("A chat panel's task failed")
