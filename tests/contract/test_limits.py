"""What the service does not take, over a real socket: in the envelope, at once, and without keeping others waiting."""

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
    with httpx.Client(base_url=server.api_url, headers={"Authorization": server.token}) as http:
        yield http


def initiate(server: UploadServer, http: httpx.Client, **fields: Any) -> httpx.Response:
    wanted = {"name": "a.bin", "content_type": "text/plain", "size": 4, **fields}
    headers = {"Content-Type": "application/json"}
    return http.post(f"/projects/{server.project_id}/uploads", content=json.dumps(wanted), headers=headers)


@pytest.mark.parametrize("name", ["X-Large", "Authorization", "X-Status-Design"])
def test_headers_beyond_all_reason_are_refused_in_the_envelope(http: httpx.Client, name: str) -> None:
    answer = http.get("/projects", headers={name: "x" * 100_000})
    assert (answer.status_code, answer.json()["reason"]) == (400, "request headers too large")


def test_a_path_beyond_all_reason_is_refused_in_the_envelope(http: httpx.Client) -> None:
    answer = http.get("/projects", params={"name": "x" * 50_000})
    assert (answer.status_code, answer.json()["reason"]) == (400, "request path too large")


def test_a_body_beyond_all_reason_is_refused(http: httpx.Client) -> None:
    answer = http.post("/projects", content=b"x" * 3 * 1024 * 1024)
    assert (answer.status_code, answer.json()["error"]) == (413, 413)


def test_bytes_beyond_the_providers_limit_are_refused_by_their_announcement(
    server: UploadServer, http: httpx.Client
) -> None:
    begun = initiate(server, http, chunked=False).json()
    url = httpx.URL(begun["signed_url"]["host"] + begun["signed_url"]["url"])
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
    ids=["long", "empty", "no-text", "negative", "astronomical", "a-list"],
)
def test_a_field_that_cannot_be_kept_is_named(
    server: UploadServer, http: httpx.Client, field: str, value: object
) -> None:
    answer = initiate(server, http, **{field: value})
    assert (answer.status_code, answer.json()) == (400, {"error": f"{field} is invalid"})


def test_a_thousand_chunks_are_the_most(server: UploadServer, http: httpx.Client) -> None:
    upload_id = initiate(server, http).json()["id"]
    report = {"number": 1001, "size": 1, "hash": {"value": "x", "algorithm": "md5"}}
    answer = http.put(f"/uploads/{upload_id}/chunks", json=report)
    assert (answer.status_code, answer.json()["reason"]) == (400, "maximum upload chunks exceeded.")


def test_a_slow_client_keeps_nobody_waiting(server: UploadServer, http: httpx.Client) -> None:
    """Thirty clients that stop in the middle of a request, of a chunk's bytes and of an answer: others are served."""
    begun = initiate(server, http, chunked=False).json()
    url = httpx.URL(begun["signed_url"]["host"] + begun["signed_url"]["url"])
    beginnings = (
        "GET /api/v1/projects HTTP/1.1\r\nHost: a",
        f"PUT {url.raw_path.decode()} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome bytes",
        "GET /api/v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 20,
    )
    clients = []
    for number in range(30):
        client = socket.create_connection((url.host, url.port or 80), timeout=30)
        client.sendall(beginnings[number % 3].encode())
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
