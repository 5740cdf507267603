"""What lies between a client and the endpoints: tidy paths, the service's own clock in every answer, and bad weather on demand."""

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from upload_tui.backend.api_errors import ApiError
from upload_tui.backend.faults.model import FaultName, Faults
from upload_tui.clock import Clock

__all__ = ["FaultInjectionMiddleware"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
_MALFORMED = b'{"results": [{"id": NaN, \'status\': {,}]'
_GATEWAY_TIMEOUT = b"<html><body><h1>504 Gateway Time-out</h1></body></html>"
_MAX_HEADER_BYTES = 32 * 1024
"""So much of headers, and so much of path and query, is more than any client has reason to send."""
_MAX_DOUBLED_BODY_BYTES = 1024 * 1024
_RETRY_SECONDS = 10.0
_REPEATED_SLASHES = re.compile("//+")
_TRY_LATER = "try again in a few minutes, or contact the systems administrators"


class FaultInjectionMiddleware:
    """An ASGI application around the endpoints.

    Args:
        app: the endpoints.
        faults: which weather there is.
        clock: the service's time, for the `Date` header and for slow answers.
    """

    def __init__(self, app: Application, faults: Faults, clock: Clock) -> None:
        self._app = app
        self._faults = faults
        self._clock = clock

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = _REPEATED_SLASHES.sub("/", scope["path"]).rstrip("/") or "/"
        problem = _size_error(scope) or self._injected_error()
        if self._faults.is_active(FaultName.SLOW_ANSWERS):
            await self._clock.sleep(self._faults.value(FaultName.SLOW_ANSWERS))
        if problem is not None:
            body = json.dumps(problem.body, separators=(",", ":")).encode()
            await self._respond(send, problem.status, body, b"application/json", problem.headers)
        elif self._faults.is_active(FaultName.GARBAGE):
            await self._respond(send, 200, _HTML, b"text/html", {})
        elif self._faults.is_active(FaultName.MALFORMED_JSON):
            await self._respond(send, 200, _MALFORMED, b"application/json", {})
        else:
            await self._forward(scope, receive, send)

    async def _forward(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let the endpoints do it: once or twice, and tell the client or not."""
        if self._faults.is_active(FaultName.DOUBLED_REQUESTS):
            received = await _buffer_body(receive)
            if not received[-1].get("more_body", False):
                await self._app(dict(scope), _replay(received, receive), _discard)
            receive = _replay(received, receive)
        if self._faults.is_active(FaultName.DROPPED_ANSWERS):
            await self._app(scope, receive, _discard)
            await self._clock.sleep(self._faults.value(FaultName.DROPPED_ANSWERS))
            await self._respond(send, 504, _GATEWAY_TIMEOUT, b"text/html", {})
        else:
            await self._app(scope, receive, self._with_date(send))

    def _injected_error(self) -> ApiError | None:
        if self._faults.is_active(FaultName.OUTAGE):
            return ApiError(503, "The service is down for maintenance", _TRY_LATER)
        if self._faults.is_active(FaultName.TOO_MANY_REQUESTS):
            wait = max(1, round(min(_RETRY_SECONDS, self._faults.seconds_left(FaultName.TOO_MANY_REQUESTS))))
            return ApiError(429, "Too many requests", _TRY_LATER, headers={"Retry-After": str(wait)})
        if self._faults.is_active(FaultName.SERVER_ERROR):
            return ApiError(500, "The storage provider is unavailable", _TRY_LATER)
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
        """A sender that says the service's time, and that breaks off half way in the worst of weathers."""
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


def _size_error(scope: Message) -> ApiError | None:
    """A refusal of headers, or of a path and query, beyond all reason."""
    if sum(len(name) + len(value) for name, value in scope["headers"]) > _MAX_HEADER_BYTES:
        return ApiError(400, "request headers too large", f"send at most {_MAX_HEADER_BYTES} bytes")
    if len(scope["path"]) + len(scope["query_string"]) > _MAX_HEADER_BYTES:
        return ApiError(400, "request path too large", f"send at most {_MAX_HEADER_BYTES} bytes")
    return None


async def _buffer_body(receive: Receive) -> list[Message]:
    """A request's body as far as it is small; a chunk's bytes are not held in memory."""
    messages, size = [await receive()], 0
    while messages[-1].get("more_body", False) and size <= _MAX_DOUBLED_BODY_BYTES:
        size += len(messages[-1].get("body", b""))
        messages.append(await receive())
    return messages


def _replay(received: list[Message], receive: Receive) -> Receive:
    """What was received, once more, and then what comes."""
    left = iter(received)

    async def receive_again() -> Message:
        message = next(left, None)
        return await receive() if message is None else message

    return receive_again


async def _discard(_: Message) -> None:
    """Nobody hears the answer."""
