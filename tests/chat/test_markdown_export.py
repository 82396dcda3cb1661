"""A conversation as Markdown."""

from __future__ import annotations

from orchat.chat.markdown_export import as_markdown
from orchat.messages import ChatMessage, FileContent, ImageContent, ReasoningContent, TextContent, ToolCall
from tests.openrouter_server import PNG


def test_every_kind_of_part_is_written() -> None:
    call = ToolCall("tide", {"port": "Hull"}, "call_1")
    cut = ToolCall("tide", {}, "call_2", {"malformed_arguments": '{"po'})
    messages = [
        ChatMessage.from_system("Be brief."),
        ChatMessage.from_user(
            content_parts=["What?", ImageContent.from_url(PNG), ImageContent.from_url("https://example.org/a.png")]
        ),
        ChatMessage.from_assistant(
            "Let me see.", {"model": "vendor/m"}, tool_calls=[call, cut], reasoning=ReasoningContent("One.\n\nTwo.")
        ),
        ChatMessage.from_tool([TextContent("a ``` b"), FileContent("JVBERi0xLjQK")], call),
        ChatMessage.from_tool("no", cut, error=True),
        ChatMessage.from_assistant("At ", {"ending": "stopped", "model": 7}),
    ]
    written = as_markdown(messages, title="Tides")
    assert written.startswith("# Tides\n\n**System**\n\nBe brief.\n\n**You**\n\nWhat?\n\n*[image]*\n\n")
    assert "[image](https://example.org/a.png)" in written
    assert "**Model `vendor/m`**\n\n> One.\n>\n> Two.\n\nLet me see.\n\nCalls `tide`:" in written
    assert '```json\n{\n  "port": "Hull"\n}\n```' in written
    assert '```json\n{"po\n```' in written
    assert "`tide` answered:\n\n````\na ``` b\n````\n\n*[file]*" in written
    assert "`tide` failed:\n\n```\nno\n```" in written
    assert written.endswith("**Model (stopped)**\n\nAt \n")


def test_an_address_cannot_break_out() -> None:
    picture = ImageContent.from_url("https://example.org/a b) [x](javascript:alert(1)")
    assert as_markdown([ChatMessage.from_user(content_parts=[picture])]) == "**You**\n\n*[image]*\n"


def test_nothing_is_little() -> None:
    assert as_markdown([]) == "\n"
