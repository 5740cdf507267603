"""Latencies and failures: what the store groups, and what Enter shows of it."""

from textual.widgets import OptionList, Static

from tests.tui.dashboards import chosen, names_in, opened, until
from upload_tui.testing import SceneSession, an_upload
from upload_tui.tui.screens.failures import FailureScreen
from upload_tui.tui.screens.latencies import LatencyScreen
from upload_tui.wire.messages import CHUNK_HASH_DIFFERS, SIZE_DIFFERS


def test_failures_are_grouped_by_what_they_have_in_common() -> None:
    session = SceneSession(
        [
            an_upload(
                "one", completed=60, error=50, message=f"{CHUNK_HASH_DIFFERS}: chunk 3: reported 90ab, stored 12cd"
            ),
            an_upload(
                "two", completed=60, error=20, message=f"{CHUNK_HASH_DIFFERS}: chunk 7: reported 11ab, stored 99cd"
            ),
            an_upload("three", completed=60, error=40, message=SIZE_DIFFERS),
            an_upload("four", completed=60, verified=40),
        ]
    )
    groups = session.causes()
    assert [(group.cause, group.count) for group in groups] == [(CHUNK_HASH_DIFFERS, 2), (SIZE_DIFFERS, 1)]
    assert groups[0].provider == "embedded"
    assert groups[0].uploader == "Ada Lovelace"
    assert groups[0].first_on is not None
    assert groups[0].last_on is not None
    assert (groups[0].last_on - groups[0].first_on).total_seconds() == 30
    session.close()


def test_latencies_count_every_upload_once() -> None:
    session = SceneSession(
        [an_upload(f"u{n}", initiated=200, completed=100, verified=100 - 2**n) for n in range(6)]
        + [
            an_upload("failed", initiated=200, completed=100, error=90),
            an_upload("pending", initiated=200, completed=100),
        ]
    )
    figures = {(one.after, one.before): one for one in session.latencies()}
    assert figures[("initiated", "completed")].samples == 8  # type: ignore[index]
    verified = figures[("completed", "verified")]  # type: ignore[index]
    assert [(bucket.at_most_seconds, bucket.count) for bucket in verified.buckets] == [(2.0**n, 1) for n in range(6)]
    assert figures[("completed", "error")].p50_seconds == 10  # type: ignore[index]
    session.close()


async def test_a_cause_leads_to_its_uploads_when_it_is_chosen() -> None:
    uploads = [
        an_upload("fine", completed=60, verified=50),
        an_upload("broken", completed=60, error=50, message=SIZE_DIFFERS),
        an_upload("other", completed=60, error=50, message="no room left"),
    ]
    async with opened(uploads) as (pilot, _, table):
        await pilot.press("F", "j", "enter")
        await pilot.pause()
        assert set(names_in(table)) == {"broken", "other"}
        assert chosen(table) == "broken"
        await pilot.press("F")
        assert isinstance(pilot.app.screen, FailureScreen)
        await pilot.press("escape", "l")
        assert isinstance(pilot.app.screen, LatencyScreen)
        words = pilot.app.screen.query_one(Static)
        await until(pilot, lambda: "completed to" in str(words.render()))
        await pilot.press("q")
        assert pilot.app.screen is pilot.app.screen_stack[0]


async def test_nothing_can_be_chosen_when_nothing_failed() -> None:
    async with opened([an_upload("fine", completed=60, verified=50)]) as (pilot, _, _):
        await pilot.press("F", "enter")
        assert isinstance(pilot.app.screen, FailureScreen)
        assert pilot.app.screen.query_one(OptionList).option_count == 1
