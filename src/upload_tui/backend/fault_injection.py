"""Middleware that adds the service's date and injects faults, and the endpoint that starts and stops them.

It handles requests before the fault middleware, so that an outage can be stopped. It requires the account's token.

    GET    /api/v1/control/faults          all faults, and which are active
    GET    /api/v1/control/faults/{name}   one fault
    PUT    /api/v1/control/faults/{name}   {"value": …, "seconds": …}, both optional; without `seconds` until stopped
    DELETE /api/v1/control/faults/{name}   204
"""

import json
from datetime import timedelta
from email.utils import format_datetime
from typing import Annotated

from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from upload_tui.backend.api_errors import TRY_LATER, ApiError, not_found, storage_unavailable, too_large
from upload_tui.backend.auth import TokenAuthority
from upload_tui.backend.endpoints.endpoint import ERROR_HANDLERS
from upload_tui.backend.faults import FAULT_DESCRIPTIONS, FAULT_VALUES, LARGEST_VALUE, FaultName, Faults
from upload_tui.backend.request_models import Number, RequestModel, read_body
from upload_tui.clock import Clock
from upload_tui.wire import API_PATH, format_time

__all__ = ["FaultControlApp", "FaultInjectionMiddleware"]

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


_PATH = f"{API_PATH}/control/"


class FaultRequest(RequestModel):
    """How to start a fault; None uses the fault's default."""

    value: Annotated[Number, Field(allow_inf_nan=False, ge=-LARGEST_VALUE, le=LARGEST_VALUE)] | None = None
    seconds: Annotated[Number, Field(gt=0, allow_inf_nan=False, le=LARGEST_VALUE)] | None = None


class FaultControlApp:
    """An ASGI application around the service.

    Args:
        app: the service.
        faults: the faults to control.
        authority: verifies tokens.
    """

    def __init__(self, app: ASGIApp, faults: Faults, authority: TokenAuthority) -> None:
        self._app = app
        self._faults = faults
        self._authority = authority
        self._control_app = Starlette(
            routes=[
                Route(f"{_PATH}faults", self._list, methods=["GET"]),
                Route(f"{_PATH}faults/{{name}}", self._handle_one, methods=["GET", "PUT", "DELETE"]),
            ],
            exception_handlers=ERROR_HANDLERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        is_own = scope["type"] == "http" and scope["path"].startswith(_PATH)
        await (self._control_app if is_own else self._app)(scope, receive, send)

    async def _list(self, request: Request) -> Response:
        self._check_token(request)
        return JSONResponse({"results": [self._serialize(name) for name in FaultName]})

    async def _handle_one(self, request: Request) -> Response:
        """Handle all methods of a fault's path; one route, so that the header `Allow` of a 405 lists them."""
        handlers = {"PUT": self._start, "DELETE": self._stop}
        return await handlers.get(request.method, self._show)(request)

    async def _show(self, request: Request) -> Response:
        self._check_token(request)
        return JSONResponse(self._serialize(_fault_name(request)))

    async def _start(self, request: Request) -> Response:
        options = await read_body(request, FaultRequest)
        self._check_token(request)
        name = _fault_name(request)
        if options.seconds is None:
            self._faults.start_until_stopped(name, options.value)
        else:
            self._faults.start(name, options.seconds, options.value)
        return JSONResponse(self._serialize(name))

    async def _stop(self, request: Request) -> Response:
        self._check_token(request)
        self._faults.stop(_fault_name(request))
        return Response(status_code=204)

    def _check_token(self, request: Request) -> None:
        self._authority.check_token(request.headers.get("authorization"))

    def _serialize(self, name: FaultName) -> dict[str, object]:
        fault, ends_on = self._faults.active.get(name), self._faults.ends_on(name)
        default, meaning = FAULT_VALUES.get(name, (None, "duration in seconds"))
        return {
            "name": name,
            "description": FAULT_DESCRIPTIONS[name],
            "value_means": meaning,
            "default_value": default,
            "is_on": fault is not None,
            "value": fault.value if fault and name in FAULT_VALUES else None,
            "until": format_time(ends_on) if ends_on else None,
        }


def _fault_name(request: Request) -> FaultName:
    try:
        return FaultName(request.path_params["name"])
    except ValueError:
        raise not_found("Fault") from None
