"""What a picture answers to filters, orders and a selection of projects."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from msgspec.structs import replace

from upload_tui.monitor import InMemoryPicture
from upload_tui.monitor.model import Detail, Row
from upload_tui.monitor.queries.query import Query, SortKey
from upload_tui.status import Stage
from upload_tui.testing import FrozenClock, InMemorySession, an_upload
from upload_tui.wire import CHUNK_HASH_DIFFERS, SIZE_DIFFERS

OTHER = ("p-2", "Plates")


def uploads() -> list[dict[str, Any]]:
    return [
        an_upload("none", initiated=10, chunks=()),
        an_upload("half", initiated=11, chunks=(1, 2)),
        an_upload("whole", initiated=12),
        an_upload("waits", initiated=40, completed=30),
        an_upload("quick", initiated=50, completed=40, verified=38),
        an_upload("slow", initiated=70, completed=60, verified=20, chunks=(1, 2, 3, 4)),
        an_upload("wrong-size", initiated=80, completed=70, error=60, message=SIZE_DIFFERS),
        an_upload("bad-chunk", initiated=90, completed=80, error=50, message=CHUNK_HASH_DIFFERS, project=OTHER),
        an_upload("stuck", initiated=9000, completed=8000, project=OTHER),
    ]


@pytest.fixture
def session() -> Iterator[InMemorySession]:
    session = InMemorySession(uploads(), projects=[("p-1", "Genome"), OTHER])
    yield session
    session.close()


def rows(session: InMemorySession, query: Query) -> tuple[Row, ...]:
    return session.picture.window(query, 0, 100).rows


def names(session: InMemorySession, query: Query) -> list[str]:
    return [row.name for row in rows(session, query)]


@pytest.mark.parametrize("descending", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("sort", SortKey, ids=str)
def test_every_order_has_each_upload_once_at_its_position(
    session: InMemorySession, sort: SortKey, descending: bool
) -> None:
    query = Query(sort=sort, descending=descending)
    ids = [row.id for row in rows(session, query)]
    assert len(set(ids)) == len(uploads())
    assert [session.picture.position(query, upload_id) for upload_id in ids] == list(range(len(ids)))


def test_details_are_those_of_each_upload_once_although_the_order_changes_meanwhile() -> None:
    """More than one batch of them; meanwhile, the last uploads become the first ones."""
    many = [an_upload(f"{number:04}", initiated=7200 - number) for number in range(1201)]
    with closing(InMemoryPicture(many, clock=FrozenClock())) as picture:
        query, found = Query(sort=SortKey.SINCE, descending=True), list[Detail]()
        for number, detail in enumerate(picture.details(query)):
            assert detail == replace(picture.detail(detail.upload.id), raw="")  # type: ignore[type-var]
            found.append(detail)
            if number % 400 == 0:
                picture.update(an_upload(f"{number // 400:04}", initiated=7200 - number // 400, completed=1))
        assert [detail.upload.id for detail in found] == [str(upload["id"]) for upload in reversed(many)]


def test_uploads_are_sorted_by_progress_duration_chunks_and_id(session: InMemorySession) -> None:
    by_progress = names(session, Query(sort=SortKey.PROGRESS, descending=False))
    assert by_progress[:3] == ["none", "half", "whole"]
    assert set(by_progress[-2:]) == {"quick", "slow"}
    assert names(session, Query(sort=SortKey.TOOK))[:3] == ["slow", "bad-chunk", "wrong-size"]
    assert names(session, Query(sort=SortKey.CHUNKS, descending=False))[:2] == ["none", "half"]
    ids = [row.id for row in rows(session, Query(sort=SortKey.ID, descending=False))]
    assert ids == sorted(ids)


def test_a_group_of_failures_is_a_filter_for_exactly_its_uploads(session: InMemorySession) -> None:
    for group in session.picture.causes():
        query = Query(cause=group.cause, storage_provider=group.storage_provider, uploader=group.uploader)
        found = rows(session, query)
        assert len(found) == group.count
        assert group.last_id in {row.id for row in found}
        assert {row.stage for row in found} == {Stage.ERROR}
    assert rows(session, Query(cause="another")) == ()
    assert rows(session, Query(cause=session.picture.causes()[0].cause, stages=frozenset({Stage.VERIFIED}))) == ()


def test_a_project_limits_every_part_of_the_picture(session: InMemorySession) -> None:
    only = frozenset({OTHER[0]})
    assert {row.name for row in rows(session, Query(project_ids=only))} == {"bad-chunk", "stuck"}
    assert session.picture.funnel(only).total == 2
    assert session.picture.funnel(only).stuck == 1
    assert [row.name for row in session.picture.pending(10, only)] == ["stuck"]
    assert sum(group.count for group in session.picture.causes(only)) == 1
    assert sum(latency.count for latency in session.picture.latencies(only)) == 3
    assert session.picture.funnel(frozenset({"unknown"})).total == 0
    assert session.picture.funnel().total == len(uploads())


def test_late_uploads_are_the_overdue_and_the_stuck_and_wait_first() -> None:
    history = [an_upload(f"past-{n}", initiated=400 + n, completed=300 + n, verified=298 + n) for n in range(10)]
    late = [an_upload("overdue", initiated=60, completed=30), an_upload("stuck", initiated=9000, completed=8000)]
    session = InMemorySession([*history, *late, an_upload("idle", initiated=5000), an_upload("fresh")])
    session.picture.update(an_upload("slow", initiated=500), an_upload("quick", initiated=20, completed=1))
    found, waiting = rows(session, Query(late_only=True)), session.picture.pending(9)
    session.close()
    assert [row.name for row in waiting] == ["stuck", "idle", "overdue", "slow", "fresh", "quick"]
    assert {row.name for row in found} == {"overdue", "stuck", "idle"}
    assert all(row.lateness.is_overdue for row in found)
    assert {row.name for row in found if not row.lateness.is_stuck} == {"overdue"}
