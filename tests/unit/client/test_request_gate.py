"""Where all requests of a client pass: while the person wants none, and while the service wants none."""

import asyncio

import httpx
import pytest

from upload_tui.client.credentials import Credentials
from upload_tui.client.service_client import ServiceClient
from upload_tui.errors import ThrottledError
from upload_tui.testing import FrozenClock, an_upload


class Service:
    """Answers what it is told to, and counts who asks."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.asked: list[str] = []
        self.busy_headers: dict[str, str] | None = None

    def client(self) -> ServiceClient:
        transport = httpx.MockTransport(self._answer)
        return ServiceClient("https://dds.test", Credentials("t"), transport=transport, clock=self.clock, attempts=1)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path.rpartition("/")[2])
        if self.busy_headers is not None:
            return httpx.Response(429, headers=self.busy_headers, json={})
        return httpx.Response(200, json=an_upload("a"))


async def test_nobody_is_asked_until_the_service_wants_to_be() -> None:
    service = Service()
    service.busy_headers = {"retry-after": "30"}
    async with service.client() as client:
        with pytest.raises(ThrottledError):
            await client.upload("one")
        service.busy_headers = None
        service.clock.advance(29)
        with pytest.raises(ThrottledError) as caught:
            await client.upload("two")
        assert caught.value.retry_after_seconds == 1
        assert caught.value.status is None
        service.clock.advance(1)
        await client.upload("three")
    assert service.asked == ["one", "three"]


async def test_others_are_asked_when_a_busy_service_does_not_say_for_how_long() -> None:
    service = Service()
    service.busy_headers = {}
    async with service.client() as client:
        with pytest.raises(ThrottledError):
            await client.upload("one")
        service.busy_headers = None
        await client.upload("two")
    assert service.asked == ["one", "two"]


async def test_requests_wait_while_the_person_wants_none() -> None:
    service = Service()
    async with service.client() as client:
        client.gate.pause()
        asking = asyncio.gather(*(client.upload(name) for name in ("one", "two")))
        for _ in range(20):
            await asyncio.sleep(0)
        assert service.asked == []
        client.gate.resume()
        await asking
    assert sorted(service.asked) == ["one", "two"]
