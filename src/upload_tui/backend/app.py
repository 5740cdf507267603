"""The ASGI application: every endpoint of the wire contract behind the same checks; its envelope and its OpenAPI document.

A missing or malformed parameter (400) comes before a missing token (401), and that before a missing resource (404).
"""

import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from inspect import getdoc
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, TypeAdapter
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from upload_tui import __version__
from upload_tui.backend.api_errors import ApiError, unexpected_error
from upload_tui.backend.context import ServiceContext
from upload_tui.backend.endpoints.accounts import AccountEndpoints, AffiliateEndpoints
from upload_tui.backend.endpoints.endpoint import (
    ERROR_HANDLERS,
    LIMIT_HEADERS,
    PAGE_HEADERS,
    Call,
    Endpoint,
    json_response,
)
from upload_tui.backend.endpoints.operations import OperationEndpoints
from upload_tui.backend.endpoints.projects import FileEndpoints, FolderEndpoints, ProjectEndpoints
from upload_tui.backend.endpoints.transfers import CONDITION_HEADERS, DOWNLOAD_HEADERS, BlobEndpoints
from upload_tui.backend.endpoints.uploads import UploadEndpoints
from upload_tui.backend.request_models import Paging, read_body, read_query
from upload_tui.backend.schemas import ErrorSchema, ParameterErrorSchema
from upload_tui.wire import API_PATH, STATUS_SHAPE_HEADER, StatusShape

__all__ = ["EnvelopeMiddleware", "OPENAPI_PATH", "OriginMiddleware", "all_endpoints", "create_app", "openapi_document"]

_Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

OPENAPI_PATH = f"{API_PATH}/openapi.json"
"""The path of the OpenAPI page. It needs no token: it holds no data."""


def create_app(context: ServiceContext, status_shape: StatusShape) -> Starlette:
    """Create the ASGI application. `status_shape` is the shape of `status` unless a request header names another."""
    endpoints = all_endpoints(context)

    @cache  # slow to build, always the same
    def openapi_page(base_url: str) -> Response:
        return json_response(openapi_document(endpoints, base_url))

    async def show_page(_: Request) -> Response:
        return openapi_page(context.address.base_url)

    routes = [*_routes(endpoints, context, status_shape), Route(OPENAPI_PATH, show_page)]
    return Starlette(routes=routes, exception_handlers=ERROR_HANDLERS)


def all_endpoints(context: ServiceContext) -> Sequence[Endpoint]:
    """All endpoints that the OpenAPI page describes. Routes are matched in this order, so those of uploads come first."""
    return (
        *UploadEndpoints(context).endpoints(),
        *BlobEndpoints(context).endpoints(),
        *AccountEndpoints(context).endpoints(),
        *AffiliateEndpoints(context).endpoints(),
        *OperationEndpoints(context).endpoints(),
        *ProjectEndpoints(context).endpoints(),
        *FolderEndpoints(context).endpoints(),
        *FileEndpoints(context).endpoints(),
    )


class _NumberConvertor(Convertor[int]):
    """A number in a path, of limited length: Python refuses to convert very long ones, so their paths are unknown."""

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
        # Also where the response has no status, so that a wrong `X-Status-Design` is always an error.
        shape = _requested_shape(request, status_shape)
        if endpoint.needs_token:
            context.check_token(request)
        context.worker.apply_retention_if_due()
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


_Mode = Literal["validation", "serialization"]
_REFERENCE = "#/components/schemas/{model}"
_PATH_PARAMETER = re.compile(r"{(\w+)(?::(\w+))?}")
_ERROR_SCHEMAS = ErrorSchema | ParameterErrorSchema
_COMMON_ERROR_STATUSES = (400, 429, 500, 503)
_BINARY_CONTENT = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_FORM_HINT = "Form fields are accepted as well, nested ones in brackets: `hash[value]=…`."
"""A second media type for the same body breaks common generators of clients, so it is only mentioned."""
_ERROR_REFERENCE = {"$ref": "#/components/responses/Error"}
_DOWNLOAD_RESPONSES = {
    "206": {"description": HTTPStatus(206).phrase, "content": _BINARY_CONTENT},
    "304": {"description": HTTPStatus(304).phrase},
    "412": _ERROR_REFERENCE,
    "416": _ERROR_REFERENCE,
}
"""What a download answers to its conditional headers."""


def openapi_document(endpoints: Sequence[Endpoint], server_url: str) -> Mapping[str, Any]:
    """Describe endpoints of a service at a URL."""
    schemas = _Schemas(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = _PATH_PARAMETER.sub(r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "upload-tui's embedded data service",
            "version": __version__,
            "description": "Projects, files and chunked uploads, verified after they are completed.",
        },
        "servers": [{"url": server_url}],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "responses": {"Error": schemas.error_response},
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "Authorization"}},
        },
    }


class _Schemas:
    """JSON schemas of all request models and response types; each named type is defined once."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        types: dict[tuple[str, _Mode], Any] = {("error", "serialization"): _ERROR_SCHEMAS}
        for endpoint in endpoints:
            for model in (endpoint.body, endpoint.query):
                if model is not None:
                    types[model.__name__, "validation"] = model
            if endpoint.response_model not in {None, bytes}:
                types[repr(endpoint.response_model), "serialization"] = endpoint.response_model
        adapters = [(name, mode, TypeAdapter[Any](kind)) for (name, mode), kind in types.items()]
        self._schemas, defined = TypeAdapter.json_schemas(adapters, ref_template=_REFERENCE)
        self.definitions = defined["$defs"]

    @property
    def error_response(self) -> Mapping[str, Any]:
        """The one response that describes all errors, whatever their status."""
        content = {"application/json": {"schema": self._schemas["error", "serialization"]}}
        return {"description": "An error: what is wrong, and what can help", "content": content}

    def response(self, kind: Any) -> Mapping[str, Any]:
        """The schema of a response type."""
        return self._schemas[repr(kind), "serialization"]

    def reference(self, model: type[BaseModel]) -> Mapping[str, Any]:
        """The schema of a request model, a reference to its definition."""
        return self._schemas[model.__name__, "validation"]

    def request(self, model: type[BaseModel]) -> Mapping[str, Any]:
        """The schema of a request model, its reference resolved."""
        schema = self._schemas[model.__name__, "validation"]
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        definition: Mapping[str, Any] = self.definitions[name] if name else schema
        return definition


def _operation(endpoint: Endpoint, schemas: _Schemas) -> Mapping[str, Any]:
    summary, _, rest = (getdoc(endpoint.handler) or "").partition("\n")
    operation: dict[str, Any] = {
        "tags": [_resource(endpoint)],
        "summary": summary,
        "operationId": _operation_id(endpoint),
        "parameters": list(_parameters(endpoint, schemas)),
        "responses": {
            str(endpoint.status): _success_response(endpoint, schemas),
            **(_DOWNLOAD_RESPONSES if endpoint.response_model is bytes else {}),
            **{str(status): _ERROR_REFERENCE for status in sorted(_error_statuses(endpoint))},
        },
    }
    if rest.strip():
        operation["description"] = rest.strip()
    if endpoint.body is not None:
        content = {"application/json": {"schema": schemas.reference(endpoint.body)}}
        operation["requestBody"] = {"description": _FORM_HINT, "required": True, "content": content}
    elif endpoint.has_binary_body:
        operation["requestBody"] = {"required": True, "content": _BINARY_CONTENT}
    operation["security"] = [{"token": []}] if endpoint.needs_token else []
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    """Name an operation by resource and handler: `upload_initiate`."""
    return f"{_resource(endpoint)}_{endpoint.handler.__name__}"


def _resource(endpoint: Endpoint) -> str:
    """Name the kind of resource that an endpoint belongs to: `upload`."""
    endpoints = type(endpoint.handler.__self__)  # type: ignore[attr-defined]
    return str(endpoints.__name__.removesuffix("Endpoints").lower())


def _parameters(endpoint: Endpoint, schemas: _Schemas) -> Iterator[Mapping[str, Any]]:
    for name, converter in _PATH_PARAMETER.findall(endpoint.path):
        schema = {"type": "integer", "minimum": 0} if converter == "int" else {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if endpoint.query is not None:
        for name, schema in schemas.request(endpoint.query)["properties"].items():
            yield {"name": name, "in": "query", "required": False, "schema": schema}
    if endpoint.has_status:
        schema = {"type": "string", "enum": [str(design) for design in StatusShape]}
        shape = {"name": STATUS_SHAPE_HEADER, "description": "the shape of `status` in this response", "schema": schema}
        yield {**shape, "in": "header", "required": False}
    if endpoint.response_model is bytes:
        for name in CONDITION_HEADERS:
            yield {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}


def _success_response(endpoint: Endpoint, schemas: _Schemas) -> Mapping[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(endpoint.status).phrase}
    if endpoint.response_model is bytes:
        good["content"] = _BINARY_CONTENT
    elif endpoint.response_model is not None:
        schema = schemas.response(endpoint.response_model)
        is_page = endpoint.query is not None and issubclass(endpoint.query, Paging)
        good["content"] = {"application/json": {"schema": _page_schema(schema) if is_page else schema}}
        if is_page:
            good["headers"] = {
                name: {"description": description, "required": True, "schema": {"type": "string"}}
                for name, description in PAGE_HEADERS.items()
            }
    return good


def _page_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    results = {"type": "array", "items": schema}
    return {
        "type": "object",
        "properties": {"results": results},
        "required": ["results"],
        "additionalProperties": False,
    }


def _error_statuses(endpoint: Endpoint) -> Iterator[int]:
    yield from _COMMON_ERROR_STATUSES
    yield 401 if endpoint.needs_token else 403
    if "{" in endpoint.path or endpoint.body is not None:
        yield 404
    if endpoint.body is not None or endpoint.has_binary_body:
        yield 413


_AUTHORITY = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
"""The first part of an absolute-form target, which clients send to a proxy and every server has to accept."""
_REPEATED_SLASHES = re.compile("//+")

_logger = logging.getLogger(__name__)


class EnvelopeMiddleware:
    """An ASGI application around the service.

    It drops trailing slashes of a path, squeezes repeated ones and removes the authority of an absolute-form target. An error that
    no endpoint handles, such as a full disk or a damaged database, is logged without a traceback and gets a 500 in the service's
    envelope. Once a response has started, the error is raised again, so that the server closes the connection.

    Args:
        app: the service.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = normalize_path(scope["path"])
        has_started = is_complete = False

        async def watched(message: Message) -> None:
            nonlocal has_started, is_complete
            has_started = True
            is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            pass  # the client does not wait for a response
        except Exception as error:
            if has_started and not is_complete:
                raise
            _logger.error("%s %s: %s: %s", scope["method"], scope["path"], type(error).__name__, error)  # noqa: TRY400
            if not has_started:  # endpoints have responded already: the framework raises their errors again
                envelope = unexpected_error(error)
                await json_response(envelope.body, envelope.status)(scope, receive, send)


class OriginMiddleware(CORSMiddleware):
    """Lets pages of some origins call the service from a browser; `*` stands for all.

    Scripts can also read the headers for paging, limits and downloads. Browser credentials (cookies) are not allowed: the token is
    in a header. A page on the internet may call a service in a private network if its origin is allowed.

    Args:
        app: the service.
        origins: the origins, in the form in which browsers send them.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
            allow_headers=_REQUEST_HEADERS,
            expose_headers=[*PAGE_HEADERS, *LIMIT_HEADERS, *DOWNLOAD_HEADERS, "Date", "Retry-After"],
            allow_private_network=True,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Respond to a preflight request; a refusal has the service's envelope."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        error = ApiError(400, bytes(response.body).decode(), "start the service with --cors for this origin")
        headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        return json_response(error.body, error.status, headers)


_REQUEST_HEADERS = ("Authorization", "Content-Type", *CONDITION_HEADERS, STATUS_SHAPE_HEADER)


def normalize_path(path: str) -> str:
    """Return the path that endpoints are matched with."""
    return _REPEATED_SLASHES.sub("/", _AUTHORITY.sub("", path, count=1) if path[:1] != "/" else path).rstrip("/") or "/"
