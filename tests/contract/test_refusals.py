"""A refused request has no effect: every endpoint that changes something, with every kind of refusal."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.calls import Caller, md5, serving, valid_bodies
from upload_tui.backend.app import all_endpoints
from upload_tui.backend.endpoints.endpoint import Endpoint
from upload_tui.testing import UploadService
from upload_tui.wire import STATUS_SHAPE_HEADER

CONTENT = b"0123456789abcde"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
REFERENCES = {"id", "kind", "algorithm", "agent_key", "user_key"}
"""Fields whose text names something; other texts are free."""


@dataclass(frozen=True)
class Call:
    """A request that can be varied."""

    method: str
    url: httpx.URL
    headers: Mapping[str, str]
    body: Any = None
    content: bytes | None = None

    async def send(self, caller: Caller) -> httpx.Response:
        return await caller.http.request(
            self.method, self.url, headers=self.headers, json=self.body, content=self.content
        )


def changing_endpoints() -> list[Any]:
    service = UploadService()
    endpoints = [one for one in all_endpoints(service.embedded._context) if one.method != "GET"]
    service.embedded.database.close()
    return [pytest.param(one, id=f"{one.method} {one.path}") for one in endpoints]


async def populate(caller: Caller) -> Mapping[str, Sequence[str]]:
    """Create a resource of each kind. The first upload is verified, the last two are open."""

    async def create(path: str, **fields: Any) -> Any:
        return (await caller.call("POST", path, json=fields)).raise_for_status().json()

    folder = await create("/folders", name="a folder", parent={"kind": "dds-project", "id": caller.project_id})
    verified = await caller.upload([(1, CONTENT)], len(CONTENT), md5(CONTENT))
    await caller.verify_all()
    file = await create("/files", parent={"kind": "dds-folder", "id": folder["id"]}, upload={"id": verified})
    fields = {"name": "b.bin", "content_type": "text/plain", "size": len(CONTENT)}
    whole = await create(f"/projects/{caller.project_id}/uploads", chunked=False, **fields)
    chunked = await create(f"/projects/{caller.project_id}/uploads", **fields)
    return {
        "projects": [caller.project_id],
        "folders": [folder["id"]],
        "files": [file["id"]],
        "uploads": [verified, whole["id"], chunked["id"]],
        "users": [caller.embedded.account.id],
        "auth_providers": [(await caller.call("GET", "/auth_providers")).json()["results"][0]["id"]],
    }


async def valid_call(caller: Caller, endpoint: Endpoint) -> Call:
    """Create a request that the endpoint accepts."""
    ids = await populate(caller)
    if endpoint.has_binary_body:
        url = await signed_url(caller, ids["uploads"], is_chunked="{number" in endpoint.path)
        return Call(endpoint.method, httpx.URL(url), {}, content=CONTENT)
    kind = endpoint.path.split("/")[3]
    one = ids.get(kind, [""])[-1 if endpoint.path.endswith(("/chunks", "/complete")) else 0]
    path = (
        endpoint.path.replace("{id}", one)
        .replace("{user_id}", ids["users"][0])
        .replace("{uid}", caller.embedded.account.username)
    )
    body = valid_bodies(caller, ids, CONTENT).get(f"{endpoint.method} {endpoint.path}", {})
    return Call(endpoint.method, httpx.URL(caller.url + path), caller.headers, body)


async def signed_url(caller: Caller, upload_ids: Sequence[str], *, is_chunked: bool) -> str:
    if is_chunked:
        report = {"number": 1, "size": len(CONTENT), "hash": {"algorithm": "md5", "value": md5(CONTENT)}}
        signed = (await caller.call("PUT", f"/uploads/{upload_ids[2]}/chunks", json=report)).json()
    else:
        signed = (await caller.call("GET", f"/uploads/{upload_ids[1]}")).json()["signed_url"]
    return str(signed["host"] + signed["url"])


def refused_calls(endpoint: Endpoint, valid: Call) -> Iterator[tuple[str, Call]]:
    """Vary a valid request so that it has to be refused; each variant with what is wrong with it."""
    if endpoint.has_binary_body:
        yield "wrong signature", replace(valid, url=httpx.URL(f"{valid.url}x"))
        yield "no signature", replace(valid, url=valid.url.copy_with(query=None))
        return
    if endpoint.has_status:
        yield "unknown status shape", replace(valid, headers={**valid.headers, STATUS_SHAPE_HEADER: "c"})
    if endpoint.needs_token:
        yield "no token", replace(valid, headers={})
        yield "wrong token", replace(valid, headers={"Authorization": f"{valid.headers['Authorization']}x"})
    for index, part in enumerate(endpoint.path.split("/")):
        if part.startswith("{"):
            parts = valid.url.path.split("/")
            parts[index] = UNKNOWN
            yield f"unknown {part}", replace(valid, url=valid.url.copy_with(path="/".join(parts)))
    if endpoint.body is not None:
        yield "no JSON", replace(valid, body=None, content=b"{")
        for path in field_paths(valid.body):
            for problem, body in broken(valid.body, path):
                yield f"{problem} {'.'.join(path)}", replace(valid, body=body)


def broken(body: Mapping[str, Any], path: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Break one field of a body."""
    for problem, value in (("malformed", [None]), ("unknown", UNKNOWN)):
        if problem == "malformed" or path[-1] in REFERENCES:
            changed = deepcopy(dict(body))
            inner = changed
            for name in path[:-1]:
                inner = inner[name]
            inner[path[-1]] = value
            yield problem, changed


def field_paths(body: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """The paths of all fields, nested ones included."""
    for name, value in body.items():
        yield (name,)
        if isinstance(value, Mapping):
            yield from ((name, *inner) for inner in field_paths(value))


def state(caller: Caller, storage: Path) -> object:
    """All that a request could change."""
    files = {path: path.read_bytes() for path in storage.rglob("*") if path.is_file()}
    return list(caller.embedded.database._db.iterdump()), files


@pytest.mark.parametrize("endpoint", changing_endpoints())
async def test_a_refused_request_has_no_effect(endpoint: Endpoint, tmp_path: Path) -> None:
    async with serving(storage=tmp_path) as caller:
        valid = await valid_call(caller, endpoint)
        before = state(caller, tmp_path)
        for problem, call in refused_calls(endpoint, valid):
            response = await call.send(caller)
            assert 400 <= response.status_code < 500, problem
            assert response.json()["error"], problem
            assert state(caller, tmp_path) == before, problem
        caller.clock.advance(1)
        assert (await valid.send(caller)).is_success
        if not endpoint.path.endswith(("/api_token", "/permissions/{user_id}", "/dds_user")):
            assert state(caller, tmp_path) != before
