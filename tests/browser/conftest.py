"""Fixtures for tests that look at a real JupyterLab or Notebook 7 with a real browser."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect, sync_playwright

from tests.browser.chromium import NAMES, find_chromium, launch
from tests.browser.lab import Lab, Notebook7
from tests.jupyter.deaf_kernel import KernelIsDeafError, may_go_deaf
from tests.jupyter.kernel import INSTALLED
from tests.openrouter_server import ScriptedOpenRouter
from tests.patience import PATIENCE

# A busy machine is no failure.
expect.set_options(timeout=1000 * PATIENCE)

KEY = "sk-or-v1-0123456789abcdef"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Run a test whose kernel may go deaf once more where that happens."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    if may_go_deaf(parameters.get("ipykernel", INSTALLED)):
        item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=KernelIsDeafError.__name__))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Say of a test that failed whether its kernel is deaf."""
    try:
        return (yield)
    except Exception as error:
        if any(server.has_deaf_kernel() for server in pyfuncitem.funcargs.get("servers", [])):
            raise KernelIsDeafError from error
        raise


@pytest.fixture(scope="package")
def chromium() -> str:
    """Where the distribution's browser is."""
    found = find_chromium()
    if found is None:
        reason = f"no browser: none of {', '.join(NAMES)} is installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="package")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """One browser for all tests here; no longer, for while it runs the thread has an event loop that runs."""
    with sync_playwright() as playwright:
        folder = tmp_path_factory.mktemp("chromium")
        context = launch(playwright, folder, "--disable-gpu-rasterization", "--disable-software-rasterizer")
        context.set_default_timeout(1000 * PATIENCE)
        yield context
        context.close()


@pytest.fixture(scope="package")
def endpoint() -> Iterator[ScriptedOpenRouter]:
    """The endpoint of all kernels of `lab`; each test scripts it anew."""
    with ScriptedOpenRouter() as server:
        yield server
    server.check()


@pytest.fixture(scope="package")
def servers() -> list[Lab]:
    """The front ends that were needed so far."""
    return []


def _started(
    kind: type[Lab], endpoint: ScriptedOpenRouter, folders: pytest.TempPathFactory, servers: list[Lab]
) -> Iterator[Lab]:
    folder: Path = folders.mktemp(kind.MODULE)
    with kind(folder, {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": KEY}) as server:
        servers.append(server)
        yield server
        servers.remove(server)


@pytest.fixture(scope="package")
def lab(endpoint: ScriptedOpenRouter, tmp_path_factory: pytest.TempPathFactory, servers: list[Lab]) -> Iterator[Lab]:
    """One JupyterLab for all tests, whose kernels have a key and the scripted endpoint."""
    yield from _started(Lab, endpoint, tmp_path_factory, servers)


@pytest.fixture(scope="package")
def notebook7(
    endpoint: ScriptedOpenRouter, tmp_path_factory: pytest.TempPathFactory, servers: list[Lab]
) -> Iterator[Lab]:
    """One Notebook 7 for all tests, as `lab`."""
    yield from _started(Notebook7, endpoint, tmp_path_factory, servers)


@pytest.fixture(params=["lab", "notebook7"])
def front_end(request: pytest.FixtureRequest) -> Lab:
    """Each of the two: a test that takes this instead of `lab` runs in both."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="package")
def loaded_pages() -> dict[Lab, Page]:
    """For each front end, a page in which it is loaded and no notebook is open."""
    return {}


@pytest.fixture
def page(
    request: pytest.FixtureRequest,
    browser: BrowserContext,
    servers: list[Lab],
    endpoint: ScriptedOpenRouter,
    loaded_pages: dict[Lab, Page],
) -> Iterator[Page]:
    """A page without a notebook; its kernels end with the test, and nothing of its script is left to the next one.

    To load a front end takes longer than most tests, hence they share one page of each. An attack that passes its test
    has changed nothing in the page; after a test that fails the page is closed.
    """
    names = ("lab", "notebook7", "front_end")
    front_end = next((request.getfixturevalue(name) for name in names if name in request.fixturenames), None)
    page = loaded_pages.pop(front_end, None) or browser.new_page()
    page.bring_to_front()  # a page behind another one draws and counts seconds rarely
    failures = request.session.testsfailed
    yield page
    if front_end is not None and request.session.testsfailed == failures and front_end.close_notebooks(page):
        loaded_pages[front_end] = page
    else:
        page.close()
    for server in servers:
        server.end_sessions()
    chat = endpoint.on("POST", "/chat/completions")
    chat.queue.clear()
    chat.standing = None


@pytest.fixture
def requested(page: Page) -> Iterator[list[str]]:
    """The addresses that a page asks for while a test runs."""
    addresses: list[str] = []

    def note(request: Request) -> None:
        addresses.append(request.url)

    page.on("request", note)
    yield addresses
    page.remove_listener("request", note)
