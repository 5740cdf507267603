"""Transfer of bytes to and from the storage. A signed URL replaces the token, for one method, one path and a short time."""

from collections.abc import AsyncIterator, Sequence
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from upload_tui.backend.api_errors import already_completed, not_found, storage_unavailable, too_large
from upload_tui.backend.context import ServiceContext
from upload_tui.backend.endpoints.downloads import DownloadResponse, check_blobs, parse_range, stored_blobs
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.request_models import Signature
from upload_tui.backend.serializers import PROVIDER
from upload_tui.backend.storage import BlobKey, ChunkRejectedError, StorageUnavailableError
from upload_tui.backend.store.records import UploadRecord
from upload_tui.backend.verification import WHOLE_FILE, part_numbers

__all__ = ["BlobEndpoints"]

_MAX_BYTES = PROVIDER["chunk_max_size_bytes"]


class BlobEndpoints:
    """The endpoints of stored bytes."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the endpoints."""
        signed = partial(Endpoint, query=Signature, needs_token=False)
        return (
            signed("PUT", "/storage/{id}/{number:int}", self.store_chunk, status=201, has_binary_body=True),
            signed("PUT", "/storage/{id}", self.store_file, status=201, has_binary_body=True),
            signed("GET", "/storage/{id}", self.download, bytes),
        )

    async def store_chunk(self, call: Call[Signature]) -> Response:
        """Store the bytes of a chunk."""
        self._context.check_signature(call.request)
        record = self._context.upload(call.id)
        number = call.request.path_params["number"]
        if number not in self._part_numbers(record):
            raise not_found("Chunk")
        return await self._store(call.request, (record.id, number))

    async def store_file(self, call: Call[Signature]) -> Response:
        """Store all bytes of an upload that is not chunked."""
        self._context.check_signature(call.request)
        return await self._store(call.request, (self._context.upload(call.id).id, WHOLE_FILE))

    async def _store(self, request: Request, key: BlobKey) -> Response:
        uploads = self._context.database.uploads
        try:
            await self._context.storage.put(key, _limited_body(request), lambda: not uploads.is_completed(key[0]))
        except ClientDisconnect:
            return Response(status_code=400)
        except ChunkRejectedError:
            raise already_completed() from None
        except StorageUnavailableError as error:
            raise storage_unavailable() from error
        return Response(status_code=201)

    async def download(self, call: Call[Signature]) -> Response:
        """Download the bytes of an upload, or the range of them that the header `Range` names."""
        self._context.check_signature(call.request)
        record, uploads = self._context.upload(call.id), self._context.database.uploads
        self._context.require_verified(record)
        if record.is_purged:
            raise not_found("Object")
        hashes = uploads.hashes(record.id)
        blobs = stored_blobs(record, uploads.chunks(record.id), hashes)
        await run_in_threadpool(check_blobs, self._context.storage, blobs)
        etag = f'"{hashes[0][1]}"'
        byte_range = parse_range(_range_header(call.request, etag), record.size_bytes)
        return DownloadResponse(self._context.storage, record, blobs, byte_range, etag)

    def _part_numbers(self, record: UploadRecord) -> Sequence[int]:
        return part_numbers(self._context.database.uploads.chunks(record.id), is_chunked=record.is_chunked)


def _range_header(request: Request, etag: str) -> str | None:
    """The requested range; None if there is none, or if it is wanted only of another file than this one."""
    return request.headers.get("range") if request.headers.get("if-range", etag) == etag else None


async def _limited_body(request: Request) -> AsyncIterator[bytes]:
    """Read a request's body up to the storage provider's limit."""
    size = 0
    content_length = request.headers.get("content-length", "")
    if content_length.isdigit() and int(content_length) > _MAX_BYTES:
        raise too_large("entity", _MAX_BYTES)
    async for block in request.stream():
        size += len(block)
        if size > _MAX_BYTES:
            raise too_large("entity", _MAX_BYTES)
        yield block
