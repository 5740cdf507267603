"""How endpoints answer: compact JSON, pages told by headers, every refusal in the one envelope."""

import json
from collections.abc import Mapping, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from upload_tui.backend.parameters import Paging
from upload_tui.backend.problems import ProblemError

__all__ = ["PAGE_HEADERS", "answer", "answer_http_error", "answer_problem", "page"]

PAGE_HEADERS: Mapping[str, str] = {
    "X-Total": "how many entries there are",
    "X-Total-Pages": "how many pages these make",
    "X-Page": "which page this is",
    "X-Per-Page": "how many entries a page has",
    "X-Next-Page": "the number of the next page; empty on the last",
    "X-Prev-Page": "the number of the page before; empty on the first",
}
"""The headers of a page. Answers of one thing carry none of them: a published client takes that for an error."""


def answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Compact JSON, without blanks: shell clients compare it."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(body, status, headers, media_type="application/json")


def page(results: Sequence[Mapping[str, object]], total: int, paging: Paging) -> Response:
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
    return answer({"results": results}, 200, dict(zip(PAGE_HEADERS, map(str, values), strict=True)))


async def answer_problem(_: Request, problem: ProblemError) -> Response:
    """A refusal."""
    return answer(problem.body, problem.status, problem.headers)


async def answer_http_error(_: Request, error: HTTPException) -> Response:
    """A path or a method that is not there."""
    problem = ProblemError(error.status_code, error.detail, "check the method and the path")
    return answer(problem.body, error.status_code, error.headers)
