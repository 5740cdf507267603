"""What the session publishes reaches the screen in few batches."""

import asyncio
from datetime import timedelta

from upload_tui.monitor import Connection, ConnectionChanged, ConnectionState, PictureChanged
from upload_tui.testing import NOW, InMemorySession, an_upload
from upload_tui.tui.bridge import Bridge, ChangeBatch


async def test_a_round_is_one_batch_and_one_that_found_nothing_is_none() -> None:
    session, batches = InMemorySession(), list[ChangeBatch]()
    bridge = Bridge(session, batches.append, interval_seconds=0)
    running = asyncio.create_task(bridge.run())
    live = Connection(state=ConnectionState.LIVE, since=NOW, read_on=NOW, requests_last_minute=1)

    async def publish_round(connection: Connection) -> int:
        """Publish what a round does; return the number of batches so far."""
        session.changes.publish(ConnectionChanged(at=NOW, connection=connection))
        await asyncio.sleep(0.03)
        return len(batches)

    await asyncio.sleep(0)
    session.publish(an_upload("scan.tiff"))
    await asyncio.sleep(0)
    assert await publish_round(live) == 1
    later = Connection(state=live.state, since=NOW, read_on=NOW + timedelta(seconds=1), requests_last_minute=2)
    assert await publish_round(later) == 1
    session.changes.publish(PictureChanged(at=NOW))
    assert await publish_round(later) == 2
    assert await publish_round(Connection(state=ConnectionState.OFFLINE, since=NOW, read_on=NOW)) == 3
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    session.close()
