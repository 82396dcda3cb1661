"""Real kernels for the tests, of several versions of ipykernel."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import platformdirs
from jupyter_client.manager import KernelManager

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = version("ipykernel")
# Each of these delivers interrupts and messages in its own way.
OTHERS = ("7.3.0", "7.2.0", "7.1.0", "6.31.0")
# Seconds in which something ends also on a busy machine, though it would go on for longer; how soon it really does is
# for `tests.benchmarks.interrupt` to say.
SOON = 2.0


def ipykernel_folder(wanted: str) -> Path:
    """Where another ipykernel is; installed on first use."""
    folder = Path(platformdirs.user_cache_dir("orchat-tests")) / f"ipykernel-{wanted}"
    if not folder.is_dir():
        # Version 6 needs a package that current ones do not; for 7 everything is here.
        needs = [] if wanted.startswith("6.") else ["--no-deps"]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needs]
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
            subprocess.run([*pip, "--target", f"{unfinished}/new", f"ipykernel=={wanted}"], check=True, timeout=300)
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


class Kernel:
    """A kernel in a process of its own; it ends with the ``with`` block."""

    def __init__(self, environment: Mapping[str, str], ipykernel: str = INSTALLED) -> None:
        path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        if ipykernel != INSTALLED:
            path.insert(0, str(ipykernel_folder(ipykernel)))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENROUTER_", "ORCHAT_"))}
        self._environment = {**kept, "PYTHONPATH": os.pathsep.join(filter(None, path)), **environment}
        self._manager = KernelManager(kernel_name="python3")

    def __enter__(self) -> Self:
        self._manager.start_kernel(env=self._environment)
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(60)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def run(
        self,
        *cells: str,
        interrupt_after: float | None = None,
        timeout: float = 60,
        cell_ids: Sequence[str] | None = None,
    ) -> list[Ended]:
        """Queue cells at once, as Run All does, and wait for all; with ``cell_ids`` as JupyterLab sends them."""
        started = time.monotonic()
        metadata = [{"cellId": each} for each in cell_ids] if cell_ids is not None else [None] * len(cells)
        ids = [self._ask(cell, about) for cell, about in zip(cells, metadata, strict=True)]
        if interrupt_after is not None:
            time.sleep(interrupt_after)
            self._manager.interrupt_kernel()
        ended = {}
        for each in ids:
            while (reply := self._client.get_shell_msg(timeout=timeout))["parent_header"]["msg_id"] != each:
                assert reply["msg_type"] != "execute_reply"  # a late answer to a question of the start
            seconds = time.monotonic() - started - (interrupt_after or 0)
            ended[each] = Ended(reply["content"]["status"], reply["content"], seconds=seconds)
        for each in ids:
            while True:
                message = self._client.get_iopub_msg(timeout=timeout)
                if (parent := message["parent_header"].get("msg_id")) not in ended:
                    continue
                if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                    if parent == each:
                        break
                    continue
                ended[parent].messages.append(message)
                ended[parent].times.append(message["header"]["date"].timestamp())
        return [ended[each] for each in ids]

    def _ask(self, code: str, metadata: dict[str, Any] | None) -> str:
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        content |= {"allow_stdin": False, "stop_on_error": True}
        message = self._client.session.msg("execute_request", content, metadata=metadata)
        self._client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def value(self, expression: str) -> str:
        """The repr of an expression in the kernel."""
        (ended,) = self.run(f"print(repr({expression}), end='')")
        assert ended.status == "ok", ended.content
        return ended.printed
