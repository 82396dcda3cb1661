"""The files in which Claude, Cursor and VS Code name their MCP servers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from orchat.errors import ConfigurationError
from orchat.mcp import McpServers, McpToolset
from orchat.mcp.server_configuration import read_configuration
from orchat.secret import Secret
from tests.mcp.conftest import SERVER, HttpServer

TOKEN = "hunter2-hunter2-hunter2"


def written(folder: Path, data: Any) -> Path:
    path = folder / "mcp.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_the_form_of_claude_and_cursor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDE_TOKEN", TOKEN)
    monkeypatch.delenv("TIDE_HOST", raising=False)
    path = written(
        tmp_path,
        {
            "mcpServers": {
                "clock": {"command": "uvx", "args": ["mcp-server-time", "--local-timezone=${TIDE_ZONE:-UTC}"]},
                "tides": {"command": "npx", "args": ["tides"], "env": {"TOKEN": "${TIDE_TOKEN}", "DEBUG": "1"}},
                "docs": {
                    "url": "https://${TIDE_HOST:-example.org}/mcp",
                    "headers": {"X-Key": "Bearer ${env:TIDE_TOKEN}"},
                },
                "old": {"command": "old", "disabled": True},
            }
        },
    )
    found = read_configuration(path)
    assert list(found) == ["clock", "tides", "docs"]
    assert found["clock"].command == ("uvx", "mcp-server-time", "--local-timezone=UTC")
    assert found["tides"].env == {"TOKEN": Secret.from_env_var("TIDE_TOKEN"), "DEBUG": "1"}
    assert found["docs"].url == "https://example.org/mcp"
    assert found["docs"].http_headers == {"X-Key": f"Bearer {TOKEN}"}
    assert TOKEN not in repr(found)


def test_the_form_of_vs_code_asks_the_person_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """{
          // what VS Code writes
          "inputs": [{"type": "promptString", "id": "tide-key", "description": "Key of the tides", "password": true}],
          "servers": {
            /* two of them */
            "tides": {
              "type": "stdio", "command": "tides", "env": {"KEY": "${input:tide-key}"}, "cwd": "${workspaceFolder}"
            },
            "docs": {"type": "http", "url": "https://example.org/a//b", "headers": {"X-Key": "${input:tide-key}"},},
          },
        }""",
    )
    asked: list[str] = []
    found = read_configuration(path, ask=lambda prompt: asked.append(prompt) or TOKEN)  # type: ignore[func-returns-value]
    assert asked == ["Key of the tides: "]
    assert found["tides"].environment == {"KEY": TOKEN}
    assert found["tides"].cwd == str(tmp_path.resolve())
    assert found["docs"].url == "https://example.org/a//b"
    assert TOKEN not in repr(found)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "names no MCP servers"),
        ({"mcpServers": {"a": {"command": "a", "args": ["${NOWHERE_SET}"]}}}, "environment variable NOWHERE_SET"),
        ({"mcpServers": {"a": {}}}, "`a` has neither a `command` nor a `url`"),
        ({"mcpServers": {"a": {"type": "carrier-pigeon"}}}, "of an unknown kind: 'carrier-pigeon'"),
        ({"servers": {"a": {"command": "a", "env": []}}}, "no server b. It has a"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, data: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_configuration(written(tmp_path, data), ["b"] if "no server b" in words else None)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        McpToolset.from_config(tmp_path / "none.json")


def test_the_servers_of_a_file_are_one_toolset(tmp_path: Path, http_server: HttpServer) -> None:
    north, south = {"command": sys.executable, "args": [SERVER]}, {"type": "http", "url": http_server.url}
    servers = McpToolset.from_config(written(tmp_path, {"mcpServers": {"north": north, "south": south}}))
    assert isinstance(servers, McpServers)
    assert {"north_high_water", "south_high_water"} <= {tool.name for tool in servers}
    assert servers["north"].name == "north"
    assert servers["north"][0] in servers
    assert servers[0] in servers["north"].tools
    servers.close()
    assert not servers["south"].is_connected
