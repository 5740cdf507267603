"""The requests of many projects in which little happens: within the budget, and what matters first."""

from tests.benchmarks.budget import watch_projects
from upload_tui.monitor import ConnectionState


async def test_quiet_projects_are_read_more_rarely_and_stay_within_the_budget() -> None:
    watched = await watch_projects(31, minutes=4)
    assert watched.most_per_minute() <= 60
    assert watched.longest_unseen_seconds(120) < 60
    assert watched.connection is ConnectionState.LIVE
    assert watched.age_shown_seconds == watched.oldest_seconds > 15


async def test_projects_with_pending_uploads_and_those_on_screen_are_read_more_often_than_others() -> None:
    watched = await watch_projects(31, minutes=4, pending=2, on_screen=("p-7", "p-8"))
    assert watched.most_per_minute() <= 60
    assert watched.longest_unseen_seconds(120, "p-0", "p-1") < 20
    assert watched.longest_unseen_seconds(120, "p-7", "p-8") < 40
    assert 40 < watched.longest_unseen_seconds(120) < 180
