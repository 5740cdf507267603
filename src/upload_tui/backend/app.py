"""The ASGI application: every endpoint of the wire contract behind the same order of checks.

A missing or malformed parameter (400) comes before a missing token (401), and that before a missing resource (404).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from upload_tui.backend.api_errors import ApiError
from upload_tui.backend.context import API_PATH, ServiceContext
from upload_tui.backend.endpoints.accounts import AccountEndpoints
from upload_tui.backend.endpoints.blobs import BlobEndpoints
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.endpoints.files import FileEndpoints
from upload_tui.backend.endpoints.folders import FolderEndpoints
from upload_tui.backend.endpoints.operations import OperationEndpoints
from upload_tui.backend.endpoints.projects import ProjectEndpoints
from upload_tui.backend.endpoints.responses import handle_api_error, handle_http_error, json_response
from upload_tui.backend.endpoints.uploads import UploadEndpoints
from upload_tui.backend.request_models import read_body, read_query
from upload_tui.wire import StatusShape

__all__ = ["API_PATH", "OPENAPI_PATH", "create_app", "all_endpoints"]


OPENAPI_PATH = f"{API_PATH}/openapi.json"
"""The path of the OpenAPI page. It needs no token: it holds no data."""


def create_app(context: ServiceContext, status_shape: StatusShape) -> Starlette:
    """Create the ASGI application. `status_shape` is the shape of `status` unless a request header names another."""
    handlers: Mapping[Any, Any] = {HTTPException: handle_http_error, ApiError: handle_api_error}
    endpoints = all_endpoints(context, status_shape)

    @cache  # slow to build, always the same
    def openapi_page(base_url: str) -> Response:
        from upload_tui.backend.openapi import openapi_document  # the demo never needs it

        return json_response(openapi_document(endpoints, base_url))

    async def show_page(_: Request) -> Response:
        return openapi_page(context.address.base_url)

    routes = [
        Route(endpoint.path, _with_checks(endpoint, context), methods=[endpoint.method]) for endpoint in endpoints
    ]
    return Starlette(routes=[*routes, Route(OPENAPI_PATH, show_page)], exception_handlers=handlers)


def all_endpoints(context: ServiceContext, status_shape: StatusShape) -> Sequence[Endpoint]:
    """All endpoints that the OpenAPI page describes."""
    return (
        *AccountEndpoints(context).endpoints(),
        *OperationEndpoints(context).endpoints(),
        *ProjectEndpoints(context).endpoints(),
        *UploadEndpoints(context, status_shape).endpoints(),
        *FolderEndpoints(context).endpoints(),
        *FileEndpoints(context).endpoints(),
        *BlobEndpoints(context).endpoints(),
    )


def _with_checks(endpoint: Endpoint, context: ServiceContext) -> Callable[[Request], Awaitable[Response]]:
    """Wrap an endpoint in its checks, in their order."""

    async def checked(request: Request) -> Response:
        parameters: object = None
        if endpoint.body is not None:
            parameters = await read_body(request, endpoint.body)
        elif endpoint.query is not None:
            parameters = read_query(request, endpoint.query)
        if endpoint.needs_token:
            context.check_token(request)
        return await endpoint.handler(Call(request, parameters))

    return checked
