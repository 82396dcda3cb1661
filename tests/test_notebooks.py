"""Every notebook runs from top to bottom, under nbmake, with the embedded model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchat.local import LocalServer
from tests.jupyter.forked_kernels import ADDRESS, fork_server
from tests.jupyter.forked_kernels import NAME as FORKED
from tests.jupyter.forked_kernels import __name__ as FORKED_KERNELS
from tests.python_path import PYTHON_PATH

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_notebooks_run(local_server: LocalServer, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENROUTER_", "ORCHAT_", "COV"))}
    environment |= {
        "ORCHAT_LOCAL_URL": local_server.base_url,
        "ORCHAT_LOCAL_KEY": local_server.api_key.resolve_value() or "",
        "ORCHAT_MODEL": "local/smollm2-135m-instruct",
        "ORCHAT_MAX_TOKENS": "80",  # an answer of the small model may go on for 512
        "JUPYTER_PLATFORM_DIRS": "1",
        "JUPYTER_DEFAULT_PROVISIONER_NAME": FORKED,
        ADDRESS: fork_server(),
        "PYTHONPATH": PYTHON_PATH,
        "IPYTHONDIR": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path),
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "nbmake.pytest_plugin",  # its name is blocked: it loads much into each process of the tests
        "-p",
        FORKED_KERNELS,
        "-n",
        "0",
        "--nbmake",
        "--nbmake-timeout=300",
        "-p",
        "no:cacheprovider",
        "notebooks",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert f"{len(list((ROOT / 'notebooks').glob('*.ipynb')))} passed" in done.stdout
