"""The ASGI application: every endpoint of the wire contract behind the same order of checks.

A missing or malformed parameter (400) comes before a missing token (401), and that before a missing resource (404).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from upload_tui.backend.api_errors import ApiError
from upload_tui.backend.context import ServiceContext
from upload_tui.backend.endpoints.accounts import AccountEndpoints
from upload_tui.backend.endpoints.affiliates import AffiliateEndpoints
from upload_tui.backend.endpoints.blobs import BlobEndpoints
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.endpoints.files import FileEndpoints
from upload_tui.backend.endpoints.folders import FolderEndpoints
from upload_tui.backend.endpoints.operations import OperationEndpoints
from upload_tui.backend.endpoints.projects import ProjectEndpoints
from upload_tui.backend.endpoints.responses import ERROR_HANDLERS, json_response
from upload_tui.backend.endpoints.uploads import UploadEndpoints
from upload_tui.backend.request_models import read_body, read_query
from upload_tui.wire import API_PATH, STATUS_SHAPE_HEADER, StatusShape

__all__ = ["OPENAPI_PATH", "create_app", "all_endpoints"]

_Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

OPENAPI_PATH = f"{API_PATH}/openapi.json"
"""The path of the OpenAPI page. It needs no token: it holds no data."""


def create_app(context: ServiceContext, status_shape: StatusShape) -> Starlette:
    """Create the ASGI application. `status_shape` is the shape of `status` unless a request header names another."""
    endpoints = all_endpoints(context)

    @cache  # slow to build, always the same
    def openapi_page(base_url: str) -> Response:
        from upload_tui.backend.openapi import openapi_document  # the demo never needs it

        return json_response(openapi_document(endpoints, base_url))

    async def show_page(_: Request) -> Response:
        return openapi_page(context.address.base_url)

    routes = [*_routes(endpoints, context, status_shape), Route(OPENAPI_PATH, show_page)]
    return Starlette(routes=routes, exception_handlers=ERROR_HANDLERS)


def all_endpoints(context: ServiceContext) -> Sequence[Endpoint]:
    """All endpoints that the OpenAPI page describes."""
    return (
        *AccountEndpoints(context).endpoints(),
        *AffiliateEndpoints(context).endpoints(),
        *OperationEndpoints(context).endpoints(),
        *ProjectEndpoints(context).endpoints(),
        *UploadEndpoints(context).endpoints(),
        *FolderEndpoints(context).endpoints(),
        *FileEndpoints(context).endpoints(),
        *BlobEndpoints(context).endpoints(),
    )


class _NumberConvertor(Convertor[int]):
    """A number in a path. A longer one is an unknown path: Python does not convert text of any length."""

    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("number", _NumberConvertor())


def _routes(endpoints: Sequence[Endpoint], context: ServiceContext, status_shape: StatusShape) -> Sequence[Route]:
    """Create one route for each path, so that the header `Allow` of a 405 lists all of its methods."""
    handlers: dict[str, dict[str, _Handler]] = {}
    for endpoint in endpoints:
        path = endpoint.path.replace(":int}", ":number}")
        handlers.setdefault(path, {})[endpoint.method] = _with_checks(endpoint, context, status_shape)
    return [Route(path, _by_method(methods), methods=list(methods)) for path, methods in handlers.items()]


def _by_method(handlers: Mapping[str, _Handler]) -> _Handler:
    async def handle(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await handlers[method](request)

    return handle


def _with_checks(endpoint: Endpoint, context: ServiceContext, status_shape: StatusShape) -> _Handler:
    """Wrap an endpoint in its checks, in their order. A request that they refuse has no effect."""

    async def checked(request: Request) -> Response:
        parameters: object = None
        if endpoint.body is not None:
            parameters = await read_body(request, endpoint.body)
        elif endpoint.query is not None:
            parameters = read_query(request, endpoint.query)
        shape = _requested_shape(request, status_shape) if endpoint.has_status else status_shape
        if endpoint.needs_token:
            context.check_token(request)
        return await endpoint.handler(Call(request, parameters, shape))

    return checked


def _requested_shape(request: Request, default: StatusShape) -> StatusShape:
    """Return the status shape that a request names.

    Raises:
        ApiError: 400, there is no such shape.
    """
    name = request.headers.get(STATUS_SHAPE_HEADER)
    try:
        return default if name is None else StatusShape(name.lower())
    except ValueError:
        raise ApiError(400, f"{STATUS_SHAPE_HEADER} is invalid", f"use one of {', '.join(StatusShape)}") from None
