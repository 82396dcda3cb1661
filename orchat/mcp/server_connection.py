"""`ServerConnection`: the connection to one server, opened by its first use and anew after a loss.

Its coroutines run on the loop of `orchat.mcp.connection_loop` only.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from orchat.errors import ToolServerError
from orchat.mcp.calling_turn import CallingTurn
from orchat.mcp.connection_errors import (
    CONNECTION_CLOSED,
    error_code,
    is_mcp_error,
    leaf_errors,
    to_server_error,
)
from orchat.mcp.connection_loop import MCP_LOOP
from orchat.mcp.server_log import ServerLog
from orchat.mcp.server_parameters import ServerParameters
from orchat.mcp.session_owner import SessionOptions, SessionOwner
from orchat.secrets import redact
from orchat.tools.call_context import PersonAnswer

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult, Tool

_MOST_PAGES = 100
_MOST_DETAILS = 8_000
_MOST_SAID = 300
_STDERR_DELAY = 0.1  # seconds by which a server's words about a failure may come later than the failure
_NOT_STARTED = ("ConnectError", "ConnectTimeout", "PoolTimeout")


class ServerConnection:
    """The connection to a server.

    Parameters
    ----------
    parameters
        The server.
    name
        Its name for people.
    timeout
        Seconds that a call may take.
    mode, connect_timeout, auth
        As of `SessionOptions`.
    """

    def __init__(
        self,
        parameters: ServerParameters,
        name: str,
        *,
        timeout: float | None,
        mode: str | None,
        connect_timeout: float,
        auth: Any,
    ) -> None:
        self.parameters = parameters
        self.log = ServerLog()
        self._name = name
        self._label = f"`{name}` ({parameters})"
        self._timeout = timeout
        # The session must not keep alive what ends it.
        on_message, elicit = weakref.WeakMethod(self._on_message), weakref.WeakMethod(self._elicit)

        async def ask(context: Any, params: ElicitRequestParams) -> ElicitResult:
            from mcp.types import ElicitResult

            return ElicitResult(action="cancel") if (found := elicit()) is None else await found(context, params)

        self._options = SessionOptions(
            mode, connect_timeout, auth, ask, lambda message: (found := on_message()) and found(message)
        )
        self._turns: list[CallingTurn] = []  # of the calls that run now
        self._lock: asyncio.Lock | None = None
        self._lock_loop: asyncio.AbstractEventLoop | None = None
        self._sessions: list[SessionOwner] = []  # none, or the one that was opened last
        self._client: Client | None = None
        self._is_listed = False
        weakref.finalize(self, _end_sessions, self._sessions)

    @property
    def is_open(self) -> bool:
        """Whether there is a session that is not lost."""
        return any(not session.is_lost for session in self._sessions)

    @property
    def is_listed(self) -> bool:
        """Whether the last list of tools is that of this session, and the server has not said that it has changed."""
        return self._is_listed and self.is_open

    def _on_message(self, message: Any) -> None:
        if getattr(message, "method", None) == "notifications/tools/list_changed":
            self._is_listed = False

    async def _connected(self) -> tuple[SessionOwner, Client]:
        loop = asyncio.get_running_loop()
        if self._lock is None or self._lock_loop is not loop:
            self._lock, self._lock_loop = asyncio.Lock(), loop
        async with self._lock:
            if self._client is not None and self.is_open:
                return self._sessions[0], self._client
            await self._close_session()
            session = SessionOwner(self.parameters, self._options, self.log)
            self._sessions.append(session)
            position = self.log.position
            try:
                self._client = await session.open()
            except Exception as error:  # noqa: BLE001 - the SDK raises many kinds, and groups of them
                await self._close_session()
                await asyncio.sleep(_STDERR_DELAY)
                what = "cannot be reached" if self.parameters.url else "cannot be started"
                failure = self._server_error(error, what, position, session.status)
                if failure.hint is None and failure.details:
                    failure.hint = f"It said: {' '.join(failure.details[-_MOST_SAID:].split())}"
                raise failure from None
            return session, self._client

    async def list_tools(self) -> list[Tool]:
        """Return the server's tools, all pages of them."""
        session, client = await self._connected()
        position = self.log.position
        tools: list[Tool] = []
        cursor = None
        self._is_listed = True  # a change that is told from now on counts
        try:
            async with asyncio.timeout(self._options.connect_timeout):  # the SDK drops a list that it cannot read
                for _ in range(_MOST_PAGES):
                    page = await client.list_tools(cursor=cursor, cache_mode="refresh")
                    tools += page.tools
                    if (cursor := page.next_cursor) is None:
                        return tools
        except Exception as error:  # noqa: BLE001 - the SDK raises many kinds, and groups of them
            self._is_listed = False
            await session.wait_closed(_STDERR_DELAY)
            raise self._server_error(session.error or error, "does not list its tools", position) from None
        raise ToolServerError(f"The MCP server {self._label} lists its tools without end.")

    async def call_tool(
        self, tool: str, arguments: dict[str, Any], check: Callable[[], Awaitable[None]]
    ) -> tuple[CallToolResult, str]:
        """Call a tool, and return its result and, where it failed, what the server wrote meanwhile.

        A call that the server cannot have seen, for it was down or had forgotten the session, is sent once more.

        Parameters
        ----------
        tool, arguments
            The call.
        check
            Awaited when connected, before the call; raises where the tool is not what it was.
        """
        for is_last in (False, True):
            session, client = await self._connected()
            await check()
            position = self.log.position
            try:
                result = await self._call(client, tool, arguments)
            except Exception as error:  # noqa: BLE001 - the SDK raises many kinds, and groups of them
                leaf = next(leaf_errors(error))
                if error_code(leaf) == CONNECTION_CLOSED:
                    await session.wait_closed(1.0)
                if not is_last and await self._was_not_seen(session, leaf):
                    continue
                await asyncio.sleep(_STDERR_DELAY)
                cause = session.error if session.error is not None and error_code(leaf) == CONNECTION_CLOSED else leaf
                failure = self._server_error(cause, "did not answer the call", position, session.status)
                if session.is_lost and failure.hint is None:
                    failure.hint = "What this call did is not known. The next one connects again."
                raise failure from None
            if not result.is_error:
                return result, ""
            await asyncio.sleep(_STDERR_DELAY)
            return result, self._details(position)
        raise AssertionError(tool)

    async def _call(self, client: Client, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        turn = CallingTurn(self._name, str(self.parameters), self._timeout)
        self._turns.append(turn)
        try:
            async with turn:
                return await client.call_tool(tool, arguments, progress_callback=turn.show_progress)
        finally:
            self._turns.remove(turn)

    async def _elicit(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        """Ask the person a question of the server; which call it belongs to is not told, so it is the last one."""
        from mcp.types import ElicitResult

        answer = await self._turns[-1].ask(params) if self._turns else PersonAnswer("cancel")
        is_form = getattr(params, "url", None) is None
        return ElicitResult(action=answer.action, content=answer.content if is_form else None)

    async def _was_not_seen(self, session: SessionOwner, error: BaseException) -> bool:
        """Whether a failed call cannot have begun; then the session is ended."""
        cause = next(leaf_errors(session.error)) if session.error is not None else error
        is_forgotten = self.parameters.url and is_mcp_error(error) and session.status == 404
        if not is_forgotten and type(cause).__name__ not in _NOT_STARTED:
            return False
        await session.close()
        return True

    def _details(self, position: int) -> str:
        return redact(self.log.since(position)[-_MOST_DETAILS:], *self.parameters.secret_values)

    def _server_error(
        self, error: BaseException, what: str, position: int, status: int | None = None
    ) -> ToolServerError:
        return to_server_error(error, self._label, what=what, status=status, details=self._details(position))

    async def close(self) -> None:
        """End the session; the next use opens another."""
        await self._close_session()

    async def _close_session(self) -> None:
        sessions, self._client, self._is_listed = list(self._sessions), None, False
        self._sessions.clear()
        for session in sessions:
            await session.close()


def _end_sessions(sessions: list[SessionOwner]) -> None:
    for session in sessions:
        MCP_LOOP.call_soon(session.end)
