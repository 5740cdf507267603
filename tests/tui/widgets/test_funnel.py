"""The funnel: numbers beside their words, arrows between the stages, and clicks that filter."""

import re
from datetime import timedelta
from itertools import product

import pytest
from msgspec.structs import replace

from tests.tui.dashboards import mixed, names_in, opened
from upload_tui.monitor import Funnel, StageSummary
from upload_tui.status import Stage
from upload_tui.testing import NOW, an_upload, settled
from upload_tui.tui import DisplayOptions
from upload_tui.tui.appearance.glyphs import ASCII, UNICODE, Glyphs
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


@pytest.mark.parametrize("width", [20, 21, 24, 28, 30, 36, 40, 60])
async def test_a_number_without_room_is_cut_with_a_sign(width: int) -> None:
    async with opened(mixed(), size=(width, 12)) as (pilot, _, _):
        await settled(pilot)
        bar = pilot.app.screen.query_one(FunnelBar)
        for count in (7, 50, 999, 19_504, 1_234_567):
            bar.show(Funnel(tuple(StageSummary(stage, count) for stage in Stage)), NOW)
            for cell in bar.query(StageCell):
                text = cell.render().plain.split("\n")[0]
                number = text.strip("○◐●✗→│ ").replace(",", "")
                assert number in {str(count), "…"}, text
                assert len(text) <= cell.size.width


@pytest.mark.parametrize("width", [60, 61, 62, 63, 66, 70, 78, 80, 84, 91])
async def test_all_stages_have_words_or_none_has(width: int) -> None:
    """Also where one stage is a cell wider than the others, and as soon as the counts or the format of times change."""
    hour = timedelta(hours=1)
    async with opened(mixed(), size=(width, 24)) as (pilot, _, _):
        await settled(pilot)
        bar = pilot.app.screen.query_one(FunnelBar)
        for count, age, is_absolute in product((7, 999, 2_932, 1_234_567), (hour / 60, hour, 25 * hour), (False, True)):
            since = NOW - age
            stages = [StageSummary(stage, 7, since, since) for stage in Stage]
            stages[Stage.VERIFIED.rank] = StageSummary(Stage.VERIFIED, count, since, NOW - hour / 3600)
            bar.show(Funnel(tuple(stages)), NOW, DisplayOptions(absolute_times=is_absolute))
            numbers, times = lines(bar)
            assert sum(stage in numbers for stage in Stage) in {0, 4}, numbers
            assert sum(times.count(word) for word in ("oldest", "last")) in {0, 4}, times
            assert f"{count:,}" in numbers
        bar.show(Funnel(tuple(StageSummary(stage, 7) for stage in Stage)), NOW)
        assert sum(stage in lines(bar)[0] for stage in Stage) == (4 if width >= 70 else 0)


@pytest.mark.parametrize("width", [*range(80, 141), 160, 200])
async def test_all_stages_have_the_same_parts_at_one_width(width: int) -> None:
    """Sparklines as long as the minutes after the last one, and `ago` after the time of each final stage, or none."""
    minute, sparks = timedelta(minutes=1), f"[{re.escape(UNICODE.sparks)}]"
    async with opened(mixed(), size=(width, 40)) as (pilot, _, _):
        await settled(pilot)
        bar = pilot.app.screen.query_one(FunnelBar)
        for count, other, age in product(
            (7, 2_932, 123_456, 1_234_567), (1, 93, 1_204), (minute / 30, 25 * minute, 300 * minute)
        ):
            stages = [StageSummary(stage, other, NOW - age, NOW - age, recent=(0, 1, 2) * 5) for stage in Stage]
            stages[Stage.VERIFIED.rank] = replace(
                stages[Stage.VERIFIED.rank], count=count, newest_since=NOW - minute / 30
            )
            bar.show(Funnel(tuple(stages)), NOW)
            texts = [cell.render().plain.split("\n") for cell in bar.query(StageCell)]
            lengths = {len(re.findall(sparks, first)) for first, _ in texts}
            assert len(lengths) == 1, texts
            spans = re.findall(r"(\d+) min", "".join(first for first, _ in texts))
            assert spans == [str(cells) for cells in lengths if cells], texts
            assert len({"ago" in note for _, note in texts[Stage.VERIFIED.rank :]}) == 1, texts
            assert all(
                len(line) <= cell.size.width
                for cell, both in zip(bar.query(StageCell), texts, strict=True)
                for line in both
            )
        bar.show(Funnel(tuple(StageSummary(stage, 7, recent=(1,) * 15) for stage in Stage)), NOW)
        assert bool(re.search(sparks, lines(bar)[0])) is (width >= 99)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_a_failure_has_one_sign(glyphs: Glyphs) -> None:
    assert glyphs.broken == glyphs.bad == glyphs.stages[Stage.ERROR]


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
        assert not [row for row in map(table.window.row, range(6)) if row and row.unknown_state and row.is_least_age]
        await pilot.press("1")
        await settled(pilot)
        assert table._title().plain.split(" · ")[:2] == ["Uploads 1", "initiated"]
