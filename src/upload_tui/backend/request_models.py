"""Models of requests. Bodies are JSON or forms with brackets; numbers may arrive as text."""

import json
import re
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request

from upload_tui.backend.api_errors import ApiError, invalid_parameters, too_large
from upload_tui.backend.schemas import UserSchema

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
    "Number",
    "Paging",
    "ProjectChange",
    "RequestModel",
    "Signature",
    "UserSearch",
    "read_body",
    "read_query",
]

BODY_LIMIT_BYTES = 1024 * 1024
PER_PAGE_LIMIT = 1000

Model = TypeVar("Model", bound="RequestModel")
Text = Annotated[str, Field(min_length=1, max_length=4096)]
Label = Annotated[str, Field(max_length=4096)]
AlgorithmName = Annotated[Text, AfterValidator(str.lower)]


def _check_number(value: object) -> object:
    """Accept digits as text, but not what Python accepts besides: `True`, `1_5`, blanks around."""
    if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        raise ValueError("not a number")
    return value


_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
Integer = Annotated[int, BeforeValidator(_check_number)]
Number = Annotated[float, BeforeValidator(_check_number)]
Bytes = Annotated[Integer, Field(ge=0, le=2**62)]


class RequestModel(BaseModel):
    """The base of all models; unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    @classmethod
    def error(cls, message: str, /) -> ApiError:
        """Create the response to a request whose fields are missing or malformed."""
        return invalid_parameters(message)


class KeyPair(RequestModel):
    """Keys to exchange for a token."""

    agent_key: Text
    user_key: Text

    @classmethod
    def error(cls, _: str, /) -> ApiError:
        """Create the response of the contract, whichever key is missing."""
        return ApiError(400, "missing key or keys", "ensure that you provide an agent_key and a user_key")


class NewProject(RequestModel):
    """A new project."""

    name: Text
    description: Text = "-"


class Digest(RequestModel):
    """A digest that the client reports."""

    value: Text
    algorithm: AlgorithmName


class ProjectChange(RequestModel):
    """A change to a project; None leaves a field as it is."""

    name: Text | None = None
    description: Text | None = None


class Reference(RequestModel):
    """An existing resource, by id."""

    id: Text


class NewUpload(RequestModel):
    """A new upload; `size` in bytes. One that is not chunked gets a single signed URL for all its bytes."""

    name: Text
    content_type: Text
    size: Bytes
    storage_provider: Reference | None = None
    chunked: bool = True


class ChunkReport(RequestModel):
    """A chunk that the client is about to send: its number (from 1), its size in bytes, its digest."""

    number: Annotated[Integer, Field(ge=1, le=2**31)]
    size: Bytes
    hash: Digest


class Completion(RequestModel):
    """The end of an upload: all chunks are sent. Holds the whole file's digest."""

    hash: Digest


class FileHashReport(Digest):
    """Another digest of the whole file."""


class ContainerReference(RequestModel):
    """The project or folder that contains something."""

    kind: Text
    id: Text


class NewFolder(RequestModel):
    """A new folder."""

    name: Text
    parent: ContainerReference


class NewFile(RequestModel):
    """A new file, made from a completed upload and named after it."""

    parent: ContainerReference
    upload: Reference
    label: Label = ""


class NewVersion(RequestModel):
    """A completed upload that becomes the next version of a file."""

    upload: Reference
    label: Label = ""


class NewName(RequestModel):
    """A new name."""

    name: Text


class NewParent(RequestModel):
    """A new container."""

    parent: ContainerReference


class NewRole(RequestModel):
    """A new role in a project."""

    auth_role: Reference


class Paging(RequestModel):
    """A page number (from 1) and a page size, at most 1000."""

    page: Annotated[Integer, Field(ge=1, le=2**40)] = 1
    per_page: Annotated[Integer, Field(ge=1, le=2**40, json_schema_extra={"maximum": PER_PAGE_LIMIT})] = 100

    @property
    def offset(self) -> int:
        """The number of entries on earlier pages."""
        return (self.page - 1) * self.per_page


class ChildrenSearch(Paging):
    """A search in a project or folder.

    `name_contains` searches the whole tree, even if empty; without it only direct children are listed. `exclude_response_fields`
    names fields to leave out of each entry, separated by blanks.
    """

    name_contains: Annotated[str, Field(max_length=4096)] | None = None
    exclude_response_fields: Annotated[str, Field(max_length=4096)] = ""


class UserSearch(Paging):
    """A search for accounts; None matches all."""

    full_name_contains: Annotated[str, Field(max_length=4096)] | None = None
    email: Annotated[str, Field(max_length=4096)] | None = None
    username: Annotated[str, Field(max_length=4096)] | None = None

    def is_match(self, user: UserSchema) -> bool:
        """True if the search finds an account."""
        return (
            (self.full_name_contains or "").lower() in user["full_name"].lower()
            and self.email in {None, user["email"]}
            and self.username in {None, user["username"]}
        )


class Signature(RequestModel):
    """The parameters of a signed URL. Both have defaults, so that a missing one gives 403 and not 400."""

    expires: str = ""
    signature: str = ""


def read_query(request: Request, model: type[Model]) -> Model:
    """Parse the query of a request.

    Raises:
        ApiError: 400, a parameter is malformed.
    """
    read = _validate(model, dict(request.query_params))
    if isinstance(read, Paging) and read.per_page > PER_PAGE_LIMIT:
        raise invalid_parameters(f"per_page must be less than {PER_PAGE_LIMIT}")
    return read


async def read_body(request: Request, model: type[Model]) -> Model:
    """Parse the body of a request.

    Raises:
        ApiError: 400, a field is missing or malformed; 413, the body is too large.
    """
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > BODY_LIMIT_BYTES:
            raise too_large("entity", BODY_LIMIT_BYTES)
    is_form = "form-urlencoded" in request.headers.get("content-type", "").lower()
    return _validate(model, _parse_form(bytes(body)) if is_form else _parse_json(bytes(body)))


def _parse_json(body: bytes) -> Any:
    if not body.strip():
        return {}
    try:
        return json.loads(body, parse_int=_parse_integer)
    except (ValueError, RecursionError) as error:
        raise invalid_parameters("the body is not JSON") from error


def _parse_integer(digits: str) -> int | str:
    """Parse an integer. One that is too long for Python stays text, so that its field is invalid and not the whole body."""
    try:
        return int(digits)
    except ValueError:
        return digits


def _parse_form(body: bytes) -> dict[str, Any]:
    """Parse a form with brackets into nested objects: `hash[value]=x` is `{"hash": {"value": "x"}}`."""
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
        details = error.errors(include_url=False, include_context=False, include_input=False)
    raise model.error(", ".join(dict.fromkeys(_describe_error(detail["loc"], detail["type"]) for detail in details)))


def _describe_error(location: tuple[int | str, ...], kind: str) -> str:
    name = str(location[0]) + "".join(f"[{part}]" for part in location[1:])
    return f"{name} is missing" if kind == "missing" else f"{name} is invalid"
