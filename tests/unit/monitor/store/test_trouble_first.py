"""The order `trouble`: by the weight of the trouble, then the others; windows, positions and combined sessions agree."""

from collections.abc import Sequence
from itertools import count
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from upload_tui.monitor import CombinedSession, InMemoryPicture, Query, Row, Session, SortKey, Store, Trouble
from upload_tui.monitor.model import Acknowledgement
from upload_tui.monitor.queries.parser import parse_query
from upload_tui.monitor.store.database import Limits
from upload_tui.status import Stage
from upload_tui.testing import FrozenClock, InMemorySession, an_upload

pytestmark = pytest.mark.slow

_KINDS: dict[str, dict[str, Any]] = {
    "contradictory": {"initiated": 900, "completed": 600, "verified": 500, "chunks": (1, 3, 4)},
    "stuck": {"initiated": 9000, "completed": 8000},
    "idle": {"initiated": 9000},
    "failed": {"initiated": 900, "completed": 600, "error": 500, "message": "no room left"},
    "history": {"initiated": 900_000, "completed": 800_000, "error": 700_000, "message": "no room left"},
    "verified": {"initiated": 900, "completed": 600, "verified": 500},
    "uploading": {"initiated": 60},
}
_QUERIES = {
    "all": Query(),
    "oldest first": Query(descending=False),
    "one stage": Query(stages=frozenset({Stage.ERROR})),
    "one project": Query(project_ids=frozenset({"p-2"})),
    "search": Query(where=parse_query("ail")),
    "in trouble": Query(trouble_only=True),
    "late": Query(late_only=True),
}


def uploads(seed: int, count: int = 60) -> Sequence[dict[str, Any]]:
    """Uploads of all kinds, in a random order, in two projects; no two have the same times."""
    random = Random(seed)
    made = []
    for number in range(count):
        kind = random.choice([*_KINDS, "verified", "verified"])
        times = {
            key: value + number + random.randrange(50) / 100 if isinstance(value, int) else value
            for key, value in _KINDS[kind].items()
        }
        project = random.choice([("p-1", "Genome"), ("p-2", "Plates")])
        made.append(an_upload(f"{kind}-{seed}-{number}", project=project, **times))  # type: ignore[arg-type]
    return made


def expected(rows: Sequence[Row], query: Query, most: int | None) -> list[str]:
    """The names in order, from the rows in the order of their initiation."""
    weights = [*Trouble]
    in_trouble = [row for row in rows if row.trouble is not None]
    in_trouble.sort(
        key=lambda row: (
            weights.index(row.trouble or Trouble.OVERDUE),
            (-1 if row.stage.is_final else 1) * (row.stage_since.timestamp() if row.stage_since else 0),
        )
    )
    first = in_trouble if query.trouble_only or query.late_only else in_trouble[:most]
    return [row.name for row in (*first, *(row for row in rows if row not in first))]


def check_windows(session: Session, query: Query, most: int | None) -> None:
    """Compare windows of every kind, and positions, with the expected order."""
    rows = session.picture.window(query, 0, 1000).rows
    ordered = replace(query, sort=SortKey.TROUBLE, max_in_trouble=most)
    window = session.picture.window(ordered, 0, 1000)
    names = [row.name for row in window.rows]
    assert names == expected(rows, query, most)
    assert window.total == len(rows)
    assert window.total_in_trouble == sum(row.trouble is not None for row in rows)
    assert all(row.trouble is not None for row in window.rows[: window.in_trouble])
    assert [session.picture.position(ordered, row.id) for row in window.rows] == list(range(len(rows)))
    for offset in range(0, len(rows), 7):
        assert [row.name for row in session.picture.window(ordered, offset, 10).rows] == names[offset : offset + 10]


@pytest.mark.parametrize("most", [None, 0, 3, 1000])
@pytest.mark.parametrize("query", _QUERIES.values(), ids=_QUERIES)
@pytest.mark.parametrize("seed", range(3))
def test_windows_and_positions_follow_the_order(seed: int, query: Query, most: int | None) -> None:
    session = InMemorySession(uploads(seed), projects=[("p-1", "Genome"), ("p-2", "Plates")])
    check_windows(session, query, most)
    session.close()


@pytest.mark.parametrize("most", [None, 4])
@pytest.mark.parametrize("query", _QUERIES.values(), ids=_QUERIES)
def test_combined_sessions_share_the_first_rows_by_weight(query: Query, most: int | None) -> None:
    sessions = [InMemorySession(uploads(seed, 30)) for seed in (4, 5)]
    check_windows(CombinedSession(sessions), query, most)
    for session in sessions:
        session.close()


def test_a_change_of_the_store_changes_the_order_at_once() -> None:
    session = InMemorySession([an_upload(f"scan-{number}", initiated=60 + number) for number in range(5)])
    query = Query(sort=SortKey.TROUBLE, max_in_trouble=2)
    assert session.picture.window(query, 0, 1).in_trouble == 0
    session.publish(an_upload("scan-3", initiated=63, completed=20, error=10, message="no room left"))
    window = session.picture.window(query, 0, 10)
    assert [row.name for row in window.rows] == ["scan-3", "scan-0", "scan-1", "scan-2", "scan-4"]
    assert (window.in_trouble, window.total) == (1, 5)
    session.close()


@pytest.mark.parametrize(("long_list_rows", "names"), [(2, ["scan-0", "scan-1"]), (3, ["scan-1", "scan-0"])])
def test_only_a_slow_list_of_many_uploads_is_made_again_after_a_pause(
    long_list_rows: int, names: Sequence[str]
) -> None:
    seconds = count(step=60.0)  # each list takes a minute
    made = [an_upload(f"scan-{number}", initiated=number) for number in range(2)]
    store = Store(monotonic=lambda: next(seconds), limits=Limits(long_list_rows=long_list_rows))
    picture = InMemoryPicture(made, clock=FrozenClock(), store=store)
    picture.update(an_upload("failed", initiated=900, completed=600, error=500, message="no room left"))
    query = Query(sort=SortKey.TROUBLE, where=parse_query("scan"))

    def shown() -> Sequence[str]:
        return [row.name for row in picture.window(query, 0, 10).rows]

    assert shown() == ["scan-0", "scan-1"]
    picture.update(an_upload("scan-1", initiated=1, completed=0.5, error=0.1, message="no room left"))
    assert shown() == names
    for _ in range(10):  # ten times as long as it took
        shown()
    assert shown() == ["scan-1", "scan-0"]
    picture.close()


def test_acknowledged_uploads_return_to_their_place() -> None:
    failed = an_upload("failed", initiated=900, completed=600, error=500, message="no room left")
    session = InMemorySession([failed, an_upload("scan", initiated=60)])
    query = Query(sort=SortKey.TROUBLE)
    assert [row.name for row in session.picture.window(query, 0, 10).rows] == ["failed", "scan"]
    session.picture._store.acknowledge([str(failed["id"])], Acknowledgement())
    assert [row.name for row in session.picture.window(query, 0, 10).rows] == ["scan", "failed"]
    session.close()
