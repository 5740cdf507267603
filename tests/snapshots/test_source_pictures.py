"""The dashboard of a source: what it leaves out looks unknown, and a listing that is not whole is called partial."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.snapshots.scenes import dashboard
from tests.unit.sources.scripted_source import SERVICE, ScriptedSource, lines_of
from upload_tui.monitor import PictureChanged, Schedule, SourceSession, Store, WatchedSource
from upload_tui.sources import LineReceiver, Listing, ListingVerdict
from upload_tui.testing import NOW, FrozenClock, settled
from upload_tui.wire import format_time

Compare = Callable[..., bool]
SIZES = {"60x20": (60, 20), "80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}


def ago(seconds: float) -> str:
    return format_time(NOW - timedelta(seconds=seconds))


UPLOADS: Mapping[str, Mapping[str, Any]] = {
    "no-times": {},
    "left-behind": {"initiated_on": ago(7200), "chunks": [{"number": n, "size": 5 << 20} for n in (1, 2, 4)]},
    "promised": {"initiated_on": ago(60), "size": 100 << 20, "received_bytes": 25 << 20},
    "checked": {"stage": "completed", "on": ago(30), "received_bytes": 3 << 20},
    "safe": {"initiated_on": ago(900), "completed_on": ago(600), "verified_on": ago(590), "size": 7 << 20},
    "infected": {"stage": "error", "on": ago(120), "error_message": "virus found"},
    "held": {"stage": "quarantined", "on": ago(108_000)},
    "aborted": {"stage": "initiated", "on": ago(3600), "ended": True},
}


class HangingSource(ScriptedSource):
    """Prints its output once; then it runs and prints nothing."""

    async def read(self, receive: LineReceiver, is_whole: ListingVerdict) -> Listing:
        if self.runs:
            await asyncio.Event().wait()
        return await super().read(receive, is_whole)


def session_of(
    *outputs: tuple[list[bytes], Listing], clock: FrozenClock | None = None, source: ScriptedSource | None = None
) -> SourceSession:
    """A session that has listed the source once for each output."""
    source, schedule = source or ScriptedSource(), Schedule(15.0, 15.0, 15.0, growth=1.0, jitter=lambda: 0.5)
    source.outputs = [*outputs]
    watched = WatchedSource(source, SERVICE, "incoming", timeout_seconds=30)
    session = SourceSession(watched, Store(), clock or FrozenClock(), schedule=schedule)
    for _ in outputs:
        asyncio.run(session._poll())
    return session


every_size = pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())


@every_size
def test_source(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Stuck first. No percentage without a promised size, no gap in chunk numbers, and no verification that was not reported."""
    assert snap_compare(dashboard(session_of((lines_of(UPLOADS), Listing()))), press=["g"], terminal_size=size)


@every_size
def test_source_that_could_not_list_everything(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The alarm line and the stuck upload first: the listing is partial, and why; the uploads are those of the last whole one."""
    failed = Listing(failure="exit code 1", stderr="connection refused")
    session = session_of((lines_of(UPLOADS), Listing()), (lines_of({"safe": UPLOADS["safe"]}), failed))
    assert snap_compare(dashboard(session), press=["g"], terminal_size=size)


@every_size
def test_source_that_hangs(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The red alarm line first: offline, and that the command runs without printing; the stuck upload still stands out."""
    clock = FrozenClock()
    session = session_of((lines_of(UPLOADS), Listing()), clock=clock, source=HangingSource())

    async def hang(pilot: Pilot[int]) -> None:
        began_on = clock.now()
        clock.advance(20)
        session._tracker.note_stall(began_on, began_on, limit_seconds=5)
        session.changes.publish(PictureChanged(at=clock.now()))
        await settled(pilot)
        await pilot.press("g")

    assert snap_compare(dashboard(session), terminal_size=size, run_before=hang)
