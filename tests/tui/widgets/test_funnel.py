"""The funnel: numbers beside their words, arrows between the stages, and clicks that filter."""

import re

import pytest

from tests.tui.dashboards import mixed, names_in, opened
from upload_tui.monitor import StageSummary
from upload_tui.status import Stage
from upload_tui.testing import an_upload, settled
from upload_tui.tui.widgets.funnel import FunnelBar, StageCell
from upload_tui.tui.widgets.table.upload_table import TitledTable
from upload_tui.wire import StatusShape


def lines(bar: FunnelBar) -> list[str]:
    cells = [[*cell.render().plain.split("\n"), ""] for cell in bar.query(StageCell)]
    return [" ".join(parts) for parts in zip(*(cell[:2] for cell in cells), strict=True)]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (
            (120, 40),
            "○ initiated 1 ▁▁▁▁▁▁▄█ → ◐ completed 2 ▁▁▁▁▁▁▁█ → ● verified 1 ▁▁▁▁▁▁▁█ │ ✗ error 1 ▁▁▁▁▁▁▁█ 8 min",
        ),
        ((80, 24), "○ initiated 1 → ◐ completed 2 → ● verified 1 │ ✗ error 1"),
        ((60, 20), "○ 1 → ◐ 2 → ● 1 │ ✗ 1"),
        ((30, 9), "○ 1 → ◐ 2 → ● 1 │ ✗ 1"),
    ],
    ids=lambda value: "x".join(map(str, value)) if isinstance(value, tuple) else "",
)
async def test_a_number_is_beside_its_word(size: tuple[int, int], expected: str) -> None:
    async with opened(mixed(), size=size) as (pilot, _, _):
        first_line = lines(pilot.app.screen.query_one(FunnelBar))[0]
        assert first_line.split() == expected.split()


async def test_the_numbers_of_a_large_project_fit() -> None:
    async with opened(mixed(), size=(80, 24)) as (pilot, _, _):
        cell = pilot.app.screen.query(StageCell)[Stage.VERIFIED.rank]
        for count in (7, 1_234, 123_456, 1_234_567_890):
            cell.summary = StageSummary(Stage.VERIFIED, count)
            first_line = cell.render().plain.split("\n")[0]
            assert f"{count:,}" in first_line
            assert len(first_line) <= cell.size.width


async def test_a_click_on_the_stuck_shows_them() -> None:
    async with opened(mixed(), size=(120, 40)) as (pilot, _, table):
        completed = pilot.app.screen.query(StageCell)[Stage.COMPLETED.rank]
        assert "▲ 1 stuck" in completed.render().plain
        await pilot.click(completed, offset=(2, 1))
        await pilot.pause()
        assert names_in(table) == ["e-stuck"]
        await pilot.press("escape")
        await pilot.click(completed, offset=(2, 0))
        await pilot.pause()
        assert names_in(table) == ["b-completed", "e-stuck"]


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (200, 60)], ids=str)
async def test_the_counts_on_screen_add_up_to_that_of_the_title(size: tuple[int, int]) -> None:
    held = an_upload("held.bin", status_shape=StatusShape.B)
    held["status"]["current"]["state"] = "quarantined"
    async with opened([*mixed(), held], size) as (pilot, session, _):
        table = pilot.app.screen.query_one(TitledTable)
        await settled(pilot)
        title = table._title().plain.split(" · ")
        assert title[:2] == ["Uploads 6", "1 other"]
        cells = [cell.text().plain.splitlines()[0] for cell in pilot.app.screen.query(StageCell)]
        assert sum(int(number) for text in cells for number in re.findall(r"\d+", text)[:1]) == 6 - 1
        assert sum(session.picture.funnel(frozenset({one.id})).total for one in session.projects) == 6
        assert not [row for row in map(table.row_at, range(6)) if row and row.unknown_state and row.is_least_age]
        await pilot.press("1")
        await settled(pilot)
        assert table._title().plain.split(" · ")[:2] == ["Uploads 1", "initiated"]
