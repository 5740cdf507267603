"""Uploads: initiated, sent in chunks or as a whole, completed, then shown and listed."""

import asyncio
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice

from starlette.responses import Response

from upload_tui.backend.api_errors import (
    ApiError,
    invalid_fields,
    not_consistent,
    not_found,
    storage_unavailable,
)
from upload_tui.backend.context import ServiceContext
from upload_tui.backend.endpoints.endpoint import LIMIT_HEADERS, Call, Endpoint, json_response, page_response
from upload_tui.backend.faults import FaultName
from upload_tui.backend.request_models import ChunkReport, Completion, FileHashReport, NewUpload, Paging
from upload_tui.backend.schemas import SignedUrlSchema, UploadSchema
from upload_tui.backend.serializers import PROVIDER
from upload_tui.backend.storage import StorageUnavailableError
from upload_tui.backend.store.records import ChunkRecord, ProjectRecord, UploadRecord
from upload_tui.backend.verification import ALGORITHMS, check_late_hash, part_numbers
from upload_tui.status import Stage
from upload_tui.wire import API_PATH, StatusShape

__all__ = ["UploadEndpoints"]

_MAX_CHUNK_BYTES = PROVIDER["chunk_max_size_bytes"]
_MAX_CHUNKS = PROVIDER["chunk_max_number"]
_MAX_LISTED = 5
_NOT_INCLUDED = "is not included in the list"

_logger = logging.getLogger(__name__)


class UploadEndpoints:
    """The endpoints of uploads."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the endpoints."""
        of_project, one = f"{API_PATH}/projects/{{id}}/uploads", f"{API_PATH}/uploads/{{id}}"
        return (
            Endpoint("GET", of_project, self.list, UploadSchema, query=Paging, has_status=True),
            Endpoint("POST", of_project, self.initiate, UploadSchema, status=201, body=NewUpload, has_status=True),
            Endpoint("GET", one, self.show, UploadSchema, has_status=True),
            Endpoint("PUT", f"{one}/chunks", self.report_chunk, SignedUrlSchema, body=ChunkReport),
            Endpoint(
                "PUT", f"{one}/complete", self.complete, UploadSchema, status=202, body=Completion, has_status=True
            ),
            Endpoint("PUT", f"{one}/hashes", self.report_hash, UploadSchema, body=FileHashReport, has_status=True),
        )

    async def list(self, call: Call[Paging]) -> Response:
        """List a project's uploads, newest first, a page at a time."""
        project, paging = self._context.project(call.id), call.parameters
        try:
            uploads, total = self._page(project.id, paging.offset, paging.per_page, call.status_shape)
        except sqlite3.Error as error:
            raise self._unreadable_page(project.id, paging, error) from error
        return page_response(uploads, total, paging)

    def _page(self, project_id: str, offset: int, limit: int, shape: StatusShape) -> tuple[Sequence[UploadSchema], int]:
        records, total = self._context.database.uploads.page(project_id, offset, limit)
        return self._serialize(records, shape), total

    def _unreadable_page(self, project_id: str, paging: Paging, error: sqlite3.Error) -> ApiError:
        """Create the response to a page with uploads that cannot be read: a page without them would say that they are gone."""
        numbers = list(islice(self._unreadable(project_id, paging.offset, paging.per_page), _MAX_LISTED + 1))
        listed = ", ".join(map(str, numbers[:_MAX_LISTED])) + (" and more" if len(numbers) > _MAX_LISTED else "")
        _logger.error("The uploads number %s of project %s cannot be read: %s", listed, project_id, error)
        return ApiError(
            500, f"The uploads number {listed} of this list cannot be read", "request smaller pages without them"
        )

    def _unreadable(self, project_id: str, offset: int, limit: int) -> Iterator[int]:
        """Find the uploads of a page that cannot be read, by halves. Returns their numbers in the list, which start at 1."""
        try:
            self._page(project_id, offset, limit, StatusShape.A)
        except sqlite3.Error:
            if limit == 1:
                yield offset + 1
                return
            half = limit // 2
            yield from self._unreadable(project_id, offset, half)
            yield from self._unreadable(project_id, offset + half, limit - half)

    async def initiate(self, call: Call[NewUpload]) -> Response:
        """Initiate an upload."""
        parameters, project = call.parameters, self._context.project(call.id)
        self._check_project_age(project)
        if parameters.storage_provider is not None and parameters.storage_provider.id != PROVIDER["id"]:
            raise not_found("StorageProvider")
        largest = _MAX_CHUNK_BYTES * _MAX_CHUNKS if parameters.chunked else _MAX_CHUNK_BYTES
        if parameters.size > largest:
            raise invalid_fields(size=f"File size is currently not supported - maximum size is {largest}")
        if not self._context.worker.retention.has_room_for_records():
            raise storage_unavailable()
        upload_id = self._context.new_id()
        self._context.database.uploads.add(
            upload_id,
            project.id,
            parameters.name,
            parameters.content_type,
            parameters.size,
            self._context.clock.now(),
            is_chunked=parameters.chunked,
        )
        return self._upload_response(upload_id, call.status_shape, 201, _limit_headers(parameters))

    async def show(self, call: Call[None]) -> Response:
        """Show an upload."""
        return self._upload_response(call.id, call.status_shape)

    async def report_chunk(self, call: Call[ChunkReport]) -> Response:
        """Report a chunk and get the signed URL for its bytes; the same number again replaces it."""
        report, record = call.parameters, self._context.upload(call.id)
        if not record.is_chunked:
            raise invalid_fields(chunked="the upload is not chunked: send all bytes to its signed_url")
        if report.number > _MAX_CHUNKS:
            raise ApiError(400, "maximum upload chunks exceeded.")
        if report.size > _MAX_CHUNK_BYTES:
            raise invalid_fields(size=f"Chunk size is currently not supported - maximum size is {_MAX_CHUNK_BYTES}")
        if report.hash.algorithm not in ALGORITHMS:
            raise invalid_fields(fingerprint_algorithm=_NOT_INCLUDED)
        chunk = ChunkRecord(report.number, report.size, report.hash.algorithm, report.hash.value)
        if not self._context.database.uploads.put_chunk(record.id, chunk, self._context.clock.now()):
            raise self._context.closed_upload(record.id)
        return json_response(self._context.signed_url("PUT", f"/storage/{record.id}/{report.number}"))

    async def complete(self, call: Call[Completion]) -> Response:
        """Complete an upload. 202 means that the request is accepted; verification follows."""
        record, report = self._context.upload(call.id), call.parameters.hash
        if report.algorithm not in ALGORITHMS:
            raise invalid_fields(fingerprints__algorithm=_NOT_INCLUDED)
        now = self._context.clock.now()
        if not self._context.database.uploads.complete(record.id, report.algorithm, report.value, now):
            raise self._context.closed_upload(record.id)
        self._context.worker.job_queued.set()
        return self._upload_response(record.id, call.status_shape, 202)

    async def report_hash(self, call: Call[FileHashReport]) -> Response:
        """Report another digest of the whole file. It must match the stored bytes if the upload is verified."""
        report, record = call.parameters, self._context.upload(call.id)
        if report.algorithm not in ALGORITHMS:
            raise invalid_fields(algorithm=_NOT_INCLUDED)
        if record.timeline.stage is Stage.INITIATED:
            raise ApiError(400, "upload is not completed", "complete the upload first")
        if record.timeline.stage is Stage.VERIFIED:
            await self._check_late_hash(record, report)
        self._context.database.uploads.put_hash(record.id, report.algorithm, report.value)
        return self._upload_response(record.id, call.status_shape)

    async def _check_late_hash(self, record: UploadRecord, report: FileHashReport) -> None:
        """Reject a digest that contradicts the stored bytes of a verified upload."""
        numbers = part_numbers(self._context.database.uploads.chunks(record.id), is_chunked=record.is_chunked)
        try:
            message = await asyncio.to_thread(
                check_late_hash, record.id, numbers, report.algorithm, report.value, self._context.storage
            )
        except StorageUnavailableError as error:
            raise storage_unavailable() from error
        if message is not None:
            raise ApiError(400, message, "You must begin a new upload process")

    def _check_project_age(self, project: ProjectRecord) -> None:
        age = self._context.clock.now() - project.created_on
        youth = timedelta(seconds=self._context.faults.value(FaultName.YOUNG_PROJECTS))
        if timedelta(0) <= age < youth:  # it is below zero after the clock was set back
            raise not_consistent()

    # Responses

    def _upload_response(
        self, upload_id: str, shape: StatusShape, status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        return json_response(self._serialize([self._context.upload(upload_id)], shape)[0], status, headers)

    def _serialize(self, records: Sequence[UploadRecord], shape: StatusShape) -> Sequence[UploadSchema]:
        ids = [record.id for record in records]
        chunks, hashes = (
            self._context.database.uploads.chunks_by_upload(ids),
            self._context.database.uploads.hashes_by_upload(ids),
        )
        return [
            self._context.serializer.upload(
                record, chunks[record.id], hashes[record.id], shape, self._upload_url(record)
            )
            for record in records
        ]

    def _upload_url(self, record: UploadRecord) -> SignedUrlSchema | None:
        """Sign the URL for all bytes of an upload that is not chunked; None otherwise and once it is completed."""
        is_open = record.timeline.stage is Stage.INITIATED and not record.is_purged
        return None if record.is_chunked or not is_open else self._context.signed_url("PUT", f"/storage/{record.id}")


def _limit_headers(upload: NewUpload) -> dict[str, str]:
    """The headers with the limits of an upload's chunks; the minimum size follows from the maximum number of chunks."""
    if upload.chunked:
        least = -(-upload.size // _MAX_CHUNKS)
        return {LIMIT_HEADERS[0]: str(least), LIMIT_HEADERS[1]: str(_MAX_CHUNK_BYTES)}
    return {LIMIT_HEADERS[2]: str(_MAX_CHUNK_BYTES)}
