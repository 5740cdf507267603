"""What a service in memory deletes, so that it can run for days; and the purge of deleted projects."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.calls import FILE, NUMBERED, Caller, InlineExecutor, md5, serving
from upload_tui.backend.storage import MemoryStorage, StorageUnavailableError
from upload_tui.wire import STATUS_SHAPE_HEADER

DIGEST = md5(b"".join(FILE))


def _serving(budget_bytes: int = 40, limit_bytes: int = 10_000, **options: Any) -> Any:
    caller = Caller(executor=InlineExecutor(), **options)
    caller.service.storage.storage = MemoryStorage(budget_bytes, limit_bytes)
    return caller


def _memory(caller: Caller) -> MemoryStorage:
    memory = caller.service.storage.memory
    assert memory is not None
    return memory


async def _turn(caller: Caller, seconds: int) -> None:
    """Advance the clock, a few seconds at a time; a client polls, and the service does all it can in between."""
    for _ in range(seconds // 5):
        caller.clock.advance(5)
        for _ in range(20):
            await asyncio.sleep(0)
        await caller.call("GET", "/projects")


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
    held = upload_id in dict(_memory(caller).held_uploads())
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


async def test_bytes_that_a_purge_could_not_delete_are_not_served(tmp_path: Path) -> None:
    async with serving(storage=tmp_path) as caller:
        upload_id = await _verified(caller)
        caller.service.database.uploads.set_purged(upload_id, caller.clock.now())
        url = caller.service._authority.sign_url("GET", f"/storage/{upload_id}")
        assert (await caller.http.get(url)).status_code == 404


async def test_a_database_in_memory_keeps_a_bounded_number_of_uploads() -> None:
    async with _serving(uploads_in_memory=20) as caller:
        initiated = await caller.initiate()
        kept = await _verified(caller)
        fields = {"parent": {"kind": "dds-project", "id": caller.project_id}, "upload": {"id": kept}}
        await caller.call("POST", "/files", json=fields)
        ended = [await _verified(caller) for _ in range(140)]
        uploads = caller.service.database.uploads
        assert 20 <= uploads.count() <= 120
        assert uploads.get(initiated) is not None
        assert uploads.get(kept) is not None
        is_kept = [uploads.get(upload_id) is not None for upload_id in ended]
        assert is_kept == sorted(is_kept)  # the oldest were deleted


async def test_a_database_in_a_file_keeps_all_uploads(tmp_path: Path) -> None:
    async with serving(database=tmp_path / "records.db", uploads_in_memory=0) as caller:
        uploads = [await _verified(caller) for _ in range(3)]
        assert caller.service.database.upload_limit is None
        assert caller.service.database.uploads.count() == len(uploads)


# A total bound


async def _send(caller: Caller, content: bytes = FILE[0]) -> tuple[str, int]:
    """Initiate an upload and send a chunk of it. Returns its id, and the status of the response to the bytes."""
    upload_id = await caller.initiate()
    report = {"number": 1, "size": len(content), "hash": {"value": md5(content), "algorithm": "md5"}}
    url = (await caller.call("PUT", f"/uploads/{upload_id}/chunks", json=report)).json()["url"]
    return upload_id, (await caller.http.put(url, content=content)).status_code


async def test_bytes_of_clients_that_have_gone_are_purged_by_the_clock_oldest_first() -> None:
    async with _serving(budget_bytes=10) as caller:
        gone = [(await _send(caller))[0] for _ in range(4)]
        await _turn(caller, 55)
        working, _ = await _send(caller)
        assert _memory(caller).held_bytes == 20
        await _turn(caller, 20)
        assert _memory(caller).held_bytes == 8
        assert [await _is_purged(caller, upload_id) for upload_id in (*gone, working)] == [True] * 3 + [False] * 2


@pytest.mark.parametrize("is_paused", [False, True], ids=["running", "paused"])
async def test_a_stopped_worker_stops_no_retention(is_paused: bool) -> None:
    async with _serving(budget_bytes=10) as caller:
        if not is_paused:
            caller.service.worker.set_paused(is_paused=False)
        await _send(caller)
        await _turn(caller, 300)
        assert _memory(caller).held_bytes == 4
        await _send(caller, b"01234567")
        await _turn(caller, 300)
        assert _memory(caller).held_bytes == 8


async def test_a_full_storage_purges_what_nothing_needs_and_then_refuses(caplog: pytest.LogCaptureFixture) -> None:
    async with _serving(budget_bytes=10, limit_bytes=37) as caller:
        ended = await _verified(caller)
        gone, _ = await _send(caller)
        caller.clock.advance(60)
        waiting, needed = await caller.upload(NUMBERED), await _send(caller)
        for name, expected in ((ended, True), (gone, False), (waiting, False), (needed[0], False)):
            assert await _is_purged(caller, name) == expected
        another = await _send(caller, b"0123456789abcde")
        assert another[1] == 201
        assert await _is_purged(caller, gone)
        assert _memory(caller).held_bytes == 34
        refused, status = await _send(caller, b"012345")
        assert status == 500
        assert "--storage" in caplog.text
        assert _memory(caller).held_bytes == 34
        caller.clock.advance(60)
        await caller.service.worker.verify_next()
        assert (await caller.status(waiting))["verified_on"]
        await caller.send_chunk(refused, 1, b"012345")


async def test_a_file_that_never_fits_is_refused_as_the_contract_says() -> None:
    async with _serving(limit_bytes=10) as caller:
        upload_id = await caller.initiate(size=11)
        url = caller.service._authority.sign_url("PUT", f"/storage/{upload_id}/1")
        report = {"number": 1, "size": 4, "hash": {"value": md5(FILE[0]), "algorithm": "md5"}}
        await caller.call("PUT", f"/uploads/{upload_id}/chunks", json=report)
        response = await caller.http.put(url, content=FILE[0])
        reason = "File size is currently not supported - maximum size is 10"
        assert (response.status_code, response.json()["errors"]) == (400, [{"field": "size", "message": reason}])


async def test_bytes_that_are_being_received_count_and_are_not_purged() -> None:
    async with _serving(budget_bytes=0, limit_bytes=15) as caller:
        upload_id, _ = await _send(caller)
        url = caller.service._authority.sign_url("PUT", f"/storage/{upload_id}/1")
        held: list[int] = []

        async def slow() -> AsyncIterator[bytes]:
            yield b"0123"
            await _turn(caller, 120)
            held.append(_memory(caller).held_bytes)
            assert (await _send(caller, b"01234567"))[1] == 500
            yield b"45"

        assert (await caller.http.put(url, content=slow())).status_code == 201
        assert held == [8]
        assert _memory(caller).held_bytes == 6


@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunks", "whole file"])
async def test_a_client_that_sends_slowly_keeps_its_bytes_for_a_minute(is_chunked: bool) -> None:
    """It is heard of while it sends, although it reported nothing meanwhile."""
    async with _serving(budget_bytes=0) as caller:
        fields = {"name": "a", "content_type": "b", "size": 4, "chunked": is_chunked}
        target = (await caller.call("POST", f"/projects/{caller.project_id}/uploads", json=fields)).json()
        upload_id = target["id"]
        if is_chunked:
            report = {"number": 1, "size": 4, "hash": {"value": md5(FILE[0]), "algorithm": "md5"}}
            target = {"signed_url": (await caller.call("PUT", f"/uploads/{upload_id}/chunks", json=report)).json()}

        async def slow() -> AsyncIterator[bytes]:
            yield FILE[0][:2]
            await _turn(caller, 120)
            yield FILE[0][2:]

        assert (await caller.http.put(target["signed_url"]["url"], content=slow())).status_code == 201
        await _turn(caller, 55)
        assert not await _is_purged(caller, upload_id)
        await _turn(caller, 20)
        assert await _is_purged(caller, upload_id)


@pytest.mark.parametrize("call", ["chunks", "complete", "bytes"])
async def test_a_client_whose_bytes_were_purged_has_to_begin_again(call: str) -> None:
    async with _serving(budget_bytes=0) as caller:
        upload_id, _ = await _send(caller)
        await _turn(caller, 90)
        if call == "bytes":
            url = caller.service._authority.sign_url("PUT", f"/storage/{upload_id}/1")
            response = await caller.http.put(url, content=FILE[0])
        elif call == "chunks":
            report = {"number": 2, "size": 4, "hash": {"value": "x", "algorithm": "md5"}}
            response = await caller.call("PUT", f"/uploads/{upload_id}/chunks", json=report)
        else:
            response = await caller.complete(upload_id, DIGEST)
        assert (response.status_code, response.json()["suggestion"]) == (400, "You must begin a new upload process")
        assert _memory(caller).held_bytes == 0


async def test_the_bytes_of_an_upload_that_was_given_up_are_purged() -> None:
    async with _serving(budget_bytes=0) as caller:
        upload_id = await caller.upload(NUMBERED)
        caller.service.configure_verification(upload_id, 0, is_unreadable=True)
        for _ in range(7):
            assert not await _is_purged(caller, upload_id)
            await caller.service.worker.verify_next()
            caller.clock.advance(4000)
        await _turn(caller, 15)
        assert await _is_purged(caller, upload_id)


async def test_records_of_clients_that_have_gone_are_deleted_and_then_none_are_added() -> None:
    async with _serving(uploads_in_memory=0) as caller:
        uploads = caller.service.database.uploads
        path, fields = f"/projects/{caller.project_id}/uploads", {"name": "a", "content_type": "b", "size": 1}
        statuses = {(await caller.call("POST", path, json=fields)).status_code for _ in range(200)}
        assert (statuses, uploads.count()) == ({201}, 200)
        refused = await caller.call("POST", path, json=fields)
        assert (refused.status_code, refused.json()["reason"]) == (500, "The storage provider is unavailable")
        await _turn(caller, 60)
        assert uploads.count() == 100
        assert (await caller.call("POST", path, json=fields)).status_code == 201


@pytest.mark.parametrize("is_ended", [True, False], ids=["ended", "never-completed"])
async def test_the_bytes_of_a_deleted_project_are_purged_at_once(tmp_path: Path, is_ended: bool) -> None:
    async with serving(storage=tmp_path) as caller:
        upload_id = await _verified(caller) if is_ended else (await _send(caller))[0]
        assert (tmp_path / upload_id).exists()
        assert (await caller.call("DELETE", f"/projects/{caller.project_id}")).status_code == 204
        assert not (tmp_path / upload_id).exists()
        assert (await _deployed(caller, upload_id))["status"]["purged_on"]


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("disk full"), StorageUnavailableError("away"), ValueError("a defect")], ids=repr
)
async def test_retention_that_fails_is_reported_once_and_goes_on(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise error

    async with _serving(budget_bytes=0) as caller:
        with monkeypatch.context() as patched:
            patched.setattr(caller.service.worker.retention, "purge_deleted_projects", fail)
            upload_id = await _verified(caller)
            await _turn(caller, 60)
        assert (await caller.status(upload_id))["verified_on"]
        [report] = [record for record in caplog.records if "Nothing was purged" in record.getMessage()]
        assert (report.exc_info is not None) == isinstance(error, ValueError)
        assert not await _is_purged(caller, upload_id)
        await _turn(caller, 15)
        assert await _is_purged(caller, upload_id)
