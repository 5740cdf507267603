"""What a service in memory deletes, so that it can run for days; and the purge of deleted projects."""

from pathlib import Path
from typing import Any

import pytest

from tests.contract.calls import FILE, NUMBERED, Caller, md5, serving
from upload_tui.backend.storage import MemoryStorage, StorageUnavailableError
from upload_tui.backend.store import database as database_module
from upload_tui.wire import STATUS_SHAPE_HEADER

DIGEST = md5(b"".join(FILE))


def _serving(budget_bytes: int = 40) -> Any:
    caller = Caller()
    caller.service.storage._storage = MemoryStorage(budget_bytes)
    return caller


async def _verified(caller: Caller, digest: str = DIGEST) -> str:
    upload_id = await caller.upload(NUMBERED, digest=digest)
    await caller.service.worker.verify_next()
    caller.clock.advance(1)
    return upload_id


async def _deployed(caller: Caller, upload_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (
        await caller.call("GET", f"/uploads/{upload_id}", headers={STATUS_SHAPE_HEADER: "deployed"})
    ).json()
    return found


async def _is_purged(caller: Caller, upload_id: str) -> bool:
    held = upload_id in dict(caller.service.storage.held_uploads())
    purged = (await _deployed(caller, upload_id))["status"]["purged_on"] is not None
    assert held != purged
    return purged


async def test_the_bytes_of_the_oldest_finished_uploads_are_purged() -> None:
    async with _serving() as caller:
        uploads = [await _verified(caller, DIGEST if number % 3 else md5(b"wrong")) for number in range(6)]
        assert [await _is_purged(caller, upload_id) for upload_id in uploads] == [True] * 4 + [False] * 2
        for upload_id in uploads:
            url = caller.service._authority.sign_url("GET", f"/storage/{upload_id}")
            status = (await caller.http.get(url)).status_code
            has_failed = (await caller.status(upload_id))["error_on"] is not None
            assert status == (400 if has_failed else 404 if await _is_purged(caller, upload_id) else 200)


async def test_bytes_that_are_needed_are_not_purged() -> None:
    async with _serving() as caller:
        initiated = await caller.initiate()
        await caller.send_chunk(initiated, 1, FILE[0])
        with_a_file = await _verified(caller)
        fields = {"parent": {"kind": "dds-project", "id": caller.project_id}, "upload": {"id": with_a_file}}
        file_id = (await caller.call("POST", "/files", json=fields)).json()["id"]
        waiting = await caller.upload(NUMBERED)
        for _ in range(5):
            await _verified(caller)  # the first one verifies the waiting upload instead
            assert not await _is_purged(caller, initiated)
            assert not await _is_purged(caller, with_a_file)
        assert (await caller.status(waiting))["verified_on"]
        assert (await caller.call("DELETE", f"/files/{file_id}")).status_code == 204
        for _ in range(3):
            await _verified(caller)
        assert await _is_purged(caller, with_a_file)


async def test_a_purge_is_shown_where_the_shape_of_the_status_can_show_it() -> None:
    async with _serving(0) as caller:
        upload_id = await _verified(caller)
        upload = await _deployed(caller, upload_id)
        assert (upload["status"]["purged_on"], upload["chunks"]) == ("2026-03-14T09:26:53.000Z", [])
        assert len((await caller.call("GET", f"/uploads/{upload_id}")).json()["chunks"]) == 4


@pytest.mark.parametrize("is_ended", [True, False], ids=["ended", "pending"])
async def test_the_uploads_of_a_deleted_project_are_purged(tmp_path: Path, is_ended: bool) -> None:
    async with serving(storage=tmp_path) as caller:
        upload_id = await caller.upload(NUMBERED)
        if is_ended:
            await caller.service.worker.verify_next()
        assert (await caller.call("DELETE", f"/projects/{caller.project_id}")).status_code == 204
        assert (tmp_path / upload_id).exists() != is_ended
        await caller.service.worker.verify_next()
        assert not (tmp_path / upload_id).exists()
        status = (await _deployed(caller, upload_id))["status"]
        assert (status["error_on"], status["purged_on"] is None) == (None, False)


async def test_a_project_is_deleted_also_while_the_storage_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as caller:
        upload_id = await _verified(caller)

        def unavailable(_: str) -> None:
            raise StorageUnavailableError("away")

        caller.service.storage.purge = unavailable  # type: ignore[method-assign,assignment]
        assert (await caller.call("DELETE", f"/projects/{caller.project_id}")).status_code == 204
        assert upload_id in caplog.text


async def test_a_database_in_memory_keeps_a_bounded_number_of_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "UPLOADS_IN_MEMORY", 20)
    async with _serving() as caller:
        initiated = await caller.initiate()
        kept = await _verified(caller)
        fields = {"parent": {"kind": "dds-project", "id": caller.project_id}, "upload": {"id": kept}}
        await caller.call("POST", "/files", json=fields)
        for _ in range(140):
            await _verified(caller)
        uploads = caller.service._database.uploads
        assert 20 <= uploads.count() <= 120
        assert uploads.get(initiated) is not None
        assert uploads.get(kept) is not None


async def test_a_database_in_a_file_keeps_all_uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "UPLOADS_IN_MEMORY", 0)
    async with serving(database=tmp_path / "records.db") as caller:
        uploads = [await _verified(caller) for _ in range(3)]
        assert caller.service._database.upload_limit is None
        assert caller.service._database.uploads.count() == len(uploads)
