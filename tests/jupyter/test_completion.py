"""Completion of the magics, as a front end asks for it, in real kernels."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from orchat.openrouter.catalog import _path_of
from tests.jupyter.kernel import Kernel
from tests.openrouter_server import ScriptedOpenRouter

pytestmark = pytest.mark.slow

MODELS = ["openai/gpt-4o-mini", "openai/gpt-5", "openai/gpt-5-mini", "vendor/other-gpt-5", "meta/llama-3"]
SETUP = """
import pandas
class Ship:
    def __init__(self): self.tons, self.crew = 40, {"cook": "Ann"}
    @property
    def trap(self): raise RuntimeError("a property was read")
ship = Ship()
sales = pandas.DataFrame({"city": ["Hull"], "sold by": [3]})
class Person: pass
def tide(port: str) -> str: return port
"""


def complete(kernel: Kernel, code: str, after: str = "") -> list[str]:
    """What is offered at the end of a code, as whole pieces of text."""
    client = kernel._client
    asked = client.complete(code + after, len(code))
    while (reply := client.get_shell_msg(timeout=30))["parent_header"]["msg_id"] != asked:
        pass
    content = reply["content"]
    assert content["status"] == "ok"
    return list(content["matches"])


@pytest.fixture
def ready(any_kernel: Kernel, endpoint: ScriptedOpenRouter) -> Kernel:
    any_kernel.run(SETUP)
    path = _path_of(endpoint.base_url)
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = {"format": "orchat-models", "version": 1, "fetched_at": datetime.now(UTC).isoformat()}
    path.write_text(json.dumps({**listed, "data": [{"id": name, "name": name} for name in MODELS]}))
    return any_kernel


def test_the_line(ready: Kernel, endpoint: ScriptedOpenRouter) -> None:
    asked = len(endpoint.requests)
    assert complete(ready, "%%openrouter --te") == ["--temperature"]
    assert complete(ready, "%%openrouter gpt-5")[:2] == ["openai/gpt-5", "openai/gpt-5-mini"]
    assert "vendor/other-gpt-5" in complete(ready, "%%openrouter -m gpt-5")
    assert complete(ready, "%%openrouter --reasoning m") == ["max", "medium", "minimal"]
    assert complete(ready, "%%openrouter --approve a") == ["ask", "always"]
    assert complete(ready, "%%openrouter -T ti") == ["tide"]
    assert complete(ready, "%%openrouter -T run") == ["run_python"]
    assert complete(ready, "%%openrouter --schema Per") == ["Person"]
    assert complete(ready, "%openrouter und") == ["undo"]
    assert complete(ready, "x = %openrouter vers") == ["version"]
    assert len(endpoint.requests) == asked


def test_the_prompt(ready: Kernel) -> None:
    assert complete(ready, "%%openrouter\nWhat is {shi") == ["ship"]
    assert complete(ready, "%%openrouter\nWhat is {ship.to", "}?") == [".tons"]
    assert ".trap" in complete(ready, "%%openrouter\nWhat is {ship.t")  # named, and not read
    assert complete(ready, '%%openrouter\nWhat is {ship.crew["') == ['["cook"]']
    assert complete(ready, "%%openrouter\nWhat is {sales[") == ['["city"]', '["sold by"]']
    assert complete(ready, "%openrouter -- What is {shi") == ["ship"]
    assert ready.value("ship.tons") == "40"


def test_other_cells_are_left_alone(ready: Kernel) -> None:
    assert any(each.endswith("tons") for each in complete(ready, "ship.to"))
    assert complete(ready, "%%timei") == ["%%timeit"]


def test_it_is_quick_and_goes_away(ready: Kernel) -> None:
    started = time.perf_counter()
    for _ in range(10):
        complete(ready, "%%openrouter gpt")
    assert (time.perf_counter() - started) / 10 < 1  # the benchmark says how quick
    ready.run("%unload_ext orchat")
    assert "openai/gpt-5" not in complete(ready, "%%openrouter gpt-5")
    ready.run("%load_ext orchat")
    assert "openai/gpt-5" in complete(ready, "%%openrouter gpt-5")
