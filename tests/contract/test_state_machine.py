"""Random legal and illegal calls, compared with a model of the state machine (Hypothesis, stateful).

`PYTEST_TROUBLE_EXAMPLES` sets the number of runs with trouble; the default keeps the suite quick.
"""

import asyncio
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from tests.contract.calls import Caller, InlineExecutor, SettableClock, md5, serving
from upload_tui.backend.worker import LEASE
from upload_tui.errors import UsageError

CONTENTS = st.sampled_from([b"", b"a", b"b", b"abc", b"0123456789"])
NUMBERS = st.integers(1, 4)
MAX_ATTEMPTS = 6
NONSENSE = b"\xff"
STAGES = ("initiated_on", "completed_on", "verified_on", "error_on")


@dataclass
class Model:
    """An upload as acknowledged calls make it. The bytes of an unchunked upload are number 0."""

    size: int
    is_chunked: bool
    reported: dict[int, bytes] = field(default_factory=dict)
    stored: dict[int, bytes] = field(default_factory=dict)
    digest: str | None = None
    second_digest: str | None = None
    is_ended: bool = False
    was_valid: bool = False
    seen: dict[str, str | None] = field(default_factory=dict)

    @property
    def stored_content(self) -> bytes:
        """All bytes, in the order of the file."""
        numbers = sorted(self.reported) if self.is_chunked else [0]
        return b"".join(self.stored.get(number, b"") for number in numbers)

    @property
    def is_valid(self) -> bool:
        """True if verification must succeed."""
        return (
            (self.are_chunks_valid if self.is_chunked else 0 in self.stored)
            and len(self.stored_content) == self.size
            and md5(self.stored_content) == self.digest
            and self.second_digest in {None, sha256(self.stored_content)}
        )

    @property
    def are_chunks_valid(self) -> bool:
        numbers = sorted(self.reported)
        return (
            numbers == list(range(1, len(numbers) + 1))
            and numbers != []
            and all(self.stored.get(number) == self.reported[number] for number in numbers)
        )

    @property
    def is_verified(self) -> bool:
        return self.is_ended and self.was_valid


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


whole = precondition(lambda machine: machine.spoilt is None)
"""Calls that are compared with the model need a database that can be read."""


class ServiceMachine(RuleBasedStateMachine):
    spoilt: tuple[int, bytes] | None = None
    """Where a page of the database is overwritten, and what was there; None if all pages are whole."""
    uploads = Bundle("uploads")
    urls = Bundle("urls")
    files = Bundle("files")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.caller: Caller = self.loop.run_until_complete(self.stack.enter_async_context(self.start()))
        self.models: dict[str, Model] = {}

    def start(self) -> AbstractAsyncContextManager[Caller]:
        return serving()

    def teardown(self) -> None:
        self.loop.run_until_complete(self.stack.aclose())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        response = self.loop.run_until_complete(self.caller.call(method, path, **options))
        assert response.status_code < 500
        return response

    @whole
    @rule(target=uploads, size=st.sampled_from([0, 1, 2, 4, 10]))
    def initiate(self, size: int) -> str:
        upload_id = self.loop.run_until_complete(self.caller.initiate(size=size))
        self.models[upload_id] = Model(size, is_chunked=True)
        return upload_id

    @whole
    @rule(target=uploads, content=CONTENTS, is_sent=st.booleans())
    def initiate_in_one_piece(self, content: bytes, is_sent: bool) -> str:
        fields = {"name": "a.bin", "content_type": "b", "size": len(content), "chunked": False}
        created = self.call("POST", f"/projects/{self.caller.project_id}/uploads", json=fields).json()
        model = self.models[created["id"]] = Model(len(content), is_chunked=False)
        if is_sent:
            path = created["signed_url"]["url"]
            assert self.loop.run_until_complete(self.caller.http.put(path, content=content)).status_code == 201
            model.stored[0] = content
        return str(created["id"])

    @whole
    @rule(target=urls, upload_id=uploads, number=NUMBERS, content=CONTENTS)
    def report_chunk(self, upload_id: str, number: int, content: bytes) -> tuple[str, int, str] | None:
        report = {"number": number, "size": len(content), "hash": {"value": md5(content), "algorithm": "md5"}}
        response = self.call("PUT", f"/uploads/{upload_id}/chunks", json=report)
        model = self.models[upload_id]
        is_valid_call = model.digest is None and model.is_chunked
        assert response.status_code == (200 if is_valid_call else 400)
        if is_valid_call:
            model.reported[number] = content
            return upload_id, number, response.json()["url"]
        return None

    @whole
    @rule(url=urls, content=CONTENTS)
    def store_other_bytes(self, url: tuple[str, int, str] | None, content: bytes) -> None:
        self.store(url, content)

    @whole
    @rule(url=consumes(urls))
    def store_the_reported_bytes(self, url: tuple[str, int, str] | None) -> None:
        if url is not None:
            self.store(url, self.models[url[0]].reported[url[1]])

    def store(self, url: tuple[str, int, str] | None, content: bytes) -> None:
        if url is None:
            return
        upload_id, number, path = url
        response = self.loop.run_until_complete(self.caller.http.put(path, content=content))
        model = self.models[upload_id]
        # A signed URL expires after five minutes of the clock, which other rules advance.
        assert response.status_code in ((201, 403) if model.digest is None else (400, 403))
        if response.status_code == 201:
            model.stored[number] = content

    @whole
    @rule(upload_id=uploads, is_correct=st.booleans())
    def complete(self, upload_id: str, is_correct: bool) -> None:
        model = self.models[upload_id]
        reported = (
            b"".join(model.reported[number] for number in sorted(model.reported))
            if model.is_chunked
            else model.stored_content
        )
        digest = md5(reported if is_correct else reported + b"!")
        response = self.loop.run_until_complete(self.caller.complete(upload_id, digest))
        assert response.status_code == (202 if model.digest is None else 400)
        model.digest = model.digest or digest

    @whole
    @rule(upload_id=uploads, is_correct=st.booleans())
    def report_another_digest(self, upload_id: str, is_correct: bool) -> None:
        model = self.models[upload_id]
        digest = sha256(model.stored_content if is_correct else model.stored_content + b"!")
        report = {"algorithm": "sha256", "value": digest}
        response = self.call("PUT", f"/uploads/{upload_id}/hashes", json=report)
        is_accepted = model.digest is not None and (is_correct or not model.is_verified)
        assert response.status_code == (200 if is_accepted else 400)
        if is_accepted:
            model.second_digest = digest

    @whole
    @rule(target=files, upload_id=uploads)
    def create_file(self, upload_id: str) -> tuple[str, str] | None:
        fields = {"parent": {"kind": "dds-project", "id": self.caller.project_id}, "upload": {"id": upload_id}}
        response = self.call("POST", "/files", json=fields)
        model = self.models[upload_id]
        is_accepted = model.digest is not None and (model.is_verified or not model.is_ended)
        assert response.status_code == (201 if is_accepted else 400)
        return (str(response.json()["id"]), upload_id) if is_accepted else None

    @whole
    @rule(file=files)
    def download(self, file: tuple[str, str] | None) -> None:
        if file is None:
            return
        model = self.models[file[1]]
        response = self.call("GET", f"/files/{file[0]}/url")
        assert response.status_code == (200 if model.is_verified else 400 if model.is_ended else 404)
        if model.is_verified:
            download = self.loop.run_until_complete(self.caller.http.get(response.json()["url"]))
            assert (download.status_code, download.content) == (200, model.stored_content)

    @whole
    @rule(
        upload_id=uploads,
        path=st.sampled_from(["complete", "chunks", "hashes"]),
        body=st.sampled_from([{}, {"hash": 1}, {"number": 0}, {"value": "x", "algorithm": "rot13"}, [1], None]),
    )
    def call_with_an_invalid_body(self, upload_id: str, path: str, body: object) -> None:
        assert self.call("PUT", f"/uploads/{upload_id}/{path}", json=body).status_code == 400

    @rule(seconds=st.sampled_from([0.0, 1.0, 400.0]))
    def advance_clock(self, seconds: float) -> None:
        self.caller.clock.advance(seconds)

    @whole
    @rule()
    def verify_next(self) -> None:
        upload_id = self.loop.run_until_complete(self.caller.service.worker.verify_next())
        pending = [key for key, model in self.models.items() if model.digest is not None and not model.is_ended]
        if upload_id is None:
            assert pending == []
        else:
            assert upload_id in pending
            self.models[upload_id].is_ended = True
            self.models[upload_id].was_valid = self.models[upload_id].is_valid

    @whole
    @invariant()
    def uploads_match_the_models(self) -> None:
        for upload_id, model in self.models.items():
            upload = self.call("GET", f"/uploads/{upload_id}").json()
            status = upload["status"]
            assert {chunk["number"]: chunk["hash"]["value"] for chunk in upload.get("chunks", [])} == {
                number: md5(content) for number, content in model.reported.items()
            }
            assert not (status["verified_on"] and status["error_on"])
            assert (status["completed_on"] is not None) == (model.digest is not None)
            assert (status["verified_on"] is not None) == model.is_verified
            assert (status["error_on"] is not None) == (model.is_ended and not model.was_valid)
            assert all(status[name] == on for name, on in model.seen.items() if on is not None)
            model.seen = {name: status[name] for name in STAGES}


spoiled = precondition(lambda machine: machine.spoilt is not None)


class FaultyServiceMachine(ServiceMachine):
    """The same with files, and with trouble: nothing may become an error that was only trouble, and nothing may be left."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = SettableClock()
        self.attempts: Counter[str] = Counter()
        super().__init__()

    def start(self) -> AbstractAsyncContextManager[Caller]:
        files = {"storage": self.folder / "bytes", "database": self.file}
        return serving(clock=self.clock, executor=InlineExecutor(), **files)

    def teardown(self) -> None:
        """Without trouble, the queue is empty in the end."""
        try:
            self.restore_the_page()
            for _ in range(8):
                self.clock.advance(4000)
                self.verify_all()
                self.note_ends()
                self.uploads_match_the_models()
            assert not self.pending
            assert self.caller.service.database.queue.summary().dead == sum(
                count > MAX_ATTEMPTS for count in self.attempts.values()
            )
        finally:
            super().teardown()
            shutil.rmtree(self.folder)

    @property
    def file(self) -> Path:
        return self.folder / "records.db"

    @property
    def pending(self) -> set[str]:
        """Uploads that are to be verified, except those that were given up after the last retry."""
        waiting = {key for key, model in self.models.items() if model.digest is not None and not model.is_ended}
        return {key for key in waiting if self.attempts[key] <= MAX_ATTEMPTS}

    @property
    def db(self) -> sqlite3.Connection:
        return self.caller.service.database._db

    def verify_all(self) -> None:
        """Verify all that is due, as far as that is possible; note what has ended, which must be right."""
        with suppress(sqlite3.Error):
            while self.loop.run_until_complete(self.caller.service.worker.verify_next()):
                pass

    def note_ends(self) -> None:
        attempts = self.db.execute("SELECT upload_id, attempts FROM jobs").fetchall()
        self.attempts = Counter(dict(attempts))
        for upload_id in self.pending:
            status = self.call("GET", f"/uploads/{upload_id}").json()["status"]
            model = self.models[upload_id]
            if status["verified_on"] or status["error_on"]:
                model.is_ended, model.was_valid = True, model.is_valid  # the invariant compares the outcome

    @whole
    @rule()
    def verify_next(self) -> None:
        self.verify_all()
        self.note_ends()
        assert all(self.attempts[upload_id] for upload_id in self.pending)

    @whole
    @rule(kind=st.sampled_from(["moved", "empty", "file"]))
    def verify_while_the_storage_is_away(self, kind: str) -> None:
        folder, away = self.folder / "bytes", self.folder / "away"
        folder.rename(away)
        if kind == "empty":
            folder.mkdir()
        elif kind == "file":
            folder.touch()
        self.verify_all()
        if kind == "empty":
            folder.rmdir()
        folder.unlink(missing_ok=True)
        away.rename(folder)
        self.note_ends()

    @whole
    @rule(number=st.integers(0, 200))
    def spoil_a_page(self, number: int) -> None:
        """Overwrite a page of the file, so that reading it gives nonsense. Other rules follow before it is restored."""
        size = self.db.execute("PRAGMA page_size").fetchone()[0]
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        with self.file.open("r+b", buffering=0) as pages:
            start = number % (self.file.stat().st_size // size) * size
            self.spoilt = start, os.pread(pages.fileno(), size, start)
            os.pwrite(pages.fileno(), NONSENSE * size, start)
        self.db.execute("PRAGMA shrink_memory")

    @spoiled
    @rule()
    def restore_the_page(self) -> None:
        if self.spoilt is None:
            return
        start, page = self.spoilt
        with suppress(sqlite3.Error):
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        with self.file.open("r+b", buffering=0) as pages:
            if os.pread(pages.fileno(), len(page), start) == NONSENSE * len(page):  # it was not written anew
                os.pwrite(pages.fileno(), page, start)
        with suppress(sqlite3.Error):
            self.db.execute("PRAGMA shrink_memory")
        self.spoilt = None

    @spoiled
    @rule(is_restarted=st.booleans())
    def verify_with_a_spoilt_page(self, is_restarted: bool) -> None:
        if is_restarted:
            self.restart()
        self.verify_all()

    @spoiled
    @rule()
    def ask_with_a_spoilt_page(self) -> None:
        """The queue is always answered. An upload is answered as it is, or with an error."""
        queue = self.loop.run_until_complete(self.caller.call("GET", "/queue"))
        assert (queue.status_code, len(queue.json())) == (200, 7)
        for upload_id, model in self.models.items():
            response = self.loop.run_until_complete(self.caller.call("GET", f"/uploads/{upload_id}"))
            assert response.status_code in {200, 500}
            if response.status_code == 200:
                status = response.json()["status"]
                assert not (status["error_on"] if model.is_valid else status["verified_on"])
                assert all(status[name] == on for name, on in model.seen.items() if on is not None)
            else:
                assert response.json()["reason"] == "The database is unavailable"

    @whole
    @rule()
    def verify_while_the_disk_is_full(self) -> None:
        limit = self.db.execute("PRAGMA max_page_count").fetchone()[0]
        self.db.execute("CREATE TABLE filler (bytes)")
        pages = self.db.execute("PRAGMA page_count").fetchone()[0]
        self.db.execute(f"PRAGMA max_page_count = {pages}")
        with suppress(sqlite3.Error):
            while True:
                self.db.execute("INSERT INTO filler VALUES (zeroblob(40))")
        self.verify_all()
        self.db.execute(f"PRAGMA max_page_count = {limit}")
        self.db.execute("DROP TABLE filler")
        self.note_ends()

    @rule(is_claimed=st.booleans())
    def kill(self, is_claimed: bool) -> None:
        """Start again from the files; a job that was claimed is left as a kill leaves it."""
        if is_claimed:
            with suppress(sqlite3.Error):
                self.caller.service.database.queue.claim(self.clock.now(), LEASE)
        self.restart()

    def restart(self) -> None:
        """Start again. A database that is too damaged to start with is restored."""
        self.loop.run_until_complete(self.stack.aclose())
        try:
            self.caller = self.loop.run_until_complete(self.stack.enter_async_context(self.start()))
        except UsageError:
            assert self.spoilt is not None
            self.restore_the_page()
            self.caller = self.loop.run_until_complete(self.stack.enter_async_context(self.start()))

    @rule(hours=st.sampled_from([-20.0, -0.02, 0.02, 20.0]))
    def set_clock(self, hours: float) -> None:
        self.clock.offset += timedelta(hours=hours)


TestServiceMachine = ServiceMachine.TestCase
TestServiceMachine.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestFaultyServiceMachine = FaultyServiceMachine.TestCase
TestFaultyServiceMachine.settings = settings(
    max_examples=int(os.environ.get("PYTEST_TROUBLE_EXAMPLES", "6")),
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
