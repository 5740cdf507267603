"""The embedded service as one object: database, storage, worker, endpoints and faults."""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from random import Random, SystemRandom
from secrets import token_bytes
from types import TracebackType
from typing import Self, TypedDict, Unpack

from starlette.types import ASGIApp

from upload_tui.backend.app import EnvelopeMiddleware, OriginMiddleware, create_app
from upload_tui.backend.auth import DemoAccount, TokenAuthority
from upload_tui.backend.context import ServiceContext
from upload_tui.backend.fault_injection import FaultControlApp, FaultInjectionMiddleware
from upload_tui.backend.faults import Faults, FaultyStorage
from upload_tui.backend.serializers import ResourceSerializer
from upload_tui.backend.storage import MEMORY_LIMIT_BYTES, FolderStorage, MemoryStorage, Storage
from upload_tui.backend.store.database import UPLOADS_IN_MEMORY, Database
from upload_tui.backend.store.records import FinishedUpload, ProjectRecord
from upload_tui.backend.worker import VerificationWorker
from upload_tui.clock import Clock, SystemClock
from upload_tui.errors import UsageError
from upload_tui.wire import API_PATH, StatusShape

__all__ = ["IN_PROCESS_URL", "EmbeddedService", "ServiceOptions"]

IN_PROCESS_URL = "http://demo.invalid"
"""The base URL while the service has no port. The name can never be resolved."""

_PROJECT_NAME = "Demo project"

_logger = logging.getLogger(__name__)


class ServiceOptions(TypedDict, total=False):
    """Options of `EmbeddedService`, all with a default.

    Attributes:
        database: the file of the database; None keeps it in memory.
        storage: the folder of the stored bytes; None keeps them in memory.
        memory_bytes: how many bytes are kept in memory at most.
        uploads_in_memory: how many uploads a database in memory keeps.
        seed: makes ids reproducible; None makes random ids.
        secret: the key for tokens and signatures, for tests; None uses the database's, random in a new one.
        verifications_at_once: how many uploads are verified concurrently.
        has_control: whether faults can be controlled over HTTP.
        cors_origins: the origins whose pages may call the service from a browser; `*` stands for all.
        executor: where uploads are verified; None for the worker's own threads.
        base_url: where clients reach the service, for signed URLs. Can be set later.
    """

    database: Path | None
    storage: Path | None
    memory_bytes: int
    uploads_in_memory: int
    seed: int | None
    secret: bytes | None
    verifications_at_once: int
    has_control: bool
    cors_origins: Sequence[str]
    executor: Executor | None
    base_url: str


class EmbeddedService:
    """The service, an async context manager. The worker runs inside it; of one that is not entered, close the database.

    Args:
        clock: the service's time.
        status_shape: the shape of `status` unless a request header names another.
        options: see `ServiceOptions`.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        status_shape: StatusShape = StatusShape.A,
        **options: Unpack[ServiceOptions],
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.base_url = options.get("base_url", IN_PROCESS_URL)
        self.faults = Faults(self.clock)
        self.database = Database(options.get("database"), options.get("uploads_in_memory", UPLOADS_IN_MEMORY))
        self._verification_seconds: dict[str, float] = {}
        self._worker_task: asyncio.Task[None] | None = None
        with self.database.starting():
            secret = options.get("secret") or self.database.secret(token_bytes(32))
            self._authority = TokenAuthority(secret, self.clock)
            self.storage = FaultyStorage(_create_storage(options, self.database), self.faults)
            self.worker = self._create_worker(options.get("verifications_at_once", 1), options.get("executor"))
            self._context = self._create_context(options)
            self.app = self._create_app(status_shape, options)
            self.project = self._default_project()

    def _create_context(self, options: ServiceOptions) -> ServiceContext:
        return ServiceContext(
            database=self.database,
            storage=self.storage,
            worker=self.worker,
            authority=self._authority,
            faults=self.faults,
            clock=self.clock,
            rng=_id_generator(options.get("seed"), self.database.count_ids()),
            address=self,
            serializer=ResourceSerializer(self._authority.account),
        )

    def _create_worker(self, concurrency: int, executor: Executor | None) -> VerificationWorker:
        return VerificationWorker(
            self.database,
            self.storage,
            self.clock,
            self.faults,
            concurrency=concurrency,
            extra_seconds=lambda upload_id: self._verification_seconds.pop(upload_id, 0.0),
            executor=executor,
        )

    def _create_app(self, status_shape: StatusShape, options: ServiceOptions) -> ASGIApp:
        app: ASGIApp = FaultInjectionMiddleware(create_app(self._context, status_shape), self.faults, self.clock)
        if options.get("has_control"):
            app = FaultControlApp(app, self.faults, self._authority)
        app = EnvelopeMiddleware(app)
        origins = options.get("cors_origins")
        return OriginMiddleware(app, origins) if origins else app

    async def __aenter__(self) -> Self:
        self._worker_task = asyncio.create_task(self.worker.run(), name="verification worker")
        self._worker_task.add_done_callback(_report_end)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop the worker and close the database."""
        try:
            if self._worker_task is not None:
                self._worker_task.cancel()
                await asyncio.gather(self._worker_task, return_exceptions=True)
        finally:
            # Also if a second signal cancels the stop: closing writes the write-ahead log into the file.
            self.database.close()

    def configure_verification(
        self, upload_id: str, verification_seconds: float, *, is_unreadable: bool = False
    ) -> None:
        """Set how long the verification of an upload takes, and whether its bytes can be read at all."""
        self._verification_seconds[upload_id] = verification_seconds
        if is_unreadable:
            self.storage.unreadable_uploads.add(upload_id)

    def import_uploads(self, uploads: Sequence[FinishedUpload]) -> None:
        """Insert uploads that finished in the past. They have records but no stored bytes.

        Raises:
            UsageError: the database cannot be written.
        """
        with self.database.starting():
            self.database.uploads.import_finished(uploads)

    def count_imported_uploads(self) -> int:
        """Count the uploads that were imported, also by an earlier process."""
        with self.database.starting():
            return self.database.uploads.count_imported()

    @property
    def unverified_count(self) -> int | None:
        """How many completed uploads wait for verification; None if that is not known."""
        try:
            summary = self.database.queue.summary()
        except sqlite3.Error:
            return None
        return None if summary.depth is None or summary.running is None else summary.depth + summary.running

    @property
    def account(self) -> DemoAccount:
        """The demo account."""
        return self._authority.account

    @property
    def api_url(self) -> str:
        """The base URL of the API."""
        return f"{self.base_url}{API_PATH}"

    def new_token(self) -> str:
        """Issue a token for the account."""
        return self._authority.new_token()[0]

    def _default_project(self) -> ProjectRecord:
        """Return the first project; create one in a new database."""
        projects, _ = self.database.projects.page(0, 1)
        if projects:
            return projects[0]
        project = ProjectRecord(self._context.new_id(), _PROJECT_NAME, "Uploads to watch", self.clock.now())
        self.database.projects.add(project)
        return project


def _create_storage(options: ServiceOptions, database: Database) -> Storage:
    """Create the storage. Another one than that of the database's uploads would make errors of those that are not verified yet.

    Raises:
        UsageError: the folder is not that storage, or cannot be created.
    """
    folder = options.get("storage")
    if folder is not None:
        storage = FolderStorage(folder, must_exist=database.has_folder)
        database.set_has_folder()
        return storage
    if database.has_folder:
        raise UsageError(
            f"The bytes of the uploads in the database {options.get('database')} are in a folder",
            "Give that folder as --storage, or choose another --db.",
        )
    return MemoryStorage(limit_bytes=options.get("memory_bytes", MEMORY_LIMIT_BYTES))


def _report_end(worker: asyncio.Task[None]) -> None:
    """Report a worker that ended without being stopped; it never should."""
    if not worker.cancelled() and (error := worker.exception()) is not None:
        _logger.critical("The verification worker ended: restart the service", exc_info=error)


def _id_generator(seed: int | None, id_count: int) -> Random:
    """Return the source of ids. A database that already has ids gets others than a new one."""
    if seed is None:
        return SystemRandom()
    return Random(f"{seed} after {id_count}" if id_count else seed)  # noqa: S311  # a seed is for reproducible ids
