"""Random legal and illegal calls against the service, and a model of the state machine beside it (Hypothesis, stateful)."""

import asyncio
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
    """What an upload must look like, by what was acknowledged."""

    size: int
    reported: dict[int, bytes] = field(default_factory=dict)
    stored: dict[int, bytes] = field(default_factory=dict)
    digest: str | None = None
    is_judged: bool = False
    seen: dict[str, str | None] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """True if a worker must find the upload right."""
        numbers = sorted(self.reported)
        whole = b"".join(self.stored.get(number, b"") for number in numbers)
        return (
            numbers == list(range(1, len(numbers) + 1))
            and numbers != []
            and all(self.stored.get(number) == self.reported[number] for number in numbers)
            and len(whole) == self.size
            and md5(whole) == self.digest
        )


class ServiceMachine(RuleBasedStateMachine):
    uploads = Bundle("uploads")
    urls = Bundle("urls")

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
        self.models[upload_id] = Model(size)
        return upload_id

    @rule(target=urls, upload_id=uploads, number=NUMBERS, content=CONTENTS)
    def report_chunk(self, upload_id: str, number: int, content: bytes) -> tuple[str, int, str] | None:
        report = {"number": number, "size": len(content), "hash": {"value": md5(content), "algorithm": "md5"}}
        answer = self.call("PUT", f"/uploads/{upload_id}/chunks", json=report)
        model = self.models[upload_id]
        assert answer.status_code == (200 if model.digest is None else 400)
        if model.digest is None:
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
        whole = b"".join(model.reported[number] for number in sorted(model.reported))
        digest = md5(whole if is_right else whole + b"!")
        answer = self.loop.run_until_complete(self.caller.complete(upload_id, digest))
        assert answer.status_code == (202 if model.digest is None else 400)
        model.digest = model.digest or digest

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

    @invariant()
    def what_was_acknowledged_is_so(self) -> None:
        for upload_id, model in self.models.items():
            upload = self.call("GET", f"/uploads/{upload_id}").json()
            status = upload["status"]
            assert {chunk["number"]: chunk["hash"]["value"] for chunk in upload["chunks"]} == {
                number: md5(content) for number, content in model.reported.items()
            }
            assert not (status["verified_on"] and status["error_on"])
            assert (status["completed_on"] is not None) == (model.digest is not None)
            assert (status["verified_on"] is not None) == (model.is_judged and model.is_sound)
            assert (status["error_on"] is not None) == (model.is_judged and not model.is_sound)
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
