"""What an endpoint is: how it is called, what it takes and gives. Routes and the OpenAPI page are both made of these."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["Call", "Endpoint"]

Parameters = TypeVar("Parameters")


@dataclass(frozen=True, slots=True)
class Call(Generic[Parameters]):
    """A request whose parameters are in order, from somebody who may call: what a handler gets."""

    request: Request
    parameters: Parameters

    @property
    def id(self) -> str:
        """The id in the path."""
        return str(self.request.path_params["id"])


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path.

    Attributes:
        method: `GET`, `POST`, `PUT` or `DELETE`.
        path: from the root, its parameters in braces.
        handler: what answers; the first line of its docstring is the summary.
        gives: the type of the answer; None for an empty one.
        status: of a good answer.
        body: the model of its body.
        query: the model of its query; one with pages makes the answer a list of what `response_model` says.
        needs_token: False where the path itself is the permission, or a token is what is asked for.
        has_binary_body: the body is a file's own bytes.
        has_status: the answer holds a status, whose shape a header can choose.
        headers: names of further headers of a good answer, and what they say.
    """

    method: str
    path: str
    handler: Callable[[Call[Any]], Awaitable[Response]]
    response_model: Any = None
    _: KW_ONLY
    status: int = 200
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    needs_token: bool = True
    has_binary_body: bool = False
    has_status: bool = False
    headers: Mapping[str, str] | None = None
