"""The embedded service on a real socket, in a thread of the test's process, for clients in any language.

Such clients run in real time, so it uses the system clock and its worker runs by itself.
"""

import asyncio
import socket
from collections.abc import Coroutine
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from upload_tui.backend import EmbeddedService
from upload_tui.clock import SystemClock
from upload_tui.errors import UnreachableError
from upload_tui.testing.service import parse_fault_name
from upload_tui.wire import StatusShape

if TYPE_CHECKING:
    import uvicorn

__all__ = ["UploadServer"]

_HOST = "127.0.0.1"
_TIMEOUT_SECONDS = 30.0

Result = TypeVar("Result")


class UploadServer:
    """A service at `url`; a context manager that starts and stops it.

    Args:
        status_shape: the shape of `status` in responses to requests that name no other: `a`, `b` or `deployed`.

    >>> import httpx
    >>> from upload_tui.testing import UploadServer
    >>> with UploadServer() as server, httpx.Client(headers={"Authorization": server.token}) as client:
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
    def token(self) -> str:
        """A new token for the header `Authorization`, valid for two hours."""
        return self._embedded.new_token()

    @property
    def agent_key(self) -> str:
        """The key of the account's software agent; with `user_key` it is exchanged for a token."""
        return self._embedded.account.agent_key

    @property
    def user_key(self) -> str:
        """The key of the account's user."""
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
            "UPLOAD_TUI_TOKEN": self.token,
            "UPLOAD_TUI_PROJECT": self.project_id,
        }

    # Worker and faults

    def pause_worker(self) -> None:
        """Stop the worker; `verify_next` still verifies."""
        self._run_on_loop(_call(self._embedded.worker.pause))

    def resume_worker(self) -> None:
        """Start the worker again."""
        self._run_on_loop(_call(self._embedded.worker.resume))

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


async def _call(function: Any, *arguments: Any) -> None:
    function(*arguments)
