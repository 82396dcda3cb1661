"""IPython as a person at a terminal has it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pexpect

from tests.jupyter.kernel import ROOT
from tests.openrouter_server import ScriptedOpenRouter
from tests.patience import PATIENCE

KEY = "sk-or-v1-0123456789abcdef"


def end_child(child: pexpect.spawn[str]) -> None:
    """End a program at a terminal; pexpect's `close` gives up a tenth of a second after its last signal."""
    child.kill(signal.SIGKILL)
    child.wait()
    child.close()


class Terminal:
    """IPython as a person at a terminal has it."""

    def __init__(self, endpoint: ScriptedOpenRouter, folder: Path) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "IPYTHONDIR": str(folder),
            "OPENROUTER_BASE_URL": endpoint.base_url,
            "OPENROUTER_API_KEY": KEY,
            "TERM": "dumb",
        }
        options = ["--simple-prompt", "--no-banner", "--colors=NoColor", "--no-confirm-exit"]
        self.child = pexpect.spawn(
            sys.executable, ["-m", "IPython", *options], env=environment, encoding="utf-8", timeout=PATIENCE, echo=False
        )
        self.prompt()

    def prompt(self) -> str:
        """Wait for the next prompt; what was written before it."""
        self.child.expect(r"In \[\d+\]: ")
        return (self.child.before or "").replace("\r\n", "\n")

    def start(self, *lines: str) -> None:
        """Type a cell; an empty line ends it."""
        for line in [*lines, "", ""] if len(lines) > 1 else lines:
            self.child.sendline(line)

    def run(self, *lines: str) -> str:
        """Type a cell and wait for its end."""
        self.start(*lines)
        return self.prompt()

    def close(self) -> None:
        """End it."""
        end_child(self.child)
