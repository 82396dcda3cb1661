"""The Chromium of the distribution, as tests and benchmarks start it."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import BrowserContext, Playwright

# The headless shell draws the same page without a window around it, for two thirds of the processor time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]


def find_chromium() -> str | None:
    """Return where it is."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright: Playwright, folder: Path, *arguments: str) -> BrowserContext:
    """Start it with a profile in a folder, and a window of an ordinary size."""
    return playwright.chromium.launch_persistent_context(
        folder,
        executable_path=find_chromium(),
        args=[*_ARGUMENTS, *arguments],
        viewport={"width": 1280, "height": 900},
    )
