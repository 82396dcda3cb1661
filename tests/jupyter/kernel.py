"""Real kernels for the tests, of several versions of ipykernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from queue import Empty
from typing import Any, Self

import platformdirs
from jupyter_client.manager import KernelManager

from tests.jupyter.deaf_kernel import is_deaf, may_go_deaf, stack_environment
from tests.jupyter.forked_kernels import NAME, register
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = version("ipykernel")
# Each of these delivers interrupts and messages in its own way.
OTHERS = ("7.3.0", "7.2.0", "7.1.0", "6.31.0")
# Seconds in which something ends, though it would go on for twice as long; on a busy machine they are `stretched`. How
# soon it really does is for `tests.benchmarks.interrupt` to say.
SOON = 5.0


def ipykernel_folder(wanted: str) -> Path:
    """Where another ipykernel is; installed on first use."""
    # What version 6 needs, nest-asyncio included, is here as well.
    return package_folder(f"ipykernel-{wanted}", f"ipykernel=={wanted}")


def package_folder(name: str, *requirements: str) -> Path:
    """Where packages are that must not be installed among those of the tests; installed on first use, without others.

    To install all that they need took a minute and a half on a busy machine.
    """
    folder = Path(platformdirs.user_cache_dir("orchat-tests")) / name
    if not folder.is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
            subprocess.run([*pip, "--target", f"{unfinished}/new", *requirements], check=True, timeout=300)
            with suppress(OSError):  # another process was quicker
                os.rename(f"{unfinished}/new", folder)
    return folder


@dataclass
class Ended:
    """What a cell did; ``seconds`` is how long it went on after the interrupt, where there was one."""

    status: str
    content: dict[str, Any]
    messages: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The contents of its messages of one type."""
        return [message["content"] for message in self.messages if message["msg_type"] == kind]

    @property
    def bundles(self) -> list[dict[str, Any]]:
        """Everything that was displayed, in order."""
        kinds = ("display_data", "update_display_data")
        return [message["content"]["data"] for message in self.messages if message["msg_type"] in kinds]

    @property
    def printed(self) -> str:
        """What was written to stdout and stderr."""
        return "".join(content["text"] for content in self.of("stream"))


def shows(words: str) -> Callable[[Ended], bool]:
    """Whether a cell that still runs has printed or displayed these words."""
    return lambda ended: words in ended.printed + json.dumps(ended.bundles)


def sent_at(message: Mapping[str, Any]) -> float:
    """Return when a message was sent; where ipyparallel was imported, jupyter_client leaves dates as they came."""
    date = message["header"]["date"]
    return (datetime.fromisoformat(date) if isinstance(date, str) else date).timestamp()


class Kernel:
    """A kernel in a process of its own; it ends with the ``with`` block.

    That of the installed version is forked from a process that has imported what it needs, orchat included.
    """

    def __init__(self, environment: Mapping[str, str], ipykernel: str = INSTALLED) -> None:
        path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        if ipykernel != INSTALLED:
            path.insert(0, str(ipykernel_folder(ipykernel)))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENROUTER_", "ORCHAT_"))}
        self._environment = {**kept, "PYTHONPATH": os.pathsep.join(filter(None, path)), **environment}
        self._manager = KernelManager(kernel_name="python3")
        if ipykernel == INSTALLED:
            register()
            self._manager.kernel_spec.metadata["kernel_provisioner"] = {"provisioner_name": NAME}
        self._is_6, self._may_go_deaf = ipykernel.startswith("6."), may_go_deaf(ipykernel)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="kernel-")
        self._stacks = Path(self._folder.name)
        environment = stack_environment(self._stacks) if self._may_go_deaf else {}
        self._manager.start_kernel(env={**self._environment, **environment})
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(PATIENCE)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._folder.cleanup()

    def restart(self, *cells: str) -> None:
        """Restart it, as people do where nothing else helps, and run cells."""
        self._manager.restart_kernel(now=True)
        self._client.wait_for_ready(PATIENCE)
        self.run(*cells)

    def end(self) -> None:
        """End it gently, as a page's Restart does."""
        self._manager.shutdown_kernel(restart=True)

    def is_deaf(self) -> bool:
        """Whether it reads no message any more, through no fault of orchat."""
        return self._may_go_deaf and is_deaf(Path(self._manager.connection_file), self._stacks)

    def run(
        self,
        *cells: str,
        interrupt_when: Callable[[Ended], object] | None = None,
        when_queued: Callable[[], object] | None = None,
        timeout: float = 5 * PATIENCE,
        cell_ids: Sequence[str] | None = None,
        allow_stdin: bool = False,
        version: str | None = None,
    ) -> list[Ended]:
        """Queue cells at once, as Run All does, and wait for all; with ``cell_ids`` as JupyterLab sends them.

        Without ``cell_ids`` they are sent as nbclient does, and with ``allow_stdin`` as a console does; ``version`` is
        that of the protocol.

        ``interrupt_when`` is asked again and again what the first cell has done so far, until it wants the interrupt.
        The kernel has all cells by then, and when ``when_queued`` is called: only what it has does it abort.
        """
        metadata = [{"cellId": each} for each in cell_ids] if cell_ids is not None else [None] * len(cells)
        options: dict[str, Any] = {"allow_stdin": allow_stdin, "version": version}
        ids = [self._ask(cell, about, **options) for cell, about in zip(cells, metadata, strict=True)]
        messages: list[dict[str, Any]] = []
        if when_queued is not None:
            self._wait_for_arrival(len(cells))
            when_queued()
        if interrupt_when is not None:
            self._wait(ids[0], interrupt_when, messages, timeout)
            self._wait_for_arrival(len(cells))
            self._manager.interrupt_kernel()
        interrupted = time.monotonic()
        ended = {}
        for each in ids:
            while (reply := self._client.get_shell_msg(timeout=timeout))["parent_header"]["msg_id"] != each:
                assert reply["msg_type"] != "execute_reply"  # a late answer to a question of the start
            seconds = time.monotonic() - interrupted
            ended[each] = Ended(reply["content"]["status"], reply["content"], seconds=seconds)
        idle: set[str] = set()
        while not idle.issuperset(ids):
            message = messages.pop(0) if messages else self._client.get_iopub_msg(timeout=timeout)
            if (parent := message["parent_header"].get("msg_id")) not in ended:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                idle.add(parent)
                continue
            ended[parent].messages.append(message)
            ended[parent].times.append(sent_at(message))
        return [ended[each] for each in ids]

    def _wait(
        self, cell: str, wanted: Callable[[Ended], object], messages: list[dict[str, Any]], timeout: float
    ) -> None:
        """Wait until the interrupt is wanted; all messages that come before are put into a list."""
        so_far = Ended("running", {})
        deadline = time.monotonic() + timeout
        while not wanted(so_far):
            assert time.monotonic() < deadline, f"The interrupt was never wanted; the cell sent {so_far.messages}"
            with suppress(Empty):
                messages.append(self._client.get_iopub_msg(timeout=0.02))
                if messages[-1]["parent_header"].get("msg_id") == cell:
                    so_far.messages.append(messages[-1])

    def _wait_for_arrival(self, count: int) -> None:
        """Wait until the kernel has what was sent last to its shell channel, while a cell blocks that or runs.

        What was sent before a question in the control channel has come to the process when that is answered. In
        ipykernel 7 the thread that hands on messages of the shell channel, one in each round of its event loop, answers
        questions about subshells as well.
        """
        kind = "kernel_info_request" if self._is_6 else "list_subshell_request"
        for _ in range(count + 1 if count > 1 else 0):
            request = self._client.session.msg(kind, {})
            self._client.control_channel.send(request)
            while self._client.get_control_msg(timeout=PATIENCE)["parent_header"]["msg_id"] != request["msg_id"]:
                pass

    def _ask(
        self, code: str, metadata: dict[str, Any] | None, *, allow_stdin: bool = False, version: str | None = None
    ) -> str:
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        content |= {"allow_stdin": allow_stdin, "stop_on_error": True}
        message = self._client.session.msg("execute_request", content, metadata=metadata)
        message["header"]["version"] = version or message["header"]["version"]
        self._client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def value(self, expression: str) -> str:
        """The repr of an expression in the kernel."""
        (ended,) = self.run(f"print(repr({expression}), end='')")
        assert ended.status == "ok", ended.content
        return ended.printed
