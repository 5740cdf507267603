"""How endpoints answer: compact JSON, pages told by headers, every refusal in the one envelope."""

import json
from collections.abc import Mapping, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from upload_tui.backend.api_errors import ApiError
from upload_tui.backend.request_models import Paging

__all__ = ["PAGE_HEADERS", "json_response", "handle_http_error", "handle_api_error", "page_response"]

PAGE_HEADERS: Mapping[str, str] = {
    "X-Total": "how many entries there are",
    "X-Total-Pages": "how many pages these make",
    "X-Page": "which page this is",
    "X-Per-Page": "how many entries a page has",
    "X-Next-Page": "the number of the next page; empty on the last",
    "X-Prev-Page": "the number of the page before; empty on the first",
}
"""The headers of a page. Answers of one thing carry none of them: a published client takes that for an error."""


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Compact JSON, without blanks: shell clients compare it."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(body, status, headers, media_type="application/json")


def page_response(results: Sequence[Mapping[str, object]], total: int, paging: Paging) -> Response:
    """A page of a list; past the last one it is empty."""
    pages = -(-total // paging.per_page)
    values = (
        total,
        pages,
        paging.page,
        paging.per_page,
        paging.page + 1 if paging.page < pages else "",
        paging.page - 1 if 1 < paging.page <= pages + 1 else "",
    )
    return json_response({"results": results}, 200, dict(zip(PAGE_HEADERS, map(str, values), strict=True)))


async def handle_api_error(_: Request, error: ApiError) -> Response:
    """A refusal."""
    return json_response(error.body, error.status, error.headers)


async def handle_http_error(_: Request, error: HTTPException) -> Response:
    """A path or a method that is not there."""
    problem = ApiError(error.status_code, error.detail, "check the method and the path")
    return json_response(problem.body, error.status_code, error.headers)
