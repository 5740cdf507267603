"""Every error has the service's envelope: what a client sends and what happens to the machine makes no difference."""

import json
import logging
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from tests.contract.calls import NUMBERED, Caller, md5, serving
from upload_tui.backend import FaultName
from upload_tui.backend.app import all_endpoints
from upload_tui.backend.endpoints.endpoint import Endpoint
from upload_tui.cli.commands.serve import _browser_origin
from upload_tui.testing import UploadServer, UploadService

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def endpoints() -> list[Any]:
    service = UploadService()
    found = all_endpoints(service.embedded._context)
    service.embedded.database.close()
    return [pytest.param(one, id=f"{one.method} {one.path}") for one in found]


@pytest.fixture(scope="module")
def server() -> Iterator[UploadServer]:
    with UploadServer() as server:
        yield server


def exchange(server: UploadServer, request: str) -> tuple[str, dict[str, str], bytes]:
    """Send raw text to the server. Returns the status line, the headers with lower-case names, and the body."""
    url = httpx.URL(server.url)
    with closing(socket.create_connection((url.host, url.port or 80), timeout=30)) as client:
        client.sendall(request.encode())
        client.shutdown(socket.SHUT_WR)
        head, _, body = b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, body


def check_envelope(response: httpx.Response, status: int) -> None:
    body = response.json()
    assert (response.status_code, body["error"], body["code"]) == (status, status, "not_provided")
    assert body["reason"]
    assert set(body) == {"error", "code", "reason", "suggestion"}


async def call(caller: Caller, endpoint: Endpoint) -> httpx.Response:
    path = endpoint.path.replace("{number:int}", "1").replace("{id}", caller.project_id)
    url = path.replace("{user_id}", caller.embedded.account.id)
    if not endpoint.needs_token and endpoint.query is not None:
        url = caller.embedded._authority.sign_url(endpoint.method, path)
    return await caller.http.request(endpoint.method, url, headers=caller.headers, json={"name": "a", "size": 1})


@pytest.mark.parametrize("endpoint", endpoints())
async def test_unavailable_database_is_a_500(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as caller:
        healthy = await call(caller, endpoint)
        caller.embedded.database._db.close()
        response = await call(caller, endpoint)
        if response.status_code != healthy.status_code:
            check_envelope(response, 500)
            assert response.json()["reason"] == "The database is unavailable"
            assert "ProgrammingError" in caplog.text
        assert not any(record.exc_info for record in caplog.records)


async def test_full_disk_is_a_500_until_there_is_room(tmp_path: Path) -> None:
    async with serving(database=tmp_path / "service.db") as caller:
        db = caller.embedded.database._db
        db.execute("PRAGMA max_page_count = 1")  # SQLite raises it to the present size
        fields = {"name": "a", "description": "x" * 4096}
        responses = [await caller.call("POST", "/projects", json=fields) for _ in range(5)]
        check_envelope(responses[-1], 500)
        count = len((await caller.call("GET", "/projects")).json()["results"])
        assert count == 1 + sum(response.is_success for response in responses)
        db.execute("PRAGMA max_page_count = 100000")
        assert (await caller.call("POST", "/projects", json=fields)).status_code == 202


async def test_damaged_page_is_a_500(tmp_path: Path) -> None:
    file = tmp_path / "service.db"
    async with serving(database=file) as caller:
        upload_id = await caller.initiate()
    with closing(sqlite3.connect(file)) as db:
        page_bytes = db.execute("PRAGMA page_size").fetchone()[0]
        page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'uploads'").fetchone()[0]
    with file.open("r+b") as stored:
        stored.seek((page - 1) * page_bytes)
        stored.write(b"\xff" * page_bytes)
    async with serving(database=file) as caller:
        check_envelope(await caller.call("GET", f"/uploads/{upload_id}"), 500)
        assert (await caller.call("GET", "/projects")).is_success


async def test_internal_error_is_a_500_without_details(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as caller:

        def fail(*_: object) -> None:
            raise RuntimeError("secret details")

        monkeypatch.setattr(caller.embedded.database.projects, "page", fail)
        response = await caller.call("GET", "/projects")
        check_envelope(response, 500)
        assert "secret" not in response.text
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == [
            "GET /api/v1/projects: RuntimeError: secret details"
        ]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", f"/storage/{UNKNOWN}/{'9' * 5000}", 404),
        ("PUT", f"/storage/{UNKNOWN}/-1", 404),
        ("GET", "/api/v1/projects/" + "9" * 5000, 404),
        ("GET", "/", 404),
        ("GET", "/api/v1/control/nothing", 404),
        ("PATCH", "/api/v1/projects", 405),
        ("TRACE", "/api/v1/openapi.json", 405),
    ],
    ids=["digits", "negative", "long-id", "root", "control", "patch", "trace"],
)
def test_unknown_paths_and_methods_get_the_envelope(server: UploadServer, method: str, path: str, status: int) -> None:
    check_envelope(httpx.request(method, server.url + path, headers=server.headers), status)


@pytest.mark.parametrize(
    "request_text", ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"]
)
def test_malformed_http_gets_the_envelope(server: UploadServer, request_text: str) -> None:
    first, headers, body = exchange(server, request_text)
    assert first == "HTTP/1.1 400 Bad Request"
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["error"] == 400


async def test_405_lists_all_methods_of_a_path() -> None:
    paths: dict[str, set[str]] = {}
    async with serving(has_control=True) as caller:
        for endpoint in all_endpoints(caller.embedded._context):
            paths.setdefault(endpoint.path, set()).add(endpoint.method)
        paths["/api/v1/control/faults/outage"] = {"GET", "PUT", "DELETE"}
        for path, methods in paths.items():
            response = await caller.http.request("PATCH", path.replace("{number:int}", "1"), headers=caller.headers)
            check_envelope(response, 405)
            assert set(response.headers["Allow"].split(", ")) - {"HEAD"} == methods


@pytest.mark.parametrize("path", ["/api/v1/projects", "//api/v1//projects/", "/api/v1/projects?%7B%7D"])
@pytest.mark.parametrize("authority", ["", "http://127.0.0.1:1", "HTTPS://another.example"])
def test_every_form_of_a_target_is_accepted(server: UploadServer, authority: str, path: str) -> None:
    first, _, _ = exchange(
        server, f"GET {authority}{path} HTTP/1.1\r\nHost: a\r\nAuthorization: {server.headers['Authorization']}\r\n\r\n"
    )
    assert first == "HTTP/1.1 200 OK"


@pytest.mark.parametrize("host", ["a", "evil/other/path", "evil?query", "evil#fragment", "evil@b", "[", ""])
def test_signatures_are_checked_for_the_path_that_the_server_has(server: UploadServer, host: str) -> None:
    fields = {"name": "a", "content_type": "b", "size": 4, "chunked": False}
    created = httpx.post(
        f"{server.api_url}/projects/{server.project_id}/uploads", json=fields, headers=server.headers
    ).json()
    target, other = created["signed_url"]["url"], f"/storage/{UNKNOWN}"
    stored = f"PUT {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\r\nsome"
    assert exchange(server, stored)[0] == "HTTP/1.1 201 Created"
    path, _, query = target.partition("?")
    forged = f"PUT {other}?{query} HTTP/1.1\r\nHost: a{path}\r\nContent-Length: 4\r\n\r\nsome"
    assert exchange(server, forged)[0].startswith("HTTP/1.1 403")


def test_client_that_leaves_is_no_error(server: UploadServer, caplog: pytest.LogCaptureFixture) -> None:
    url = httpx.URL(server.url)
    with closing(socket.create_connection((url.host, url.port or 80), timeout=30)) as client:
        client.sendall(b"POST /api/v1/projects HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        assert httpx.get(f"{server.url}/api/v1/openapi.json").is_success  # the request above has been read
    assert httpx.get(f"{server.url}/api/v1/openapi.json").is_success
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "Application/X-WWW-Form-UrlEncoded; charset=UTF-8"]
)
@pytest.mark.parametrize("algorithm", ["md5", "MD5", "Sha256"])
async def test_media_types_and_algorithms_have_any_case(content_type: str, algorithm: str) -> None:
    async with serving() as caller:
        upload_id = await caller.initiate(size=0)
        report = f"number=1&size=0&hash[value]=x&hash[algorithm]={algorithm}"
        headers = {"Content-Type": content_type}
        chunk = await caller.call("PUT", f"/uploads/{upload_id}/chunks", content=report, headers=headers)
        assert chunk.status_code == 200
        form = f"hash[value]={md5(b'')}&hash[algorithm]={algorithm}"
        done = await caller.call("PUT", f"/uploads/{upload_id}/complete", content=form, headers=headers)
        assert [done.status_code, done.json()["hashes"][0]["algorithm"]] == [202, algorithm.lower()]
        again = {"value": "x", "algorithm": algorithm}
        assert (await caller.call("PUT", f"/uploads/{upload_id}/hashes", json=again)).status_code == 200


@pytest.mark.parametrize("size", [True, "1_5", " 15", "15 ", "٣", "0x10", "1e3", "", None, 1.5, float("inf"), [1]])
async def test_only_numbers_are_numbers(size: object) -> None:
    async with serving() as caller:
        path, fields = f"/projects/{caller.project_id}/uploads", {"name": "a", "content_type": "b", "size": size}
        headers = {"Content-Type": "application/json"}
        response = await caller.call("POST", path, content=json.dumps(fields), headers=headers)
        assert (response.status_code, response.json()) == (400, {"error": "size is invalid"})
        if isinstance(size, str):
            assert (await caller.call("GET", "/projects", params={"page": size})).status_code == 400


@pytest.mark.parametrize(
    "digits",
    ["9" * 5000, "-" + "9" * 5000, "1" + "0" * 400 + ".5", "1e99999"],
    ids=["positive", "negative", "fraction", "exponent"],
)
async def test_a_number_that_is_too_long_makes_its_field_invalid(digits: str) -> None:
    async with serving() as caller:
        body = f'{{"name": "a", "content_type": "b", "size": {digits}}}'
        response = await caller.call("POST", f"/projects/{caller.project_id}/uploads", content=body)
        assert (response.status_code, response.json()) == (400, {"error": "size is invalid"})


async def test_a_status_shape_that_does_not_exist_is_refused_by_every_endpoint() -> None:
    async with serving() as caller:
        for endpoint in all_endpoints(caller.embedded._context):
            path = endpoint.path.replace("{number:int}", "1")
            headers = {**caller.headers, "X-Status-Design": "zzz"}
            response = await caller.http.request(endpoint.method, path, headers=headers)
            assert response.status_code == 400
            if endpoint.body is None:
                assert response.json()["reason"] == "X-Status-Design is invalid"


@pytest.mark.parametrize("size", [15, "15", "+15", 15.0])
async def test_numbers_may_be_text(size: object) -> None:
    async with serving() as caller:
        fields = {"name": "a", "content_type": "b", "size": size}
        response = await caller.call("POST", f"/projects/{caller.project_id}/uploads", json=fields)
        assert response.json()["size"] == 15


@pytest.mark.parametrize("fields", [{}, {"agent_key": "x"}, {"user_key": "x"}, {"agent_key": None, "user_key": "x"}])
async def test_missing_key_of_the_token_call(fields: dict[str, str]) -> None:
    async with serving() as caller:
        response = await caller.http.post("/api/v1/software_agents/api_token", json=fields)
        check_envelope(response, 400)
        assert response.json()["reason"] == "missing key or keys"


@pytest.mark.parametrize(
    ("page", "previous", "following"), [(1, "", "2"), (2, "1", "3"), (3, "2", ""), (4, "", ""), (9, "", "")]
)
async def test_neighbours_of_a_page(page: int, previous: str, following: str) -> None:
    async with serving() as caller:
        for _ in range(5):
            await caller.initiate()
        path, paging = f"/projects/{caller.project_id}/uploads", {"page": page, "per_page": 2}
        headers = (await caller.call("GET", path, params=paging)).headers
        assert (headers["X-Prev-Page"], headers["X-Next-Page"]) == (previous, following)


@pytest.mark.parametrize(("size", "least"), [(0, "0"), (1, "1"), (1000, "1"), (1001, "2"), (10**9, "1000000")])
async def test_least_chunk_size_fits_the_number_of_chunks(size: int, least: str) -> None:
    async with serving() as caller:
        fields = {"name": "a", "content_type": "b", "size": size}
        response = await caller.call("POST", f"/projects/{caller.project_id}/uploads", json=fields)
        assert response.headers["X-MIN-CHUNK-UPLOAD-SIZE"] == least


ORIGIN = "https://a.example"


def preflight(origin: str = ORIGIN, method: str = "PUT", **headers: str) -> dict[str, str]:
    """The headers with which a browser asks whether a page may send a request."""
    return {"Origin": origin, "Access-Control-Request-Method": method, **headers}


async def test_origins_are_allowed_when_named() -> None:
    async with serving(cors_origins=[ORIGIN]) as caller:
        for origin, expected in ((ORIGIN, ORIGIN), ("https://b.example", None)):
            asked = await caller.http.options("/api/v1/projects", headers=preflight(origin))
            response = await caller.call("GET", "/projects", headers={"Origin": origin})
            for one in (asked, response):
                assert one.headers.get("Access-Control-Allow-Origin") == expected
        refused = await caller.http.get("/api/v1/projects", headers={"Origin": ORIGIN})
        assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)


async def test_scripts_can_read_every_header_that_the_service_sets() -> None:
    always_readable = {"content-type", "content-length", "cache-control", "expires", "last-modified", "pragma"}
    not_for_scripts = {"vary", "access-control-allow-origin", "access-control-expose-headers"}
    async with serving(cors_origins=[ORIGIN]) as caller:
        upload_id = await caller.upload(NUMBERED)
        await caller.embedded.worker.verify_next()
        url, origin = caller.embedded._authority.sign_url("GET", f"/storage/{upload_id}"), {"Origin": ORIGIN}
        etag = (await caller.http.get(url)).headers["etag"]
        caller.embedded.faults.start(FaultName.TOO_MANY_REQUESTS, 1)
        responses = [await caller.call("GET", "/projects", headers=origin)]
        caller.clock.advance(2)
        fields = {"name": "a", "content_type": "b", "size": 1}
        responses += [
            await caller.call("GET", "/projects", headers=origin),
            await caller.call("POST", f"/projects/{caller.project_id}/uploads", json=fields, headers=origin),
            await caller.http.get(url, headers={**origin, "Range": "bytes=0-1"}),
            await caller.http.get(url, headers={**origin, "Range": "bytes=99-"}),
            await caller.http.get(url, headers={**origin, "If-None-Match": etag}),
        ]
        assert [response.status_code for response in responses] == [429, 200, 201, 206, 416, 304]
        for response in responses:
            exposed = set(response.headers["Access-Control-Expose-Headers"].lower().split(", "))
            assert set(response.headers) <= exposed | always_readable | not_for_scripts


@pytest.mark.parametrize(
    "name", ["Authorization", "Content-Type", "Range", "If-Range", "If-Match", "If-None-Match", "X-Status-Design"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
async def test_scripts_can_send_every_method_and_header_that_the_service_reads(method: str, name: str) -> None:
    async with serving(cors_origins=[ORIGIN]) as caller:
        headers = preflight(method=method, **{"Access-Control-Request-Headers": name.lower()})
        assert (await caller.http.options("/api/v1/projects", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        preflight("https://b.example"),
        preflight(method="PATCH"),
        preflight(**{"Access-Control-Request-Headers": "x-other"}),
    ],
    ids=["origin", "method", "header"],
)
async def test_a_refused_preflight_gets_the_envelope(headers: dict[str, str]) -> None:
    async with serving(cors_origins=[ORIGIN]) as caller:
        check_envelope(await caller.http.options("/api/v1/projects", headers=headers), 400)


@pytest.mark.parametrize(("origin", "status"), [(ORIGIN, 200), ("https://b.example", 400)])
async def test_pages_of_an_allowed_origin_can_call_a_service_in_a_private_network(origin: str, status: int) -> None:
    async with serving(cors_origins=[ORIGIN]) as caller:
        headers = preflight(origin, **{"Access-Control-Request-Private-Network": "true"})
        response = await caller.http.options("/api/v1/projects", headers=headers)
        assert response.status_code == status
        if status == 200:
            assert response.headers["Access-Control-Allow-Private-Network"] == "true"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("*", "*"),
        ("http://X:80", "http://x"),
        ("HTTPS://A.example:443", "https://a.example"),
        ("https://a.example:80", "https://a.example:80"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("http://m\u00fcnchen.example", "http://xn--mnchen-3ya.example"),
        *((wrong, None) for wrong in (
            "http://*", "https://*.example", "http://u@x", "http://x/", "http://x/a", "http://x#a", "http://x:99999",
            "ftp://x", "null", "http://", "http:x", "http:// x", "http://a..b", "http://[", "x", "",
        )),
    ],
)  # fmt: skip
def test_an_origin_is_written_as_browsers_do_or_refused(given: str, sent: str | None) -> None:
    if sent is None:
        with pytest.raises(click.BadParameter, match="is not an origin"):
            _browser_origin(given)
    else:
        assert _browser_origin(given) == sent


async def test_no_origin_is_allowed_by_default() -> None:
    async with serving() as caller:
        response = await caller.call("GET", "/projects", headers={"Origin": "https://a.example"})
        assert not [name for name in response.headers if name.startswith("access-control")]
