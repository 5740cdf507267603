"""The description of an endpoint, from which routes and the OpenAPI page are made."""

from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from upload_tui.backend.request_models import RequestModel
from upload_tui.wire import StatusShape

__all__ = ["Call", "Endpoint"]

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
