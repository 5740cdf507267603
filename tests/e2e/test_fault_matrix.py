"""Each of the service's faults at each moment of watching, over a real socket: nothing crashes, nothing false is shown, and
the picture is whole within three rounds after the fault ends."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from upload_tui.backend.faults import FaultName
from upload_tui.client.credentials import Credentials
from upload_tui.client.service_client import ServiceClient
from upload_tui.errors import ServiceError
from upload_tui.monitor.changes import Change, StageReached
from upload_tui.monitor.picture import ProjectRef, Query
from upload_tui.monitor.store import Store, StuckBefore
from upload_tui.monitor.synchroniser import Synchroniser
from upload_tui.status import Stage
from upload_tui.testing import NOW, UploadServer

pytestmark = pytest.mark.e2e

MOMENTS = ("first fetch", "tick", "pending refresh")
STUCK = StuckBefore(NOW, NOW)


@pytest.fixture(scope="module")
def server() -> Iterator[UploadServer]:
    with UploadServer() as server:
        server.hold_worker()
        yield server


class Uploads:
    """A project of its own in the service, and what becomes of its uploads."""

    def __init__(self, server: UploadServer) -> None:
        self.server = server
        self.http = httpx.Client(base_url=f"{server.url}/api/v1", headers={"Authorization": server.token})
        self.project = self.http.post("/projects", json={"name": "P", "description": "D"}).json()["id"]
        self.stages: dict[str, Stage] = {}

    def begin(self, *, complete: bool = False) -> str:
        fields = {"name": "a.bin", "content_type": "text/plain", "size": 15}
        upload_id = str(self.http.post(f"/projects/{self.project}/uploads", json=fields).json()["id"])
        self.stages[upload_id] = Stage.INITIATED
        if complete:
            digest = {"hash": {"value": "0" * 32, "algorithm": "md5"}}
            assert self.http.put(f"/uploads/{upload_id}/complete", json=digest).status_code == 202
            self.stages[upload_id] = Stage.COMPLETED
        return upload_id

    def verify(self) -> None:
        while upload_id := self.server.verify_next():
            if upload_id in self.stages:
                self.stages[upload_id] = Stage.ERROR  # none of its chunks was ever sent


def shown(store: Store) -> dict[str, Stage]:
    return {row.id: row.stage for row in store.window(Query(), STUCK, 0, 100) if not row.is_gone}


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.replace(" ", "-"))
@pytest.mark.parametrize("fault", FaultName, ids=str)
def test_the_picture_is_whole_again_when_a_fault_is_over(server: UploadServer, fault: FaultName, moment: str) -> None:
    asyncio.run(_watch(server, fault, moment))


async def _watch(server: UploadServer, fault: FaultName, moment: str) -> None:
    uploads, store, told = Uploads(server), Store(), list[Change]()
    uploads.begin()
    uploads.begin(complete=True)
    credentials = Credentials(agent_key=server.agent_key, user_key=server.user_key)
    async with ServiceClient(server.url, credentials, attempts=1, timeout_seconds=0.3) as client:
        watch = Synchroniser(client, store, ProjectRef(uploads.project), told.append, lambda *_: None)
        if moment != "first fetch":
            await watch.round()
        if moment == "tick":
            uploads.begin(complete=True)
        before = dict(uploads.stages)
        if moment == "pending refresh":
            uploads.verify()
        server.start_fault(fault, 60)
        with suppress(ServiceError):
            await watch.round()
        for upload_id, stage in shown(store).items():
            assert stage in {before[upload_id], uploads.stages[upload_id]}
        server.stop_fault(fault)
        for _ in range(3):
            with suppress(ServiceError):
                await watch.round()
            if shown(store) == uploads.stages:
                break
    assert shown(store) == uploads.stages
    stages = [(change.upload.id, change.after) for change in told if isinstance(change, StageReached)]
    assert len(stages) == len(set(stages))
    uploads.http.close()
    store.close()
