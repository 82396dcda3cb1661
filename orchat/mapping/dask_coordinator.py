"""The coordinator on the scheduler of a `distributed` cluster, and the way of its workers to it.

The first worker that answers a part registers the coordinator with the scheduler. Messages travel on the connection
that each worker has to the scheduler anyway, in batches of at least two milliseconds; where it breaks, the scheduler
gives the worker up, and does its parts again on others.
"""

from __future__ import annotations

import pickle
import threading
import weakref
from collections.abc import Callable
from typing import Any

from distributed import get_worker
from distributed.client import default_client
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.utils import sync

from orchat.chat.money import Cost
from orchat.mapping.coordinator_messages import Message, Reply, RunFigures
from orchat.mapping.distributed_progress import RunProgress
from orchat.mapping.run_coordinator import RunCoordinator

_NAME = "orchat"
_links: weakref.WeakKeyDictionary[Any, WorkerLink] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


class CoordinatorPlugin(SchedulerPlugin):  # type: ignore[misc]  # Dask counts as without types
    """Runs a coordinator on a scheduler."""

    name = _NAME
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        """Listen to the workers."""
        self._scheduler = scheduler
        self._coordinator = RunCoordinator(self._reply, self._report)
        scheduler.stream_handlers[_NAME] = self._receive

    def _receive(self, worker: str, messages: bytes) -> None:
        self._coordinator.receive(worker, pickle.loads(messages))  # noqa: S301 - of a worker, which runs our code anyway

    def _reply(self, worker: str, reply: Reply) -> None:
        if worker in self._scheduler.stream_comms:
            self._scheduler.worker_send(worker, {"op": _NAME, "reply": pickle.dumps(reply)})

    def _report(self, run: str, figures: RunFigures) -> None:
        cost = figures.cost.to_dict()
        event = {"rows": figures.rows, "failures": figures.failures, "total": figures.total, "cost": cost}
        self._scheduler.log_event(_topic(run), event | {"is_done": figures.is_done})

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """Take note of a worker that is gone."""
        self._coordinator.lose(worker)

    def transition(self, key: Any, start: str, finish: str, *_: Any, **__: Any) -> None:
        """Stop a part that was interrupted or cancelled."""
        if start == "processing" and finish in {"released", "forgotten"}:
            self._coordinator.stop(str(key))

    async def close(self) -> None:
        """Close the stores."""
        self._coordinator.close()


class WorkerLink:
    """The way of a worker to the coordinator on its scheduler."""

    def __init__(self, worker: Any) -> None:
        self._worker = weakref.proxy(worker)
        self._receivers: dict[str, Callable[[Reply], None]] = {}
        self._outbox: list[Message] = []
        self._lock = threading.Lock()
        worker.stream_handlers[_NAME] = self._receive
        plugin = pickle.dumps(CoordinatorPlugin())

        async def register() -> None:
            await worker.scheduler.register_scheduler_plugin(plugin=plugin, name=_NAME, idempotent=True)

        sync(worker.loop, register)

    @property
    def is_alive(self) -> bool:
        """Whether the scheduler is still there."""
        stream = self._worker.batched_stream
        return stream is not None and stream.comm is not None and not stream.comm.closed()

    def send(self, message: Message) -> None:
        """Send a message with the others of this moment."""
        with self._lock:
            self._outbox.append(message)
            if len(self._outbox) > 1:
                return
        self._worker.loop.add_callback(self._flush)

    def _flush(self) -> None:
        with self._lock:
            messages, self._outbox = self._outbox, []
        if self.is_alive:
            self._worker.batched_stream.send({"op": _NAME, "messages": pickle.dumps(messages)})

    def _receive(self, reply: bytes) -> None:
        message: Reply = pickle.loads(reply)  # noqa: S301 - of the scheduler, which runs our code anyway
        if (receive := self._receivers.get(message.part)) is not None:
            receive(message)

    def attach(self, part: str, receive: Callable[[Reply], None]) -> None:
        """Say who gets the replies to a part."""
        self._receivers[part] = receive

    def detach(self, part: str) -> None:
        """Drop further replies to a part."""
        self._receivers.pop(part, None)


def worker_link() -> tuple[WorkerLink, str] | None:
    """Return this thread's link to the scheduler and the name of its task; None where this is no worker's thread."""
    try:
        worker = get_worker()
    except ValueError:
        return None
    with _lock:
        if (link := _links.get(worker)) is None:
            link = _links[worker] = WorkerLink(worker)
    return link, str(worker.get_current_task())


def follow_cluster_run(run: str, progress: RunProgress) -> None:
    """Show a run that the cluster of this process's client answers, if it has one."""
    try:
        client = default_client()
    except ValueError:
        return

    def show(event: tuple[float, dict[str, Any]]) -> None:
        _, figures = event
        cost = Cost.from_dict(figures["cost"])
        progress.show(RunFigures(**{**figures, "cost": cost}))

    client.subscribe_topic(_topic(run), show)


def _topic(run: str) -> str:
    return f"{_NAME}-{run}"
