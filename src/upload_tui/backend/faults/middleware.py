"""Middleware between clients and endpoints: adds the service's date and injects faults."""

import json
from datetime import timedelta
from email.utils import format_datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from upload_tui.backend.api_errors import TRY_LATER, ApiError, storage_unavailable, too_large
from upload_tui.backend.faults.model import FaultName, Faults
from upload_tui.clock import Clock

__all__ = ["FaultInjectionMiddleware"]

_HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
_MALFORMED = b'{"results": [{"id": NaN, \'status\': {,}]'
_GATEWAY_TIMEOUT = b"<html><body><h1>504 Gateway Time-out</h1></body></html>"
_MAX_HEADER_BYTES = 32 * 1024
"""Limit for headers, and for path and query; no client needs more."""
_MAX_DOUBLED_BODY_BYTES = 1024 * 1024
_RETRY_SECONDS = 10.0


class FaultInjectionMiddleware:
    """An ASGI application around the endpoints.

    Args:
        app: the endpoints.
        faults: the faults to inject.
        clock: the service's time, for the `Date` header and for delays.
    """

    def __init__(self, app: ASGIApp, faults: Faults, clock: Clock) -> None:
        self._app = app
        self._faults = faults
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        error = _size_error(scope) or self._injected_error()
        if self._faults.is_active(FaultName.SLOW_ANSWERS):
            await self._faults.sleep(FaultName.SLOW_ANSWERS, self._faults.value(FaultName.SLOW_ANSWERS))
        if error is not None:
            body = json.dumps(error.body, separators=(",", ":")).encode()
            await self._respond(send, error.status, body, b"application/json", error.headers)
        elif self._faults.is_active(FaultName.GARBAGE):
            await self._respond(send, 200, _HTML, b"text/html", {})
        elif self._faults.is_active(FaultName.MALFORMED_JSON):
            await self._respond(send, 200, _MALFORMED, b"application/json", {})
        else:
            await self._forward(scope, receive, send)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to the endpoints, once or twice, and return or drop the response."""
        if self._faults.is_active(FaultName.DOUBLED_REQUESTS):
            received = await _buffer_body(receive)
            if not received[-1].get("more_body", False):
                await self._app(dict(scope), _replay(received, receive), _discard)
            receive = _replay(received, receive)
        if self._faults.is_active(FaultName.DROPPED_ANSWERS):
            await self._app(scope, receive, _discard)
            await self._faults.sleep(FaultName.DROPPED_ANSWERS, self._faults.value(FaultName.DROPPED_ANSWERS))
            await self._respond(send, 504, _GATEWAY_TIMEOUT, b"text/html", {})
        else:
            await self._app(scope, receive, self._with_date(send))

    def _injected_error(self) -> ApiError | None:
        if self._faults.is_active(FaultName.OUTAGE):
            return ApiError(503, "The service is down for maintenance", TRY_LATER)
        if self._faults.is_active(FaultName.TOO_MANY_REQUESTS):
            wait = max(1, round(min(_RETRY_SECONDS, self._faults.seconds_left(FaultName.TOO_MANY_REQUESTS))))
            return ApiError(429, "Too many requests", TRY_LATER, headers={"Retry-After": str(wait)})
        if self._faults.is_active(FaultName.SERVER_ERROR):
            return storage_unavailable()
        return None

    async def _respond(
        self, send: Send, status: int, body: bytes, content_type: bytes, headers: dict[str, str]
    ) -> None:
        own = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        fixed = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
        dated = self._with_date(send)
        await dated({"type": "http.response.start", "status": status, "headers": [*fixed, *own]})
        await dated({"type": "http.response.body", "body": body})

    def _with_date(self, send: Send) -> Send:
        """Wrap `send`: add the `Date` header, and cut the body in half if that fault is active."""
        is_cut = self._faults.is_active(FaultName.CUT_ANSWERS)

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                skew = timedelta(seconds=self._faults.value(FaultName.SKEWED_CLOCK))
                date = format_datetime(self._clock.now() + skew, usegmt=True).encode()
                message["headers"] = [*message["headers"], (b"date", date)]
                if is_cut:
                    message["headers"] = [pair for pair in message["headers"] if pair[0].lower() != b"content-length"]
            elif is_cut:
                message["body"] = message.get("body", b"")[: len(message.get("body", b"")) // 2]
            await send(message)

        return dated


def _size_error(scope: Scope) -> ApiError | None:
    """Reject oversized headers, or an oversized path and query."""
    if sum(len(name) + len(value) for name, value in scope["headers"]) > _MAX_HEADER_BYTES:
        return too_large("headers", _MAX_HEADER_BYTES, 400)
    if len(scope["path"]) + len(scope["query_string"]) > _MAX_HEADER_BYTES:
        return too_large("path", _MAX_HEADER_BYTES, 400)
    return None


async def _buffer_body(receive: Receive) -> list[Message]:
    """Read a request's body into memory up to a limit; a chunk's bytes stay in the stream."""
    messages, size = [await receive()], 0
    while messages[-1].get("more_body", False) and size <= _MAX_DOUBLED_BODY_BYTES:
        size += len(messages[-1].get("body", b""))
        messages.append(await receive())
    return messages


def _replay(received: list[Message], receive: Receive) -> Receive:
    """Repeat received messages, then continue with new ones."""
    left = iter(received)

    async def receive_again() -> Message:
        message = next(left, None)
        return await receive() if message is None else message

    return receive_again


async def _discard(_: Message) -> None:
    """Drop a message of the response."""
