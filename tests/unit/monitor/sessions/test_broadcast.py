"""Changes reach every subscriber."""

import asyncio
from datetime import timedelta

from upload_tui.monitor.changes import Change, ConnectionChanged, PictureChanged, UploadRef, UploadSeen
from upload_tui.monitor.model import Connection, ConnectionState
from upload_tui.monitor.sessions.session import ChangeBroadcaster
from upload_tui.testing import NOW


async def test_a_slow_subscriber_loses_no_change_of_an_upload() -> None:
    broadcaster, received = ChangeBroadcaster(), list[Change]()

    async def receive() -> None:
        with broadcaster.subscribe() as changes:
            async for change in changes:
                received.append(change)

    task = asyncio.create_task(receive())
    await asyncio.sleep(0)
    for number in range(100):
        broadcaster.publish(UploadSeen(at=NOW, upload=UploadRef(str(number), "", "", "")))
        broadcaster.publish(PictureChanged(at=NOW + timedelta(seconds=number)))
    while len(received) < 101:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [change.upload.id for change in received if isinstance(change, UploadSeen)] == [str(n) for n in range(100)]
    assert [change.at for change in received if isinstance(change, PictureChanged)] == [NOW + timedelta(seconds=99)]


def test_rounds_that_found_nothing_do_not_fill_the_history() -> None:
    broadcaster, seen = ChangeBroadcaster(), UploadSeen(at=NOW, upload=UploadRef("a", "", "", ""))
    broadcaster.publish(seen)
    for number in range(20_000):
        connection = Connection(state=ConnectionState.LIVE, since=NOW, read_on=NOW + timedelta(seconds=number))
        broadcaster.publish(ConnectionChanged(at=NOW, connection=connection))
    assert broadcaster.history(10) == (seen,)
