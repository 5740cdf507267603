"""Several sessions as one: the rows of all in one order, each upload once, and the worst connection."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from upload_tui.monitor.changes import Change, StageReached
from upload_tui.monitor.model import Connection, ConnectionState
from upload_tui.monitor.queries.query import Query, SortKey
from upload_tui.monitor.sessions.combined import CombinedSession
from upload_tui.status import Stage
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload


@pytest.fixture
def parts() -> Iterator[list[InMemorySession]]:
    clock = FrozenClock()
    scenes = []
    for service, count in enumerate((0, 7, 40, 13)):
        uploads = [
            an_upload(
                f"{service}-{n % 5}-{n}",
                initiated=1000 + (n * 7 + service) % 50,
                completed=None if n % 3 == 0 else 900 - n,
                verified=800 - n if n % 3 == 2 else None,
                error=700 if n % 6 == 1 else None,
                size_bytes=n % 4 * 4,
                project=(f"p-{service}", f"P{service}"),
            )
            for n in range(count)
        ]
        scenes.append(InMemorySession(uploads, clock=clock, projects=[(f"p-{service}", f"P{service}")]))
    yield scenes
    for scene in scenes:
        scene.close()


@pytest.mark.parametrize("descending", [True, False], ids=["down", "up"])
@pytest.mark.parametrize("sort", SortKey, ids=str)
def test_rows_of_all_sessions_are_in_one_order_in_every_window(
    parts: list[InMemorySession], sort: SortKey, descending: bool
) -> None:
    session, query = CombinedSession(parts), Query(sort=sort, descending=descending)
    window = session.picture.window(query, 0, 1000)
    ids = [row.id for row in window.rows]
    assert len(set(ids)) == window.total == 60
    for offset in (0, 1, 17, 41, 57, 60):
        assert [row.id for row in session.picture.window(query, offset, 5).rows] == ids[offset : offset + 5]
    assert [session.picture.position(query, upload_id) for upload_id in ids] == list(range(60))
    by_key: dict[SortKey, list[Any]] = {
        SortKey.SIZE: [row.size_bytes for row in window.rows],
        SortKey.NAME: [row.name for row in window.rows],
        SortKey.INITIATED: [row.initiated_on for row in window.rows],
    }
    values = by_key.get(sort, [])
    assert values == sorted(values, reverse=descending)


def test_counts_causes_and_latencies_are_the_sums_of_all_sessions(parts: list[InMemorySession]) -> None:
    session = CombinedSession(parts)
    assert session.picture.funnel().total == 60
    assert session.picture.funnel()[Stage.ERROR].count == sum(
        part.picture.funnel()[Stage.ERROR].count for part in parts
    )
    assert sum(group.count for group in session.picture.causes()) == session.picture.funnel()[Stage.ERROR].count
    assert [one.count for one in session.picture.latencies()] == [
        sum(part.picture.latencies()[index].count for part in parts) for index in range(3)
    ]
    assert len(session.picture.pending(8)) == 8
    assert len(session.projects) == 4


async def test_changes_of_one_session_are_forwarded_and_the_worst_connection_is_reported(
    parts: list[InMemorySession],
) -> None:
    session, received = CombinedSession(parts), list[Change]()

    async def receive() -> None:
        with session.changes.subscribe() as changes:
            async for change in changes:
                received.append(change)

    tasks = [asyncio.create_task(receive()), asyncio.create_task(session.run())]
    for _ in range(5):
        await asyncio.sleep(0)
    parts[1].publish(an_upload("new", initiated=5))
    parts[2].set_connection(Connection(state=ConnectionState.OFFLINE, since=NOW - timedelta(seconds=9)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert [change.after for change in received if isinstance(change, StageReached)] == [Stage.INITIATED]
    assert session.connection().state is ConnectionState.OFFLINE
    session.set_watched(is_watched=False)
    assert not any(part.is_watched for part in parts)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
