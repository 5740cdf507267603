"""What an endpoint is, and the form of its responses: compact JSON, paging in headers, one envelope for errors."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Generic, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from upload_tui.backend.api_errors import ApiError, unexpected_error
from upload_tui.backend.request_models import Paging, RequestModel
from upload_tui.wire import StatusShape

__all__ = ["Call", "ERROR_HANDLERS", "Endpoint", "LIMIT_HEADERS", "PAGE_HEADERS", "json_response", "page_response"]

Parameters = TypeVar("Parameters")


@dataclass(frozen=True, slots=True)
class Call(Generic[Parameters]):
    """A validated request, as a handler receives it. `status_shape` is the shape of `status` in its response."""

    request: Request
    parameters: Parameters
    status_shape: StatusShape

    @property
    def id(self) -> str:
        """The id in the path."""
        return str(self.request.path_params["id"])


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path.

    Attributes:
        method: `GET`, `POST`, `PUT` or `DELETE`.
        path: the full path, its parameters in braces.
        handler: handles the request; the first line of its docstring is the summary.
        response_model: the type of the response; None for an empty one.
        status: the status of a successful response.
        body: the model of the request's body.
        query: the model of the query; one with paging makes the response a list of `response_model`.
        needs_token: False where the URL is signed, or a token is requested.
        has_binary_body: the body is raw bytes.
        has_status: the response holds an upload's `status`, whose shape a header can choose.
    """

    method: str
    path: str
    handler: Callable[[Call[Any]], Awaitable[Response]]
    response_model: Any = None
    _: KW_ONLY
    status: int = 200
    body: type[RequestModel] | None = None
    query: type[RequestModel] | None = None
    needs_token: bool = True
    has_binary_body: bool = False
    has_status: bool = False


PAGE_HEADERS: Mapping[str, str] = {
    "X-Total": "the number of entries on all pages",
    "X-Total-Pages": "the number of pages",
    "X-Page": "the number of this page",
    "X-Per-Page": "the number of entries on a page",
    "X-Next-Page": "the number of the next page; empty on the last",
    "X-Prev-Page": "the number of the previous page; empty on the first and past the last",
}
"""Headers of a page. Responses with a single item have none of them: a published client treats them there as an error."""

LIMIT_HEADERS = ("X-MIN-CHUNK-UPLOAD-SIZE", "X-MAX-CHUNK-UPLOAD-SIZE", "X-MAX-UPLOAD-SIZE")
"""Headers of a new upload, in bytes: the limits of a chunk, or of an upload that is not chunked."""


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Respond with JSON without blanks between tokens; shell clients compare it as text."""
    body = msgspec.json.encode(content)
    return Response(body, status, headers, media_type="application/json")


def page_response(results: Sequence[Mapping[str, object]], total: int, paging: Paging) -> Response:
    """Respond with a page of a list; beyond the last page it is empty."""
    pages = -(-total // paging.per_page)
    values = (
        total,
        pages,
        paging.page,
        paging.per_page,
        paging.page + 1 if paging.page < pages else "",
        paging.page - 1 if 1 < paging.page <= pages else "",
    )
    return json_response({"results": results}, 200, dict(zip(PAGE_HEADERS, map(str, values), strict=True)))


async def _handle_api_error(_: Request, error: ApiError) -> Response:
    """Respond with the error's envelope."""
    return json_response(error.body, error.status, error.headers)


async def _handle_http_error(_: Request, error: HTTPException) -> Response:
    """Respond to an unknown path or method."""
    body = ApiError(error.status_code, error.detail, "check the method and the path").body
    return json_response(body, error.status_code, error.headers)


async def _handle_unexpected_error(request: Request, error: Exception) -> Response:
    """Respond to any other error. It is logged where it is raised again, in the outermost layer."""
    return await _handle_api_error(request, unexpected_error(error))


ERROR_HANDLERS: Mapping[Any, Any] = {
    HTTPException: _handle_http_error,
    ApiError: _handle_api_error,
    Exception: _handle_unexpected_error,
}
"""Every error gets the envelope."""
