"""What axe-core finds in a page that people with disabilities cannot use."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

_RUN = "async (selector) => (await window.axe.run(selector, {resultTypes: ['violations']})).violations"


def accessibility_violations(page: Page, selector: str) -> list[dict[str, Any]]:
    """Look at what a selector matches; the script, of half a megabyte, is put into a page once."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[dict[str, Any]] = page.evaluate(_RUN, selector)
    return found
