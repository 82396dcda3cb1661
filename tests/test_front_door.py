"""The front door: few names, each of them there, nothing loaded before it is asked for."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import orchat

HEAVY = (
    "httpx",
    "httpx2",
    "pydantic",
    "pydantic_core",
    "IPython",
    "jsonschema_rs",
    "anywidget",
    "tenacity",
    "ssl",
    "asyncio",
)


def test_the_names_are_few_sorted_and_there() -> None:
    assert orchat.__all__ == sorted(orchat.__all__)
    assert len(set(orchat.__all__)) == len(orchat.__all__) <= 32
    for name in orchat.__all__:
        assert getattr(getattr(orchat, name), "__name__", "") == ("Literal" if name == "FinishReason" else name)
    assert set(orchat.__all__) <= set(dir(orchat))


def test_a_lazy_name_is_the_very_object_of_its_module() -> None:
    from orchat.openrouter.generator import OpenRouterChatGenerator

    assert orchat.OpenRouterChatGenerator is OpenRouterChatGenerator
    assert orchat.ChatMessage is importlib.import_module("orchat.messages").ChatMessage


@pytest.mark.parametrize("name", ["ChatMesage", "_hidden", "openai", "__wrapped__"])
def test_a_wrong_name_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'orchat' has no attribute '{name}'"):
        getattr(orchat, name)


def test_a_wrong_name_cannot_be_imported() -> None:
    with pytest.raises(ImportError):
        exec("from orchat import ChatMesage", {})


@pytest.mark.parametrize(
    "code",
    [
        "import orchat",
        "import orchat, orchat.errors, orchat.messages; orchat.Secret.from_env_var('A'); dir(orchat)",
        "import orchat; orchat.ChatMessage.from_dict(orchat.ChatMessage.from_user('Hi').to_dict())",
    ],
)
def test_a_fresh_process_loads_nothing_heavy_and_prints_nothing(code: str) -> None:
    check = (
        f"import sys; before = set(sys.modules); {code}; print(sorted(set({HEAVY!r}) & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=300, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_every_name_imports_in_a_fresh_process() -> None:
    code = f"from orchat import {', '.join(orchat.__all__)}; from orchat import *"
    subprocess.run([sys.executable, "-W", "error", "-c", code], timeout=300, check=True)


def test_the_version_is_that_of_the_package() -> None:
    from orchat._version import __version__

    assert orchat.__version__ == __version__


def test_the_extension_comes_and_goes() -> None:
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    before = set(shell.magics_manager.magics["cell"])
    orchat.load_ipython_extension(shell)
    assert "openrouter" in shell.magics_manager.magics["cell"]
    orchat.unload_ipython_extension(shell)
    assert set(shell.magics_manager.magics["cell"]) == before
