"""What a process was started with, also of one that ends while a test looks."""

from __future__ import annotations

import psutil

__all__ = ["command_line"]


def command_line(process: psutil.Process) -> str:
    """Return the words of its command, or nothing where it has ended, also where nobody has asked how."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie, too
        return ""
