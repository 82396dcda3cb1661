"""Kernels of ipykernel 7.1 to 7.3 that read no message any more, and how that is told from a fault of orchat.

At a rare moment of a subshell or a comm such a kernel leaves what is sent to its shell channel unread, until it is
restarted.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
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
    """Whether a kernel waits for messages and leaves those in its shell channel unread.

    Nothing of orchat keeps it from them then: it answers in its control channel, its main thread waits in its
    selector, and no thread waits for anything, or runs, in orchat.
    """
    client = BlockingKernelClient(connection_file=str(connection_file))
    client.load_connection_file()
    client.start_channels(hb=False, stdin=False)
    try:
        if _answers(client, "shell", _LONG) or not _answers(client, "control", PATIENCE):
            return False
    finally:
        client.stop_channels()
    (stack_file,) = stacks.glob(f"{connection_file.stem}.*")
    os.kill(int(stack_file.suffix[1:]), signal.SIGUSR1)
    assert wait_until(lambda: "ipykernel_launcher" in stack_file.read_text())
    threads = [stack.splitlines()[1:] for stack in stack_file.read_text().split("\n\n") if stack.strip()]
    (main,) = [thread for thread in threads if any("ipykernel_launcher" in frame for frame in thread)]
    ours = f'"{_ROOT / "orchat"}{os.sep}'
    return "selectors.py" in main[0] and not any(ours in thread[0] for thread in threads)


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
