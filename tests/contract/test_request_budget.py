"""The requests of many projects in which little happens: within the budget, and what matters first. The bounds are README's."""

import pytest

from tests.benchmarks.budget import watch_projects
from upload_tui.monitor import ConnectionState


async def test_quiet_projects_are_read_more_rarely_and_stay_within_the_budget() -> None:
    watched = await watch_projects(31, minutes=4)
    assert watched.most_per_minute() <= 60
    assert watched.longest_unseen_seconds(120) <= 60
    assert watched.connection is ConnectionState.LIVE
    assert watched.age_shown_seconds == watched.oldest_seconds > 15


@pytest.mark.parametrize(("pending", "on_screen"), [(1, ()), (3, ()), (2, ("p-7", "p-8"))], ids=["1", "3", "screen"])
async def test_quiet_projects_are_read_in_time_beside_those_with_pending_uploads_and_on_screen(
    pending: int, on_screen: tuple[str, ...]
) -> None:
    watched = await watch_projects(31, minutes=4, pending=pending, on_screen=on_screen)
    assert watched.most_per_minute() <= 60
    assert watched.longest_unseen_seconds(120, *(f"p-{number}" for number in range(pending))) <= 20
    assert watched.longest_unseen_seconds(120) <= 80
    if on_screen:
        assert watched.longest_unseen_seconds(120, *on_screen) < 40
