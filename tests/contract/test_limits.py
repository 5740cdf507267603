"""What the service rejects, over a real socket: with an error envelope, at once, and without delaying other clients."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from upload_tui.testing import UploadServer


@pytest.fixture(scope="module")
def server() -> Iterator[UploadServer]:
    with UploadServer() as server:
        yield server


@pytest.fixture
def http(server: UploadServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.api_url, headers=server.headers) as http:
        yield http


def initiate(server: UploadServer, http: httpx.Client, **fields: Any) -> httpx.Response:
    body = {"name": "a.bin", "content_type": "text/plain", "size": 4, **fields}
    headers = {"Content-Type": "application/json"}
    return http.post(f"/projects/{server.project_id}/uploads", content=json.dumps(body), headers=headers)


@pytest.mark.parametrize("name", ["X-Large", "Authorization", "X-Status-Design"])
def test_too_large_headers_are_rejected_with_an_envelope(http: httpx.Client, name: str) -> None:
    response = http.get("/projects", headers={name: "x" * 100_000})
    assert (response.status_code, response.json()["reason"]) == (400, "request headers too large")


def test_a_too_long_path_is_rejected_with_an_envelope(http: httpx.Client) -> None:
    response = http.get("/projects", params={"name": "x" * 50_000})
    assert (response.status_code, response.json()["reason"]) == (400, "request path too large")


def test_a_too_large_body_is_rejected(http: httpx.Client) -> None:
    response = http.post("/projects", content=b"x" * 3 * 1024 * 1024)
    assert (response.status_code, response.json()["error"]) == (413, 413)


def test_stored_data_over_the_limit_is_rejected_by_its_content_length(server: UploadServer, http: httpx.Client) -> None:
    initiated = initiate(server, http, chunked=False).json()
    url = httpx.URL(initiated["signed_url"]["host"] + initiated["signed_url"]["url"])
    with closing(socket.create_connection((url.host, url.port or 80), timeout=30)) as client:
        head = f"PUT {url.raw_path.decode()} HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 5368709121\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 10_000),
        ("name", ""),
        ("name", "\ud800"),
        ("size", -1),
        ("size", "9" * 5000),
        ("content_type", ["text"]),
    ],
    ids=["long", "empty", "lone-surrogate", "negative", "huge", "a-list"],
)
def test_an_invalid_field_is_named(server: UploadServer, http: httpx.Client, field: str, value: object) -> None:
    response = initiate(server, http, **{field: value})
    assert (response.status_code, response.json()) == (400, {"error": f"{field} is invalid"})


def test_an_upload_has_at_most_a_thousand_chunks(server: UploadServer, http: httpx.Client) -> None:
    upload_id = initiate(server, http).json()["id"]
    report = {"number": 1001, "size": 1, "hash": {"value": "x", "algorithm": "md5"}}
    response = http.put(f"/uploads/{upload_id}/chunks", json=report)
    assert (response.status_code, response.json()["reason"]) == (400, "maximum upload chunks exceeded.")


def test_slow_clients_do_not_delay_others(server: UploadServer, http: httpx.Client) -> None:
    """Thirty clients stop in the middle of a request, of uploaded data or of a response."""
    initiated = initiate(server, http, chunked=False).json()
    url = httpx.URL(initiated["signed_url"]["host"] + initiated["signed_url"]["url"])
    partial_requests = (
        "GET /api/v1/projects HTTP/1.1\r\nHost: a",
        f"PUT {url.raw_path.decode()} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome bytes",
        "GET /api/v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 20,
    )
    clients = []
    for number in range(30):
        client = socket.create_connection((url.host, url.port or 80), timeout=30)
        client.sendall(partial_requests[number % 3].encode())
        clients.append(client)
    try:
        assert all(http.get("/projects").status_code == 200 for _ in range(20))
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    "path",
    ["../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "00000000-0000-4000-8000-000000000000/../x", "%00", "a/1"],
)
def test_no_path_from_a_client_reaches_the_file_system(server: UploadServer, path: str) -> None:
    assert httpx.put(f"{server.url}/storage/{path}", content=b"x").status_code in {403, 404, 405}
    assert httpx.get(f"{server.url}/storage/{path}").status_code in {403, 404, 405}
