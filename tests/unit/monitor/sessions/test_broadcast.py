"""Changes reach every subscriber."""

import asyncio

from upload_tui.monitor.changes import Change, PictureChanged, UploadRef, UploadSeen
from upload_tui.monitor.sessions.session import ChangeBroadcaster
from upload_tui.testing import NOW


async def test_a_slow_subscriber_loses_no_change_of_an_upload() -> None:
    broadcaster, received = ChangeBroadcaster(), list[Change]()
    changes = broadcaster.subscribe()

    async def receive() -> None:
        async for change in changes:
            received.append(change)

    task = asyncio.create_task(receive())
    await asyncio.sleep(0)
    for number in range(100):
        broadcaster.publish(UploadSeen(at=NOW, upload=UploadRef(str(number), "", "", "")))
        broadcaster.publish(PictureChanged(at=NOW, revision=number))
    while len(received) < 101:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [change.upload.id for change in received if isinstance(change, UploadSeen)] == [str(n) for n in range(100)]
    assert [change.revision for change in received if isinstance(change, PictureChanged)] == [99]
