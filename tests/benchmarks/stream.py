"""A thousand changes a second: whether the picture keeps up with them, and loses none."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tests.benchmarks.figures import Figure
from tests.benchmarks.streaming import CHANGES_PER_UPLOAD, Stream
from tests.benchmarks.uploads import PROJECT
from upload_tui.client import Credentials, ServiceClient
from upload_tui.monitor import Change, Query, Store, Synchroniser, UploadChange
from upload_tui.monitor.store.query import StuckThresholds
from upload_tui.status import Stage

__all__ = ["BENCHMARKS"]

_PER_SECOND = 250
"""New uploads, of four changes each."""
_INTERVAL_SECONDS = 1.0


def minute(*, quick: bool) -> Sequence[Figure]:
    """A minute of a thousand changes a second: how many of them are told, and how far the picture is behind at the end."""
    return asyncio.run(_minute(5.0 if quick else 60.0))


async def _minute(seconds: float) -> Sequence[Figure]:
    stream, store, told = Stream(_PER_SECOND), Store(), Counter[str]()

    def tell(change: Change) -> None:
        if isinstance(change, UploadChange):
            told[change.upload.id] += 1

    async with ServiceClient("https://example.org", Credentials(token="t"), transport=stream.transport) as client:
        watch = Synchroniser(client, store, PROJECT, tell, lambda *_: None)
        await watch.sync()
        known = stream.count
        end, busy = time.perf_counter() + seconds, 0.0
        while time.perf_counter() < end:
            busy += await _round(watch)
        stream.ended_on = datetime.now(UTC)
        ended = time.perf_counter()
        while store.find(Query(stages=frozenset({Stage.VERIFIED})), _stuck(), 0, 0).total < stream.count:
            await _round(watch)
    behind = time.perf_counter() - ended
    # Those of the first fetch are no news when they are seen, and half told.
    whole = [count for upload_id, count in told.items() if Stream.number(upload_id) >= known]
    store.close()
    share = max(0.0, busy - stream.seconds) / seconds
    return [
        Figure(
            "1,000 changes a second: told",
            sum(whole),
            CHANGES_PER_UPLOAD * (stream.count - known),
            "changes",
            1.0,
            False,
        ),
        Figure("1,000 changes a second: behind at the end", behind, 2 + 2 * _INTERVAL_SECONDS, "s", 1.0),
        Figure("1,000 changes a second: share of a core", share, None, "cores", 1.0),
    ]


async def _round(watch: Synchroniser) -> float:
    """A round, and what is left of the interval; gives the processor's seconds that the round took."""
    began, used = time.perf_counter(), time.process_time()
    await watch.sync()
    took, used = time.perf_counter() - began, time.process_time() - used
    await asyncio.sleep(max(0.0, _INTERVAL_SECONDS - took))
    return used


def _stuck() -> StuckThresholds:
    now = datetime.now(UTC)
    return StuckThresholds(now - timedelta(seconds=900), now)


BENCHMARKS = (minute,)
