"""The top line: what it has room for."""

import pytest

from tests.tui.dashboards import until
from upload_tui.monitor.picture import Connection, ConnectionState, Playback
from upload_tui.testing import NOW, SceneSession, an_upload
from upload_tui.tui.app import UploadApp
from upload_tui.tui.look import Look
from upload_tui.tui.widgets.status_bar import StatusBar, connection_text


@pytest.mark.parametrize(("columns", "is_told"), [(80, False), (120, False), (160, True), (200, True)])
async def test_what_the_picture_costs_is_told_where_there_is_room(columns: int, is_told: bool) -> None:
    session = SceneSession([an_upload("scan.tiff")])
    session.set_connection(Connection(state=ConnectionState.LIVE, since=NOW, read_on=NOW, requests_last_minute=1048))
    app = UploadApp(session)
    async with app.run_test(size=(columns, 40)) as pilot:
        bar = app.screen.query_one(StatusBar)
        await until(pilot, lambda: "live" in bar.render().plain)
        assert ("1,048 requests/min" in bar.render().plain) is is_told
    session.close()


@pytest.mark.parametrize(
    ("playback", "text"),
    [
        (Playback(8, 12, ConnectionState.LIVE), "replay 0:08 of 0:12"),
        (Playback(62, 3723, ConnectionState.OFFLINE), "replay 1:02 of 1:02:03, was offline"),
        (Playback(12.4, 12.4, ConnectionState.LIVE), "replay ended at 0:12"),
    ],
    ids=["running", "offline then", "ended"],
)
def test_a_replay_says_where_it_is_and_never_that_it_is_live(playback: Playback, text: str) -> None:
    connection = Connection(state=ConnectionState.REPLAYING, since=NOW, read_on=NOW, playback=playback)
    assert connection_text(connection, NOW, Look()) == text
