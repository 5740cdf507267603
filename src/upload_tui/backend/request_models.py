"""What clients send: JSON or forms with brackets, numbers perhaps as text, validated by models."""

import json
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from upload_tui.backend.api_errors import ApiError, invalid_parameters

__all__ = [
    "ChildrenSearch",
    "ChunkReport",
    "Completion",
    "ContainerReference",
    "FileHashReport",
    "KeyPair",
    "NewFile",
    "NewFolder",
    "NewName",
    "NewParent",
    "NewProject",
    "NewRole",
    "NewUpload",
    "NewVersion",
    "Paging",
    "ProjectChange",
    "Signature",
    "UserSearch",
    "read_body",
    "read_query",
]

BODY_LIMIT_BYTES = 1024 * 1024
PER_PAGE_LIMIT = 1000

Model = TypeVar("Model", bound=BaseModel)
Text = Annotated[str, Field(min_length=1, max_length=4096)]
Label = Annotated[str, Field(max_length=4096)]
Bytes = Annotated[int, Field(ge=0, le=2**62)]


class _RequestModel(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class KeyPair(_RequestModel):
    """Keys to be exchanged for a token."""

    agent_key: Text
    user_key: Text


class NewProject(_RequestModel):
    """A project to be made."""

    name: Text
    description: Text = "-"


class Digest(_RequestModel):
    """A digest as the client reports it."""

    value: Text
    algorithm: Text


class ProjectChange(_RequestModel):
    """What is to change of a project; None leaves it."""

    name: Text | None = None
    description: Text | None = None


class Reference(_RequestModel):
    """Something that is there already, by its id."""

    id: Text


class NewUpload(_RequestModel):
    """An upload to be begun; `size` in bytes. One that is not chunked gets a single signed URL for all its bytes."""

    name: Text
    content_type: Text
    size: Bytes
    storage_provider: Reference | None = None
    chunked: bool = True


class ChunkReport(_RequestModel):
    """A chunk to be stored: its number from 1, its size in bytes, its digest."""

    number: Annotated[int, Field(ge=1, le=2**31)]
    size: Bytes
    hash: Digest


class Completion(_RequestModel):
    """The word that all chunks are there, with the whole file's digest."""

    hash: Digest


class FileHashReport(Digest):
    """One more digest of the whole file."""


class ContainerReference(_RequestModel):
    """What something is to stand in: a project or a folder."""

    kind: Text
    id: Text


class NewFolder(_RequestModel):
    """A folder to be made."""

    name: Text
    parent: ContainerReference


class NewFile(_RequestModel):
    """A file to be made of a completed upload, which gives it its name."""

    parent: ContainerReference
    upload: Reference
    label: Label = ""


class NewVersion(_RequestModel):
    """A completed upload to be the next version of a file."""

    upload: Reference
    label: Label = ""


class NewName(_RequestModel):
    """Another name."""

    name: Text


class NewParent(_RequestModel):
    """Another place."""

    parent: ContainerReference


class NewRole(_RequestModel):
    """Another role in a project."""

    auth_role: Reference


class Paging(_RequestModel):
    """Which page (from 1) of how many entries, at most 1000."""

    page: Annotated[int, Field(ge=1, le=2**40)] = 1
    per_page: Annotated[int, Field(ge=1, le=2**40, json_schema_extra={"maximum": PER_PAGE_LIMIT})] = 100

    @property
    def offset(self) -> int:
        """How many entries are on the pages before."""
        return (self.page - 1) * self.per_page


class ChildrenSearch(Paging):
    """What is wanted of a tree: `name_contains` (even empty) searches it all; without it only what stands directly there.

    `exclude_response_fields` names what each entry leaves out, separated by blanks.
    """

    name_contains: Annotated[str, Field(max_length=4096)] | None = None
    exclude_response_fields: Annotated[str, Field(max_length=4096)] = ""


class UserSearch(Paging):
    """Which accounts are wanted; None asks for nothing."""

    full_name_contains: Annotated[str, Field(max_length=4096)] | None = None
    email: Annotated[str, Field(max_length=4096)] | None = None
    username: Annotated[str, Field(max_length=4096)] | None = None


class Signature(_RequestModel):
    """What makes a URL a permission. Whatever is missing or wrong, the answer is 403, and does not say which."""

    expires: str = ""
    signature: str = ""


def read_query(request: Request, model: type[Model]) -> Model:
    """The query of a request as a model.

    Raises:
        ApiError: 400 for what is malformed.
    """
    read = _validate(model, dict(request.query_params))
    if isinstance(read, Paging) and read.per_page > PER_PAGE_LIMIT:
        raise invalid_parameters(f"per_page must be less than {PER_PAGE_LIMIT}")
    return read


async def read_body(request: Request, model: type[Model]) -> Model:
    """The body of a request as a model.

    Raises:
        ApiError: 400 for what is missing or malformed, 413 for a body beyond all reason.
    """
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > BODY_LIMIT_BYTES:
            raise ApiError(413, "request entity too large", f"send at most {BODY_LIMIT_BYTES} bytes")
    is_form = "form-urlencoded" in request.headers.get("content-type", "")
    return _validate(model, _parse_form(bytes(body)) if is_form else _parse_json(bytes(body)))


def _parse_json(body: bytes) -> Any:
    if not body.strip():
        return {}
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid_parameters("the body is not JSON") from error


def _parse_form(body: bytes) -> dict[str, Any]:
    """A form with brackets as nested objects: `hash[value]=x` is `{"hash": {"value": "x"}}`."""
    fields: dict[str, Any] = {}
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200)
    except ValueError as error:
        raise invalid_parameters("the body is not a form") from error
    for key, value in pairs:
        first, *rest = key.replace("]", "").split("[")
        if rest:
            inner = fields.setdefault(first, {})
            if isinstance(inner, dict):
                inner[rest[0]] = value
        else:
            fields[first] = value
    return fields


def _validate(model: type[Model], fields: Any) -> Model:
    try:
        return model.model_validate(fields if isinstance(fields, dict) else {})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    raise invalid_parameters(
        ", ".join(dict.fromkeys(_describe_error(problem["loc"], problem["type"]) for problem in problems))
    )


def _describe_error(location: tuple[int | str, ...], kind: str) -> str:
    name = str(location[0]) + "".join(f"[{part}]" for part in location[1:])
    return f"{name} is missing" if kind == "missing" else f"{name} is invalid"
