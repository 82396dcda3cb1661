"""Fixtures for tests that look at a real JupyterLab with a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.browser.lab import Lab
from tests.openrouter_server import ScriptedOpenRouter

KEY = "sk-or-v1-0123456789abcdef"
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="package")
def chromium() -> str:
    """Where the distribution's browser is."""
    found = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if found is None:
        reason = f"no browser: none of {', '.join(_CHROMIUM)} is installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="package")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """One browser for all tests here; no longer, for while it runs the thread has an event loop that runs."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("chromium"),
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
            viewport={"width": 1280, "height": 900},
        )
        yield context
        context.close()


@pytest.fixture(scope="package")
def endpoint() -> Iterator[ScriptedOpenRouter]:
    """The endpoint of all kernels of `lab`; each test scripts it anew."""
    with ScriptedOpenRouter() as server:
        yield server
    server.check()


@pytest.fixture(scope="package")
def lab(endpoint: ScriptedOpenRouter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for all tests, whose kernels have a key and the scripted endpoint."""
    folder: Path = tmp_path_factory.mktemp("lab")
    with Lab(folder, {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": KEY}) as server:
        yield server


@pytest.fixture
def page(browser: BrowserContext, lab: Lab) -> Iterator[Page]:
    """A fresh page; its kernels end with it."""
    page = browser.new_page()
    yield page
    page.close()
    lab.end_sessions()
