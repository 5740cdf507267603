"""What clients send: JSON or forms with brackets, numbers perhaps as text, validated by models."""

import json
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from upload_tui.backend.problems import ProblemError, missing_parameters

__all__ = [
    "ChunkReport",
    "Completion",
    "FileHashReport",
    "KeyPair",
    "NewProject",
    "NewUpload",
    "Paging",
    "read_paging",
    "read_parameters",
]

BODY_LIMIT_BYTES = 1024 * 1024
PER_PAGE_LIMIT = 1000

Model = TypeVar("Model", bound=BaseModel)
Text = Annotated[str, Field(min_length=1, max_length=4096)]
Bytes = Annotated[int, Field(ge=0, le=2**62)]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class KeyPair(_Parameters):
    """Keys to be exchanged for a token."""

    agent_key: Text
    user_key: Text


class NewProject(_Parameters):
    """A project to be made."""

    name: Text
    description: Text = "-"


class Digest(_Parameters):
    """A digest as the client reports it."""

    value: Text
    algorithm: Text


class NewUpload(_Parameters):
    """An upload to be begun; `size` in bytes."""

    name: Text
    content_type: Text
    size: Bytes


class ChunkReport(_Parameters):
    """A chunk to be stored: its number from 1, its size in bytes, its digest."""

    number: Annotated[int, Field(ge=1, le=2**31)]
    size: Bytes
    hash: Digest


class Completion(_Parameters):
    """The word that all chunks are there, with the whole file's digest."""

    hash: Digest


class FileHashReport(Digest):
    """One more digest of the whole file."""


class Paging(_Parameters):
    """Which page (from 1) of how many entries."""

    page: Annotated[int, Field(ge=1, le=2**40)] = 1
    per_page: Annotated[int, Field(ge=1)] = 100


def read_paging(request: Request) -> Paging:
    """The page that a list request asks for.

    Raises:
        ProblemError: 400 for what is not a page.
    """
    paging = _validated(
        Paging, {key: request.query_params[key] for key in ("page", "per_page") if key in request.query_params}
    )
    if paging.per_page > PER_PAGE_LIMIT:
        raise missing_parameters(f"per_page must be less than {PER_PAGE_LIMIT}")
    return paging


async def read_parameters(request: Request, model: type[Model]) -> Model:
    """The body of a request as a model.

    Raises:
        ProblemError: 400 for what is missing or malformed, 413 for a body beyond all reason.
    """
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > BODY_LIMIT_BYTES:
            raise ProblemError(413, "request entity too large", f"send at most {BODY_LIMIT_BYTES} bytes")
    is_form = "form-urlencoded" in request.headers.get("content-type", "")
    return _validated(model, _unfold(bytes(body)) if is_form else _decoded(bytes(body)))


def _decoded(body: bytes) -> Any:
    if not body.strip():
        return {}
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise missing_parameters("the body is not JSON") from error


def _unfold(body: bytes) -> dict[str, Any]:
    """A form with brackets as nested objects: `hash[value]=x` is `{"hash": {"value": "x"}}`."""
    fields: dict[str, Any] = {}
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200)
    except ValueError as error:
        raise missing_parameters("the body is not a form") from error
    for key, value in pairs:
        first, *rest = key.replace("]", "").split("[")
        if rest:
            inner = fields.setdefault(first, {})
            if isinstance(inner, dict):
                inner[rest[0]] = value
        else:
            fields[first] = value
    return fields


def _validated(model: type[Model], fields: Any) -> Model:
    try:
        return model.model_validate(fields if isinstance(fields, dict) else {})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    raise missing_parameters(
        ", ".join(dict.fromkeys(_sentence(problem["loc"], problem["type"]) for problem in problems))
    )


def _sentence(place: tuple[int | str, ...], kind: str) -> str:
    name = str(place[0]) + "".join(f"[{part}]" for part in place[1:])
    return f"{name} is missing" if kind == "missing" else f"{name} is invalid"
