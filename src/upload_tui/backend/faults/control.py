"""The control endpoint lists, starts and stops faults over HTTP. It exists only with `serve --control`.

It handles requests before the fault middleware, so that an outage can be stopped. It requires the account's token.

    GET    /api/v1/control/faults          all faults, and which are active
    GET    /api/v1/control/faults/{name}   one fault
    PUT    /api/v1/control/faults/{name}   {"value": …, "seconds": …}, both optional; without `seconds` until stopped
    DELETE /api/v1/control/faults/{name}   204
"""

from typing import Annotated

from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from upload_tui.backend.api_errors import not_found
from upload_tui.backend.auth import TokenAuthority
from upload_tui.backend.endpoints.responses import ERROR_HANDLERS
from upload_tui.backend.faults.model import FAULT_DESCRIPTIONS, FAULT_VALUES, LARGEST_VALUE, FaultName, Faults
from upload_tui.backend.request_models import Number, RequestModel, read_body
from upload_tui.wire import API_PATH, format_time

__all__ = ["FaultControlApp"]

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
        fault = self._faults.active.get(name)
        default, meaning = FAULT_VALUES.get(name, (None, "duration in seconds"))
        return {
            "name": name,
            "description": FAULT_DESCRIPTIONS[name],
            "value_means": meaning,
            "default_value": default,
            "is_on": fault is not None,
            "value": fault.value if fault and name in FAULT_VALUES else None,
            "until": format_time(fault.until) if fault and fault.until else None,
        }


def _fault_name(request: Request) -> FaultName:
    try:
        return FaultName(request.path_params["name"])
    except ValueError:
        raise not_found("Fault") from None
