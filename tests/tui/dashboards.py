"""Dashboards over in-memory sessions, for tests without pictures."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any

from textual.pilot import Pilot

from upload_tui.monitor import LastVisit, SortKey
from upload_tui.testing import InMemorySession, an_upload, dashboard
from upload_tui.tui import DisplayOptions, Fault, Preferences, ScreenState, TableOrder
from upload_tui.tui.widgets.table.upload_table import UploadTable

_MAX_STEPS = 500
NEWEST_FIRST = TableOrder(SortKey.INITIATED)


def many(count: int) -> list[dict[str, Any]]:
    """Initiated uploads, newest first: scan-000.tiff, scan-001.tiff, …"""
    return [an_upload(f"scan-{number:03d}.tiff", initiated=60 + number) for number in range(count)]


def mixed() -> list[dict[str, Any]]:
    """One upload for each stage, and a stuck one."""
    return [
        an_upload("a-initiated", initiated=10),
        an_upload("b-completed", initiated=30, completed=20),
        an_upload("c-verified", initiated=50, completed=40, verified=30),
        an_upload("d-error", initiated=70, completed=60, error=50, message="reported size does not match"),
        an_upload("e-stuck", initiated=9000, completed=8000),
    ]


def names_in(table: UploadTable) -> list[str]:
    """The names in the table, in order."""
    return [row.name for number in range(table.total) if (row := table.window.row(number))]


class FakeControls:
    """Controls that record the calls of the keys."""

    faults: Sequence[Fault] = (Fault("outage", "down"), Fault("dead-worker", "no worker"))

    def __init__(self) -> None:
        self.speed = 1.0
        self.active_faults: Mapping[str, float] = {}
        self.calls: list[str] = []

    def start_upload(self) -> None:
        self.calls.append("upload")

    def start_fault(self, fault_name: str) -> None:
        self.calls.append(fault_name)

    def slower(self) -> None:
        self.calls.append("slower")

    def faster(self) -> None:
        self.calls.append("faster")

    def step(self) -> None:
        self.calls.append("step")


@asynccontextmanager
async def opened(
    uploads: Sequence[dict[str, Any]],
    size: tuple[int, int] = (120, 40),
    controls: FakeControls | None = None,
    last_visit: LastVisit | None = None,
    has_notifications: bool = False,
    **options: Any,
) -> AsyncIterator[tuple[Pilot[int], InMemorySession, UploadTable]]:
    """Run the dashboard over these uploads, the newest first; `options` are preferences.

    Notifications are painted with `has_notifications`.
    """
    session = InMemorySession(uploads)
    options.setdefault("state", ScreenState(options.pop("order", NEWEST_FIRST)))
    preferences = Preferences(display_options=DisplayOptions(zone=UTC), **options)
    app = dashboard(session, controls=controls, preferences=preferences, last_visit=last_visit)
    async with app.run_test(size=size, notifications=has_notifications) as pilot:
        await pilot.pause()
        yield pilot, session, app.screen.query_one(UploadTable)
    session.close()


def selected(table: UploadTable) -> str:
    """The name of the upload under the cursor; empty if there is none."""
    row = table.window.row(table.cursor_row)
    return row.name if row else ""


async def until(pilot: Pilot[int], condition: Callable[[], bool], what: str = "the condition") -> None:
    """Run the dashboard until a condition is true; `what` names it."""
    for _ in range(_MAX_STEPS):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"{what} did not become true")


def toasts(pilot: Pilot[int]) -> list[str]:
    """The texts of the notifications."""
    return [notification.message for notification in pilot.app._notifications]
