"""The funnel: numbers beside their words, arrows between the stages, and clicks that filter."""

import pytest

from tests.tui.dashboards import mixed, names_in, opened
from upload_tui.monitor import StageSummary
from upload_tui.status import Stage
from upload_tui.tui.widgets.funnel import FunnelBar, StageCell


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
