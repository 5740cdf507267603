"""A thousand changes a second: the monitor keeps up and loses none."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tests.benchmarks.figures import Figure
from tests.benchmarks.stream_service import CHANGES_PER_UPLOAD, Stream
from tests.benchmarks.uploads import PROJECT
from upload_tui.client import Credentials, ServiceClient
from upload_tui.monitor import Change, Query, Store, Synchroniser, UploadChange
from upload_tui.monitor.store.conditions import TroubleThresholds, WaitThresholds
from upload_tui.status import Stage

__all__ = ["BENCHMARKS"]

_PER_SECOND = 250
"""New uploads, with four changes each."""
_INTERVAL_SECONDS = 1.0


def minute(*, quick: bool) -> Sequence[Figure]:
    """A minute of a thousand changes a second: how many are published, and the delay at the end."""
    return asyncio.run(_minute(5.0 if quick else 60.0))


async def _minute(seconds: float) -> Sequence[Figure]:
    stream, store, published = Stream(_PER_SECOND), Store(), Counter[str]()

    def count(change: Change) -> None:
        if isinstance(change, UploadChange):
            published[change.upload.id] += 1

    async with ServiceClient("https://example.org", Credentials(token="t"), transport=stream.transport) as client:
        synchroniser = Synchroniser(client, store, PROJECT, count, lambda *_: None)
        await synchroniser.sync()
        known = stream.count
        end, busy = time.perf_counter() + seconds, 0.0
        while time.perf_counter() < end:
            busy += await _round(synchroniser)
        stream.ended_on = datetime.now(UTC)
        ended = time.perf_counter()
        while store.find(Query(stages=frozenset({Stage.VERIFIED})), _stuck(), 0, 0).total < stream.count:
            await _round(synchroniser)
    delay_seconds = time.perf_counter() - ended
    # Uploads of the full scan are known before some of their changes.
    complete = [changes for upload_id, changes in published.items() if Stream.number(upload_id) >= known]
    store.close()
    share = max(0.0, busy - stream.seconds) / seconds
    return [
        Figure(
            "1,000 changes a second: published",
            sum(complete),
            CHANGES_PER_UPLOAD * (stream.count - known),
            "changes",
            1.0,
            False,
        ),
        Figure("1,000 changes a second: delay at the end", delay_seconds, 2 + 2 * _INTERVAL_SECONDS, "s", 1.0),
        Figure("1,000 changes a second: share of a core", share, None, "cores", 1.0),
    ]


async def _round(synchroniser: Synchroniser) -> float:
    """Synchronise once, wait for the rest of the interval, and return the processor time in seconds."""
    began, used = time.perf_counter(), time.process_time()
    await synchroniser.sync()
    elapsed, used = time.perf_counter() - began, time.process_time() - used
    await asyncio.sleep(max(0.0, _INTERVAL_SECONDS - elapsed))
    return used


def _stuck() -> TroubleThresholds:
    now = datetime.now(UTC)
    late = WaitThresholds(now - timedelta(seconds=900), now)
    return TroubleThresholds(late, now - timedelta(days=1), late, now)


BENCHMARKS = (minute,)
