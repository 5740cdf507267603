"""The endpoints: the service's contract over HTTP, every refusal in the one envelope.

A missing or malformed parameter is told before a missing token. The endpoints decide nothing about stages: the database's own
conditions do.
"""

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from upload_tui.backend.accounts import Gatekeeper
from upload_tui.backend.database import ChunkRecord, Database, ProjectRecord, UploadRecord
from upload_tui.backend.faults import FaultName, Faults
from upload_tui.backend.parameters import (
    ChunkReport,
    Completion,
    FileHashReport,
    KeyPair,
    NewProject,
    NewUpload,
    Paging,
    read_paging,
    read_parameters,
)
from upload_tui.backend.problems import ProblemError, invalid_fields, not_found
from upload_tui.backend.storage import NotWantedError, Storage, StorageTroubleError
from upload_tui.backend.verification import ALGORITHMS
from upload_tui.backend.worker import VerificationWorker
from upload_tui.backend.writing import PROVIDER, write_project, write_upload, write_user
from upload_tui.clock import Clock
from upload_tui.wire.designs import Design
from upload_tui.wire.messages import DESIGN_HEADER
from upload_tui.wire.times import format_time

__all__ = ["API_PATH", "Api", "Backstage", "Place"]

API_PATH = "/api/v1"
_LARGEST_FILE_BYTES = 1000 * 5368709120
_CHUNK_NUMBERS = 1000

Handler = Callable[[Request], Awaitable[Response]]


class Place(Protocol):
    """Where the service is to be reached; it may become known only once a port is open."""

    base_url: str


@dataclass(frozen=True, slots=True)
class Backstage:
    """What the endpoints work with; `chance` is where ids come from."""

    database: Database
    storage: Storage
    worker: VerificationWorker
    gatekeeper: Gatekeeper
    faults: Faults
    clock: Clock
    chance: Random


class Api:
    """All endpoints over one set of records.

    Args:
        backstage: the records and all that belongs to them.
        design: the shape of `status` unless a request asks for another.
        place: for the hosts of signed URLs.
    """

    def __init__(self, backstage: Backstage, design: Design, place: Place) -> None:
        self._database = backstage.database
        self._storage = backstage.storage
        self._worker = backstage.worker
        self._gatekeeper = backstage.gatekeeper
        self._faults = backstage.faults
        self._clock = backstage.clock
        self._chance = backstage.chance
        self._design = design
        self._place = place

    def application(self) -> Starlette:
        """The ASGI application of all endpoints."""
        routes = [
            Route(path, _endpoint(handler), methods=[method])
            for method, path, handler in (
                ("POST", f"{API_PATH}/software_agents/api_token", self.exchange_keys),
                ("GET", f"{API_PATH}/current_user", self.show_user),
                ("GET", f"{API_PATH}/storage_providers", self.list_providers),
                ("GET", f"{API_PATH}/storage_providers/{{id}}", self.show_provider),
                ("GET", f"{API_PATH}/queue", self.show_queue),
                ("GET", f"{API_PATH}/projects", self.list_projects),
                ("POST", f"{API_PATH}/projects", self.create_project),
                ("GET", f"{API_PATH}/projects/{{id}}", self.show_project),
                ("GET", f"{API_PATH}/projects/{{id}}/uploads", self.list_uploads),
                ("POST", f"{API_PATH}/projects/{{id}}/uploads", self.initiate_upload),
                ("GET", f"{API_PATH}/uploads/{{id}}", self.show_upload),
                ("PUT", f"{API_PATH}/uploads/{{id}}/chunks", self.report_chunk),
                ("PUT", f"{API_PATH}/uploads/{{id}}/complete", self.complete_upload),
                ("PUT", f"{API_PATH}/uploads/{{id}}/hashes", self.report_hash),
                ("PUT", "/storage/{id}/{number:int}", self.store_chunk),
            )
        ]
        handlers: Mapping[Any, Any] = {HTTPException: _answer_http, ProblemError: _answer_problem}
        return Starlette(routes=routes, exception_handlers=handlers)

    # Accounts

    async def exchange_keys(self, request: Request) -> Response:
        """Exchange the keys of an agent and a user for a token."""
        keys = await read_parameters(request, KeyPair)
        token, ends_on = self._gatekeeper.exchange(keys.agent_key, keys.user_key)
        seconds = round((ends_on - self._clock.now()).total_seconds())
        return _json({"api_token": token, "expires_on": int(ends_on.timestamp()), "time_to_live": seconds}, 201)

    async def show_user(self, request: Request) -> Response:
        """The account that the token belongs to."""
        self._check_token(request)
        return _json(write_user(self._gatekeeper.account))

    # Storage and queue

    async def list_providers(self, request: Request) -> Response:
        """The storage providers: there is one."""
        paging = read_paging(request)
        self._check_token(request)
        return _page([PROVIDER], 1, paging)

    async def show_provider(self, request: Request) -> Response:
        """One storage provider."""
        self._check_token(request)
        if request.path_params["id"] != PROVIDER["id"]:
            raise not_found("StorageProvider")
        return _json(PROVIDER)

    async def show_queue(self, request: Request) -> Response:
        """The verification queue, for operators."""
        self._check_token(request)
        queue = self._database.queue()
        return _json(
            {
                "depth": queue.depth,
                "oldest": format_time(queue.oldest_on) if queue.oldest_on else None,
                "running": queue.running,
                "retried": queue.retried,
                "dead": queue.dead,
            }
        )

    # Projects

    async def list_projects(self, request: Request) -> Response:
        """All projects, a page at a time."""
        paging = read_paging(request)
        self._check_token(request)
        projects, total = self._database.projects((paging.page - 1) * paging.per_page, paging.per_page)
        return _page([write_project(project, self._gatekeeper.account) for project in projects], total, paging)

    async def create_project(self, request: Request) -> Response:
        """Make a project."""
        wanted = await read_parameters(request, NewProject)
        self._check_token(request)
        project = ProjectRecord(self.new_id(), wanted.name, wanted.description, self._clock.now())
        self._database.add_project(project)
        return _json(write_project(project, self._gatekeeper.account), 202)

    async def show_project(self, request: Request) -> Response:
        """One project."""
        self._check_token(request)
        return _json(write_project(self._project(request), self._gatekeeper.account))

    # Uploads

    async def list_uploads(self, request: Request) -> Response:
        """A project's uploads, newest first, a page at a time."""
        paging = read_paging(request)
        self._check_token(request)
        project = self._project(request)
        records, total = self._database.uploads(project.id, (paging.page - 1) * paging.per_page, paging.per_page)
        return _page(self._resources(records, request), total, paging)

    async def initiate_upload(self, request: Request) -> Response:
        """Begin an upload."""
        wanted = await read_parameters(request, NewUpload)
        self._check_token(request)
        project = self._project(request)
        if wanted.size > _LARGEST_FILE_BYTES:
            raise invalid_fields(size=f"File size is currently not supported - maximum size is {_LARGEST_FILE_BYTES}")
        upload_id = self.new_id()
        self._database.add_upload(
            upload_id, project.id, wanted.name, wanted.content_type, wanted.size, self._clock.now()
        )
        headers = {"X-MIN-CHUNK-UPLOAD-SIZE": "1", "X-MAX-CHUNK-UPLOAD-SIZE": str(PROVIDER["chunk_max_size_bytes"])}
        return _json(self._resource(self._upload(upload_id), request), 201, headers)

    async def show_upload(self, request: Request) -> Response:
        """One upload."""
        self._check_token(request)
        return _json(self._resource(self._upload(request.path_params["id"]), request))

    async def report_chunk(self, request: Request) -> Response:
        """Announce a chunk and get the signed URL for its bytes; the same number again replaces it."""
        report = await read_parameters(request, ChunkReport)
        self._check_token(request)
        record = self._upload(request.path_params["id"])
        if report.number > _CHUNK_NUMBERS:
            raise ProblemError(400, "maximum upload chunks exceeded.")
        if report.hash.algorithm not in ALGORITHMS:
            raise invalid_fields(fingerprint_algorithm="is not included in the list")
        chunk = ChunkRecord(report.number, report.size, report.hash.algorithm, report.hash.value)
        if not self._database.put_chunk(record.id, chunk, self._clock.now()):
            raise invalid_fields(completed_at="Cannot change completed_at.")
        url = self._gatekeeper.sign_url("PUT", f"/storage/{record.id}/{report.number}")
        return _json({"http_verb": "PUT", "host": self._place.base_url, "url": url, "http_headers": []})

    async def store_chunk(self, request: Request) -> Response:
        """Take the bytes of a chunk; the signed URL is the permission."""
        if self._faults.is_on(FaultName.EXPIRED_URLS):
            raise ProblemError(403, "Unauthorized", "request permission to access this resource")
        self._gatekeeper.check_url("PUT", request.url.path, request.url.query)
        record = self._upload(request.path_params["id"])
        number = request.path_params["number"]
        chunk = next((chunk for chunk in self._database.chunks(record.id) if chunk.number == number), None)
        if chunk is None:
            raise not_found("Chunk")
        try:
            await self._storage.put(
                (record.id, number), request.stream(), lambda: not self._database.is_completed(record.id)
            )
        except ClientDisconnect:
            return Response(status_code=400)
        except NotWantedError:
            raise invalid_fields(completed_at="Cannot change completed_at.") from None
        except StorageTroubleError as trouble:
            raise ProblemError(500, "The storage provider is unavailable", "try again in a few minutes") from trouble
        return Response(status_code=201)

    async def complete_upload(self, request: Request) -> Response:
        """Take the word that all chunks are there; the answer says that it was taken, not that it is true."""
        completion = await read_parameters(request, Completion)
        self._check_token(request)
        record = self._upload(request.path_params["id"])
        algorithm = completion.hash.algorithm.lower()
        if algorithm not in ALGORITHMS:
            raise invalid_fields(fingerprints__algorithm="is not included in the list")
        if not self._database.complete(record.id, algorithm, completion.hash.value, self._clock.now()):
            raise invalid_fields(completed_at="Cannot change completed_at.")
        self._worker.wake()
        return _json(self._resource(self._upload(record.id), request), 202)

    async def report_hash(self, request: Request) -> Response:
        """Take one more digest of the whole file, once the upload is completed."""
        report = await read_parameters(request, FileHashReport)
        self._check_token(request)
        record = self._upload(request.path_params["id"])
        if report.algorithm not in ALGORITHMS:
            raise invalid_fields(algorithm="is not included in the list")
        if record.timeline.stage.rank == 0:
            raise ProblemError(400, "upload is not completed", "complete the upload first")
        self._database.put_hash(record.id, report.algorithm, report.value)
        return _json(self._resource(record, request))

    # What the endpoints share

    def new_id(self) -> str:
        """A new id."""
        return str(uuid.UUID(bytes=self._chance.randbytes(16), version=4))

    def _check_token(self, request: Request) -> None:
        if self._faults.is_on(FaultName.EXPIRED_TOKENS):
            raise ProblemError(401, "expired api_token", "you need to login with your authenticaton service")
        self._gatekeeper.check_token(request.headers.get("authorization"))

    def _project(self, request: Request) -> ProjectRecord:
        project = self._database.project(request.path_params["id"])
        if project is None:
            raise not_found("Project")
        return project

    def _upload(self, upload_id: str) -> UploadRecord:
        record = self._database.upload(upload_id)
        if record is None:
            raise not_found("Upload")
        return record

    def _resource(self, record: UploadRecord, request: Request) -> Mapping[str, Any]:
        return self._resources([record], request)[0]

    def _resources(self, records: Sequence[UploadRecord], request: Request) -> Sequence[Mapping[str, Any]]:
        ids = [record.id for record in records]
        chunks, hashes = self._database.chunks_of(ids), self._database.hashes_of(ids)
        design, account = self._design_for(request), self._gatekeeper.account
        return [write_upload(record, chunks[record.id], hashes[record.id], account, design) for record in records]

    def _design_for(self, request: Request) -> Design:
        wanted = request.headers.get(DESIGN_HEADER)
        if wanted is None:
            return self._design
        try:
            return Design(wanted.lower())
        except ValueError:
            raise ProblemError(400, f"{DESIGN_HEADER} is invalid", f"use one of {', '.join(Design)}") from None


def _endpoint(handler: Handler) -> Handler:
    """A plain function for the router, which takes methods of objects for something else."""

    async def endpoint(request: Request) -> Response:
        return await handler(request)

    return endpoint


def _json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Compact JSON, without blanks: shell clients compare it."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(body, status, headers, media_type="application/json")


def _page(results: Sequence[Mapping[str, Any]], total: int, paging: Paging) -> Response:
    pages = -(-total // paging.per_page)
    headers = {
        "X-Total": str(total),
        "X-Total-Pages": str(pages),
        "X-Page": str(paging.page),
        "X-Per-Page": str(paging.per_page),
        "X-Next-Page": str(paging.page + 1) if paging.page < pages else "",
        "X-Prev-Page": str(paging.page - 1) if 1 < paging.page <= pages + 1 else "",
    }
    return _json({"results": results}, 200, headers)


async def _answer_problem(_: Request, problem: ProblemError) -> Response:
    return _json(problem.body, problem.status, problem.headers)


async def _answer_http(_: Request, error: HTTPException) -> Response:
    problem = ProblemError(error.status_code, error.detail, "check the method and the path")
    return _json(problem.body, error.status_code, error.headers)
