"""The uvicorn server that `serve`, the testing kit and tests share."""

import asyncio
import json
import logging
import socket
from collections.abc import Sequence

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from upload_tui.backend.api_errors import ApiError

__all__ = ["GRACE_SECONDS", "HttpServer", "http_server"]

GRACE_SECONDS = 5.0
"""How long a stopping server waits for requests under way."""

_EVENT_BYTES = 256 * 1024
"""Larger than the service's own limit for headers, so that the service rejects them in its error envelope."""
_POLL_SECONDS = 0.05
_CANCEL_SECONDS = 0.5
"""How long a handler has to end once its connection is closed. One that waits for a thread may not end at all."""

_logger = logging.getLogger(__name__)


def http_server(app: ASGIApp, log_level: str = "warning", grace_seconds: float = GRACE_SECONDS) -> "HttpServer":
    """Create a server, not yet running. It logs no tokens and no signed URLs."""
    config = uvicorn.Config(
        _log_errors(app),
        http=_Protocol,
        h11_max_incomplete_event_size=_EVENT_BYTES,
        lifespan="off",
        log_level=log_level,
        access_log=False,  # signed URLs are secrets
        date_header=False,  # the service's clock sets the date
        server_header=False,
    )
    return HttpServer(config, grace_seconds)


class HttpServer(uvicorn.Server):
    """A server that stops in a bounded time, and leaves signals to its caller.

    It stops when `serve` is cancelled or `should_exit` is set. Requests under way then have the grace period to end; after it,
    or at once if `serve` is cancelled again, their connections are closed.

    Args:
        config: uvicorn's configuration.
        grace_seconds: the grace period.
    """

    def __init__(self, config: uvicorn.Config, grace_seconds: float) -> None:
        super().__init__(config)
        self._grace_seconds = grace_seconds

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until stopped. All connections are closed when this returns."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets)
        try:
            await self.main_loop()
        finally:
            await self.shutdown(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections; end those that exist, by force after the grace period."""
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        try:
            await self._drain()
        finally:
            await self._close_connections()

    async def _drain(self) -> None:
        """Wait for requests under way; close idle connections, also one that was accepted a moment ago."""
        state, loop = self.server_state, asyncio.get_running_loop()
        deadline = loop.time() + self._grace_seconds
        while (state.connections or state.tasks) and not self.force_exit and loop.time() < deadline:
            for connection in list(state.connections):
                if not connection.transport.is_closing():
                    connection.shutdown()
            await asyncio.sleep(_POLL_SECONDS)

    async def _close_connections(self) -> None:
        connections, tasks = list(self.server_state.connections), list(self.server_state.tasks)
        for connection in connections:
            connection.transport.abort()
        if connections:
            _logger.warning("Stopped with %d unfinished requests", len(connections))
        await _wait(tasks)  # most handlers end when their connection does
        for task in tasks:
            task.cancel()
        await _wait(tasks)


class _Protocol(H11Protocol):
    """HTTP/1.1, with the service's error envelope for malformed requests."""

    def send_400_response(self, msg: str) -> None:
        """Respond to malformed HTTP and close the connection."""
        body = json.dumps(ApiError(400, msg, "send a valid HTTP/1.1 request").body, separators=(",", ":")).encode()
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def _log_errors(app: ASGIApp) -> ASGIApp:
    """Wrap an application: an error in the middle of a response closes the connection and is logged without a traceback."""

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except (asyncio.CancelledError, ClientDisconnect):
            pass  # the connection is closed
        except Exception as error:  # noqa: BLE001  # uvicorn closes the connection of an unfinished response
            method, path, kind = scope.get("method"), scope["path"], type(error).__name__
            _logger.error("%s %s: %s: %s", method, path, kind, error)  # noqa: TRY400

    return logged


async def _wait(tasks: Sequence["asyncio.Task[None]"]) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)
