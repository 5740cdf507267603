"""The testing kit's service with the file of the published integrity report: fifteen bytes in four chunks."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from upload_tui.backend import EmbeddedService
from upload_tui.testing import UploadService
from upload_tui.testing.service import md5

__all__ = ["FILE", "Caller", "md5", "serving"]

FILE = (b"0123", b"4567", b"89ab", b"cde")


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
