"""What successive reports with `--since last` show, while the uploads of the service keep changing."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.unit.sources.scripted_source import SourceHarness

from upload_tui.monitor.model import Detail
from upload_tui.monitor.queries.query import Query
from upload_tui.monitor.since import LastVisit, read_last_visit, save_last_visit, uploads_since, visit_of_uploads
from upload_tui.status import Stage
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload

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


@pytest.mark.parametrize("states", [["held"] * 3, ["copying 1", "copying 2", "copying 3"], ["held", "freed", "held"]])
@pytest.mark.parametrize("is_restarted", [False, True], ids=["one session", "a session for each listing"])
async def test_an_upload_in_states_of_its_source_is_new_once(states: list[str], is_restarted: bool) -> None:
    """When it was first listed, however often the source changes its state afterwards."""
    clock = FrozenClock()
    harness = SourceHarness(clock=clock)
    await harness.print({"other": {}})
    for number, state in enumerate(states):
        clock.advance(60)
        if is_restarted:
            harness.new_session()
        await harness.print({"other": {}, "a": {"stage": state, "size": number}})
    detail = harness.picture.detail("a")
    assert detail is not None
    for minutes, new in ((0.5, ["a"]), (1, ["a"]), (1.5, []), (2.5, []), (3.5, [])):
        assert uploads_since([detail], LastVisit(NOW + timedelta(minutes=minutes))).new == new
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
