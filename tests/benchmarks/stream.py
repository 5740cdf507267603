"""A thousand changes a second: whether the picture keeps up with them, and loses none."""

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.benchmarks.figures import Figure
from tests.benchmarks.uploads import PROJECT, resource
from upload_tui.client.credentials import Credentials
from upload_tui.client.service_client import ServiceClient
from upload_tui.monitor.changes import Change, UploadChange
from upload_tui.monitor.picture import Query
from upload_tui.monitor.store import Store
from upload_tui.monitor.store_conditions import StuckBefore
from upload_tui.monitor.synchroniser import Synchroniser
from upload_tui.status import Stage

__all__ = ["BENCHMARKS"]

_PER_SECOND = 250
"""New uploads; each is seen, initiated, completed a second later and verified after one more: four changes."""
_CHANGES = 4
_INTERVAL_SECONDS = 1.0


class _Stream:
    """A service in this process, whose uploads live for two seconds of the real clock. What it says is made of ready words."""

    def __init__(self) -> None:
        self.began_on = datetime.now(UTC)
        self.ended_on: datetime | None = None
        self._words = {stage: _template(stage) for stage in (Stage.INITIATED, Stage.COMPLETED, Stage.VERIFIED)}
        self.seconds = 0.0

    @property
    def count(self) -> int:
        """How many uploads there are by now."""
        until = self.ended_on or datetime.now(UTC)
        return int((until - self.began_on).total_seconds() * _PER_SECOND)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """A page, or one upload; the time it takes is not the client's."""
        began = time.perf_counter()
        if "page" in request.url.params:
            response = self._page(int(request.url.params["page"]), int(request.url.params["per_page"]))
        else:
            number = uuid.UUID(request.url.path.rpartition("/")[2]).int - (1 << 120)
            response = httpx.Response(200, content=self._upload(number, datetime.now(UTC)))
        self.seconds += time.perf_counter() - began
        return response

    def _page(self, page: int, per_page: int) -> httpx.Response:
        count, now = self.count, datetime.now(UTC)
        newest = count - 1 - (page - 1) * per_page
        listed = ",".join(self._upload(number, now) for number in range(newest, max(newest - per_page, -1), -1))
        last = -(-count // per_page)
        headers = {
            "X-Total": str(count),
            "X-Per-Page": str(per_page),
            "X-Next-Page": str(page + 1) if page < last else "",
        }
        return httpx.Response(200, headers=headers, content=f'{{"results":[{listed}]}}')

    def _upload(self, number: int, now: datetime) -> str:
        began = self.began_on + timedelta(seconds=number / _PER_SECOND)
        age = (now - began).total_seconds()
        stage = Stage.VERIFIED if age >= 2 else Stage.COMPLETED if age >= 1 else Stage.INITIATED
        words = self._words[stage].replace("@id", str(uuid.UUID(int=number + (1 << 120))))
        for later in range(3):
            words = words.replace(f"@{later}", _text(began + timedelta(seconds=later)))
        return words


def _template(stage: Stage) -> str:
    """The words of an upload in a stage; `@0`, `@1` and `@2` stand for its times."""
    completed = None if stage is Stage.INITIATED else "@1"
    verified = "@2" if stage is Stage.VERIFIED else None
    fields: dict[str, Any] = {**resource(0), "id": "@id", "name": "sample-@id.fastq.gz"}
    times = {"initiated_on": "@0", "completed_on": completed, "verified_on": verified}
    fields["status"] = {**times, "error_on": None, "error_message": None}
    fields["audit"] = {**fields["audit"], "created_on": "@0", "last_updated_on": verified or completed or "@0"}
    return json.dumps(fields, separators=(",", ":"))


def _text(on: datetime) -> str:
    return f"{on:%Y-%m-%dT%H:%M:%S}.{on.microsecond // 1000:03d}Z"


def minute(*, quick: bool) -> Sequence[Figure]:
    """A minute of a thousand changes a second: how many of them are told, and how far the picture is behind at the end."""
    return asyncio.run(_minute(5.0 if quick else 60.0))


async def _minute(seconds: float) -> Sequence[Figure]:
    stream, store, told = _Stream(), Store(), Counter[str]()

    def tell(change: Change) -> None:
        if isinstance(change, UploadChange):
            told[change.upload.id] += 1

    transport = httpx.MockTransport(stream.answer)
    async with ServiceClient("https://example.org", Credentials(token="t"), transport=transport) as client:
        watch = Synchroniser(client, store, PROJECT, tell, lambda *_: None)
        await watch.round()
        known = stream.count
        end, busy = time.perf_counter() + seconds, 0.0
        while time.perf_counter() < end:
            busy += await _round(watch)
        stream.ended_on = datetime.now(UTC)
        ended = time.perf_counter()
        while store.total(Query(stages=frozenset({Stage.VERIFIED})), _stuck()) < stream.count:
            await _round(watch)
    behind = time.perf_counter() - ended
    # Those of the first fetch are no news when they are seen, and half told.
    whole = [count for upload_id, count in told.items() if uuid.UUID(upload_id).int - (1 << 120) >= known]
    store.close()
    share = max(0.0, busy - stream.seconds) / seconds
    return [
        Figure("1,000 changes a second: told", sum(whole), _CHANGES * (stream.count - known), "changes", 1.0, False),
        Figure("1,000 changes a second: behind at the end", behind, 2 + 2 * _INTERVAL_SECONDS, "s", 1.0),
        Figure("1,000 changes a second: share of a core", share, 1.0, "cores", 1.0),
    ]


async def _round(watch: Synchroniser) -> float:
    """A round, and what is left of the interval; gives the seconds that the round took."""
    began = time.perf_counter()
    await watch.round()
    took = time.perf_counter() - began
    await asyncio.sleep(max(0.0, _INTERVAL_SECONDS - took))
    return took


def _stuck() -> StuckBefore:
    now = datetime.now(UTC)
    return StuckBefore(now - timedelta(seconds=900), now)


BENCHMARKS = (minute,)
