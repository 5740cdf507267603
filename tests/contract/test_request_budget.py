"""The requests of many projects in which little happens: within the budget, and what matters first. The bounds are README's."""

from pathlib import Path

import httpx
import pytest

from tests.benchmarks.budget import watch_projects
from tests.benchmarks.costs import DEMOS, WATCHED, Meter, Reading, table_row
from upload_tui.monitor import ConnectionState
from upload_tui.testing import UploadServer


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


def test_a_meter_counts_requests_and_bytes() -> None:
    with UploadServer() as server:
        meter = Meter(server.url)
        with httpx.Client(base_url=meter.start(), headers=server.headers) as http:
            lengths = [len(http.get("/api/v1/projects").raise_for_status().content) for _ in range(3)]
    assert meter.requests == 3
    assert sum(lengths) < meter.count_bytes < sum(lengths) + 5000


def test_the_table_of_costs_shows_what_was_used_between_two_readings() -> None:
    first, last = Reading(1.0, 50 << 20, 2, 1 << 10), Reading(4.0, 60 << 20, 12, 11 << 10)
    assert table_row("`watch`", first, last, 2.0, has_meter=True) == "| `watch` | 2.5 | 50, later 60 | 5 | 5 |"
    assert table_row("`demo`", first, last, 2.0, has_meter=False) == "| `demo` | 2.5 | 50, later 60 |  |  |"
    lines = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8").splitlines()
    begin = lines.index("| program | processor, % of a core | memory, MiB | requests a minute | KiB a minute |") + 2
    named = [line.split("|")[1].strip() for line in lines[begin : begin + len(DEMOS) + len(WATCHED)]]
    assert named == [*DEMOS, *(one.name for one in WATCHED)]
