"""The embedded service for tests: in the test's own process on a `FrozenClock`, or on a real socket in a thread.

Both are the service of `upload-tui serve`: chunks are stored and hashed. Clients of the second run in real time, so it uses the
system clock, and its worker runs by itself.
"""

import asyncio
import hashlib
import socket
from collections.abc import Coroutine, Iterable, Sequence
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from upload_tui.backend import EmbeddedService, FaultName
from upload_tui.clock import SystemClock
from upload_tui.errors import UnreachableError, UsageError
from upload_tui.testing.clock import FrozenClock
from upload_tui.wire import API_PATH, StatusShape

if TYPE_CHECKING:
    import uvicorn

__all__ = ["UploadServer", "UploadService", "md5", "parse_fault_name", "split_content"]

_DEFAULT_CONTENT = b"0123456789abcde"
_URL = "https://uploads.example.org"


class UploadService:
    """A service in the test's own process; an async context manager that deletes its data at the end.

    It needs no port: pass `transport` to an `httpx.AsyncClient`. For other clients use `UploadServer`.

    Args:
        clock: the service's clock; a new `FrozenClock` if None.
        status_shape: the shape of `status` in responses to requests that name no other: `a`, `b` or `deployed`.
        options: what else `upload_tui.backend.service.EmbeddedService` takes.

    >>> import asyncio, httpx
    >>> from upload_tui.testing import UploadService
    >>> async def upload_and_verify():
    ...     async with UploadService() as service:
    ...         upload_id = await service.upload("scan.tiff", b"all the bytes")
    ...         service.clock.advance(2)
    ...         await service.verify_next()
    ...         async with httpx.AsyncClient(transport=service.transport, headers=service.headers) as client:
    ...             response = await client.get(f"{service.api_url}/uploads/{upload_id}")
    ...     return response.json()["status"]["verified_on"]
    >>> asyncio.run(upload_and_verify())
    '2026-03-14T09:26:55.000Z'
    """

    def __init__(
        self, *, clock: FrozenClock | None = None, status_shape: StatusShape | str = StatusShape.A, **options: Any
    ) -> None:
        self.clock = clock or FrozenClock()
        settings = {"seed": 1, "secret": b"a test's own", "base_url": _URL, **options}
        self.embedded = EmbeddedService(clock=self.clock, status_shape=StatusShape(status_shape), **settings)
        self.embedded.worker.set_paused(is_paused=True)
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

    # Credentials

    @property
    def url(self) -> str:
        """The URL that the service has in its responses."""
        return self.embedded.base_url

    @property
    def api_url(self) -> str:
        """The base URL of all endpoints."""
        return self.embedded.api_url

    @property
    def headers(self) -> dict[str, str]:
        """Headers of an authorised request: a new token, valid for two hours of the service's clock."""
        return {"Authorization": self.embedded.new_token()}

    @property
    def agent_key(self) -> str:
        """The key of the account's software agent; with `user_key` it is exchanged for a token."""
        return self.embedded.account.agent_key

    @property
    def user_key(self) -> str:
        """The key of the account's user."""
        return self.embedded.account.user_key

    @property
    def project_id(self) -> str:
        """The id of the project that exists from the start."""
        return self.embedded.project.id

    @property
    def project_name(self) -> str:
        """The name of that project."""
        return self.embedded.project.name

    # Worker and faults

    async def verify_next(self) -> str | None:
        """Verify one upload that is due and return its id; None if none is due."""
        return await self.embedded.worker.verify_next()

    async def verify_all(self) -> list[str]:
        """Verify all uploads that are due and return their ids."""
        verified = []
        while upload_id := await self.verify_next():
            verified.append(upload_id)
        return verified

    @property
    def fault_names(self) -> tuple[str, ...]:
        """The names of all faults."""
        return tuple(FaultName)

    def start_fault(self, name: str, seconds: float | None = None) -> None:
        """Start a fault for this many seconds of the service's clock; None for the fault's default duration.

        Raises:
            UsageError: there is no fault of this name.
        """
        self.embedded.faults.start(parse_fault_name(name), seconds)

    def stop_fault(self, name: str) -> None:
        """Stop a fault."""
        self.embedded.faults.stop(parse_fault_name(name))

    # A client, which a test can make misbehave

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send an authorised request; `path` is below `/api/v1`, `options` are those of `httpx.AsyncClient.request`."""
        headers = {**self.headers, **options.pop("headers", {})}
        return await self.http.request(method, f"{API_PATH}{path}", headers=headers, **options)

    async def initiate(self, name: str = "file.bin", size: int = len(_DEFAULT_CONTENT)) -> str:
        """Initiate an upload and return its id."""
        fields = {"name": name, "content_type": "application/octet-stream", "size": size}
        response = await self.call("POST", f"/projects/{self.project_id}/uploads", json=fields)
        return str(response.raise_for_status().json()["id"])

    async def send_chunk(self, upload_id: str, number: int, content: bytes, sent_content: bytes | None = None) -> None:
        """Report a chunk and send its bytes; with `sent_content`, send these bytes instead of the reported ones."""
        report = {"number": number, "size": len(content), "hash": {"value": md5(content), "algorithm": "md5"}}
        target = (await self.call("PUT", f"/uploads/{upload_id}/chunks", json=report)).raise_for_status().json()
        stored = await self.http.put(
            target["host"] + target["url"], content=content if sent_content is None else sent_content
        )
        stored.raise_for_status()

    async def complete(self, upload_id: str, digest: str) -> httpx.Response:
        """Complete an upload; `digest` is the MD5 of the whole file."""
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
        """Initiate, send and complete an upload and return its id; it is not verified yet.

        Args:
            name: the file's name.
            content: the file's bytes.
            chunks: numbers and bytes of the chunks to send; None sends the content in four chunks.
            size: the declared size; None means the content's size.
            digest: the reported MD5; None reports the content's MD5.
        """
        upload_id = await self.initiate(name, len(content) if size is None else size)
        for number, chunk in enumerate(split_content(content, 4), 1) if chunks is None else chunks:
            await self.send_chunk(upload_id, number, chunk)
        (await self.complete(upload_id, digest or md5(content))).raise_for_status()
        return upload_id

    async def status(self, upload_id: str) -> dict[str, Any]:
        """The `status` of an upload resource."""
        response = await self.call("GET", f"/uploads/{upload_id}")
        status: dict[str, Any] = response.raise_for_status().json()["status"]
        return status


def parse_fault_name(name: str) -> FaultName:
    """Find a fault by its name.

    Raises:
        UsageError: there is no fault of this name.
    """
    try:
        return FaultName(name)
    except ValueError:
        raise UsageError(f"There is no fault called {name}", f"The faults are: {', '.join(FaultName)}.") from None


def split_content(content: bytes, count: int) -> Sequence[bytes]:
    """Split content into `count` chunks of one size, the last one possibly smaller; empty content is one empty chunk."""
    size = max(1, -(-len(content) // count))
    return [content[start : start + size] for start in range(0, max(1, len(content)), size)]


def md5(content: bytes) -> str:
    """The MD5 of content, in hex."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


_HOST = "127.0.0.1"
_TIMEOUT_SECONDS = 30.0

Result = TypeVar("Result")


class UploadServer:
    """A service at `url`; a context manager that starts and stops it.

    Args:
        status_shape: the shape of `status` in responses to requests that name no other: `a`, `b` or `deployed`.

    >>> import httpx
    >>> from upload_tui.testing import UploadServer
    >>> with UploadServer() as server, httpx.Client(headers=server.headers) as client:
    ...     response = client.get(f"{server.api_url}/projects/{server.project_id}/uploads")
    >>> response.json()
    {'results': []}
    """

    def __init__(self, *, status_shape: str = "a") -> None:
        self._status_shape = StatusShape(status_shape)
        self._service: EmbeddedService | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._is_started = Event()
        self._thread = Thread(target=self._run, name="upload server", daemon=True)

    def __enter__(self) -> Self:
        # asyncio sets TCP_NODELAY only where the protocol is given; without it each response waits 40 ms.
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listener.bind((_HOST, 0))
        self._listener.listen()  # connections made before the service runs wait in the queue
        self.url = f"http://{_HOST}:{self._listener.getsockname()[1]}"
        self._thread.start()
        if not self._is_started.wait(_TIMEOUT_SECONDS) or self._service is None:
            raise UnreachableError(f"The service at {self.url} did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(_TIMEOUT_SECONDS)
        self._service = None

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._listener.close()
            self._is_started.set()

    async def _serve(self) -> None:
        from upload_tui.backend import http_server

        service = EmbeddedService(clock=SystemClock(), status_shape=self._status_shape, base_url=self.url)
        async with service:
            self._loop = asyncio.get_running_loop()
            self._server = http_server(service.app, log_level="critical")
            self._service = service
            self._is_started.set()
            await self._server.serve(sockets=[self._listener])

    # Credentials

    @property
    def _embedded(self) -> EmbeddedService:
        if self._service is None:
            raise UnreachableError("The service is not running", "Use it inside `with UploadServer() as server`.")
        return self._service

    @property
    def api_url(self) -> str:
        """The base URL of all endpoints."""
        return self._embedded.api_url

    @property
    def headers(self) -> dict[str, str]:
        """Headers of an authorised request: a new token, valid for two hours."""
        return {"Authorization": self._embedded.new_token()}

    @property
    def agent_key(self) -> str:
        """The key of the account's software agent; with `user_key` it is exchanged for a token."""
        return self._embedded.account.agent_key

    @property
    def user_key(self) -> str:
        """The key of the account's user; with `agent_key` it is exchanged for a token."""
        return self._embedded.account.user_key

    @property
    def project_id(self) -> str:
        """The id of the project that exists from the start."""
        return self._embedded.project.id

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which `upload-tui` uses this service."""
        return {
            "UPLOAD_TUI_URL": self.url,
            "UPLOAD_TUI_TOKEN": self._embedded.new_token(),
            "UPLOAD_TUI_PROJECT": self.project_id,
        }

    # Worker and faults

    def pause_worker(self) -> None:
        """Stop the worker; `verify_next` still verifies."""
        self._run_on_loop(_call(self._embedded.worker.set_paused, is_paused=True))

    def resume_worker(self) -> None:
        """Start the worker again."""
        self._run_on_loop(_call(self._embedded.worker.set_paused, is_paused=False))

    def verify_next(self) -> str | None:
        """Verify one upload that is due and return its id; None if none is due."""
        return self._run_on_loop(self._embedded.worker.verify_next())

    def start_fault(self, name: str, seconds: float | None = None) -> None:
        """Start a fault for this many seconds; None for the fault's default duration.

        Raises:
            UsageError: there is no fault of this name.
        """
        self._run_on_loop(_call(self._embedded.faults.start, parse_fault_name(name), seconds))

    def stop_fault(self, name: str) -> None:
        """Stop a fault."""
        self._run_on_loop(_call(self._embedded.faults.stop, parse_fault_name(name)))

    def _run_on_loop(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the service's event loop and return its result."""
        assert self._loop is not None  # noqa: S101  # set before the service
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_TIMEOUT_SECONDS)


async def _call(function: Any, *arguments: Any, **named: Any) -> None:
    function(*arguments, **named)
