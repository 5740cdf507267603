"""The dashboard of a source: what it leaves out looks unknown, and a listing that is not whole is called partial."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.snapshots.scenes import dashboard
from tests.unit.sources.scripted_source import SERVICE, ScriptedSource, lines_of
from upload_tui.monitor import Schedule, SourceSession, Store, WatchedSource
from upload_tui.sources import Listing
from upload_tui.testing import NOW, FrozenClock
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


def session_of(*outputs: tuple[list[bytes], Listing]) -> SourceSession:
    """A session that has listed the source once for each output."""
    source, schedule = ScriptedSource(), Schedule(15.0, 15.0, 15.0, growth=1.0, jitter=lambda: 0.5)
    source.outputs = [*outputs]
    session = SourceSession(WatchedSource(source, SERVICE, "incoming"), Store(), FrozenClock(), schedule=schedule)
    for _ in outputs:
        asyncio.run(session._poll())
    return session


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_source(snap_compare: Compare, size: tuple[int, int]) -> None:
    """No percentage without a promised size, no gap in chunk numbers that may have gaps, no verification that is not reported."""
    assert snap_compare(dashboard(session_of((lines_of(UPLOADS), Listing()))), press=["g"], terminal_size=size)


def test_source_that_could_not_list_everything(snap_compare: Compare) -> None:
    """The uploads of the last whole listing, and why the present one is partial."""
    failed = Listing(failure="exit code 1", stderr="connection refused")
    session = session_of((lines_of(UPLOADS), Listing()), (lines_of({"safe": UPLOADS["safe"]}), failed))
    assert snap_compare(dashboard(session), press=["g"], terminal_size=(120, 40))
