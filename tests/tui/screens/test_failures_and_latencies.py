"""The dialogs of latencies and failures."""

import re
from collections import Counter

import pytest
from textual.widgets import OptionList, Static

from tests.tui.dashboards import names_in, opened, selected, until
from upload_tui.monitor.analysis.statistics import bucket_of, histogram_of
from upload_tui.status import Stage
from upload_tui.testing import an_upload
from upload_tui.tui import DisplayOptions
from upload_tui.tui.appearance.glyphs import ASCII
from upload_tui.tui.screens.statistics import FailureScreen, LatencyScreen, histogram_lines
from upload_tui.wire import SIZE_DIFFERS


async def test_a_chosen_cause_filters_the_table() -> None:
    uploads = [
        an_upload("fine", completed=60, verified=50),
        an_upload("broken", completed=60, error=50, message=SIZE_DIFFERS),
        an_upload("other", completed=60, error=50, message="no room left"),
    ]
    async with opened(uploads) as (pilot, _, table):
        await pilot.press("F", "j", "enter")
        await pilot.pause()
        assert set(names_in(table)) == {"broken"}
        assert selected(table) == "broken"
        await pilot.press("F")
        assert isinstance(pilot.app.screen, FailureScreen)
        await pilot.press("escape", "l")
        assert isinstance(pilot.app.screen, LatencyScreen)
        text = pilot.app.screen.query_one(Static)
        await until(pilot, lambda: "completed to" in str(text.render()))
        assert re.search(r"≤ +16 ?s", str(text.render()))
        await pilot.press("q")
        assert pilot.app.screen is pilot.app.screen_stack[0]


async def test_enter_keeps_the_dialog_open_without_failures() -> None:
    async with opened([an_upload("fine", completed=60, verified=50)]) as (pilot, _, _):
        await pilot.press("F", "enter")
        assert isinstance(pilot.app.screen, FailureScreen)
        assert pilot.app.screen.query_one(OptionList).option_count == 1


@pytest.mark.parametrize("unit", [1, 1000, 60_000, 3_600_000], ids=["ms", "s", "min", "h"])
@pytest.mark.parametrize("amount", [0, 1, 9, 40, 900, 9_000])
@pytest.mark.parametrize("display_options", [DisplayOptions(), DisplayOptions(glyphs=ASCII)], ids=["unicode", "ascii"])
def test_each_row_of_a_histogram_has_a_label_of_its_own(
    unit: int, amount: int, display_options: DisplayOptions
) -> None:
    """From uploads that take no time at all to those that take this long."""
    counts = Counter(map(bucket_of, (0, amount * unit)))
    latency = histogram_of(Stage.COMPLETED, Stage.VERIFIED, counts, [amount * unit / 1000])
    _, quantiles, *rows = [line.plain for line in histogram_lines([latency], display_options, 80)]
    labels = [re.split(f"[{display_options.glyphs.bar_full}]", row)[0].strip() for row in rows]
    assert len({*labels}) == len(labels) == len(latency.buckets), labels
    assert not [label for label in labels if re.search(r"\b0(\.0s|ms)", label)]
    assert amount == 0 or not re.search(r"\b0(\.0s|ms)", quantiles)


@pytest.mark.parametrize(("durations", "sign"), [([2.0, 3.0], ""), ([], "≈")], ids=["known", "too many"])
def test_estimated_quantiles_have_a_sign(durations: list[float], sign: str) -> None:
    counts = Counter(map(bucket_of, (2000, 3000)))
    latency = histogram_of(Stage.COMPLETED, Stage.VERIFIED, counts, durations)
    quantiles = [*histogram_lines([latency], DisplayOptions(), 80)][1].plain.split(" · ")
    assert len(quantiles) == 3
    assert all(text.split()[1].startswith(sign or ("2", "3")) for text in quantiles)
