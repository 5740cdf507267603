"""The service in the test's own process, and on a real socket."""

import socket
from urllib.parse import urlsplit

import httpx
import pytest

from upload_tui.errors import UploadTuiError
from upload_tui.testing import UploadServer, UploadService
from upload_tui.testing.service import split_content


@pytest.mark.parametrize(
    ("size", "count", "sizes"),
    [(15, 4, [4, 4, 4, 3]), (3, 4, [1, 1, 1]), (0, 4, [0]), (8, 1, [8])],
    ids=str,
)
def test_nothing_is_lost_when_content_is_cut(size: int, count: int, sizes: list[int]) -> None:
    chunks = split_content(bytes(range(size)), count)
    assert b"".join(chunks) == bytes(range(size))
    assert [len(chunk) for chunk in chunks] == sizes


async def test_nothing_is_verified_when_the_worker_is_not_stepped() -> None:
    async with UploadService() as service:
        first = await service.upload("a")
        service.clock.advance(1)
        second = await service.upload("b")
        service.clock.advance(3600)
        assert not (await service.status(first))["verified_on"]
        assert await service.verify_next() == first
        assert not (await service.status(second))["verified_on"]
        assert await service.verify_all() == [second]
        assert await service.verify_next() is None


async def test_a_fault_lasts_by_the_services_clock_when_it_is_started_by_name() -> None:
    async with UploadService() as service:
        service.start_fault("outage", 30)
        assert (await service.call("GET", "/projects")).status_code == 503
        service.clock.advance(31)
        assert (await service.call("GET", "/projects")).status_code == 200
        for name in service.fault_names:
            service.start_fault(name)
            service.stop_fault(name)
        assert (await service.call("GET", "/projects")).status_code == 200


async def test_a_sentence_names_the_nearest_when_there_is_no_such_fault() -> None:
    async with UploadService() as service:
        with pytest.raises(UploadTuiError, match="outrage") as raised:
            service.start_fault("outrage")
        assert "outage" in raised.value.hint


async def test_every_client_can_be_let_in_when_it_has_the_keys() -> None:
    async with UploadService(status_shape="deployed") as service:
        upload_id = await service.upload()
        async with httpx.AsyncClient(transport=service.transport, base_url=service.api_url) as mine:
            keys = {"agent_key": service.agent_key, "user_key": service.user_key}
            token = (await mine.post("/software_agents/api_token", json=keys)).json()["api_token"]
            answer = await mine.get(f"/uploads/{upload_id}", headers={"Authorization": token})
        assert "is_consistent" in answer.json()["status"]


def test_the_port_is_closed_when_a_server_has_been_used() -> None:
    with UploadServer() as server:
        keys = {"agent_key": server.agent_key, "user_key": server.user_key}
        assert httpx.post(f"{server.api_url}/software_agents/api_token", json=keys).status_code == 201
        assert server.environment["UPLOAD_TUI_URL"] == server.url
    address = urlsplit(server.url)
    with pytest.raises(ConnectionRefusedError), socket.create_connection((address.hostname, address.port), 5):
        pass


def test_the_worker_and_the_weather_obey_when_a_server_runs() -> None:
    with (
        UploadServer() as server,
        httpx.Client(base_url=server.api_url, headers={"Authorization": server.token}) as mine,
    ):
        server.pause_worker()
        assert server.verify_next() is None
        server.start_fault("outage", 600)
        assert mine.get("/projects").status_code == 503
        server.stop_fault("outage")
        assert mine.get("/projects").status_code == 200
        server.resume_worker()


def test_a_sentence_says_so_when_a_server_is_not_running() -> None:
    with pytest.raises(UploadTuiError, match="not running"):
        _ = UploadServer().token


def test_an_answer_comes_at_once_over_a_socket() -> None:
    """Header and body are sent apart: where the first waits to be acknowledged, each answer takes 40 ms."""
    with UploadServer() as server, httpx.Client(headers={"Authorization": server.token}) as client:
        took = [client.get(f"{server.api_url}/projects").raise_for_status().elapsed.total_seconds() for _ in range(20)]
    assert sorted(took)[len(took) // 2] < 0.03
