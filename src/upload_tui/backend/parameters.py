"""What clients send: JSON or forms with brackets, numbers perhaps as text, validated by models."""

import json
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from upload_tui.backend.problems import ProblemError, missing_parameters

__all__ = [
    "ChildrenSearch",
    "ChunkReport",
    "Completion",
    "ContainerChoice",
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
    "read_parameters",
    "read_query",
]

BODY_LIMIT_BYTES = 1024 * 1024
PER_PAGE_LIMIT = 1000

Model = TypeVar("Model", bound=BaseModel)
Text = Annotated[str, Field(min_length=1, max_length=4096)]
Label = Annotated[str, Field(max_length=4096)]
Bytes = Annotated[int, Field(ge=0, le=2**62)]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


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


class ProjectChange(_Parameters):
    """What is to change of a project; None leaves it."""

    name: Text | None = None
    description: Text | None = None


class Choice(_Parameters):
    """Something that is there already, by its id."""

    id: Text


class NewUpload(_Parameters):
    """An upload to be begun; `size` in bytes. One that is not chunked gets a single signed URL for all its bytes."""

    name: Text
    content_type: Text
    size: Bytes
    storage_provider: Choice | None = None
    chunked: bool = True


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


class ContainerChoice(_Parameters):
    """What something is to stand in: a project or a folder."""

    kind: Text
    id: Text


class NewFolder(_Parameters):
    """A folder to be made."""

    name: Text
    parent: ContainerChoice


class NewFile(_Parameters):
    """A file to be made of a completed upload, which gives it its name."""

    parent: ContainerChoice
    upload: Choice
    label: Label = ""


class NewVersion(_Parameters):
    """A completed upload to be the next version of a file."""

    upload: Choice
    label: Label = ""


class NewName(_Parameters):
    """Another name."""

    name: Text


class NewParent(_Parameters):
    """Another place."""

    parent: ContainerChoice


class NewRole(_Parameters):
    """Another role in a project."""

    auth_role: Choice


class Paging(_Parameters):
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


class Signature(_Parameters):
    """What makes a URL a permission. Whatever is missing or wrong, the answer is 403, and does not say which."""

    expires: str = ""
    signature: str = ""


def read_query(request: Request, model: type[Model]) -> Model:
    """The query of a request as a model.

    Raises:
        ProblemError: 400 for what is malformed.
    """
    read = _validated(model, dict(request.query_params))
    if isinstance(read, Paging) and read.per_page > PER_PAGE_LIMIT:
        raise missing_parameters(f"per_page must be less than {PER_PAGE_LIMIT}")
    return read


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
