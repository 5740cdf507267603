"""The greatest age of pending uploads is the greatest that any row shows, however they and their projects were read."""

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.monitor.read_uploads import FRESHNESS, KNOWN, PROJECTS, Known, ProjectFreshness, picture_of

from upload_tui.monitor import (
    Connection,
    ConnectionState,
    ProjectRef,
    Query,
    Row,
    StageAge,
    age_of,
    figures_of_uploads,
    project_figures,
)
from upload_tui.monitor.ages import oldest_age, oldest_of
from upload_tui.monitor.sessions.combined import CombinedSession
from upload_tui.status import PENDING_STAGES, Stage
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload


def greatest(rows: Sequence[Row]) -> tuple[float, bool] | None:
    """The greatest age of rows in seconds, and whether it may be greater."""
    oldest = oldest_of(map(age_of, rows), NOW)
    return None if oldest is None else (oldest.seconds(NOW), oldest.is_least)


@given(st.lists(KNOWN, max_size=12), FRESHNESS)
def test_the_greatest_age_is_that_of_the_row_with_the_greatest(known: list[Known], freshness: ProjectFreshness) -> None:
    with picture_of(known, freshness) as picture:
        rows = [row for row in picture.window(Query(), 0, len(known)).rows if not row.is_gone]
        funnel = picture.funnel()
        for stage in PENDING_STAGES:
            oldest = oldest_age(funnel[stage])
            expected = greatest([row for row in rows if row.stage is stage])
            assert (oldest and (oldest.seconds(NOW), oldest.is_least)) == expected
        waiting = picture.pending(len(known) or 1)
        stuck = [row for row in rows if row.lateness.is_stuck]
        assert {row.id for row in waiting} == {row.id for row in rows}
        if stuck:
            assert greatest(waiting[:1]) == greatest(stuck)


@given(st.lists(KNOWN, min_size=1, max_size=12), FRESHNESS)
def test_a_metric_is_the_greatest_age_that_the_rows_show(known: list[Known], freshness: ProjectFreshness) -> None:
    """While a project cannot be read its last values stay, as in the dashboard."""
    with picture_of(known, freshness) as picture:
        details = [detail for detail in picture.details(Query()) if not detail.row.is_gone]
        for project_id in PROJECTS:
            project = ProjectRef(project_id, project_id)
            own = [detail for detail in details if detail.row.project_id == project_id]
            of_picture = project_figures(picture, "", project, NOW).oldest_pending_seconds
            of_uploads = figures_of_uploads(own, "", project, NOW, NOW).oldest_pending_seconds
            ages = {stage: greatest([one.row for one in own if one.row.stage is stage]) for stage in PENDING_STAGES}
            assert of_picture == of_uploads == {stage: age[0] for stage, age in ages.items() if age}


@pytest.mark.parametrize("is_stale", [False, True], ids=["project", "upload"])
def test_many_uploads_that_cannot_be_read_do_not_hide_an_older_one(is_stale: bool) -> None:
    """They began first, but were read only shortly after that."""
    lost = [Known(2000 + number, 1990, "p-1", is_stale=is_stale) for number in range(200)]
    freshness = ProjectFreshness({} if is_stale else {"p-1": 1990})
    with picture_of([*lost, Known(1800, 0, "p-2")], freshness) as picture:
        assert greatest(picture.pending(1)) == (1800, False)
        oldest = oldest_age(picture.funnel()[Stage.COMPLETED])
        assert oldest == StageAge(NOW - timedelta(seconds=1800))


def test_the_oldest_of_several_services_is_the_one_with_the_greatest_known_age() -> None:
    clock = FrozenClock()
    lost, live = (
        InMemorySession([an_upload(name, initiated=began)], clock=clock)
        for name, began in (("lost", 3000), ("live", 2000))
    )
    read_on = NOW - timedelta(seconds=2900)
    lost.set_connection(Connection(state=ConnectionState.OFFLINE, since=read_on, read_on=read_on))
    clock.advance(2900)
    with closing(lost), closing(live):
        picture = CombinedSession([lost, live]).picture
        assert oldest_age(picture.funnel()[Stage.INITIATED]) == StageAge(NOW - timedelta(seconds=2000))
        assert [row.name for row in picture.pending(2)] == ["live", "lost"]
