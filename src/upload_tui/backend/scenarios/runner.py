"""Runs a scenario: concurrent uploads by a client of the service's API, pauses, and faults."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

from upload_tui.backend.scenarios.uploads import Flaw, UploadPlan, UploadPlanner, md5
from upload_tui.backend.service import EmbeddedService
from upload_tui.backend.store.records import FinishedUpload
from upload_tui.clock import PacedClock
from upload_tui.errors import BadRequestError, ServiceError, ThrottledError
from upload_tui.wire import API_PATH

if TYPE_CHECKING:
    import httpx

__all__ = ["ScenarioRunner", "Uploader"]

_RETRY_SECONDS = 2.0
_MAX_ATTEMPTS = 60
_RETRY_STATUSES = frozenset({401, 403, 429, 500, 503})

Sleep = Callable[[float], Awaitable[None]]


class Uploader:
    """Uploads files to the service's first project, in the same process but over its API.

    Retries while the service is failing, and raises a `ServiceError` when it gives up.

    Args:
        service: the service.
        http: a client of the service's application.
        sleep: waits between chunks and retries, in seconds.
    """

    def __init__(self, service: EmbeddedService, http: "httpx.AsyncClient", sleep: Sleep) -> None:
        self._service = service
        self._http = http
        self._sleep = sleep
        self._token = service.new_token()

    async def upload(self, plan: UploadPlan) -> str:
        """Carry out a plan. Returns the upload's id."""
        size = sum(len(chunk) for chunk in plan.chunks)
        if plan.flaw is Flaw.FIRST_CHUNK_MISSING_SIZE_LOWERED:
            size -= len(plan.chunks[0])
        fields = {"name": plan.name, "content_type": plan.content_type, "size": size}
        upload = await self._call("POST", f"/projects/{self._service.project.id}/uploads", fields)
        upload_id: str = upload["id"]
        self._service.configure_verification(upload_id, plan.verification_seconds, is_unreadable=plan.is_unreadable)
        for number, reported, sent in _chunk_transfers(plan):
            await self._sleep(plan.seconds_per_chunk)
            await self._send_chunk(upload_id, number, reported, sent)
        if plan.flaw is not Flaw.NEVER_COMPLETED:
            await self._sleep(plan.seconds_per_chunk)
            await self._complete(upload_id, plan)
        return upload_id

    async def _send_chunk(self, upload_id: str, number: int, reported: bytes, sent: bytes | None) -> None:
        report = {"number": number, "size": len(reported), "hash": {"value": md5(reported), "algorithm": "md5"}}
        for _ in range(_MAX_ATTEMPTS):
            target = await self._call("PUT", f"/uploads/{upload_id}/chunks", report)
            if sent is None:
                return
            response = await self._http.put(target["host"] + target["url"], content=sent)
            if response.status_code in (200, 201):
                return
            await self._sleep(_RETRY_SECONDS)

    async def _complete(self, upload_id: str, plan: UploadPlan) -> None:
        digest = md5(b"another file") if plan.flaw is Flaw.WRONG_FILE_HASH else plan.file_md5
        await self._call("PUT", f"/uploads/{upload_id}/complete", {"hash": {"value": digest, "algorithm": "md5"}})

    async def _call(self, method: str, path: str, fields: dict[str, Any]) -> Any:
        """Call the API; retry while the service is failing, as real clients do."""
        for _ in range(_MAX_ATTEMPTS):
            response = await self._http.request(
                method, f"{API_PATH}{path}", json=fields, headers={"Authorization": self._token}
            )
            body = _parse_json(response)
            if response.is_success and body is not None:
                return body
            if response.status_code not in _RETRY_STATUSES and body is not None:
                raise BadRequestError(f"{method} {path} was refused: {response.text}")
            if response.status_code == 401:
                self._token = self._service.new_token()
            await self._sleep(_RETRY_SECONDS)
        raise ThrottledError(f"{method} {path} kept failing")


def _parse_json(response: "httpx.Response") -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _chunk_transfers(plan: UploadPlan) -> Iterator[tuple[int, bytes, bytes | None]]:
    """For each chunk its number, the bytes as reported, and the bytes as sent (None: not sent)."""
    chunks = list(enumerate(plan.chunks, 1))
    middle = len(chunks) // 2 + 1
    if plan.flaw is Flaw.CHUNKS_REORDERED:
        chunks = [(number, plan.chunks[-number]) for number, _ in chunks]
    if plan.flaw in (Flaw.FIRST_CHUNK_MISSING, Flaw.FIRST_CHUNK_MISSING_SIZE_LOWERED):
        chunks = chunks[1:]
    if plan.flaw is Flaw.NEVER_COMPLETED:
        chunks = chunks[:middle]
    for number, chunk in chunks:
        sent: bytes | None = chunk
        if number == middle and plan.flaw is Flaw.CHUNK_ALTERED:
            sent = bytes([chunk[0] ^ 0xFF]) + chunk[1:]
        elif number == middle and plan.flaw is Flaw.CHUNK_TRUNCATED:
            sent = chunk[: len(chunk) // 2]
        elif number == middle and plan.flaw is Flaw.CHUNK_LOST:
            sent = None
        yield number, chunk, sent


_IMPORT_BATCH_UPLOADS = 2000
_POLL_SECONDS = 1.0


class ScenarioRunner:
    """What scripts use to start uploads and faults. An upload that its client gives up ends without an error.

    Args:
        service: the service that the scenario uses.
        clock: the service's clock; history is made by stepping it.
        rng: the source of everything random.
        history: finished uploads to import.
        on_progress: called with the number of uploads imported so far.
    """

    def __init__(
        self,
        service: EmbeddedService,
        clock: PacedClock,
        rng: Random,
        history: Iterable[FinishedUpload] = (),
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        import httpx

        self.service = service
        self.clock = clock
        self.rng = rng
        self._history = iter(history)
        self._on_progress = on_progress
        self.planner = UploadPlanner(rng)
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app=service.app), base_url=service.base_url)
        self._uploader = Uploader(service, self._http, clock.sleep)
        self._running: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Cancel the running uploads."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._http.aclose()

    def start(self, plan: UploadPlan) -> None:
        """Start an upload in the background."""
        task = asyncio.create_task(self._upload(plan), name=f"upload {plan.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def wait_for_fewer(self, unfinished: int) -> None:
        """Wait until fewer than `unfinished` uploads are being sent or verified, so that memory does not fill if the worker stops."""
        while len(self._running) + (self.service.unverified_count or 0) >= unfinished:
            await self.clock.sleep(_POLL_SECONDS)

    async def _upload(self, plan: UploadPlan) -> None:
        with suppress(ServiceError):
            await self._uploader.upload(plan)

    async def backfill_upload(self, plan: UploadPlan, seconds_ago: float, present: float) -> None:
        """Run an upload to its end at once. It begins `seconds_ago` before `present`, a reading of the clock."""

        async def step(seconds: float) -> None:
            self.clock.step(seconds)

        self.step_to(present - seconds_ago)
        await Uploader(self.service, self._http, step).upload(plan)
        self.clock.step(plan.verification_seconds)
        while await self.service.worker.verify_next():
            pass

    async def import_history(self) -> None:
        """Import the finished uploads in batches; other tasks run in between.

        Those that the database has already, perhaps of an import that was interrupted, are the first ones and are skipped.
        """
        imported = self.service.count_imported_uploads()
        self._on_progress(imported)
        missing = islice(self._history, imported, None)
        while batch := list(islice(missing, _IMPORT_BATCH_UPLOADS)):
            self.service.import_uploads(batch)
            imported += len(batch)
            self._on_progress(imported)
            await asyncio.sleep(0)

    def step_to(self, reading: float) -> None:
        """Step the clock to a later reading of `monotonic`."""
        self.clock.step(max(0.0, reading - self.clock.monotonic()))
