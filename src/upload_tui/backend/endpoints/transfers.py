"""Bytes to and from the storage. What is sent is what was verified: sizes are checked before the first byte, digests while sending.

The last block of each blob is held back until the blob's digest is right. If it is not, the connection is broken: no client may
mistake wrong bytes for the file.
"""

import hashlib
import logging
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from urllib.parse import quote

from msgspec import Struct
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from upload_tui.backend.api_errors import ApiError, invalid_fields, not_found, storage_unavailable, too_large
from upload_tui.backend.context import ServiceContext
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.request_models import Signature
from upload_tui.backend.serializers import PROVIDER
from upload_tui.backend.storage import BlobKey, ChunkRejectedError, Storage, StorageFullError, StorageUnavailableError
from upload_tui.backend.store.records import ChunkRecord, UploadRecord
from upload_tui.backend.verification import WHOLE_FILE, Hashes, part_numbers

__all__ = [
    "BlobEndpoints",
    "ByteRange",
    "CONDITION_HEADERS",
    "DOWNLOAD_HEADERS",
    "DownloadResponse",
    "StoredBlob",
    "check_blobs",
    "parse_range",
    "stored_blobs",
]

_logger = logging.getLogger(__name__)

DOWNLOAD_HEADERS = ("Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag")
"""The headers of a download."""

CONDITION_HEADERS = ("Range", "If-Range", "If-Match", "If-None-Match")
"""The headers of a request for a download, all optional."""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)


class StoredBlob(Struct, frozen=True):
    """A blob as it was verified: where it is, its size, and one of its digests."""

    key: BlobKey
    size_bytes: int
    algorithm: str
    digest: str


class ByteRange(Struct, frozen=True):
    """The part of a file from the byte `start` up to, but not including, the byte `stop`."""

    start: int
    stop: int


def stored_blobs(record: UploadRecord, chunks: Sequence[ChunkRecord], hashes: Hashes) -> Sequence[StoredBlob]:
    """The blobs of a verified upload, in the order of the file."""
    if record.is_chunked:
        return [
            StoredBlob((record.id, chunk.number), chunk.size_bytes, chunk.algorithm, chunk.digest) for chunk in chunks
        ]
    return [StoredBlob((record.id, WHOLE_FILE), record.size_bytes, *hashes[0])]


def check_blobs(storage: Storage, blobs: Sequence[StoredBlob]) -> None:
    """Check that all blobs are stored with their verified sizes.

    Raises:
        ApiError: 404, one is missing; 500, one has another size, or the storage is unavailable.
    """
    try:
        stats = [storage.stat(blob.key) for blob in blobs]
    except StorageUnavailableError as error:
        raise storage_unavailable() from error
    if None in stats:
        raise not_found("Object")
    for blob, stat in zip(blobs, stats, strict=True):
        if stat is not None and stat.size_bytes != blob.size_bytes:
            reason = f"The stored bytes have changed since verification: {stat.size_bytes} instead of {blob.size_bytes}"
            _logger.error("Upload %s, blob %d: %s", *blob.key, reason)
            raise ApiError(500, reason, "upload the file again")


def parse_range(header: str | None, size_bytes: int) -> ByteRange | None:
    """Parse a `Range` header; None if the whole file is to be sent.

    Several ranges, other units and malformed headers are ignored, as HTTP allows.

    Raises:
        ApiError: 416, the range begins beyond the end of the file.
    """
    match = _RANGE.fullmatch((header or "").replace(" ", ""))
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if first == "":
        start, stop = max(0, size_bytes - int(last)), size_bytes
    else:
        start, stop = int(first), min(size_bytes, int(last) + 1 if last else size_bytes)
        if last and int(last) < start:
            return None
    if start >= size_bytes or start >= stop:
        raise ApiError(
            416,
            "range not satisfiable",
            f"the file has {size_bytes} bytes",
            headers={"Content-Range": f"bytes */{size_bytes}"},
        )
    return ByteRange(start, stop)


def check_conditions(request: Request, etag: str) -> Response | None:
    """Evaluate `If-Match` and `If-None-Match`. Returns a 304 if the client has the file already, None if it is to be sent.

    Raises:
        ApiError: 412, the client wants another file.
    """
    wanted, known = request.headers.get("if-match"), request.headers.get("if-none-match")
    if wanted is not None and not {"*", etag} & _entity_tags(wanted):
        raise ApiError(412, "Precondition Failed", "request the file without If-Match")
    if known is not None and {"*", etag} & {tag.removeprefix("W/") for tag in _entity_tags(known)}:
        return Response(status_code=304, headers={"ETag": etag})
    return None


def _entity_tags(header: str) -> set[str]:
    return {tag.strip() for tag in header.split(",")}


class DownloadResponse(Response):
    """Sends all bytes of an upload, or a range of them.

    Args:
        storage: where the bytes are.
        record: the upload.
        blobs: its blobs, checked.
        byte_range: what to send; None sends everything.
        etag: identifies the file's bytes.
    """

    def __init__(
        self,
        storage: Storage,
        record: UploadRecord,
        blobs: Sequence[StoredBlob],
        byte_range: ByteRange | None,
        etag: str,
    ) -> None:
        self._upload_id = record.id
        sent = byte_range or ByteRange(0, record.size_bytes)
        self._blocks = _verified_blocks(storage, blobs, sent)
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Length": str(sent.stop - sent.start),
            # The whole name is percent-encoded, so that it cannot end the header.
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(record.name, safe='')}",
            "ETag": etag,
        }
        if byte_range is not None:
            headers["Content-Range"] = f"bytes {sent.start}-{sent.stop - 1}/{record.size_bytes}"
        # The content type is fixed, not the client's choice.
        super().__init__(None, 200 if byte_range is None else 206, headers, media_type="application/octet-stream")

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Send the response; leave it incomplete if the bytes are wrong, so that the server breaks the connection."""
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b""})
            return
        blocks = iterate_in_threadpool(self._blocks)
        try:
            first = await anext(blocks, b"")
        except StorageUnavailableError as error:  # nothing is sent yet, so there can still be an error status
            raise storage_unavailable() from error
        except _WrongBytesError as error:
            raise ApiError(500, str(error), "upload the file again") from error
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": first, "more_body": True})
        try:
            async for block in blocks:
                await send({"type": "http.response.body", "body": block, "more_body": True})
        except (StorageUnavailableError, _WrongBytesError) as error:
            _logger.error("The download of upload %s was broken off: %s", self._upload_id, error)  # noqa: TRY400
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _WrongBytesError(Exception):
    """Stored bytes are not those that were verified."""


def _verified_blocks(storage: Storage, blobs: Sequence[StoredBlob], sent: ByteRange) -> Iterator[bytes]:
    """Read the blobs that a range touches, each to its end; return the bytes of the range.

    Raises:
        _WrongBytesError: before the last block of a blob whose bytes are wrong.
        StorageUnavailableError: a blob cannot be read.
    """
    start = 0
    for blob in blobs:
        stop = start + blob.size_bytes
        if start < sent.stop and sent.start < stop:
            yield from _verified_blob(storage, blob, sent.start - start, sent.stop - start)
        start = stop


def _verified_blob(storage: Storage, blob: StoredBlob, start: int, stop: int) -> Iterator[bytes]:
    """Read a whole blob; return its bytes from `start` up to `stop`, the last block only if all bytes are right."""
    digest, position, held_back = hashlib.new(blob.algorithm, usedforsecurity=False), 0, b""
    for block in storage.blocks(blob.key):
        digest.update(block)
        part = block[max(0, start - position) : max(0, stop - position)]
        position += len(block)
        if part:
            if held_back:
                yield held_back
            held_back = part
    if position != blob.size_bytes or digest.hexdigest() != blob.digest.lower():
        number = blob.key[1]
        raise _WrongBytesError(f"the stored bytes of blob {number} have changed since verification")
    yield held_back


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
        return await self._store(call.request, record, number)

    async def store_file(self, call: Call[Signature]) -> Response:
        """Store all bytes of an upload that is not chunked."""
        self._context.check_signature(call.request)
        return await self._store(call.request, self._context.upload(call.id), WHOLE_FILE)

    async def _store(self, request: Request, record: UploadRecord, number: int) -> Response:
        storage, uploads, clock = self._context.storage, self._context.database.uploads, self._context.clock
        if not uploads.is_open(record.id):
            raise self._context.closed_upload(record.id)
        if storage.memory is not None and record.size_bytes > (limit := storage.memory.limit_bytes):
            raise invalid_fields(size=f"File size is currently not supported - maximum size is {limit}")
        try:
            # The bytes may have taken long: with them the client is heard of again, so that they are not purged at once.
            await storage.put(
                (record.id, number), self._with_room(request), lambda: uploads.touch(record.id, clock.now())
            )
        except ClientDisconnect:
            return Response(status_code=400)
        except ChunkRejectedError:
            raise self._context.closed_upload(record.id) from None
        except StorageFullError as error:
            _logger.error("%s: start the service with --storage or a larger --memory", error)  # noqa: TRY400
            raise storage_unavailable() from error
        except StorageUnavailableError as error:
            raise storage_unavailable() from error
        return Response(status_code=201)

    async def _with_room(self, request: Request) -> AsyncIterator[bytes]:
        """Read a request's body; purge what nothing needs when the storage has no room for the next block."""
        async for block in _limited_body(request):
            self._context.worker.retention.make_room(len(block))
            yield block

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
        if (unchanged := check_conditions(call.request, etag)) is not None:
            return unchanged
        byte_range = parse_range(_range_header(call.request, etag), record.size_bytes)
        return DownloadResponse(self._context.storage, record, blobs, byte_range, etag)

    def _part_numbers(self, record: UploadRecord) -> Sequence[int]:
        return part_numbers(self._context.database.uploads.chunks(record.id), is_chunked=record.is_chunked)


def _range_header(request: Request, etag: str) -> str | None:
    """The requested range; None if there is none, if `If-Range` names another file, or if only the headers are requested."""
    if request.method == "HEAD":
        return None
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
