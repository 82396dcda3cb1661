"""What ``%load_ext orchat`` costs and brings along."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.jupyter.kernel import ROOT

_LOAD = """
import json, sys, time
from IPython.core.interactiveshell import InteractiveShell
ip = InteractiveShell.instance()
before, started = set(sys.modules), time.process_time()
ip.run_line_magic("load_ext", "orchat")
spent = time.process_time() - started
print(json.dumps({"cpu": spent, "modules": sorted(set(sys.modules) - before)}))
"""


def test_loading_is_light_silent_and_offline() -> None:
    # An address space without a network: any attempt to connect would raise, and show.
    guard = "import socket\ndef refuse(*a, **k): raise OSError('no network')\nsocket.socket.connect = refuse\n"
    runs = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", guard + _LOAD], capture_output=True, text=True, check=True, cwd=ROOT, timeout=300
        )
        assert done.stderr == ""
        (line,) = done.stdout.splitlines()
        runs.append(json.loads(line))
    heavy = {"httpx2", "pydantic", "jsonschema", "jsonschema_rs", "anywidget", "ipywidgets", "markdown_it", "requests"}
    assert not heavy & {module.partition(".")[0] for module in runs[0]["modules"]}
    assert min(run["cpu"] for run in runs) < 0.15
