"""The embedded service under a test's own hand: a clock that stands still, a worker stepped by hand, faults by name.

It is the service of `upload-tui serve`, called in the same process: chunks are stored and really hashed.
"""

import hashlib
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from upload_tui.backend import API_PATH, EmbeddedService, FaultName
from upload_tui.errors import UsageError
from upload_tui.testing.clock import FrozenClock
from upload_tui.wire import StatusShape

__all__ = ["UploadService", "split_content", "parse_fault_name", "md5"]

_DEFAULT_CONTENT = b"0123456789abcde"
_URL = "https://uploads.example.org"


class UploadService:
    """A service in the test's own process; an async context manager that forgets everything at its end.

    It needs no port: `transport` goes into an `httpx.AsyncClient`, whatever URL that calls. For clients of other kinds there is
    `UploadServer`.

    Args:
        clock: the service's time; a `FrozenClock` of its own if None.
        status_shape: the shape of `status` for everybody who does not ask for another.
        options: what else `upload_tui.backend.service.EmbeddedService` takes.

    >>> import asyncio, httpx
    >>> from upload_tui.testing import UploadService
    >>> async def story():
    ...     async with UploadService() as service:
    ...         upload_id = await service.upload("scan.tiff", b"all the bytes")
    ...         service.clock.advance(2)
    ...         await service.verify_next()
    ...         async with httpx.AsyncClient(transport=service.transport, headers=service.headers) as mine:
    ...             answer = await mine.get(f"{service.api_url}/uploads/{upload_id}")
    ...     return answer.json()["status"]["verified_on"]
    >>> asyncio.run(story())
    '2026-03-14T09:26:55.000Z'
    """

    def __init__(
        self, *, clock: FrozenClock | None = None, status_shape: StatusShape | str = StatusShape.A, **options: Any
    ) -> None:
        self.clock = clock or FrozenClock()
        settings = {"seed": 1, "secret": b"a test's own", "base_url": _URL, **options}
        self.embedded = EmbeddedService(clock=self.clock, status_shape=StatusShape(status_shape), **settings)
        self.embedded.worker.pause()
        self.transport = httpx.ASGITransport(app=self.embedded.app)
        self.http = httpx.AsyncClient(transport=self.transport, base_url=self.embedded.base_url)

    async def __aenter__(self) -> Self:
        await self.embedded.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()
        await self.embedded.stop()

    def close(self) -> None:
        """Forget everything; for a service that was never entered: it does all but run its worker by itself."""
        self.embedded.close()

    # How to be let in

    @property
    def url(self) -> str:
        """Where the service seems to be."""
        return self.embedded.base_url

    @property
    def api_url(self) -> str:
        """The base of all endpoints."""
        return self.embedded.api_url

    @property
    def headers(self) -> dict[str, str]:
        """What lets a request in: a token made now, good for two hours of the service's clock."""
        return {"Authorization": self.embedded.new_token()}

    @property
    def agent_key(self) -> str:
        """The account's software agent; with `user_key` it gets a token."""
        return self.embedded.account.agent_key

    @property
    def user_key(self) -> str:
        """The account's user."""
        return self.embedded.account.user_key

    @property
    def project_id(self) -> str:
        """The project that is there from the start."""
        return self.embedded.project.id

    @property
    def project_name(self) -> str:
        """Its name."""
        return self.embedded.project.name

    # What the worker and the weather do

    async def verify_next(self) -> str | None:
        """Let the worker verify one upload that is due; gives its id, or None if none is."""
        return await self.embedded.worker.verify_next()

    async def verify_all(self) -> list[str]:
        """Let the worker verify all that is due; gives their ids."""
        verified = []
        while upload_id := await self.verify_next():
            verified.append(upload_id)
        return verified

    @property
    def fault_names(self) -> tuple[str, ...]:
        """The faults there are."""
        return tuple(FaultName)

    def start_fault(self, name: str, seconds: float | None = None) -> None:
        """Let a fault happen, for so long by the service's clock; None takes its usual time."""
        self.embedded.faults.start(parse_fault_name(name), seconds)

    def stop_fault(self, name: str) -> None:
        """End a fault now."""
        self.embedded.faults.stop(parse_fault_name(name))

    # A client, right or wrong as the test likes

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A call with the account's token; `path` is what follows `/api/v1`, `options` are httpx's."""
        headers = {**self.headers, **options.pop("headers", {})}
        return await self.http.request(method, f"{API_PATH}{path}", headers=headers, **options)

    async def initiate(self, name: str = "file.bin", size: int = len(_DEFAULT_CONTENT)) -> str:
        """Begin an upload; gives its id."""
        fields = {"name": name, "content_type": "application/octet-stream", "size": size}
        answer = await self.call("POST", f"/projects/{self.project_id}/uploads", json=fields)
        answer.raise_for_status()
        return str(answer.json()["id"])

    async def send_chunk(self, upload_id: str, number: int, content: bytes, sent_content: bytes | None = None) -> None:
        """Report a chunk and send its bytes; other bytes are `sent_content` than reported if the test says so."""
        report = {"number": number, "size": len(content), "hash": {"value": md5(content), "algorithm": "md5"}}
        target = (await self.call("PUT", f"/uploads/{upload_id}/chunks", json=report)).raise_for_status().json()
        stored = await self.http.put(
            target["host"] + target["url"], content=content if sent_content is None else sent_content
        )
        stored.raise_for_status()

    async def complete(self, upload_id: str, digest: str) -> httpx.Response:
        """Say that all chunks are there; `digest` is the whole file's MD5."""
        fields = {"hash": {"value": digest, "algorithm": "md5"}}
        return await self.call("PUT", f"/uploads/{upload_id}/complete", json=fields)

    async def upload(
        self,
        name: str = "file.bin",
        content: bytes = _DEFAULT_CONTENT,
        *,
        chunks: Iterable[tuple[int, bytes]] | None = None,
        size: int | None = None,
        digest: str | None = None,
    ) -> str:
        """All of it: begun, sent, completed; not yet verified. Gives the upload's id.

        Args:
            name: the file's.
            content: the file's.
            chunks: numbers and bytes of what is sent instead of the content in four chunks.
            size: what is promised instead of the content's size.
            digest: what is reported instead of the content's MD5.
        """
        upload_id = await self.initiate(name, len(content) if size is None else size)
        for number, chunk in enumerate(split_content(content, 4), 1) if chunks is None else chunks:
            await self.send_chunk(upload_id, number, chunk)
        (await self.complete(upload_id, digest or md5(content))).raise_for_status()
        return upload_id

    async def status(self, upload_id: str) -> dict[str, Any]:
        """What the service says of an upload's status."""
        answer = (await self.call("GET", f"/uploads/{upload_id}")).raise_for_status()
        status: dict[str, Any] = answer.json()["status"]
        return status


def parse_fault_name(name: str) -> FaultName:
    """A fault by its name.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        return FaultName(name)
    except ValueError:
        raise UsageError(f"There is no fault called {name}", f"There are: {', '.join(FaultName)}.") from None


def split_content(content: bytes, count: int) -> Sequence[bytes]:
    """Content in so many chunks of one size, the last one smaller; one empty chunk for no content."""
    size = max(1, -(-len(content) // count))
    return [content[start : start + size] for start in range(0, max(1, len(content)), size)]


def md5(content: bytes) -> str:
    """A digest as clients report it."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
