"""Uploads: begun, reported chunk by chunk or as a whole, completed, and asked for ever after."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from upload_tui.backend.endpoints.answers import answer, page
from upload_tui.backend.endpoints.desk import API_PATH, Desk
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.faults import FaultName
from upload_tui.backend.parameters import ChunkReport, Completion, FileHashReport, NewUpload, Paging
from upload_tui.backend.problems import ProblemError, invalid_fields, not_consistent, not_found
from upload_tui.backend.records import ChunkRecord, ProjectRecord, UploadRecord
from upload_tui.backend.resources import SignedUrlWritten, UploadWritten
from upload_tui.backend.storage import StorageTroubleError
from upload_tui.backend.verification import ALGORITHMS, contradiction, numbers_of
from upload_tui.backend.writing import PROVIDER
from upload_tui.status import Stage
from upload_tui.wire.designs import Design
from upload_tui.wire.messages import DESIGN_HEADER

__all__ = ["UploadEndpoints"]

_CHUNK_BYTES = PROVIDER["chunk_max_size_bytes"]
_CHUNK_NUMBERS = PROVIDER["chunk_max_number"]
_NOT_IN_THE_LIST = "is not included in the list"


class UploadEndpoints:
    """The endpoints of uploads.

    Args:
        desk: what all endpoints work with.
        design: the shape of `status` unless a request asks for another.
    """

    def __init__(self, desk: Desk, design: Design) -> None:
        self._desk = desk
        self._design = design

    def endpoints(self) -> Sequence[Endpoint]:
        """All of them."""
        of_project, one = f"{API_PATH}/projects/{{id}}/uploads", f"{API_PATH}/uploads/{{id}}"
        return (
            Endpoint("GET", of_project, self.list, UploadWritten, query=Paging, has_status=True),
            Endpoint("POST", of_project, self.initiate, UploadWritten, status=201, body=NewUpload, has_status=True),
            Endpoint("GET", one, self.show, UploadWritten, has_status=True),
            Endpoint("PUT", f"{one}/chunks", self.report_chunk, SignedUrlWritten, body=ChunkReport),
            Endpoint(
                "PUT", f"{one}/complete", self.complete, UploadWritten, status=202, body=Completion, has_status=True
            ),
            Endpoint("PUT", f"{one}/hashes", self.report_hash, UploadWritten, body=FileHashReport, has_status=True),
        )

    async def list(self, call: Call[Paging]) -> Response:
        """List a project's uploads, newest first, a page at a time."""
        project, paging = self._desk.project(call.id), call.parameters
        records, total = self._desk.database.uploads.page(project.id, paging.offset, paging.per_page)
        return page(self._write(records, call.request), total, paging)

    async def initiate(self, call: Call[NewUpload]) -> Response:
        """Begin an upload."""
        wanted, project = call.parameters, self._desk.project(call.id)
        self._check_maturity(project)
        if wanted.storage_provider is not None and wanted.storage_provider.id != PROVIDER["id"]:
            raise not_found("StorageProvider")
        largest = _CHUNK_BYTES * _CHUNK_NUMBERS if wanted.chunked else _CHUNK_BYTES
        if wanted.size > largest:
            raise invalid_fields(size=f"File size is currently not supported - maximum size is {largest}")
        upload_id = self._desk.new_id()
        self._desk.database.uploads.add(
            upload_id,
            project.id,
            wanted.name,
            wanted.content_type,
            wanted.size,
            self._desk.now(),
            is_chunked=wanted.chunked,
        )
        return self._show(upload_id, call.request, 201, _limits(is_chunked=wanted.chunked))

    async def show(self, call: Call[None]) -> Response:
        """Show an upload."""
        return self._show(call.id, call.request)

    async def report_chunk(self, call: Call[ChunkReport]) -> Response:
        """Announce a chunk and get the signed URL for its bytes; the same number again replaces it."""
        report, record = call.parameters, self._desk.upload(call.id)
        if not record.is_chunked:
            raise invalid_fields(chunked="the upload is not chunked: its signed_url takes all bytes")
        if report.number > _CHUNK_NUMBERS:
            raise ProblemError(400, "maximum upload chunks exceeded.")
        if report.size > _CHUNK_BYTES:
            raise invalid_fields(size=f"Chunk size is currently not supported - maximum size is {_CHUNK_BYTES}")
        if report.hash.algorithm not in ALGORITHMS:
            raise invalid_fields(fingerprint_algorithm=_NOT_IN_THE_LIST)
        chunk = ChunkRecord(report.number, report.size, report.hash.algorithm, report.hash.value)
        if not self._desk.database.uploads.put_chunk(record.id, chunk, self._desk.now()):
            raise invalid_fields(completed_at="Cannot change completed_at.")
        return answer(self._desk.signed_url("PUT", f"/storage/{record.id}/{report.number}"))

    async def complete(self, call: Call[Completion]) -> Response:
        """Take the word that all bytes are there; the answer says that it was taken, not that it is true."""
        record, report = self._desk.upload(call.id), call.parameters.hash
        algorithm = report.algorithm.lower()
        if algorithm not in ALGORITHMS:
            raise invalid_fields(fingerprints__algorithm=_NOT_IN_THE_LIST)
        if not self._desk.database.uploads.complete(record.id, algorithm, report.value, self._desk.now()):
            raise invalid_fields(completed_at="Cannot change completed_at.")
        self._desk.worker.wake()
        return self._show(record.id, call.request, 202)

    async def report_hash(self, call: Call[FileHashReport]) -> Response:
        """Take one more digest of the whole file, once the upload is completed; one that comes late is checked at once."""
        report, record = call.parameters, self._desk.upload(call.id)
        if report.algorithm not in ALGORITHMS:
            raise invalid_fields(algorithm=_NOT_IN_THE_LIST)
        if record.timeline.stage is Stage.INITIATED:
            raise ProblemError(400, "upload is not completed", "complete the upload first")
        if record.timeline.stage is Stage.VERIFIED:
            await self._check_late_hash(record, report)
        self._desk.database.uploads.put_hash(record.id, report.algorithm, report.value)
        return self._show(record.id, call.request)

    async def _check_late_hash(self, record: UploadRecord, report: FileHashReport) -> None:
        """A verified upload stays what was verified: a digest that says otherwise is refused."""
        numbers = numbers_of(self._desk.database.uploads.chunks(record.id), is_chunked=record.is_chunked)
        try:
            problem = await asyncio.to_thread(
                contradiction, record.id, numbers, report.algorithm, report.value, self._desk.storage
            )
        except StorageTroubleError as trouble:
            raise ProblemError(500, "The storage provider is unavailable", "try again in a few minutes") from trouble
        if problem is not None:
            raise ProblemError(400, problem, "You must begin a new upload process")

    def _check_maturity(self, project: ProjectRecord) -> None:
        age = self._desk.now() - project.created_on
        if age < timedelta(seconds=self._desk.faults.value(FaultName.YOUNG_PROJECTS)):
            raise not_consistent()

    # Writing

    def _show(
        self, upload_id: str, request: Request, status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        return answer(self._write([self._desk.upload(upload_id)], request)[0], status, headers)

    def _write(self, records: Sequence[UploadRecord], request: Request) -> Sequence[UploadWritten]:
        ids = [record.id for record in records]
        chunks, hashes = self._desk.database.uploads.chunks_of(ids), self._desk.database.uploads.hashes_of(ids)
        design = self._design_for(request)
        return [
            self._desk.writer.upload(record, chunks[record.id], hashes[record.id], design, self._target(record))
            for record in records
        ]

    def _target(self, record: UploadRecord) -> SignedUrlWritten | None:
        """Where all the bytes of an upload go that is not chunked, until it is completed."""
        is_open = record.timeline.stage is Stage.INITIATED
        return None if record.is_chunked or not is_open else self._desk.signed_url("PUT", f"/storage/{record.id}")

    def _design_for(self, request: Request) -> Design:
        wanted = request.headers.get(DESIGN_HEADER)
        if wanted is None:
            return self._design
        try:
            return Design(wanted.lower())
        except ValueError:
            raise ProblemError(400, f"{DESIGN_HEADER} is invalid", f"use one of {', '.join(Design)}") from None


def _limits(*, is_chunked: bool) -> dict[str, str]:
    if is_chunked:
        return {"X-MIN-CHUNK-UPLOAD-SIZE": "1", "X-MAX-CHUNK-UPLOAD-SIZE": str(_CHUNK_BYTES)}
    return {"X-MAX-UPLOAD-SIZE": str(_CHUNK_BYTES)}
