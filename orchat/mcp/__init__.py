"""Tools of MCP servers (Model Context Protocol): `McpToolset` is a `orchat.tools.Toolset` of a server's tools.

It needs the official SDK (``pip install "orchat-jupyter[mcp]"``), which is imported with the first connection. One
thread of the process owns the event loop and all connections (`orchat.mcp.connection_loop`), so that cells, threads
and event loops use the same server, and an interrupt ends a call without ending its connection.
"""

from orchat.mcp.mcp_tool import McpTool
from orchat.mcp.mcp_toolset import McpServers, McpToolset

__all__ = ["McpServers", "McpTool", "McpToolset"]
