"""A server with more tools than a request should name: the model searches, and requests name what it has found."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from orchat.errors import ToolInvocationError
from orchat.tools import Tool
from orchat.tools.deferred_tools import DeferredTools
from tests.mcp.conftest import SERVER, HttpServer, Tides
from tests.mcp.test_mcp_toolset import chat_with
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text


def names_sent(openrouter: ScriptedOpenRouter, number: int) -> list[str]:
    return [each["function"]["name"] for each in openrouter.requests[number].json["tools"]]


def test_three_hundred_tools_are_searched(openrouter: ScriptedOpenRouter) -> None:
    site = Tides([sys.executable, SERVER, "--many", "300"], name="site")
    openrouter.answers(
        calls(call("site_search_tools", {"query": "dig for gold", "limit": 2})),
        calls(call("site_dig_222", {"site": "Hull"}), call("site_dig_for_gold", {})),
        text("Gold!"),
    )
    reply = chat_with(openrouter, site)("Find gold.")
    assert reply.text == "Gold!"
    assert names_sent(openrouter, 0) == ["site_search_tools"]
    assert names_sent(openrouter, 1)[0] == "site_search_tools"
    assert "site_dig_222" in names_sent(openrouter, 1)
    assert len(names_sent(openrouter, 1)) == 3
    told = [each["content"] for each in openrouter.requests[2].json["messages"] if each["role"] == "tool"]
    assert '"name": "site_dig_222"' in told[0]
    assert "Hull 1" in told
    [unknown] = [each for each in told if each.startswith("There is no tool")]
    assert len(unknown) < 200  # and not the names of all
    assert "310 tools, " in repr(site)
    assert "over the limit of 10,000: 2 found by search, the others left out" in repr(site)
    site.close()


def test_the_limit_is_the_users(openrouter: ScriptedOpenRouter, http_server: HttpServer) -> None:
    toolset = Tides(http_server.url, max_schema_tokens=100)
    openrouter.answers(text("Nothing."))
    chat_with(openrouter, toolset)("Hi")
    assert names_sent(openrouter, 0) == ["mcp_search_tools"]
    generous = Tides(http_server.url)
    openrouter.answers(text("Nothing."))
    chat_with(openrouter, generous)("Hi")
    assert len(names_sent(openrouter, 1)) == len(generous.tools)
    toolset.close()
    generous.close()


def tool_called(name: str, description: str) -> Tool:
    schema: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}}}
    return Tool(name, description, schema, lambda text: text)


def test_a_search_finds_words_in_any_form_and_forgets_what_exceeds_the_limit() -> None:
    tools = [
        tool_called("create_calendar_event", "Make an appointment."),
        tool_called("listInvoices", "Say what customers owe."),
        tool_called("send-mail", "Send a letter."),
    ]
    deferred = DeferredTools("office", "search_office", max_tokens=60)
    deferred.set_tools(tools)
    assert deferred.is_over_limit
    for query, name in (("calendars", "create_calendar_event"), ("INVOICE", "listInvoices"), ("letters", "send-mail")):
        assert [each["name"] for each in deferred.search_tool.invoke(query=query)] == [name]
    assert deferred.search_tool.invoke(query="submarine") == []
    assert deferred.found == ("send-mail",)
    assert [deferred.defers(tool) for tool in tools] == [True, True, False]
    deferred.set_tools(tools[:1])
    assert not deferred.is_over_limit
    assert not deferred.defers(tools[0])
    with pytest.raises(ToolInvocationError):
        deferred.search_tool.invoke(question="x")
