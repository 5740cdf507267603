"""The testing kit's service with the file of the published integrity report: fifteen bytes in four chunks."""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from upload_tui.backend import EmbeddedService
from upload_tui.testing import FrozenClock, UploadServer, UploadService
from upload_tui.testing.service import md5

__all__ = ["FILE", "NUMBERED", "Caller", "InlineExecutor", "SettableClock", "md5", "serving", "valid_bodies"]

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


def valid_bodies(
    server: UploadServer | UploadService, ids: Mapping[str, Sequence[str]], content: bytes
) -> Mapping[str, Mapping[str, Any]]:
    """Valid bodies by operation. `ids` are the ids of existing resources by kind, `content` is an upload's."""
    project, digest = {"kind": "dds-project", "id": server.project_id}, {"algorithm": "md5", "value": md5(content)}
    new_file = {"parent": project, "upload": {"id": ids["uploads"][0]}}
    return {
        "POST /api/v1/software_agents/api_token": {"agent_key": server.agent_key, "user_key": server.user_key},
        "PUT /api/v1/projects/{id}/permissions/{user_id}": {"auth_role": {"id": "project_admin"}},
        "PUT /api/v1/uploads/{id}/chunks": {"number": 1, "size": 15, "hash": digest},
        "PUT /api/v1/uploads/{id}/complete": {"hash": digest},
        "PUT /api/v1/uploads/{id}/hashes": {"algorithm": "sha256", "value": hashlib.sha256(content).hexdigest()},
        "POST /api/v1/projects": {"name": "another"},
        "PUT /api/v1/projects/{id}": {"name": "another", "description": "the same"},
        "POST /api/v1/projects/{id}/uploads": {"name": "a", "content_type": "b", "size": 1},
        "PUT /api/v1/folders/{id}/rename": {"name": "another"},
        "PUT /api/v1/files/{id}/rename": {"name": "another"},
        "POST /api/v1/folders": {"name": "another", "parent": project},
        "PUT /api/v1/folders/{id}/move": {"parent": project},
        "POST /api/v1/files": new_file,
        "PUT /api/v1/files/{id}": {"upload": new_file["upload"]},
        "PUT /api/v1/files/{id}/move": {"parent": project},
    }
