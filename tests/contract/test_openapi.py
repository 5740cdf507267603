"""The service against its own OpenAPI document: every response, also to generated requests, conforms to the schema."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.calls import valid_bodies
from upload_tui.backend.app import OPENAPI_PATH, all_endpoints
from upload_tui.testing import UploadServer, UploadService
from upload_tui.testing.service import md5

load_all_checks()
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
CONTENT = b"0123456789abcde"
UPLOAD_INDEXES = {"PUT /api/v1/uploads/{id}/complete": 2, "PUT /api/v1/uploads/{id}/chunks": 3}
"""The index of the upload to use if not the first: 2 is an open unchunked upload, 3 an open chunked one."""


@dataclass(frozen=True)
class FilledService:
    """A service that holds one resource of each kind, and their ids."""

    server: UploadServer
    http: httpx.Client
    session: requests.Session
    ids: Mapping[str, Sequence[str]]
    bodies: Mapping[str, Mapping[str, Any]]
    targets: Mapping[str, str]

    def call(self, case: schemathesis.Case[Any]) -> Any:
        """Send a request, over the connection of the one before, and return the response."""
        return case.call(self.server.url, self.session, headers=dict(self.http.headers))

    def ids_for(self, path: str, name: str) -> Sequence[str]:
        kind = path.split("/")[3] if path.startswith("/api/v1/") else "uploads"
        return self.ids[{"user_id": "users", "uid": "usernames"}.get(name, kind)]


def operations() -> list[Any]:
    service = UploadService()
    parameters = [
        pytest.param(endpoint.method, endpoint.path.replace(":int", ""), id=f"{endpoint.method} {endpoint.path}")
        for endpoint in all_endpoints(service.embedded._context)
    ]
    service.embedded.database.close()
    return parameters


@pytest.fixture(scope="module")
def schema() -> Any:
    """The document of the service, for all operations; each service has the same."""
    with UploadServer() as server:
        return schemathesis.openapi.from_url(f"{server.url}{OPENAPI_PATH}")


@pytest.fixture
def filled() -> Iterator[FilledService]:
    with UploadServer() as server, httpx.Client(headers=server.headers) as http:
        ids = populate(server, http)
        bodies, targets = valid_bodies(server, ids, CONTENT), signed_targets(server, http, ids)
        with requests.Session() as session:
            yield FilledService(server, http, session, ids, bodies, targets)


def signed_targets(server: UploadServer, http: httpx.Client, ids: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
    """Signed URLs, by operation."""
    unchunked, chunked = (f"{server.api_url}/uploads/{upload_id}" for upload_id in ids["uploads"][2:])
    report = {"number": 1, "size": 15, "hash": {"algorithm": "md5", "value": md5(CONTENT)}}
    return {
        "PUT /storage/{id}": http.get(unchunked).json()["signed_url"]["url"],
        "PUT /storage/{id}/{number}": http.put(f"{chunked}/chunks", json=report).json()["url"],
        "GET /storage/{id}": http.get(f"{server.api_url}/files/{ids['files'][0]}/url").json()["url"],
    }


def populate(server: UploadServer, http: httpx.Client) -> Mapping[str, Sequence[str]]:
    def call(method: str, path: str, **fields: Any) -> Any:
        return http.request(method, f"{server.api_url}{path}", json=fields).raise_for_status().json()

    project = {"kind": "dds-project", "id": server.project_id}
    folder = call("POST", "/folders", name="a folder", parent=project)
    uploads = [upload(server, http, call, content) for content in (CONTENT, b"", None)]
    chunked = {"name": "b.bin", "content_type": "text/plain", "size": 15}
    uploads.append(call("POST", f"/projects/{server.project_id}/uploads", **chunked)["id"])
    while any(call("GET", f"/uploads/{one}")["status"]["verified_on"] is None for one in uploads[:2]):
        pass  # the worker is running
    file = call("POST", "/files", parent={"kind": "dds-folder", "id": folder["id"]}, upload={"id": uploads[0]})
    return {
        "projects": [server.project_id],
        "folders": [folder["id"]],
        "files": [file["id"]],
        "file_versions": [file["current_version"]["id"]],
        "uploads": uploads,
        "users": [call("GET", "/current_user")["id"]],
        "usernames": [call("GET", "/current_user")["username"]],
        "auth_providers": [call("GET", "/auth_providers")["results"][0]["id"]],
        "storage_providers": [call("GET", "/storage_providers")["results"][0]["id"]],
    }


def upload(server: UploadServer, http: httpx.Client, call: Any, content: bytes | None) -> str:
    """Create an unchunked upload with the given content; None leaves it open."""
    size = len(content or b"")
    path = f"/projects/{server.project_id}/uploads"
    created = call("POST", path, name="a.bin", content_type="text/plain", size=size, chunked=False)
    if content is not None:
        http.put(created["signed_url"]["host"] + created["signed_url"]["url"], content=content).raise_for_status()
        digest = {"algorithm": "md5", "value": md5(content)}
        call("PUT", f"/uploads/{created['id']}/complete", hash=digest)
    return str(created["id"])


@pytest.mark.parametrize(("method", "path"), operations())
def test_responses_conform_to_the_schema(method: str, path: str, schema: Any, filled: FilledService) -> None:
    operation = schema[path][method]
    valid, invalid = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @settings(max_examples=24, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=valid | invalid, data=st.data())
    def check(case: schemathesis.Case[Any], data: st.DataObject) -> None:
        if data.draw(st.booleans(), "existing ids"):
            use_existing(case, data, filled)
        response = filled.call(case)
        case.validate_response(response, checks=CHECKS)

    check_valid_request(operation, filled)  # before generated requests delete anything
    check()


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Range", "bytes=1-3", 206), ("Range", "bytes=99-", 416), ("If-Match", '"another"', 412), ("If-None-Match", "*", 304),
        ("If-Range", '"another"', 200),
    ],
)  # fmt: skip
def test_what_a_download_answers_to_a_header_conforms_to_the_schema(
    name: str, value: str, status: int, filled: FilledService
) -> None:
    operation = schemathesis.openapi.from_url(f"{filled.server.url}{OPENAPI_PATH}")["/storage/{id}"]["GET"]
    case = operation.Case(path_parameters={"id": ""}, headers={name: value})
    use_signed_url(case, filled.targets["GET /storage/{id}"])
    response = case.call()
    assert response.status_code == status
    case.validate_response(response, checks=CHECKS)
    assert name in {parameter.name for parameter in operation.headers}


def check_valid_request(operation: schemathesis.APIOperation[Any, Any, Any, Any], filled: FilledService) -> None:
    """Make one valid request: it succeeds and its response conforms to the schema."""
    name, path = f"{operation.method.upper()} {operation.path}", operation.path
    ids = {key: filled.ids_for(path, key)[UPLOAD_INDEXES.get(name, 0)] for key in re.findall(r"{(\w*id)}", path)}
    case = operation.Case(path_parameters=ids, body=dict(filled.bodies.get(name, {})), media_type="application/json")
    if name in filled.targets:
        use_signed_url(case, filled.targets[name])
    response = filled.call(case)
    assert response.status_code < 300, response.content
    case.validate_response(response, checks=CHECKS)


def use_signed_url(case: schemathesis.Case[Any], target: str) -> None:
    """Point a case at a signed URL."""
    url = httpx.URL(target)
    _, upload_id, *number = url.path.strip("/").split("/")
    case.query = dict(url.params)
    case.path_parameters.update(id=upload_id, **({"number": int(number[0])} if number else {}))


def use_existing(case: schemathesis.Case[Any], data: st.DataObject, filled: FilledService) -> None:
    """Point a case at an existing resource, half of the time with a valid body."""
    operation = f"{case.method.upper()} {case.path}"
    for name in case.path_parameters or {}:
        if name != "number":
            case.path_parameters[name] = data.draw(st.sampled_from(filled.ids_for(case.path, name)))
    if operation in filled.targets:
        use_signed_url(case, filled.targets[operation])
    elif operation in filled.bodies and data.draw(st.booleans(), "valid body"):
        case.body, case.media_type = dict(filled.bodies[operation]), "application/json"


def test_the_page_needs_no_token_and_holds_no_secret(filled: FilledService) -> None:
    page = httpx.get(f"{filled.server.url}{OPENAPI_PATH}")
    assert page.status_code == 200
    assert page.json()["openapi"].startswith("3.")
    assert filled.server.agent_key not in page.text
