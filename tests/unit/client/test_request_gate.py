"""The gate of all requests: while paused, while the service is throttling, and within the budget."""

import asyncio

import httpx
import pytest

from upload_tui.client import unlimited_requests
from upload_tui.client.credentials import Credentials
from upload_tui.client.service_client import ServiceClient
from upload_tui.errors import ThrottledError
from upload_tui.testing import FrozenClock, an_upload


class Service:
    """Answers uploads, or 429 while `throttle_headers` are set, and lists the requests."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.requested: list[str] = []
        self.throttle_headers: dict[str, str] | None = None

    def client(self) -> ServiceClient:
        transport = httpx.MockTransport(self._respond)
        return ServiceClient("https://dds.test", Credentials("t"), transport=transport, clock=self.clock, attempts=1)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        self.requested.append(request.url.path.rpartition("/")[2])
        if self.throttle_headers is not None:
            return httpx.Response(429, headers=self.throttle_headers, json={})
        return httpx.Response(200, json=an_upload("a", id=request.url.path.rpartition("/")[2]))


async def test_no_request_is_sent_before_the_time_that_the_service_gave() -> None:
    service = Service()
    service.throttle_headers = {"retry-after": "30"}
    async with service.client() as client:
        with pytest.raises(ThrottledError):
            await client.upload("one")
        service.throttle_headers = None
        service.clock.advance(29)
        with pytest.raises(ThrottledError) as caught:
            await client.upload("two")
        assert caught.value.retry_after_seconds == 1
        assert caught.value.status is None
        service.clock.advance(1)
        await client.upload("three")
    assert service.requested == ["one", "three"]


async def test_requests_are_sent_if_a_throttling_service_gives_no_time() -> None:
    service = Service()
    service.throttle_headers = {}
    async with service.client() as client:
        with pytest.raises(ThrottledError):
            await client.upload("one")
        service.throttle_headers = None
        await client.upload("two")
    assert service.requested == ["one", "two"]


async def test_requests_wait_while_paused() -> None:
    service = Service()
    async with service.client() as client:
        client.gate.set_paused(is_paused=True)
        uploads = asyncio.gather(*(client.upload(name) for name in ("one", "two")))
        for _ in range(20):
            await asyncio.sleep(0)
        assert service.requested == []
        client.gate.set_paused(is_paused=False)
        await uploads
    assert sorted(service.requested) == ["one", "two"]


async def test_requests_wait_when_the_budget_is_used_up_and_a_scan_does_not_count() -> None:
    service = Service()
    async with service.client() as client:
        client.gate.requests_per_minute = 2
        with unlimited_requests():
            await asyncio.gather(*(client.upload(f"scan-{number}") for number in range(5)))
        await client.upload("one")
        service.clock.advance(30)
        await client.upload("two")
        assert (client.requests_last_minute, client.is_budget_short) == (7, True)
        more = asyncio.gather(client.upload("three"), client.upload("four"))
        for seconds, requested in ((0, 7), (29, 7), (2, 8), (29, 8), (2, 9)):
            service.clock.advance(seconds)
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(service.requested) == requested
            assert client.gate.is_holding is (requested < 9)
        await more
        assert service.requested[5:] == ["one", "two", "three", "four"]
