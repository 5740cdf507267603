"""What successive reports with `--since last` show, while the uploads of the service keep changing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.unit.sources.scripted_source import SourceHarness

from upload_tui.monitor.changes import StageReached
from upload_tui.monitor.model import Detail
from upload_tui.monitor.queries.query import Query, TimeTerm, Where
from upload_tui.monitor.since import LastVisit, read_last_visit, save_last_visit, uploads_since, visit_of_uploads
from upload_tui.status import Stage
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload
from upload_tui.wire import format_time

pytestmark = pytest.mark.slow

KINDS = ("new", "verified", "failed")


class RunningService:
    """A service whose uploads arrive, move on, and are missing from some readings."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.clock = FrozenClock()
        self.session = InMemorySession(clock=self.clock)
        self.stages: dict[str, Stage] = {}
        self.began: dict[str, list[float]] = {}

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        before = dict(self.stages)
        for _ in range(self.random.randrange(4)):
            self.stages[f"{len(self.stages)}.bin"] = Stage.INITIATED
        for name in [name for name, stage in self.stages.items() if not stage.is_final and self.random.random() < 0.3]:
            final = self.random.choice([Stage.VERIFIED, Stage.VERIFIED, Stage.ERROR])
            self.stages[name] = Stage.COMPLETED if self.stages[name] is Stage.INITIATED else final
        changed = []
        for name, stage in self.stages.items() - before.items():
            # The service's clock may be wrong by an hour: what is new must not depend on it.
            ages = self.began.setdefault(name, [self.clock.monotonic() - self.random.choice((0, 3600, -3600))])
            ages += [self.clock.monotonic()] * (min(stage.rank, 2) + 1 - len(ages))
            names = ("initiated", "completed", "error" if stage is Stage.ERROR else "verified")
            seconds_ago: dict[str, Any] = {
                key: self.clock.monotonic() - at for key, at in zip(names, ages, strict=False)
            }
            changed.append(an_upload(name, now=self.clock.now(), **seconds_ago))
        self.session.publish(*changed)

    def details(self) -> Sequence[Detail]:
        """The readable uploads: one in ten cannot be read now."""
        rows = self.session.picture.window(Query(), 0, 10_000).rows
        details = [self.session.picture.detail(row.id) for row in rows]
        return [detail for detail in details if detail is not None and self.random.random() < 0.9]


def test_each_change_is_reported_exactly_once_in_an_hour(tmp_path: Path) -> None:
    file, service = tmp_path / "report.json", RunningService(seed=1)
    reported, shown = {kind: Counter[str]() for kind in KINDS}, set[str]()
    for _ in range(60):
        service.advance(60)
        details = service.details()
        shown |= {detail.upload.id for detail in details}
        last = read_last_visit(file)
        summary = uploads_since(details, last or LastVisit(NOW, stages={}))
        if service.random.random() < 0.2:
            continue  # it crashes before it has printed, or before it has saved: the next report shows the same again
        for kind in KINDS:
            reported[kind].update(getattr(summary, kind))
        save_last_visit(file, visit_of_uploads(details, service.clock.now(), last))
    details = [
        detail
        for row in service.session.picture.window(Query(), 0, 10_000).rows
        if (detail := service.session.picture.detail(row.id))
    ]
    last = read_last_visit(file)
    assert last is not None
    for kind in KINDS:
        reported[kind].update(getattr(uploads_since(details, last), kind))
        assert set(reported[kind].values()) <= {1}
    assert set(reported["new"]) == {detail.upload.id for detail in details}
    for kind, stage in (("verified", Stage.VERIFIED), ("failed", Stage.ERROR)):
        assert set(reported[kind]) == {detail.upload.id for detail in details if detail.upload.stage is stage}
    service.session.close()


def test_what_one_report_leaves_out_is_not_new_in_the_next() -> None:
    """Because of its query, or because it cannot be read."""
    session = InMemorySession(clock=FrozenClock())
    session.publish(an_upload("begun", initiated=9000), an_upload("sent", completed=9000), an_upload("bad", error=50))
    details = [
        detail for row in session.picture.window(Query(), 0, 9).rows if (detail := session.picture.detail(row.id))
    ]
    assert len(uploads_since(details, LastVisit(NOW, stages={})).newly_overdue) == 2
    for shown in ([], *([detail] for detail in details), details):
        visit = visit_of_uploads(shown, NOW, visit_of_uploads(details, NOW, None))
        assert not any(getattr(uploads_since(details, visit), kind) for kind in (*KINDS, "newly_overdue"))
    session.close()


def at(minutes: float) -> str:
    return format_time(NOW + timedelta(minutes=minutes))


OWN_STATES: Mapping[str, Sequence[dict[str, Any]]] = {
    "the same state": [{"stage": "held"}] * 3,
    "other states": [{"stage": "copying 1"}, {"stage": "copying 2"}, {"stage": "copying 3"}],
    "a state again": [{"stage": "held"}, {"stage": "freed"}, {"stage": "held"}],
    "states with times": [{"stage": one, "on": at(minute)} for minute, one in enumerate(("held", "freed", "lost"), 1)],
    "a time later": [{"stage": "held"}, {"stage": "held", "on": at(1)}, {"stage": "freed", "on": at(3)}],
    "a wrong time": [{"stage": "held"}, {"stage": "held", "on": at(900)}, {"stage": "freed"}],
    "initiated": [{"stage": "queued"}, {"stage": "initiated"}, {"stage": "initiated"}],
    "no stage": [{"stage": "queued"}, {}, {}],
    "completed": [{"stage": "queued"}, {"stage": "completed", "on": at(2)}, {"stage": "verified", "on": at(3)}],
    "completed at an unknown time": [{"stage": "queued"}, {"stage": "initiated"}, {"stage": "completed"}],
    "failed": [{"stage": "held"}, {"stage": "error", "on": at(2)}, {"stage": "held"}],
    "after the end": [{"stage": "verified"}, {"stage": "archived"}, {"stage": "archived"}],
    "after a reported end": [{"stage": "verified", "on": at(1)}, {"stage": "archived"}, {"stage": "on tape"}],
    "out of the archive": [
        {"stage": "archived"},
        {"stage": "verified", "on": at(2)},
        {"stage": "verified", "on": at(3)},
    ],
    "an error after the end": [{"stage": "verified"}, {"stage": "error"}, {"stage": "error", "error_message": "bad"}],
    "between stages": [{"stage": "completed", "on": at(1)}, {"stage": "held"}, {"stage": "verified", "on": at(3)}],
}


@pytest.mark.parametrize("lines", OWN_STATES.values(), ids=OWN_STATES.keys())
@pytest.mark.parametrize("is_restarted", [False, True], ids=["one session", "a session for each listing"])
async def test_an_upload_in_states_of_its_source_is_new_once(
    lines: Sequence[dict[str, Any]], is_restarted: bool
) -> None:
    """When it was first listed, however often the source changes its state afterwards, and whatever it reaches."""
    clock = FrozenClock()
    harness = SourceHarness(clock=clock)
    await harness.print({"other": {}})
    for number, line in enumerate(lines):
        clock.advance(60)
        if is_restarted:
            harness.new_session()
        await harness.print({"other": {}, "a": {"size": number, **line}})
        detail = harness.picture.detail("a")
        assert detail is not None
        for minutes in (0.5, 1, 1.5, 2.5, 3.5):
            since, new = NOW + timedelta(minutes=minutes), ["a"] if minutes <= 1 else []
            assert uploads_since([detail], LastVisit(since)).new == new
            rows = harness.picture.window(Query(where=Where(tree=TimeTerm(None, since))), 0, 9).rows
            assert [row.id for row in rows] == new
    harness.store.close()


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ({"stage": "initiated", "on": at(2)}, at(2)),
        ({"stage": "completed", "on": at(-5)}, at(-5)),
        ({"stage": "held", "on": at(-5)}, at(-5)),
        ({"stage": "completed", "initiated_on": at(-5)}, at(-5)),
    ],
)
async def test_an_upload_began_when_its_source_reports_that(line: dict[str, Any], first: str) -> None:
    """The reported initiation, else the earliest time, although it was listed before or only later."""
    harness = SourceHarness(clock=(clock := FrozenClock()))
    for fields in ({"stage": "queued"}, {"stage": "queued", "size": 1}, line):
        clock.advance(60)
        await harness.print({"a": fields})
    [row] = harness.picture.window(Query(), 0, 9).rows
    assert row.first_event_on is not None
    assert format_time(row.first_event_on) == first
    harness.store.close()


@pytest.mark.parametrize(
    ("stages", "arrivals"),
    [(["queued"], 0), (["queued", "completed"], 0), (["verified", "archived"], 0), (["queued", "initiated"], 1)],
    ids=str,
)
async def test_the_first_time_known_of_an_upload_is_no_arrival_in_initiated(stages: list[str], arrivals: int) -> None:
    harness = SourceHarness(clock=(clock := FrozenClock()))
    for stage in stages:
        clock.advance(60)
        await harness.print({"a": {"stage": stage}})
    clock.advance(60)
    assert sum(harness.picture.funnel()[Stage.INITIATED].recent) == arrivals
    [row] = harness.picture.window(Query(), 0, 9).rows
    assert (row.initiated_on is not None) == bool(arrivals)
    harness.store.close()


async def test_the_age_of_a_stage_does_not_begin_in_an_earlier_state() -> None:
    """An upload that was queued for an hour is not stuck when it is initiated, although nothing says when that was."""
    harness = SourceHarness(clock=(clock := FrozenClock()))
    for stage in ("queued", "queued", "initiated"):
        clock.advance(3600)
        await harness.print({"a": {"stage": stage}})
    [row] = harness.picture.window(Query(), 0, 9).rows
    assert row.stage_since == clock.now()
    assert [change.after for change in harness.changes if isinstance(change, StageReached)] == [Stage.INITIATED]
    harness.store.close()


def test_a_file_without_stages_is_read_by_its_time(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    save_last_visit(file, LastVisit(NOW, frozenset({"u-1"})))
    assert read_last_visit(file) == LastVisit(NOW, frozenset({"u-1"}))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"on": 1}', '{"on": "2026-03-14T09:00:00Z", "overdue_ids": [], "stages": 3}']
)
def test_a_damaged_file_is_no_visit(text: str, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(text, encoding="utf-8")
    assert read_last_visit(file) is None
