"""A client under the test's own hand: plain calls to the embedded service, right or wrong as the test likes."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from upload_tui.backend.service import EmbeddedService
from upload_tui.testing import FrozenClock

__all__ = ["FILE", "Caller", "md5", "serving"]

FILE = (b"0123", b"4567", b"89ab", b"cde")
"""The fifteen bytes of the published integrity report, in four chunks."""


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Caller:
    """Calls the service with the demo account's token."""

    def __init__(self, service: EmbeddedService, http: httpx.AsyncClient, clock: FrozenClock) -> None:
        self.service = service
        self.http = http
        self.clock = clock

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": self.service.new_token(), **options.pop("headers", {})}
        return await self.http.request(method, f"/api/v1{path}", headers=headers, **options)

    async def initiate(self, name: str = "file.bin", size: int = 15) -> str:
        fields = {"name": name, "content_type": "text/plain", "size": size}
        answer = await self.call("POST", f"/projects/{self.service.project.id}/uploads", json=fields)
        assert answer.status_code == 201
        return str(answer.json()["id"])

    async def send_chunk(self, upload_id: str, number: int, content: bytes, sent: bytes | None = None) -> None:
        report = {"number": number, "size": len(content), "hash": {"value": md5(content), "algorithm": "md5"}}
        target = (await self.call("PUT", f"/uploads/{upload_id}/chunks", json=report)).json()
        stored = await self.http.put(target["host"] + target["url"], content=content if sent is None else sent)
        assert stored.status_code == 201

    async def complete(self, upload_id: str, digest: str) -> httpx.Response:
        return await self.call(
            "PUT", f"/uploads/{upload_id}/complete", json={"hash": {"value": digest, "algorithm": "md5"}}
        )

    async def upload(
        self, chunks: Sequence[tuple[int, bytes]], size: int = 15, digest: str = md5(b"".join(FILE))
    ) -> str:
        """All of it: begun, sent, completed; not yet verified."""
        upload_id = await self.initiate(size=size)
        for number, content in chunks:
            await self.send_chunk(upload_id, number, content)
        assert (await self.complete(upload_id, digest)).status_code == 202
        return upload_id

    async def status(self, upload_id: str) -> dict[str, Any]:
        status: dict[str, Any] = (await self.call("GET", f"/uploads/{upload_id}")).json()["status"]
        return status


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Caller]:
    """A service on a clock that stands still, its worker stepped by hand."""
    clock = FrozenClock()
    service = EmbeddedService(clock=clock, seed=1, secret=b"a test's own", **options)
    service.worker.hold()
    transport = httpx.ASGITransport(app=service.app)
    async with service, httpx.AsyncClient(transport=transport, base_url=service.base_url) as http:
        yield Caller(service, http, clock)
