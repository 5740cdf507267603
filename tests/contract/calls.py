"""The testing kit's service with the file of the published integrity report: fifteen bytes in four chunks."""

from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from upload_tui.backend import EmbeddedService
from upload_tui.testing import FrozenClock, UploadService
from upload_tui.testing.service import md5

__all__ = ["FILE", "NUMBERED", "Caller", "InlineExecutor", "SettableClock", "md5", "serving"]

FILE = (b"0123", b"4567", b"89ab", b"cde")
NUMBERED = tuple(enumerate(FILE, 1))


class Caller(UploadService):
    """Calls the service with the demo account's token."""

    @property
    def service(self) -> EmbeddedService:
        return self.embedded

    async def upload(  # type: ignore[override]  # always the one file, in chunks that each test chooses
        self, chunks: Sequence[tuple[int, bytes]], size: int = 15, digest: str = md5(b"".join(FILE))
    ) -> str:
        return await super().upload(chunks=chunks, size=size, digest=digest)


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Caller]:
    """Start a service whose clock stands still and whose worker runs only when a test calls it."""
    async with Caller(**options) as caller:
        yield caller


class InlineExecutor(Executor):
    """Runs work at once, so that threads cannot change the order of events."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  # an executor passes on any exception
            future.set_exception(error)
        return future


class SettableClock(FrozenClock):
    """A clock whose time of day can be set; its seconds go on."""

    offset = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.offset
