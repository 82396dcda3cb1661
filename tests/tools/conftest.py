"""Fixtures for the tests of tools."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from orchat.tools import import_path


@pytest.fixture(autouse=True)
def _only_what_a_test_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_path, "_allowed", [])
    monkeypatch.delenv("ORCHAT_ALLOWED_MODULES", raising=False)


@pytest.fixture
def samples_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHAT_ALLOWED_MODULES", "tests.tools.samples")


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A ``__main__`` in which a user has typed; run more cells with ``exec(code, notebook.__dict__)``."""
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    code = """
import os
from os import system
from orchat.tools import tool, allow_modules

def double(number: int) -> int:
    return 2 * number

@tool
def half(number: int) -> float:
    return number / 2

class Box:
    value = 3
    module = os
    run = system
    @staticmethod
    def open() -> str:
        return "opened"
    remote = classmethod(lambda cls: 3)
    code = classmethod(system)
    @classmethod
    def made(cls) -> str:
        return "made"

evaluate = eval
box = Box()
text = print
"""
    exec(code, module.__dict__)
    return module
