"""Where the processes of the tests find packages besides those that are installed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["LAZY_PACKAGES", "PYTHON_PATH"]

_ROOT: Final = Path(__file__).resolve().parents[1]
LAZY_PACKAGES: Final = str(_ROOT / "tests" / "lazy_packages")
PYTHON_PATH: Final = os.pathsep.join([str(_ROOT), LAZY_PACKAGES])
