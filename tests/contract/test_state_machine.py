"""Random legal and illegal calls against the service, and a model of the state machine beside it (Hypothesis, stateful)."""

import asyncio
import hashlib
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.contract.calls import Caller, md5, serving

CONTENTS = st.sampled_from([b"", b"a", b"b", b"abc", b"0123456789"])
NUMBERS = st.integers(1, 4)
STAGES = ("initiated_on", "completed_on", "verified_on", "error_on")


@dataclass
class Model:
    """What an upload must look like, by what was acknowledged. One that is not chunked is all in number 0."""

    size: int
    is_chunked: bool
    reported: dict[int, bytes] = field(default_factory=dict)
    stored: dict[int, bytes] = field(default_factory=dict)
    digest: str | None = None
    later_digest: str | None = None
    is_judged: bool = False
    was_sound: bool = False
    seen: dict[str, str | None] = field(default_factory=dict)

    @property
    def whole(self) -> bytes:
        """All bytes, in the order of the file."""
        numbers = sorted(self.reported) if self.is_chunked else [0]
        return b"".join(self.stored.get(number, b"") for number in numbers)

    @property
    def is_sound(self) -> bool:
        """True if a worker must find the upload right."""
        return (
            (self.are_chunks_right if self.is_chunked else 0 in self.stored)
            and len(self.whole) == self.size
            and md5(self.whole) == self.digest
            and self.later_digest in {None, sha256(self.whole)}
        )

    @property
    def are_chunks_right(self) -> bool:
        numbers = sorted(self.reported)
        return (
            numbers == list(range(1, len(numbers) + 1))
            and numbers != []
            and all(self.stored.get(number) == self.reported[number] for number in numbers)
        )

    @property
    def is_verified(self) -> bool:
        return self.is_judged and self.was_sound


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class ServiceMachine(RuleBasedStateMachine):
    uploads = Bundle("uploads")
    urls = Bundle("urls")
    files = Bundle("files")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.caller: Caller = self.loop.run_until_complete(self.stack.enter_async_context(serving()))
        self.models: dict[str, Model] = {}

    def teardown(self) -> None:
        self.loop.run_until_complete(self.stack.aclose())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self.loop.run_until_complete(self.caller.call(method, path, **options))
        assert answer.status_code < 500
        return answer

    @rule(target=uploads, size=st.sampled_from([0, 1, 2, 4, 10]))
    def initiate(self, size: int) -> str:
        upload_id = self.loop.run_until_complete(self.caller.initiate(size=size))
        self.models[upload_id] = Model(size, is_chunked=True)
        return upload_id

    @rule(target=uploads, content=CONTENTS, is_sent=st.booleans())
    def initiate_in_one_piece(self, content: bytes, is_sent: bool) -> str:
        wanted = {"name": "a.bin", "content_type": "b", "size": len(content), "chunked": False}
        begun = self.call("POST", f"/projects/{self.caller.project_id}/uploads", json=wanted).json()
        model = self.models[begun["id"]] = Model(len(content), is_chunked=False)
        if is_sent:
            path = begun["signed_url"]["url"]
            assert self.loop.run_until_complete(self.caller.http.put(path, content=content)).status_code == 201
            model.stored[0] = content
        return str(begun["id"])

    @rule(target=urls, upload_id=uploads, number=NUMBERS, content=CONTENTS)
    def report_chunk(self, upload_id: str, number: int, content: bytes) -> tuple[str, int, str] | None:
        report = {"number": number, "size": len(content), "hash": {"value": md5(content), "algorithm": "md5"}}
        answer = self.call("PUT", f"/uploads/{upload_id}/chunks", json=report)
        model = self.models[upload_id]
        is_right = model.digest is None and model.is_chunked
        assert answer.status_code == (200 if is_right else 400)
        if is_right:
            model.reported[number] = content
            return upload_id, number, answer.json()["url"]
        return None

    @rule(url=urls, content=CONTENTS)
    def store_other_bytes(self, url: tuple[str, int, str] | None, content: bytes) -> None:
        self.store(url, content)

    @rule(url=consumes(urls))
    def store_the_reported_bytes(self, url: tuple[str, int, str] | None) -> None:
        if url is not None:
            self.store(url, self.models[url[0]].reported[url[1]])

    def store(self, url: tuple[str, int, str] | None, content: bytes) -> None:
        if url is None:
            return
        upload_id, number, path = url
        answer = self.loop.run_until_complete(self.caller.http.put(path, content=content))
        model = self.models[upload_id]
        # A signed URL lasts five minutes, also for the client that holds it while the clock is moved.
        assert answer.status_code in ((201, 403) if model.digest is None else (400, 403))
        if answer.status_code == 201:
            model.stored[number] = content

    @rule(upload_id=uploads, is_right=st.booleans())
    def complete(self, upload_id: str, is_right: bool) -> None:
        model = self.models[upload_id]
        meant = (
            b"".join(model.reported[number] for number in sorted(model.reported)) if model.is_chunked else model.whole
        )
        digest = md5(meant if is_right else meant + b"!")
        answer = self.loop.run_until_complete(self.caller.complete(upload_id, digest))
        assert answer.status_code == (202 if model.digest is None else 400)
        model.digest = model.digest or digest

    @rule(upload_id=uploads, is_right=st.booleans())
    def report_another_digest(self, upload_id: str, is_right: bool) -> None:
        model = self.models[upload_id]
        digest = sha256(model.whole if is_right else model.whole + b"!")
        report = {"algorithm": "sha256", "value": digest}
        answer = self.call("PUT", f"/uploads/{upload_id}/hashes", json=report)
        is_taken = model.digest is not None and (is_right or not model.is_verified)
        assert answer.status_code == (200 if is_taken else 400)
        if is_taken:
            model.later_digest = digest

    @rule(target=files, upload_id=uploads)
    def make_a_file(self, upload_id: str) -> tuple[str, str] | None:
        wanted = {"parent": {"kind": "dds-project", "id": self.caller.project_id}, "upload": {"id": upload_id}}
        answer = self.call("POST", "/files", json=wanted)
        is_completed = self.models[upload_id].digest is not None
        assert answer.status_code == (201 if is_completed else 400)
        return (str(answer.json()["id"]), upload_id) if is_completed else None

    @rule(file=files)
    def download(self, file: tuple[str, str] | None) -> None:
        if file is None:
            return
        model = self.models[file[1]]
        answer = self.call("GET", f"/files/{file[0]}/url")
        assert answer.status_code == (200 if model.is_verified else 400 if model.is_judged else 404)
        if model.is_verified:
            given = self.loop.run_until_complete(self.caller.http.get(answer.json()["url"]))
            assert (given.status_code, given.content) == (200, model.whole)

    @rule(
        upload_id=uploads,
        path=st.sampled_from(["complete", "chunks", "hashes"]),
        body=st.sampled_from([{}, {"hash": 1}, {"number": 0}, {"value": "x", "algorithm": "rot13"}, [1], None]),
    )
    def call_wrongly(self, upload_id: str, path: str, body: object) -> None:
        assert self.call("PUT", f"/uploads/{upload_id}/{path}", json=body).status_code == 400

    @rule(seconds=st.sampled_from([0.0, 1.0, 400.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.caller.clock.advance(seconds)

    @rule()
    def verify_one(self) -> None:
        upload_id = self.loop.run_until_complete(self.caller.service.worker.verify_next())
        waiting = [key for key, model in self.models.items() if model.digest is not None and not model.is_judged]
        if upload_id is None:
            assert waiting == []
        else:
            assert upload_id in waiting
            self.models[upload_id].is_judged = True
            self.models[upload_id].was_sound = self.models[upload_id].is_sound

    @invariant()
    def what_was_acknowledged_is_so(self) -> None:
        for upload_id, model in self.models.items():
            upload = self.call("GET", f"/uploads/{upload_id}").json()
            status = upload["status"]
            assert {chunk["number"]: chunk["hash"]["value"] for chunk in upload.get("chunks", [])} == {
                number: md5(content) for number, content in model.reported.items()
            }
            assert not (status["verified_on"] and status["error_on"])
            assert (status["completed_on"] is not None) == (model.digest is not None)
            assert (status["verified_on"] is not None) == model.is_verified
            assert (status["error_on"] is not None) == (model.is_judged and not model.was_sound)
            assert all(status[name] == on for name, on in model.seen.items() if on is not None)
            model.seen = {name: status[name] for name in STAGES}


TestServiceMachine = ServiceMachine.TestCase
TestServiceMachine.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
