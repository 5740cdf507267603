"""A service whose uploads are initiated, completed after a time, and verified after the same time again."""

import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.benchmarks.uploads import resource
from upload_tui.status import Stage

__all__ = ["CHANGES_PER_UPLOAD", "Stream"]

CHANGES_PER_UPLOAD = 4


def _now() -> datetime:
    return datetime.now(UTC)


class Stream:
    """Its responses are made from templates, because they must be fast.

    Args:
        per_second: new uploads a second.
        past_seconds: the age of the oldest upload at the start.
        stage_seconds: the time that each upload stays in a stage.
        now: returns the current time.
    """

    def __init__(
        self,
        per_second: float,
        past_seconds: float = 0.0,
        stage_seconds: float = 1.0,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._per_second = per_second
        self._stage_seconds = stage_seconds
        self._now = now
        self.began_on = now() - timedelta(seconds=past_seconds)
        self.ended_on: datetime | None = None
        self._templates = {stage: _template(stage) for stage in (Stage.INITIATED, Stage.COMPLETED, Stage.VERIFIED)}
        self.seconds = 0.0
        """Time spent on responses until now."""

    @property
    def count(self) -> int:
        """The number of uploads now."""
        until = self.ended_on or self._now()
        return int((until - self.began_on).total_seconds() * self._per_second)

    def page(self, page: int, per_page: int) -> tuple[dict[str, str], bytes]:
        """The headers and the body of a page."""
        began = time.perf_counter()
        count, now = self.count, self._now()
        newest = count - 1 - (page - 1) * per_page
        listed = ",".join(self._upload(number, now) for number in range(newest, max(newest - per_page, -1), -1))
        headers = {
            "X-Total": str(count),
            "X-Per-Page": str(per_page),
            "X-Next-Page": str(page + 1) if page < -(-count // per_page) else "",
        }
        self.seconds += time.perf_counter() - began
        return headers, f'{{"results":[{listed}]}}'.encode()

    def one(self, upload_id: str) -> bytes:
        """The body of one upload."""
        began = time.perf_counter()
        body = self._upload(self.number(upload_id), self._now()).encode()
        self.seconds += time.perf_counter() - began
        return body

    @property
    def transport(self) -> httpx.MockTransport:
        """An httpx transport to it, without a socket."""
        return httpx.MockTransport(self._respond)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        if "page" in request.url.params:
            headers, body = self.page(int(request.url.params["page"]), int(request.url.params["per_page"]))
            return httpx.Response(200, headers=headers, content=body)
        return httpx.Response(200, content=self.one(request.url.path.rpartition("/")[2]))

    @staticmethod
    def number(upload_id: str) -> int:
        """The number of an upload, from its id; 0 is the oldest."""
        return uuid.UUID(upload_id).int - (1 << 120)

    def _upload(self, number: int, now: datetime) -> str:
        began = self.began_on + timedelta(seconds=number / self._per_second)
        stages = (now - began).total_seconds() / self._stage_seconds
        stage = Stage.VERIFIED if stages >= 2 else Stage.COMPLETED if stages >= 1 else Stage.INITIATED
        text = self._templates[stage].replace("@id", str(uuid.UUID(int=number + (1 << 120))))
        for later in range(3):
            text = text.replace(f"@{later}", _text(began + timedelta(seconds=later * self._stage_seconds)))
        return text


def _template(stage: Stage) -> str:
    """The JSON of an upload in a stage; `@id`, `@0`, `@1` and `@2` are placeholders for its id and times."""
    completed = None if stage is Stage.INITIATED else "@1"
    verified = "@2" if stage is Stage.VERIFIED else None
    fields: dict[str, Any] = {**resource(0), "id": "@id", "name": "sample-@id.fastq.gz"}
    times = {"initiated_on": "@0", "completed_on": completed, "verified_on": verified}
    fields["status"] = {**times, "error_on": None, "error_message": None}
    fields["audit"] = {**fields["audit"], "created_on": "@0", "last_updated_on": verified or completed or "@0"}
    return json.dumps(fields, separators=(",", ":"))


def _text(on: datetime) -> str:
    return f"{on:%Y-%m-%dT%H:%M:%S}.{on.microsecond // 1000:03d}Z"
