"""A client against a service that stores and verifies real bytes, without a network and without waiting."""

import asyncio
import hashlib
import json
import shutil
import subprocess
from typing import Any

import httpx
import pytest
import sample_client

from upload_tui.testing import FrozenClock, UploadServer, UploadService

CONTENT = bytes(range(256)) * 10


@pytest.fixture
def http(upload_server: UploadServer) -> Any:
    with httpx.Client(base_url=upload_server.api_url, headers=upload_server.headers) as client:
        yield client


def test_a_complete_file_is_verified(upload_server: UploadServer, http: httpx.Client) -> None:
    upload_server.pause_worker()
    upload_id = sample_client.upload(http, upload_server.project_id, "a.bin", CONTENT)
    assert sample_client.stage(http, upload_id) == "completed"
    assert upload_server.verify_next() == upload_id
    assert sample_client.stage(http, upload_id) == "verified"


def test_an_altered_chunk_is_an_error(upload_server: UploadServer, http: httpx.Client) -> None:
    upload_server.pause_worker()
    upload_server.start_fault("altered-chunk")
    upload_id = sample_client.upload(http, upload_server.project_id, "a.bin", CONTENT)
    upload_server.verify_next()
    assert sample_client.stage(http, upload_id) == "error"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_can_upload(upload_server_url: str, upload_server: UploadServer) -> None:
    def curl(method: str, url: str, body: str = "", *headers: str) -> str:
        options = [option for header in headers for option in ("-H", header)]
        command = [
            "curl",
            "-sS",
            "--fail-with-body",
            "--noproxy",
            "*",
            "-X",
            method,
            *options,
            "--data-binary",
            body,
            url,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    token, as_json = f"Authorization: {upload_server.headers['Authorization']}", "Content-Type: application/json"
    api = f"{upload_server_url}/api/v1"
    digest = {"value": hashlib.md5(b"hello").hexdigest(), "algorithm": "md5"}

    def call(method: str, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = json.loads(curl(method, f"{api}{path}", json.dumps(fields), token, as_json))
        return response

    fields = {"name": "hello.txt", "content_type": "text/plain", "size": 5}
    path = f"/uploads/{call('POST', f'/projects/{upload_server.project_id}/uploads', fields)['id']}"
    target = call("PUT", f"{path}/chunks", {"number": 1, "size": 5, "hash": digest})
    curl("PUT", target["host"] + target["url"], "hello")
    done = call("PUT", f"{path}/complete", {"hash": digest})
    assert done["status"]["completed_on"]


def test_a_token_expires_after_two_hours(upload_service: UploadService, upload_clock: FrozenClock) -> None:
    async def statuses() -> list[int]:
        headers = upload_service.headers
        async with httpx.AsyncClient(transport=upload_service.transport, headers=headers) as client:
            now = await client.get(f"{upload_service.api_url}/projects")
            upload_clock.advance(7201)
            later = await client.get(f"{upload_service.api_url}/projects")
        return [now.status_code, later.status_code]

    assert asyncio.run(statuses()) == [200, 401]
