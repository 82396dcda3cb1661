"""`SessionOwner`: one open session with a server, owned by a task from its beginning to its end.

The SDK's contexts must be left by the task that entered them, so that a task of the loop's own does both. It ends when
it is told to, when the server's output ends, or when a request cannot be sent any more; its `error` says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchat.mcp.connection_errors import CONNECTION_CLOSED, REQUEST_TIMEOUT, error_code, is_mcp_error, leaf_errors
from orchat.mcp.connection_loop import close_at_exit, forget_at_exit
from orchat.mcp.server_log import ServerLog
from orchat.mcp.server_parameters import ServerParameters

if TYPE_CHECKING:
    from mcp import Client
    from mcp.client.session import ElicitationFnT

_MOST_EVENT_BYTES = 64 << 20  # of one message over HTTP: pictures come in base64


@dataclass(frozen=True)
class SessionOptions:
    """How a session is opened.

    Parameters
    ----------
    mode
        The SDK's way to negotiate the protocol; None for the handshake, and where a server refuses that the newer way.
        Only the handshake gives a server a way to ask back.
    connect_timeout
        Seconds that starting the server and the handshake may take.
    auth
        An ``Auth`` of httpx2 for a server at an address, such as the SDK's ``OAuthClientProvider``.
    elicit
        The SDK's callback for questions of the server to the person.
    on_message
        Called with each notification of the server.
    """

    mode: str | None
    connect_timeout: float
    auth: Any
    elicit: ElicitationFnT
    on_message: Callable[[Any], None]


class SessionOwner:
    """One session; `open` makes it, `close` ends it.

    Parameters
    ----------
    parameters
        The server.
    options
        How it is opened.
    log
        Takes what the server and the SDK write.
    """

    def __init__(self, parameters: ServerParameters, options: SessionOptions, log: ServerLog) -> None:
        self._parameters = parameters
        self._options = options
        self._log = log
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.status: int | None = None
        self.error: BaseException | None = None

    @property
    def is_lost(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._ended.is_set() or self._task is None or self._task.done()

    async def open(self) -> Client:
        """Start or reach the server, and return the client of the session."""
        opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(self._own(opened))
        try:
            return await opened
        except asyncio.CancelledError:
            self._task.cancel()
            raise

    def end(self) -> None:
        """Begin to end the session, without waiting."""
        self._ended.set()

    async def close(self) -> None:
        """End the session; a program has two seconds to end by itself."""
        self.end()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def wait_closed(self, seconds: float) -> None:
        """Wait a little for the end of a session that breaks, so that its `error` is known."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)

    async def _own(self, opened: asyncio.Future[Client]) -> None:
        close_at_exit(self.close)
        try:
            with self._log.capture_logging():
                async with AsyncExitStack() as stack:
                    async with asyncio.timeout(self._options.connect_timeout):
                        client = await self._enter(stack)
                    if not opened.done():
                        opened.set_result(client)
                        await self._ended.wait()
        except BaseException as error:  # noqa: BLE001 - told to those who wait, or kept for those who ask
            self.error = error
            if not opened.done():
                opened.set_exception(next(leaf_errors(error)))
        finally:
            self._ended.set()
            forget_at_exit(self.close)
            if not opened.done():
                opened.cancel()

    async def _enter(self, stack: AsyncExitStack) -> Client:
        from mcp import Client

        modes = ("legacy", "auto") if self._options.mode is None else (self._options.mode,)
        for mode in modes:
            client = Client(
                self._transport(),
                mode=mode,
                elicitation_callback=self._options.elicit,
                message_handler=self._take_message,
            )
            try:
                return await stack.enter_async_context(client)
            except Exception as error:
                refusal = next(leaf_errors(error))
                unanswered = error_code(refusal) in (CONNECTION_CLOSED, REQUEST_TIMEOUT)
                if mode == modes[-1] or not is_mcp_error(refusal) or unanswered:
                    raise
        raise AssertionError(modes)

    async def _take_message(self, message: Any) -> None:
        self._options.on_message(message)

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        opened = self._http_streams() if self._parameters.url else self._process_streams()
        async with opened as (reading, writing):
            yield _WatchedStream(reading, self._ended.set), writing

    @asynccontextmanager
    async def _process_streams(self) -> AsyncIterator[Any]:
        from mcp.client.stdio import StdioServerParameters, stdio_client

        program, *arguments = self._parameters.command
        started = StdioServerParameters(
            command=program, args=arguments, env=self._parameters.environment, cwd=self._parameters.cwd
        )
        async with AsyncExitStack() as stack:
            with self._log.pipe() as stderr:
                streams = await stack.enter_async_context(stdio_client(started, errlog=stderr))
            yield streams

    @asynccontextmanager
    async def _http_streams(self) -> AsyncIterator[Any]:
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        async def note_status(response: Any) -> None:
            self.status = response.status_code if response.status_code >= 400 else None

        http_client = httpx2.AsyncClient(
            headers=self._parameters.http_headers,
            auth=self._options.auth,
            timeout=httpx2.Timeout(30.0, read=None),  # a call and the handshake have limits of their own
            event_hooks={"response": [note_status]},
            trust_env=not self._parameters.is_local,  # a proxy knows nothing of this machine's own servers
        )
        async with (
            http_client,
            streamable_http_client(
                self._parameters.url, http_client=http_client, max_sse_event_size=_MOST_EVENT_BYTES
            ) as streams,
        ):
            yield streams


class _WatchedStream:
    """A stream of the SDK that tells when it ends."""

    def __init__(self, stream: Any, on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._on_end = on_end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> _WatchedStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._on_end()
            raise

    async def __aenter__(self) -> _WatchedStream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> Any:
        return await self._stream.__aexit__(*exc_info)
