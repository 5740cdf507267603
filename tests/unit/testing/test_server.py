"""`UploadServer` on a real socket."""

import socket
from urllib.parse import urlsplit

import httpx
import pytest

from upload_tui.errors import UploadTuiError
from upload_tui.testing import UploadServer


def test_the_port_is_closed_after_the_server_stops() -> None:
    with UploadServer() as server:
        keys = {"agent_key": server.agent_key, "user_key": server.user_key}
        assert httpx.post(f"{server.api_url}/software_agents/api_token", json=keys).status_code == 201
        assert server.environment["UPLOAD_TUI_URL"] == server.url
    address = urlsplit(server.url)
    with pytest.raises(ConnectionRefusedError), socket.create_connection((address.hostname, address.port), 5):
        pass


def test_the_worker_and_the_faults_of_a_server_can_be_controlled() -> None:
    with (
        UploadServer() as server,
        httpx.Client(base_url=server.api_url, headers=server.headers) as client,
    ):
        server.pause_worker()
        assert server.verify_next() is None
        server.start_fault("outage", 600)
        assert client.get("/projects").status_code == 503
        server.stop_fault("outage")
        assert client.get("/projects").status_code == 200
        server.resume_worker()


def test_a_server_that_is_not_running_is_an_error() -> None:
    with pytest.raises(UploadTuiError, match="not running"):
        _ = UploadServer().headers


def test_a_response_over_a_socket_is_not_delayed() -> None:
    """Header and body are sent separately: without TCP_NODELAY each response takes 40 ms."""
    with UploadServer() as server, httpx.Client(headers=server.headers) as client:
        seconds = [
            client.get(f"{server.api_url}/projects").raise_for_status().elapsed.total_seconds() for _ in range(20)
        ]
    assert sorted(seconds)[len(seconds) // 2] < 0.03
