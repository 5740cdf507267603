"""The embedded service in the simulated world: real clients upload to it over a bad network, and it is killed and started again."""

import asyncio
import sqlite3
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tests.contract.calls import InlineExecutor
from tests.simulation.faults import exempt, is_killed
from tests.simulation.options import Options, Trace
from tests.simulation.services import Host, SimulatedUpload
from tests.unit.cli.virtual_program import VirtualClock
from upload_tui.backend import EmbeddedService, FaultName
from upload_tui.backend.store.records import to_milliseconds
from upload_tui.backend.worker import LEASE
from upload_tui.client import Credentials
from upload_tui.errors import UsageError
from upload_tui.monitor import ProjectRef
from upload_tui.status import Stage
from upload_tui.testing.service import md5, split_content

__all__ = ["CHUNK_FOLDER", "EmbeddedHost"]

CHUNK_FOLDER = "chunks"
"""Where the service keeps the chunks."""
_TRIES = 12
_CLAIM_SECONDS = 60.0
"""Enough for the longest verification that has begun."""
_MAX_CLIENTS = 40
_MISTAKES = (*("",) * 7, "omits a chunk", "wrong hash", "sends on")
"""What clients do wrong: not sending the last chunk, reporting another hash, sending other bytes after the upload is completed."""


class EmbeddedHost(Host):
    """The service with its database and its chunks on disk.

    Attributes:
        acknowledged: what it has answered to clients, by upload id: `initiated` or `completed`.
        wrong: the ids of uploads whose bytes are not those that their clients report, so that they must end as an error.
    """

    def __init__(
        self, number: int, options: Options, trace: Trace, rng: Random, folder: Path, mistakes: Random
    ) -> None:
        super().__init__(number, options, trace, rng)
        self.acknowledged: dict[str, Stage] = {}
        self.wrong: set[str] = set()
        self._folder = folder
        self._known: dict[str, SimulatedUpload] = {}
        self._service: EmbeddedService | None = None
        self._starts = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._client_count = 0
        self._mistakes = mistakes
        self._read_at = (0, 0)
        self._expired: dict[tuple[str, str, int], float] = {}
        self._verifications_at_once = mistakes.choice((1, 3))

    # Start and end

    async def start(self) -> None:
        """Start it over what is on disk, as soon as the disk does not fail."""
        while self._service is None:
            with suppress(UsageError):
                await self._start()
                return
            await asyncio.sleep(2.0)

    async def _start(self) -> None:
        self._starts += 1
        self._service = EmbeddedService(
            clock=_SkewedClock(self),
            verifications_at_once=self._verifications_at_once,
            status_shape=self.shape,
            database=self._folder / f"service-{self.number}.db",
            storage=self._folder / CHUNK_FOLDER,
            executor=InlineExecutor(),
            seed=self.number,
            secret=b"the same",
            base_url=self.url,
        )
        account = self._service.account
        self._credentials = Credentials(agent_key=account.agent_key, user_key=account.user_key)
        self._transport = httpx.ASGITransport(app=self._service.app, raise_app_exceptions=False)
        with exempt(self._service.database._db):
            assert not self._service.database.queue.summary().running, "a job of a process that has ended is running"
        await self._service.__aenter__()
        self.projects = {self._service.project.id: []}
        self._trace.add(f"service {self.number} starts")

    async def kill(self) -> None:
        """End it as SIGKILL does."""
        if self._service is not None:
            self._service.database._db.rollback()  # what is not committed is lost
            self._refresh()
        service, self._service = self._service, None
        if service is None:
            return
        self._trace.add(f"service {self.number} is killed")
        service.database._db.close()
        if service._worker_task is not None:  # it was killed before it had started one
            service._worker_task.cancel()
            await asyncio.gather(service._worker_task, return_exceptions=True)

    async def stop(self) -> None:
        """End it and its clients at the end of a run."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.kill()

    def start_fault(self, rng: Random) -> None:
        """Start one of the faults that the service has itself, but none that damages what was stored; or set its clock back."""
        name = rng.choice([*FaultName])
        if rng.random() < 0.2:
            self.skew_seconds -= 90.0
        if self._service is not None and name not in {FaultName.ALTERED_CHUNK, FaultName.LOST_CHUNK}:
            self._trace.add(f"service {self.number} has the fault {name}")
            self._service.faults.start(name, rng.choice((3.0, 10.0, 60.0)))
            self.slow_until = VirtualClock().monotonic() + 120.0

    def claim_job(self) -> None:
        """Claim a job as a worker does that finds its lease over, for as long as one takes; nothing follows."""
        if self._service is not None:
            with exempt(self._service.database._db):
                job = self._service.database.queue.claim(self._service.clock.now() + LEASE, timedelta())
            self._trace.add(f"service {self.number} has a job claimed by another worker: {job}")

    def end_faults(self) -> None:
        """End them."""
        if self._service is not None:
            for name in FaultName:
                self._service.faults.stop(name)

    @property
    def runs(self) -> bool:
        return self._service is not None

    def connections(self) -> Sequence[sqlite3.Connection]:
        """That of its database."""
        return [] if self._service is None else [self._service.database._db]

    # What it has

    def _refresh(self) -> None:
        """Read what it has; what it had before it was killed stays known."""
        if self._service is None or (self._starts, self._service.database._db.total_changes) == self._read_at:
            return
        with exempt(self._service.database._db):
            for project_id in self.projects:
                records, _ = self._service.database.uploads.page(project_id, 0, 10_000)
                self.projects[project_id] = [self._merge(record.id, record.name, record.timeline) for record in records]
        self._read_at = (self._starts, self._service.database._db.total_changes)

    def _merge(self, upload_id: str, name: str, timeline: Any) -> SimulatedUpload:
        known = self._known.setdefault(upload_id, SimulatedUpload(name, upload_id, {}))
        for event in timeline.events:  # its own times jump
            known.reached.setdefault(event.stage, VirtualClock().monotonic())
        return known

    @property
    def refs(self) -> Sequence[ProjectRef]:
        return [ProjectRef(project_id, "Demo project") for project_id in self.projects]

    @property
    def uploads(self) -> Sequence[SimulatedUpload]:
        self._refresh()
        return super().uploads

    def groups(self) -> Sequence[tuple[str, Sequence[SimulatedUpload]]]:
        self._refresh()
        return super().groups()

    def all_uploads(self) -> Sequence[SimulatedUpload]:
        self._refresh()
        return [*self._known.values()]

    def check_acknowledged(self, *, is_over: bool) -> None:
        """Check that nothing acknowledged is lost or has ended wrongly; with `is_over`, that all that is completed has ended."""
        if self._service is None:
            return
        for upload_id, stage in self.acknowledged.items():
            record = self._service.database.uploads.get(upload_id)
            assert record is not None, f"{upload_id} was acknowledged as {stage} and is lost"
            timeline, is_wrong = record.timeline, upload_id in self.wrong
            end = Stage.ERROR if is_wrong else Stage.VERIFIED
            assert timeline.stage.rank >= stage.rank, f"{upload_id} was {stage} and is {timeline.stage}"
            is_ended = timeline.stage.is_final
            assert timeline.stage is end or not is_ended, f"{upload_id}: {timeline.stage} {timeline.error_message}"
            # Also if the client does not know that it is completed, as when the answer was an error.
            assert is_ended or not is_over or timeline.stage is Stage.INITIATED, f"{upload_id} never ends"

    def check_claims(self) -> None:
        """Check that a job whose lease is over is claimed again, after other jobs that are due; the faults must have ended."""
        if self._service is None:
            return
        now, now_ms = VirtualClock().monotonic(), to_milliseconds(self._service.clock.now())
        due = "SELECT state, upload_id, claim FROM jobs WHERE state IN ('queued', 'running') AND due_ms <= ?"
        jobs = self._service.database._db.execute(due, (now_ms,)).fetchall()
        is_idle = all(state == "running" for state, _, _ in jobs)
        self._expired = {job: self._expired.get(job, now) for job in jobs} if is_idle else {}
        for job, since in self._expired.items():
            assert now - since < _CLAIM_SECONDS, f"a job whose lease is over is not claimed again: {job}"

    @property
    def is_quiet(self) -> bool:
        """Whether no client is active and no completed upload waits."""
        return not self._tasks and not any(upload.stage is Stage.COMPLETED for upload in self.uploads)

    # Answers

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        if self._service is None:
            raise httpx.ConnectError("refused", request=request)
        starts = self._starts
        try:
            response = await self._transport.handle_async_request(request)
        except BaseException as error:
            if is_killed(error):
                raise httpx.ReadError("reset", request=request) from None
            raise
        content = await response.aread()
        if self._starts != starts or not self.runs:
            raise httpx.ReadError("reset", request=request)
        headers = {name: value for name, value in response.headers.items() if name != "date"}
        return httpx.Response(response.status_code, headers=headers, content=content)

    @property
    def credentials(self) -> Credentials:
        """The keys of its account."""
        return self._credentials

    # What happens to uploads

    def insert(self, rng: Random, age_seconds: float = 0.0) -> None:
        """A client begins to upload; it gives up somewhere, now and then."""
        if self._client_count >= _MAX_CLIENTS:
            return
        self._client_count += 1
        work = self._upload(f"e{self._client_count}", Random(rng.random()))
        task = asyncio.get_event_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()  # an error is that of the simulation, and fails the run

    def advance(self, rng: Random) -> None:
        """Its worker does that."""

    def delete(self, rng: Random) -> None:
        """Nobody can."""

    def list_again(self, rng: Random) -> None:
        """Nothing was deleted."""

    def purge(self, rng: Random) -> None:
        """It does that itself."""

    async def _upload(self, name: str, rng: Random) -> None:
        content = rng.randbytes(rng.choice((1, 15, 400)))
        chunks = split_content(content, rng.choice((1, 3)))
        stops_at = rng.choice((None, None, None, 0, 1))
        mistake = self._mistakes.choice(_MISTAKES)
        fields = {"name": name, "content_type": "text/plain", "size": len(content)}
        async with httpx.AsyncClient(transport=self._network, base_url=self.url) as http:
            created = await self._call(http, "POST", f"/projects/{next(iter(self.projects))}/uploads", fields)
            if created is None:
                return
            upload_id, target = str(created["id"]), None
            self.acknowledged[upload_id] = Stage.INITIATED
            for number, chunk in enumerate(chunks, 1):
                await asyncio.sleep(rng.uniform(0, 3))
                is_sent = mistake != "omits a chunk" or number != len(chunks)
                if stops_at == number - 1:
                    return
                target = await self._send(http, upload_id, number, chunk, is_sent=is_sent)
                if target is None:
                    return
            if mistake in {"omits a chunk", "wrong hash"}:
                self.wrong.add(upload_id)
            reported = content + b"." if mistake == "wrong hash" else content
            if self._service is not None:
                self._service.configure_verification(upload_id, rng.choice((0.0, 1.0, 20.0)))
            late = _LateBody(chunks[-1])
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._put(http, target, late)) if mistake == "sends on" and target else None
                completed = await self._call(http, "PUT", f"/uploads/{upload_id}/complete", {"hash": _hash(reported)})
                late.end()
            if completed is None:
                return
            self.acknowledged[upload_id] = Stage.COMPLETED
            if mistake == "sends on" and target is not None:
                report = {"number": len(chunks), "size": 1, "hash": _hash(b".")}
                accepted = (
                    sending is not None and sending.result(),
                    await self._put(http, target, b"other bytes"),
                    await self._call(http, "PUT", f"/uploads/{upload_id}/chunks", report),
                )
                assert not any(accepted), f"{upload_id} is completed, and a chunk accepted: {accepted}"

    async def _send(
        self, http: httpx.AsyncClient, upload_id: str, number: int, chunk: bytes, *, is_sent: bool = True
    ) -> Mapping[str, Any] | None:
        """Report a chunk and send it until both are answered; without `is_sent`, only report it. Return where it belongs."""
        for _ in range(_TRIES):
            report = {"number": number, "size": len(chunk), "hash": _hash(chunk)}
            target = await self._call(http, "PUT", f"/uploads/{upload_id}/chunks", report)
            if target is None or not is_sent or await self._put(http, target, chunk):
                return target
            await asyncio.sleep(2.0)
        return None

    async def _put(
        self, http: httpx.AsyncClient, target: Mapping[str, Any], content: "bytes | AsyncIterable[bytes]"
    ) -> bool:
        """Send bytes; True if the service, and not a proxy, says that it has them."""
        with suppress(httpx.HTTPError):
            response = await http.put(target["host"] + target["url"], content=content)
            return response.is_success and response.content == b"{}"
        return False

    async def _call(
        self, http: httpx.AsyncClient, method: str, path: str, fields: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Send a request until it is answered; None if it never is, or is refused: an answer that was lost may have been yes."""
        for _ in range(_TRIES):
            with suppress(httpx.HTTPError, ValueError):
                token = self._service.new_token() if self._service else ""
                response = await http.request(method, f"/api/v1{path}", json=fields, headers={"Authorization": token})
                if response.is_success:
                    content: Mapping[str, Any] = response.json()
                    return content
                if response.status_code in {400, 404}:
                    return None
            await asyncio.sleep(2.0)
        return None


class _LateBody:
    """The bytes of a chunk, of which the last one is sent at the end only."""

    def __init__(self, chunk: bytes) -> None:
        self._chunk = chunk
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Send the last byte."""
        self._ended.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._chunk[:-1]
        await self._ended.wait()
        yield self._chunk[-1:]


class _SkewedClock(VirtualClock):
    """The clock of a host, which jumps; its seconds go on."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._host.skew_seconds)

    async def sleep(self, seconds: float) -> None:
        """Sleep a little at least: what waits for nothing again and again would stop the time of the world."""
        await super().sleep(max(seconds, 0.01))


def _hash(content: bytes) -> Mapping[str, str]:
    return {"value": md5(content), "algorithm": "md5"}
