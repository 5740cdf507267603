"""Operations that are run again and again, each time with another failing statement or call, and how each may end.

A command ends with a sentence and a documented exit code, or its output is whole. The service loses nothing that it acknowledged.
"""

import asyncio
import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import httpx
import pytest
from msgspec import Struct
from msgspec.structs import replace

from tests.contract.calls import NUMBERED, Caller, InlineExecutor
from tests.simulation.faults import (
    Failure,
    Injector,
    failing_files,
    failing_statements,
)
from tests.unit.cli.virtual_program import Capture, Project, VirtualService, restart_time, run_virtually, virtual_time
from upload_tui import monitor
from upload_tui.cli.support.preferences import save_theme, saved_theme
from upload_tui.errors import (
    EXIT_INTERNAL_ERROR,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_OUTPUT,
    EXIT_TIMED_OUT,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    BusyStorageError,
    StorageError,
    UsageError,
)
from upload_tui.monitor import (
    LiveSession,
    ProjectRef,
    Query,
    Schedule,
    Store,
    UploadChange,
    read_recording,
)
from upload_tui.monitor.store.store import Limits
from upload_tui.status import Stage
from upload_tui.testing import NOW, FrozenClock, an_upload
from upload_tui.testing.service import md5
from upload_tui.wire import parse_upload

__all__ = ["FILE_OPERATIONS", "IN_MEMORY", "STATEMENT_OPERATIONS", "Tried", "try_all", "try_one"]

Operation: TypeAlias = Callable[[Capture, Path, AbstractContextManager[None]], str]
"""Runs in an empty folder, what may fail inside the context. Returns how it ended, and fails if it may not end so."""


IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Flushing to a disk would take most of the time."""


class Tried(Struct):
    """An operation with one way to fail: how many calls can fail so, how many were made to, and how it ended how often."""

    operation: str
    failure: Failure
    outcomes: Counter[str]
    calls: int = 0

    def __str__(self) -> str:
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        return (
            f"{self.operation:<18} {self.failure!s:<30} {self.outcomes.total():>4} of {self.calls:>4} tried: {outcomes}"
        )


def try_all(capture: Capture, operation: str, failure: Failure, step: int = 1, first: int = 1) -> Tried:
    """Run an operation with failing call `first`, `first + step` ... until none fails any more.

    Raises:
        AssertionError: it ended as it may not; the message says what failed.
    """
    tried, number = Tried(operation, failure, Counter()), first
    while True:
        outcome, has_failed, tried.calls = try_one(capture, operation, failure, number)
        if not has_failed:
            return tried
        tried.outcomes[outcome] += 1
        number += step


def try_one(capture: Capture, operation: str, failure: Failure, number: int) -> tuple[str, bool, int]:
    """Run an operation with one failing call; return how it ended, whether that call was reached, and how many calls there were.

    Raises:
        AssertionError: it ended as it may not; the message says what failed.
    """
    is_file = operation in FILE_OPERATIONS
    run = (FILE_OPERATIONS if is_file else STATEMENT_OPERATIONS)[operation]
    injector = Injector(failure, number)
    restart_time()
    with TemporaryDirectory(dir=IN_MEMORY) as path, pytest.MonkeyPatch.context() as patch:
        folder = Path(path).resolve()
        patch.setenv("HOME", path)
        failing = failing_files(injector, folder) if is_file else failing_statements(injector)
        try:
            outcome = run(capture, folder, failing)
            assert failure.persists or _HALF not in outcome, outcome
        except Exception as error:
            raise AssertionError(
                f"{operation}, {failure}, number {number} ({injector.failed_on}): {type(error).__name__}: {error}"
            ) from error
    return outcome, injector.has_fired, injector.count


# Commands

_VERIFIED = {"completed": 50, "verified": 40}


def _stages(service: VirtualService) -> dict[str, Stage]:
    """The stage of each upload by id."""
    readings = (parse_upload(upload, read_on=NOW) for project in service.projects for upload in project.uploads)
    return {upload.id: upload.stage for upload in readings}


def _service() -> VirtualService:
    genome = [_upload("Genome", number, **(_VERIFIED if number % 2 else {})) for number in range(12)]
    imaging = [_upload("Imaging", number, **_VERIFIED) for number in range(3)]
    return VirtualService([Project("p-1", "Genome", genome), Project("p-2", "Imaging", imaging)])


def _upload(project: str, number: int, **stages: Any) -> dict[str, Any]:
    project_id = {"Genome": "p-1", "Imaging": "p-2"}[project]
    return an_upload(f"{project}-{number}", project=(project_id, project), initiated=60 + number, **stages)


def _change(service: VirtualService) -> None:
    """Uploads arrive, one advances, one is deleted."""
    uploads = service.projects[0].uploads
    uploads[0] = _upload("Genome", 0, **_VERIFIED)
    del uploads[7]
    uploads[:0] = [_upload("Genome", -number, completed=10) for number in (3, 2, 1)]


def _command(
    *arguments: str, is_known: bool = False, is_bulk: bool = False, prepare: tuple[str, ...] = ("list",)
) -> Operation:
    """A command; with `is_known`, an earlier one has filled the store and the service has changed since."""

    def run(capture: Capture, folder: Path, failing: AbstractContextManager[None]) -> str:
        service = _service()
        with pytest.MonkeyPatch.context() as patch:
            if is_bulk:
                patch.setattr(monitor, "Store", partial(Store, limits=Limits(bulk_threshold=3)), raising=False)
            if is_known:
                assert run_virtually(capture, folder, service, *prepare).code == EXIT_OK
                _change(service)
            with failing:
                result = run_virtually(capture, folder, service, *(one.format(folder=folder) for one in arguments))
        # Before the sentence, `--debug` prints the traceback.
        sentence = result.err[result.err.rfind("\nupload-tui: ") + 1 :] if "--debug" in arguments else result.err
        assert "Traceback" not in sentence, result.err
        assert result.code != EXIT_INTERNAL_ERROR, result.err
        _check_output(arguments[0], service, result.code, result.out)
        if result.code in {EXIT_OK, EXIT_INTERRUPTED}:
            assert not sentence or sentence.startswith("upload-tui: "), result.err
            return "with a notice" if "cache" in result.err else "whole"
        assert result.code in {EXIT_OUTPUT, EXIT_UNREACHABLE, EXIT_USAGE, EXIT_TIMED_OUT}, result
        assert sentence.startswith("upload-tui: "), result
        return f"exit {result.code}"

    return run


def _check_output(command: str, service: VirtualService, code: int, out: str) -> None:
    """Check that a command that has not failed has left nothing out."""
    ids = {str(upload["id"]) for project in service.projects for upload in project.uploads}
    if code == EXIT_OK and command == "list":
        shown = {json.loads(line)["id"] for line in out.splitlines()}
        assert shown >= ids, ids - shown  # an older one that was deleted may be compared later
    if code == EXIT_OK and command == "report":
        assert json.loads(out)[0]["total"] >= len(ids)


def _watch(_: Capture, folder: Path, failing: AbstractContextManager[None]) -> str:
    """Watch a service that changes; at its end the picture is whole and live."""
    service, projects = _service(), [ProjectRef("p-1", "Genome"), ProjectRef("p-2", "Imaging")]

    async def watch() -> str:
        store = Store(folder / "store.db")
        async with service.client() as client:
            session = LiveSession(client, projects, store, schedule=Schedule(jitter=lambda: 0.5))
            running = asyncio.create_task(session.run())
            await asyncio.sleep(4)
            _change(service)
            for seconds in (16, 20, 20):  # a store may be emptied just before the picture is read
                await asyncio.sleep(seconds)
                if running.done():
                    running.result()
                rows = session.picture.window(Query(), 0, 100).rows
                shown = {row.id: row.stage for row in rows if not row.is_gone}
                if shown == _stages(service) and session.connection().is_live:
                    break
            assert session.connection().is_live, session.connection()
            assert shown == _stages(service)
            published = [change for change in session.changes.history(1000) if isinstance(change, UploadChange)]
            assert len({repr(replace(change, at=NOW)) for change in published}) == len(published)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        notice = store.notice
        store.close()
        return "with a notice" if notice else "whole"

    with failing, virtual_time():
        try:
            return asyncio.run(watch())
        except BusyStorageError as error:  # as it was opened, or as the dashboard reads it: another process is blamed
            return f"a sentence: {error.title.partition(' to ')[0]}"


_HALF = "half a header"
"""What is left of a recording if a disk lets nothing be removed either."""


def _record(capture: Capture, folder: Path, failing: AbstractContextManager[None]) -> str:
    """Record, and read what was written: complete lines, if there is a file at all."""
    file = folder / "it.jsonl"
    outcome = _command("record", str(file))(capture, folder, failing)
    if not file.exists():
        return f"{outcome}, no file"
    try:
        _, lines = read_recording(file)
    except StorageError:
        assert outcome.startswith("exit"), outcome
        return f"{outcome}, {_HALF}"
    return f"{outcome}, {'lines' if lines else 'no lines'}"


def _choose(_: Capture, folder: Path, failing: AbstractContextManager[None]) -> str:
    """Save a choice over an older one: it is the old or the new one afterwards."""
    save_theme("nord")
    hint = ""
    try:
        with failing:
            save_theme("gruvbox")
    except StorageError as error:
        hint = error.hint
    assert saved_theme(["nord", "gruvbox"]) == ("nord" if hint else "gruvbox")
    if hint:
        return "a sentence, the old one kept"
    assert not [*folder.rglob("*.part")]
    return "whole"


def _export(_: Capture, folder: Path, failing: AbstractContextManager[None]) -> str:
    """Save an export of the dashboard: the file is whole or not there, and the user reads which."""
    from tests.tui.dashboards import toasts, until  # Textual, which nothing else here needs
    from upload_tui.tui import Preferences
    from upload_tui.tui.base_app import ExportApp
    from upload_tui.tui.bridge import ExportReady

    async def save() -> str:
        app = ExportApp()
        app._preferences = Preferences(export_folder=folder)
        async with app.run_test() as pilot:
            with failing:
                app.post_message(ExportReady(StringIO("one\n" * 2), "it.csv"))
                await until(pilot, lambda: bool(toasts(pilot)))
                await app.workers.wait_for_complete()
            (notice,) = toasts(pilot)
        return notice

    notice = asyncio.run(save())
    files = {file.name: file.read_text() for file in folder.iterdir()}
    if notice.startswith("Exported to"):
        assert files == {"it.csv": "one\n" * 2}, files
        return "whole"
    assert notice.startswith("Export failed: "), notice
    assert "it.csv" not in files, files
    return "a sentence, no file"


# The service


class _Errors(logging.Handler):
    """Collects what is logged with a traceback: an error of the disk has none."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] and not isinstance(record.exc_info[1], (sqlite3.Error, OSError)):
            self.found.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


@contextmanager
def _collecting_errors() -> Iterator[list[str]]:
    handler, logger = _Errors(), logging.getLogger("upload_tui")
    level, propagates = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield handler.found
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = level, propagates


class _Uploader:
    """Uploads and remembers what the service has acknowledged, by upload id."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.acknowledged: dict[str, str] = {}
        self.answers = Counter[int]()

    async def call(self, caller: Caller, method: str, path: str, **options: Any) -> Mapping[str, Any]:
        """Send a request, again a few times if the service cannot answer it now; empty if it never can."""
        for _ in range(3):
            response = await caller.call(method, path, **options)
            self.answers[response.status_code] += 1
            if response.is_success:
                content: Mapping[str, Any] = response.json() if response.content else {"done": True}
                return content
            assert response.json().get("reason") or response.json().get("error"), response.text
            self.clock.advance(1)
            if response.status_code < 500:
                assert "unavailable" not in response.text
                return {}
        return {}

    async def upload(self, caller: Caller, name: str) -> None:
        fields = {"name": name, "content_type": "text/plain", "size": 15}
        upload_id = (await self.call(caller, "POST", f"/projects/{caller.project_id}/uploads", json=fields)).get("id")
        if not upload_id:
            return
        self.acknowledged[upload_id] = "initiated"
        for number, content in NUMBERED:
            report = {
                "number": number,
                "size": len(content),
                "hash": {"value": md5(content), "algorithm": "md5"},
            }
            target = await self.call(caller, "PUT", f"/uploads/{upload_id}/chunks", json=report)
            if not target or not await self._send(caller, target, content):
                return
        self.acknowledged[upload_id] = "sent"
        digest = {"hash": {"value": md5(b"".join(content for _, content in NUMBERED)), "algorithm": "md5"}}
        if await self.call(caller, "PUT", f"/uploads/{upload_id}/complete", json=digest):
            self.acknowledged[upload_id] = "completed"

    async def _send(self, caller: Caller, target: Mapping[str, Any], content: bytes) -> bool:
        for _ in range(3):
            response = await caller.http.put(target["host"] + target["url"], content=content)
            self.answers[response.status_code] += 1
            if response.is_success:
                return True
            assert response.status_code >= 500, response.text
            assert response.json()["reason"]
        return False

    async def verify(self, caller: Caller, waits: Sequence[float]) -> None:
        for seconds in waits:
            self.clock.advance(seconds)
            with suppress(sqlite3.Error):
                await caller.verify_all()

    async def check(self, caller: Caller) -> None:
        """Check that everything acknowledged is there, and that all of it can be verified."""
        for upload_id, state in self.acknowledged.items():
            response = await caller.call("GET", f"/uploads/{upload_id}")
            assert response.status_code == 200, (upload_id, state, response.text)
            status = response.json()["status"]
            assert status["error_on"] is None, (state, status)
            if state == "completed":
                assert status["completed_on"], (state, status)
            elif state == "sent" and not status["completed_on"]:
                digest = {"hash": {"value": md5(b"".join(content for _, content in NUMBERED)), "algorithm": "md5"}}
                assert await self.call(caller, "PUT", f"/uploads/{upload_id}/complete", json=digest)
        await self.verify(caller, (31, 31, 60, 700, 4000, 4000))
        for upload_id, state in self.acknowledged.items():
            status = (await caller.call("GET", f"/uploads/{upload_id}")).json()["status"]
            assert state == "initiated" or status["verified_on"], (state, status)


def _serve(_: Capture, folder: Path, failing: AbstractContextManager[None], *, is_known: bool = False) -> str:
    """Start the service, upload, verify; then start it again without failures and check what it has acknowledged."""
    return asyncio.run(_use_service(folder, failing, is_known=is_known))


async def _use_service(folder: Path, failing: AbstractContextManager[None], *, is_known: bool) -> str:
    uploader = _Uploader()
    options: dict[str, Any] = {
        "clock": uploader.clock, "database": folder / "records.db", "storage": folder / "blobs",
        "executor": InlineExecutor(), "secret": None,
    }  # fmt: skip
    if is_known:
        async with _entered(Caller(**options)) as caller:
            await uploader.upload(caller, "before.txt")
    is_refused = False
    with _collecting_errors() as errors:
        try:
            with failing:
                async with _entered(Caller(**options)) as caller:
                    for name in ("one.txt", "two.txt"):
                        await uploader.upload(caller, name)
                        await uploader.verify(caller, (2, 31))
                    for path in (f"/projects/{caller.project_id}/uploads", "/queue", "/projects"):
                        await uploader.call(caller, "GET", path)
        except UsageError as error:
            is_refused = bool(error.hint)
    assert not errors, errors
    async with _entered(Caller(**options)) as caller:
        await uploader.check(caller)
    answered = any(code >= 500 for code in uploader.answers)
    return "a sentence at the start" if is_refused else "answered 500" if answered else "retried"


class _entered:  # noqa: N801  # a context manager
    """A service without its worker task, on a transport that answers as a server does."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        transport = httpx.ASGITransport(app=caller.embedded.app, raise_app_exceptions=False)
        caller.http = httpx.AsyncClient(transport=transport, base_url=caller.embedded.base_url)

    async def __aenter__(self) -> Caller:
        return self.caller

    async def __aexit__(self, *_: object) -> None:
        await self.caller.http.aclose()
        self.caller.embedded.database.close()


STATEMENT_OPERATIONS: Mapping[str, Operation] = {
    "list": _command("list"),
    "list again": _command("list", is_known=True),
    "list in bulk": _command("list", is_bulk=True),
    "report": _command("report", "-o", "json", is_known=True),
    "watch": _watch,
    "serve": _serve,
    "serve again": partial(_serve, is_known=True),
}
FILE_OPERATIONS: Mapping[str, Operation] = {
    "list, its files": _command("list"),
    "record": _record,
    "config init": _command("config", "init"),
    "list --debug": _command("--debug", "list"),
    "a choice": _choose,
    "an export": _export,
    "serve, its files": _serve,
}
