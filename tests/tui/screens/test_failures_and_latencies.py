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


@pytest.mark.parametrize(("durations", "sign"), [([2.0, 3.0], ""), ([], "≈")], ids=["known", "too many"])
def test_estimated_quantiles_have_a_sign(durations: list[float], sign: str) -> None:
    counts = Counter(map(bucket_of, (2000, 3000)))
    latency = histogram_of(Stage.COMPLETED, Stage.VERIFIED, counts, durations)
    quantiles = [*histogram_lines([latency], DisplayOptions(), 80)][1].plain.split(" · ")
    assert len(quantiles) == 3
    assert all(text.split()[1].startswith(sign or ("2", "3")) for text in quantiles)
