"""The bytes themselves, to and from the storage. A signed URL is the permission, for one method and one path, for a while."""

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import chain
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from upload_tui.backend.endpoints.desk import Desk
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.parameters import Signature
from upload_tui.backend.problems import ProblemError, invalid_fields, not_found
from upload_tui.backend.records import UploadRecord
from upload_tui.backend.storage import ChunkKey, NotWantedError, StorageTroubleError
from upload_tui.backend.verification import WHOLE, numbers_of
from upload_tui.backend.writing import PROVIDER

__all__ = ["StoredEndpoints"]

_LARGEST_BYTES = PROVIDER["chunk_max_size_bytes"]


class StoredEndpoints:
    """The endpoints of stored bytes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def endpoints(self) -> Sequence[Endpoint]:
        """All of them."""
        return (
            Endpoint(
                "PUT",
                "/storage/{id}/{number:int}",
                self.store_chunk,
                status=201,
                query=Signature,
                needs_token=False,
                takes_bytes=True,
            ),
            Endpoint(
                "PUT",
                "/storage/{id}",
                self.store_whole,
                status=201,
                query=Signature,
                needs_token=False,
                takes_bytes=True,
            ),
            Endpoint("GET", "/storage/{id}", self.send, bytes, query=Signature, needs_token=False),
        )

    async def store_chunk(self, call: Call[Signature]) -> Response:
        """Take the bytes of a chunk."""
        self._desk.check_signature(call.request)
        record = self._desk.upload(call.id)
        number = call.request.path_params["number"]
        if number not in self._numbers(record):
            raise not_found("Chunk")
        return await self._store(call.request, (record.id, number))

    async def store_whole(self, call: Call[Signature]) -> Response:
        """Take all the bytes of an upload that is not chunked."""
        self._desk.check_signature(call.request)
        return await self._store(call.request, (self._desk.upload(call.id).id, WHOLE))

    async def _store(self, request: Request, key: ChunkKey) -> Response:
        uploads = self._desk.database.uploads
        try:
            await self._desk.storage.put(key, _bounded(request), lambda: not uploads.is_completed(key[0]))
        except ClientDisconnect:
            return Response(status_code=400)
        except NotWantedError:
            raise invalid_fields(completed_at="Cannot change completed_at.") from None
        except StorageTroubleError as trouble:
            raise _unavailable() from trouble
        return Response(status_code=201)

    async def send(self, call: Call[Signature]) -> Response:
        """Give all the bytes of a verified upload."""
        self._desk.check_signature(call.request)
        record = self._desk.upload(call.id)
        keys = [(record.id, number) for number in self._numbers(record)]
        if not all(self._desk.storage.has(key) for key in keys):
            raise not_found("Object")
        blocks = chain.from_iterable(map(self._desk.storage.blocks, keys))
        try:  # whether they can be read at all is known before the answer begins
            first = await run_in_threadpool(next, blocks, b"")
        except StorageTroubleError as trouble:
            raise _unavailable() from trouble
        return StreamingResponse(_with(first, blocks), headers=_headers(record), media_type="application/octet-stream")

    def _numbers(self, record: UploadRecord) -> Sequence[int]:
        return numbers_of(self._desk.database.uploads.chunks(record.id), is_chunked=record.is_chunked)


def _with(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _headers(record: UploadRecord) -> dict[str, str]:
    """The name is percent-encoded whole, so that nothing in it can end the header. The type is not the client's to choose."""
    return {
        "Content-Length": str(record.size_bytes),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(record.name, safe='')}",
    }


def _unavailable() -> ProblemError:
    return ProblemError(500, "The storage provider is unavailable", "try again in a few minutes")


async def _bounded(request: Request) -> AsyncIterator[bytes]:
    """The body of a request as it comes, as long as the storage provider's limit is kept."""
    size = 0
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > _LARGEST_BYTES:
        raise _too_large()
    async for block in request.stream():
        size += len(block)
        if size > _LARGEST_BYTES:
            raise _too_large()
        yield block


def _too_large() -> ProblemError:
    return ProblemError(413, "request entity too large", f"send at most {_LARGEST_BYTES} bytes")
