"""`ServerProcess`: the child process of the embedded model's server, from its start to its end.

The process is tied to this one by a pipe whose writing end only this process holds: when this process ends, even by
SIGKILL, the pipe closes and the server leaves.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchat.errors import ConfigurationError
from orchat.local.weights import DOWNLOAD, MODEL_VARIABLE
from orchat.secret import Secret
from orchat.secrets import redact

KEY_VARIABLE = "ORCHAT_LOCAL_KEY"
_STOP_TIMEOUT = 5.0
_TAIL_LENGTH = 600


@dataclass(frozen=True)
class ServerAddress:
    """The address of an embedded server, and its key."""

    base_url: str
    api_key: Secret


class ServerProcess:
    """A running server process, listening after construction; `end` ends it."""

    def __init__(self, model: Path, timeout: float) -> None:
        key = secrets.token_urlsafe(32)
        read_end, self._lifeline = os.pipe()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - a file, since a pipe that nobody reads would block it
        try:
            self._process = subprocess.Popen(
                # As a file, -P: neither the current folder nor how orchat was found has a say in what runs.
                [sys.executable, "-P", str(Path(__file__).with_name("__main__.py")), str(model)],
                env=os.environ | {KEY_VARIABLE: key},
                stdin=read_end,
                stdout=subprocess.PIPE,
                stderr=self._log,
                # Interrupts go to a kernel's whole process group; this process ends with its parent and not before.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except BaseException:
            os.close(self._lifeline)
            self._log.close()
            raise
        finally:
            os.close(read_end)
        try:
            url = self._read_url(timeout)
        except BaseException:
            self.end()
            raise
        self.endpoint = ServerAddress(url, Secret.from_token(key))

    def _read_url(self, timeout: float) -> str:
        kill_timer = threading.Timer(timeout, self._process.kill)  # which ends the reading below, on every platform
        kill_timer.daemon = True
        started = time.monotonic()
        kill_timer.start()
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            line = stdout.readline().decode().strip()
        kill_timer.cancel()
        if line:
            return line
        code = self._process.wait()
        timed_out = time.monotonic() - started >= timeout
        what = f"did not answer within {timeout:g} s" if timed_out else f"ended while starting (exit code {code})"
        raise ConfigurationError(
            f"The embedded model's server {what}. Its last words: {_log_tail(self._log) or 'none'}",
            hint=f"If the model file is damaged, run {DOWNLOAD}, or correct {MODEL_VARIABLE}.",
        )

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def end(self) -> None:
        """End the process; kill it after a timeout."""
        os.close(self._lifeline)
        try:
            self._process.wait(_STOP_TIMEOUT)
        except BaseException as error:  # also an interrupt of the waiting: it must not outlive its owner
            self._process.kill()
            self._process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
        finally:
            self._log.close()

    def release(self) -> None:
        """Release the process after a fork, without ending it: it is the parent's."""
        os.close(self._lifeline)  # or the server would live until this process ended too
        self._log.close()
        self._process.returncode = 0  # no child of this process: nothing to wait for, nothing to warn about


def _log_tail(log: IO[bytes]) -> str:
    log.seek(0)
    return " ".join(redact(log.read().decode(errors="replace")).split())[-_TAIL_LENGTH:]
