"""The service's contract over HTTP: every endpoint behind the same order of checks.

A missing or malformed parameter is told before a missing token, and that before anything that is not there.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from upload_tui.backend.endpoints.accounts import AccountEndpoints
from upload_tui.backend.endpoints.answers import answer, answer_http_error, answer_problem
from upload_tui.backend.endpoints.desk import API_PATH, Desk
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.endpoints.files import FileEndpoints
from upload_tui.backend.endpoints.folders import FolderEndpoints
from upload_tui.backend.endpoints.operations import OperationEndpoints
from upload_tui.backend.endpoints.projects import ProjectEndpoints
from upload_tui.backend.endpoints.stored import StoredEndpoints
from upload_tui.backend.endpoints.uploads import UploadEndpoints
from upload_tui.backend.parameters import read_parameters, read_query
from upload_tui.backend.problems import ProblemError
from upload_tui.wire.designs import Design

__all__ = ["API_PATH", "OPENAPI_PATH", "application", "endpoints_of"]


OPENAPI_PATH = f"{API_PATH}/openapi.json"
"""Where the OpenAPI page is; it asks for no token, for it tells nothing but what this program is."""


def application(desk: Desk, design: Design) -> Starlette:
    """The ASGI application of all endpoints; `design` is the shape of `status` unless a request asks for another."""
    handlers: Mapping[Any, Any] = {HTTPException: answer_http_error, ProblemError: answer_problem}
    endpoints = endpoints_of(desk, design)

    @cache  # it takes a while, and says the same every time
    def openapi_page(base_url: str) -> Response:
        from upload_tui.backend.openapi import describe  # a demo never needs it

        return answer(describe(endpoints, base_url))

    async def show_page(_: Request) -> Response:
        return openapi_page(desk.place.base_url)

    routes = [Route(endpoint.path, _checked(endpoint, desk), methods=[endpoint.method]) for endpoint in endpoints]
    return Starlette(routes=[*routes, Route(OPENAPI_PATH, show_page)], exception_handlers=handlers)


def endpoints_of(desk: Desk, design: Design) -> Sequence[Endpoint]:
    """All endpoints that the OpenAPI page describes."""
    return (
        *AccountEndpoints(desk).endpoints(),
        *OperationEndpoints(desk).endpoints(),
        *ProjectEndpoints(desk).endpoints(),
        *UploadEndpoints(desk, design).endpoints(),
        *FolderEndpoints(desk).endpoints(),
        *FileEndpoints(desk).endpoints(),
        *StoredEndpoints(desk).endpoints(),
    )


def _checked(endpoint: Endpoint, desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint behind its checks, in their one order."""

    async def checked(request: Request) -> Response:
        parameters: object = None
        if endpoint.body is not None:
            parameters = await read_parameters(request, endpoint.body)
        elif endpoint.query is not None:
            parameters = read_query(request, endpoint.query)
        if endpoint.needs_token:
            desk.check_token(request)
        return await endpoint.handler(Call(request, parameters))

    return checked
