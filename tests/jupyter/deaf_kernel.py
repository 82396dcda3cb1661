"""Kernels of ipykernel 7.1 to 7.3 that read no message any more, and how that is told from a fault of orchat.

At a rare moment of a subshell or a comm such a kernel leaves what is sent to its shell channel unread, until it is
restarted or another client connects.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty

from jupyter_client.blocking.client import BlockingKernelClient

from tests.patience import PATIENCE, wait_until

_ROOT = Path(__file__).resolve().parents[2]
_STARTUP = Path(__file__).with_name("stack_dump_startup.py")
_LONG = 20.0  # seconds in which a kernel that hears answers also on a busy machine
_VERSIONS = ("7.3.", "7.2.", "7.1.")


class KernelIsDeafError(Exception):
    """A test failed because its kernel is deaf: it is run once more."""


def may_go_deaf(ipykernel: str) -> bool:
    """Whether kernels of this version may become deaf."""
    return ipykernel.startswith(_VERSIONS)


def stack_environment(folder: Path) -> Mapping[str, str]:
    """Return the environment of a kernel that writes its stacks into a folder when it is asked to."""
    folder.mkdir(parents=True, exist_ok=True)
    return {"PYTHONSTARTUP": str(_STARTUP), "KERNEL_STACKS": str(folder)}


def is_deaf(connection_file: Path, stacks: Path) -> bool:
    """Whether a kernel waited for messages and left those in its shell channel unread.

    Nothing of orchat keeps it from them then: its main thread waits in its selector, and no thread waits for anything,
    or runs, in orchat. It reads a new connection's messages neither; or with these it reads at last what was sent long
    before, for a connection wakes it up. It answers in its control channel.
    """
    if _waits_in_orchat(connection_file, stacks):
        return False
    client = BlockingKernelClient(connection_file=str(connection_file))
    client.load_connection_file()
    client.start_channels(shell=False, stdin=False, hb=False)
    try:
        if not _answers(client, "control", PATIENCE):
            return False
        client.start_channels(iopub=False, stdin=False, hb=False, control=False)
        asked = datetime.now(UTC)
        return not _answers(client, "shell", _LONG) or _begins_what_is_older(client, asked - timedelta(seconds=_LONG))
    finally:
        client.stop_channels()


def _waits_in_orchat(connection_file: Path, stacks: Path) -> bool:
    (stack_file,) = stacks.glob(f"{connection_file.stem}.*")
    written = stack_file.stat().st_size
    os.kill(int(stack_file.suffix[1:]), signal.SIGUSR1)
    assert wait_until(lambda: "ipykernel_launcher" in stack_file.read_text()[written:])
    text = stack_file.read_text()[written:]
    threads = [stack.splitlines()[1:] for stack in text.split("\n\n") if stack.strip()]
    (main,) = [thread for thread in threads if any("ipykernel_launcher" in frame for frame in thread)]
    ours = f'"{_ROOT / "orchat"}{os.sep}'
    return "selectors.py" not in main[0] or any(ours in thread[0] for thread in threads)


def _answers(client: BlockingKernelClient, name: str, seconds: float) -> bool:
    """Return whether a channel answers a question about the kernel."""
    channel = getattr(client, f"{name}_channel")
    request = client.session.msg("kernel_info_request", {})
    channel.send(request)
    deadline = time.monotonic() + seconds
    with suppress(Empty):
        while channel.get_msg(timeout=deadline - time.monotonic())["parent_header"]["msg_id"] != request["msg_id"]:
            pass
        return True
    return False


def _begins_what_is_older(client: BlockingKernelClient, moment: datetime) -> bool:
    """Return whether the kernel begins to handle what others have sent before a moment."""
    with suppress(Empty):
        while message := client.get_iopub_msg(timeout=1):
            parent = message["parent_header"]
            is_begin = message["content"].get("execution_state") == "busy"
            if is_begin and parent["session"] != client.session.session and parent["date"] < moment:
                return True
    return False
