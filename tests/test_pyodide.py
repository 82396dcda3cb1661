"""In a page without a server (Pyodide, JupyterLite): what needs no package works, and what does says which."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[1]
PACKAGE = "pyodide@314.0.7"
_RUN = """
import { loadPyodide } from "pyodide";
const python = await loadPyodide();
python.FS.mkdir("/source");
python.mountNodeFS("/source", process.argv[2]);
try {
  console.log(python.runPython(process.argv[3]));
} catch (error) {
  console.log(JSON.stringify({ error: String(error) })); // node shows a line of the module, which is all of it
}
"""
_CODE = """
import sys
sys.path.insert(0, "/source")
sys.dont_write_bytecode = True
import json
import orchat
from orchat.messages import ChatMessage, ImageContent, ToolCall

calls = [ToolCall("tide", {"port": "Hull"}, "call_1")]
said = [ChatMessage.from_user("When?"), ChatMessage.from_assistant("", tool_calls=calls)]
back = [ChatMessage.from_dict(json.loads(json.dumps(message.to_dict()))) for message in said]
missing = {}
generator = orchat.OpenRouterChatGenerator(api_key=orchat.Secret.from_token("sk-or-v1-0123456789"), model="vendor/m")
for attempt in (lambda: orchat.Tool("tide", "Say when.", {"type": "object"}, print), lambda: generator.run("When?")):
    try:
        attempt()
    except ImportError as error:
        missing[error.name] = str(error)
json.dumps({"same": back == said, "wire": said[1].to_openai_dict_format(), "missing": missing})
"""


@pytest.fixture(scope="module")
def pyodide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a script that runs Python in node."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        if os.environ.get("CI"):
            pytest.fail("neither npm nor node is installed")
        pytest.skip("npm or node is not installed")
    folder = tmp_path_factory.mktemp("pyodide")
    install = [npm, "install", "--silent", "--no-save", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE]
    subprocess.run(install, check=True, timeout=150, capture_output=True)
    (folder / "run.mjs").write_text(_RUN)
    return folder


def test_messages_work_without_any_package_and_what_is_missing_is_named(pyodide: Path) -> None:
    command = ["node", "run.mjs", str(ROOT), _CODE]
    done = subprocess.run(command, cwd=pyodide, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-1500:]
    found = json.loads(done.stdout)
    assert found.get("same"), found
    assert found["wire"]["tool_calls"][0]["function"] == {"name": "tide", "arguments": '{"port": "Hull"}'}
    assert "%pip install jsonschema" in found["missing"]["jsonschema"]
    assert len(found["missing"]) == 2
