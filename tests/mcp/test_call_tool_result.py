"""What the result of an MCP tool becomes for a model: of a server's tool, and of a function that returns one."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from mcp.types import BlobResourceContents, CallToolResult, EmbeddedResource, ImageContent, TextContent

from orchat import messages
from orchat.chat.tool_execution import invoke_tool, result_content
from orchat.tools import Tool
from tests.chat.ways import KEY
from tests.mcp.conftest import Tides
from tests.mcp.tide_server import PNG, WAV


def result_of(*texts: str, structured: Any = None, is_error: bool = False) -> CallToolResult:
    content = [TextContent(type="text", text=each) for each in texts]
    return CallToolResult(content=content, structured_content=structured, is_error=is_error)


def test_every_kind_of_content_becomes_a_part(tides: Tides) -> None:
    parts = result_content(tides.tool("show").invoke())
    assert not isinstance(parts, str)
    text, picture, sound, table, archive, link, data = parts
    assert text == messages.TextContent("A chart:")
    assert isinstance(picture, messages.ImageContent)
    assert (picture.base64_image, picture.mime_type) == (PNG, "image/png")
    assert sound == messages.AudioContent(WAV, "wav")
    assert table == messages.TextContent("[resource file:///tides.csv]\nport,metres\nHull,7.1")
    assert archive == messages.TextContent("[resource file:///t.bin, application/zip, 1 bytes: models do not take it]")
    assert link == messages.TextContent("[resource https://tides.example/hull: hull (7 bytes)]")
    assert data == messages.TextContent('{"port": "Hull"}')
    wire = messages.ChatMessage.from_tool(parts, messages.ToolCall("show", {}, id="1")).to_openai_dict_format()
    assert [each["type"] for each in wire["content"]] == ["text", "image_url", "input_audio", *4 * ["text"]]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (result_of("7.1 m"), "7.1 m"),
        (result_of('{"metres": 7.1}', structured={"metres": 7.1}), '{"metres": 7.1}'),
        (result_of("7.1 m", structured={"result": "7.1 m"}), "7.1 m"),
        (result_of("7.1", structured={"result": 7.1}), "7.1"),
        (result_of("1", "2", structured={"result": [1, 2]}), ["1", "2"]),
        (result_of(structured={"metres": 7.1}), '{"metres": 7.1}'),
        (result_of("It is high.", structured={"metres": 7.1}), ["It is high.", '{"metres": 7.1}']),
        (result_of(f"The key is {KEY}."), "The key is [redacted]."),
        (result_of(), ""),
    ],
)
def test_nothing_is_told_twice(result: CallToolResult, told: str | list[str]) -> None:
    content = result_content(result)
    assert (content if isinstance(content, str) else [part.text for part in content]) == told  # type: ignore[union-attr]


def test_a_long_text_and_many_parts_stay_within_the_budget() -> None:
    parts = result_content(result_of(*["tide " * 20_000] * 100))
    assert sum(len(part.text) for part in parts) < 60_000  # type: ignore[union-attr]
    assert parts[-1].text == "[... 36 more parts left out ...]"  # type: ignore[union-attr]


@pytest.mark.parametrize("data", ["no base64!", base64.b64encode(b"x").decode()[:-1]])
def test_a_damaged_picture_is_a_note(data: str) -> None:
    result = CallToolResult(content=[ImageContent(type="image", data=data, mime_type="image/png")])
    assert str(result_content(result)).startswith("[image, image/png, which cannot be read: ")


@pytest.mark.parametrize(
    ("uri", "kind", "data"), [("file:///t", "text/plain", "!!!x"), ("http://[", "application/pdf", "AAAA")]
)
def test_a_damaged_resource_spoils_no_other_part(uri: str, kind: str, data: str) -> None:
    resource = BlobResourceContents(uri=uri, mime_type=kind, blob=data)
    text = TextContent(type="text", text="7.1 m")
    said, note = result_content(CallToolResult(content=[text, EmbeddedResource(type="resource", resource=resource)]))
    assert said == messages.TextContent("7.1 m")
    assert note.text.startswith(f"[resource {uri}, which cannot be read: ")  # type: ignore[union-attr]


@pytest.mark.parametrize("is_error", [False, True])
def test_a_function_may_return_one(is_error: bool) -> None:
    tool = Tool("tide", "", {}, lambda: result_of("7.1 m", is_error=is_error))
    outcome = invoke_tool(tool, {}, lambda coroutine: coroutine)
    assert (outcome.content, outcome.error) == ("7.1 m", is_error)
