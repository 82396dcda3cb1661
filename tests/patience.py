"""How long tests wait: on a busy machine all takes longer, and that is no failure."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

__all__ = ["PATIENCE", "stretched", "wait_until"]

PATIENCE = 90.0  # seconds for something that comes; how soon it does is for the benchmarks to say


def stretched(seconds: float) -> float:
    """Return how long something may take now that takes so long on an idle machine.

    Where several processes want each core, a process waits for its turn as often as it runs.
    """
    wanting = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # the mean of the last minute
    with suppress(OSError, ValueError):  # Linux tells of this moment, too
        wanting = max(wanting, float(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]))
    return seconds * max(1.0, 2 * wanting / (os.cpu_count() or 1))


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE, every: float = 0.01) -> bool:
    """Wait until something is so, and return whether it is."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
