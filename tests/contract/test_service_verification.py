"""Verification: the five uploads of the published integrity report, and other ways in which bytes differ."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.contract.calls import FILE, md5, serving
from upload_tui.backend import EmbeddedService, FaultName
from upload_tui.backend.storage import BlobKey, FolderStorage, StorageUnavailableError
from upload_tui.backend.store.records import ChunkRecord
from upload_tui.backend.verification import verify
from upload_tui.backend.worker import LEASE
from upload_tui.testing import FrozenClock
from upload_tui.wire import CHUNK_HASH_DIFFERS, FILE_HASH_DIFFERS, SIZE_DIFFERS

CONTRACT_RETRY_SECONDS = (1, 5, 25, 125, 625, 3125)
"""The contract's, section "Traps of the deployed shape"; not read from the code."""
NUMBERED = tuple(enumerate(FILE, 1))
DIGEST = md5(b"".join(FILE))


@pytest.mark.parametrize(
    ("chunks", "size", "digest", "parts"),
    [
        pytest.param(NUMBERED, 15, DIGEST, [], id="all-right"),
        pytest.param(NUMBERED, 15, md5(b"other"), [FILE_HASH_DIFFERS], id="file-hash-wrong"),
        pytest.param(NUMBERED[1:], 15, DIGEST, [SIZE_DIFFERS, "do not start at 1"], id="first-chunk-missing"),
        pytest.param(
            NUMBERED[1:], 11, DIGEST, [FILE_HASH_DIFFERS, "do not start at 1"], id="first-chunk-missing-size-lowered"
        ),
        pytest.param(tuple(enumerate(FILE[::-1], 1)), 15, DIGEST, [FILE_HASH_DIFFERS], id="wrong-order"),
        pytest.param((NUMBERED[0], *NUMBERED[2:]), 15, DIGEST, [SIZE_DIFFERS, "missing from number 2"], id="gap"),
        pytest.param((), 0, md5(b""), ["no chunks"], id="no-chunks"),
        pytest.param(((1, b""),), 0, md5(b""), [], id="empty-file"),
    ],
)
async def test_verification_finds_what_differs(
    chunks: tuple[tuple[int, bytes], ...], size: int, digest: str, parts: list[str]
) -> None:
    async with serving() as caller:
        upload_id = await caller.upload(chunks, size, digest)
        assert (await caller.status(upload_id))["verified_on"] is None
        caller.clock.advance(5)
        assert await caller.service.worker.verify_next() == upload_id
        status = await caller.status(upload_id)
    ended, other = ("error_on", "verified_on") if parts else ("verified_on", "error_on")
    assert status[ended] == "2026-03-14T09:26:58.000Z"
    assert status[other] is None
    assert all(part in (status["error_message"] or "") for part in parts)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"4568", f"{CHUNK_HASH_DIFFERS}: chunk 2"),
        (b"45", f"{SIZE_DIFFERS}: chunk 2"),
        (b"45678", f"{SIZE_DIFFERS}: chunk 2"),
    ],
    ids=["altered", "truncated", "oversized"],
)
async def test_the_message_names_the_chunk_that_differs(sent: bytes, message: str) -> None:
    async with serving() as caller:
        upload_id = await caller.initiate()
        for number, content in NUMBERED:
            await caller.send_chunk(upload_id, number, content, sent if number == 2 else None)
        await caller.complete(upload_id, DIGEST)
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["error_message"].startswith(message)


async def test_a_chunk_that_is_sent_again_replaces_the_first() -> None:
    async with serving() as caller:
        upload_id = await caller.initiate()
        await caller.send_chunk(upload_id, 1, b"wrong")
        for number, content in NUMBERED:
            await caller.send_chunk(upload_id, number, content)
        await caller.complete(upload_id, DIGEST)
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["verified_on"]


async def test_bytes_that_change_on_disk_are_found(tmp_path: Path) -> None:
    async with serving(storage=tmp_path / "bytes", database=tmp_path / "records.db") as caller:
        upload_id = await caller.upload(NUMBERED)
        (tmp_path / "bytes" / upload_id / "3").write_bytes(b"89aB")
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["error_message"].startswith(f"{CHUNK_HASH_DIFFERS}: chunk 3")


async def test_verification_is_retried_while_the_storage_is_unavailable() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        caller.service.faults.start(FaultName.BROKEN_STORAGE, 20)
        assert await caller.service.worker.verify_next() == upload_id
        assert (await caller.status(upload_id))["verified_on"] is None
        assert await caller.service.worker.verify_next() is None  # not due yet
        caller.clock.advance(30)
        assert await caller.service.worker.verify_next() == upload_id
        assert (await caller.status(upload_id))["verified_on"]


async def test_a_chunk_counts_as_missing_only_once_the_storage_is_available() -> None:
    async with serving() as caller:
        caller.start_fault(FaultName.LOST_CHUNK)
        upload_id = await caller.upload([(1, b"".join(FILE))])
        caller.start_fault(FaultName.BROKEN_STORAGE, 20)
        assert await caller.service.worker.verify_next() == upload_id
        assert (await caller.status(upload_id))["error_on"] is None
        caller.clock.advance(30)
        assert await caller.service.worker.verify_next() == upload_id
        assert "chunk 1 was never stored" in (await caller.status(upload_id))["error_message"]


async def test_verification_is_given_up_after_the_last_retry() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        caller.service.storage.unreadable_uploads.add(upload_id)
        for seconds in CONTRACT_RETRY_SECONDS:
            assert await caller.service.worker.verify_next() == upload_id
            caller.clock.advance(seconds - 0.001)
            assert await caller.service.worker.verify_next() is None
            caller.clock.advance(0.001)
        assert await caller.service.worker.verify_next() == upload_id
        caller.clock.advance(10**6)
        assert await caller.service.worker.verify_next() is None
        queue = (await caller.call("GET", "/queue")).json()
        reason = "storage unavailable: The storage provider is unavailable"
        given_up = {"upload": {"id": upload_id}, "attempts": 7, "reason": reason, "due": None}
        counts = {"depth": 0, "oldest": None, "running": 0, "retried": 0, "dead": 1}
        assert queue == {**counts, "trouble": None, "troubles": [given_up]}
        status = await caller.status(upload_id)
        assert (status["verified_on"], status["error_on"]) == (None, None)


async def test_acknowledged_uploads_survive_a_restart(tmp_path: Path) -> None:
    files = {"storage": tmp_path / "bytes", "database": tmp_path / "records.db"}
    async with serving(**files) as caller:
        upload_id = await caller.upload(NUMBERED)
    async with serving(**files) as caller:
        assert (await caller.status(upload_id))["completed_on"] == "2026-03-14T09:26:53.000Z"
        assert await caller.service.worker.verify_next() == upload_id
        assert (await caller.status(upload_id))["verified_on"]


async def test_a_token_survives_a_restart(tmp_path: Path) -> None:
    clock, file = FrozenClock(), tmp_path / "records.db"
    tokens = []
    for _ in range(2):
        async with EmbeddedService(clock=clock, database=file) as service:
            tokens.append(service.new_token())
    assert tokens[0] == tokens[1]
    async with EmbeddedService(clock=clock) as other:
        assert other.new_token() != tokens[0]


async def test_the_message_names_identical_chunks() -> None:
    async with serving() as caller:
        chunks = (NUMBERED[0], NUMBERED[1], (3, FILE[1]), NUMBERED[3])
        upload_id = await caller.upload(chunks)
        await caller.service.worker.verify_next()
        message = (await caller.status(upload_id))["error_message"]
    assert message.startswith(FILE_HASH_DIFFERS)
    assert "chunks 2 and 3 are identical" in message


async def test_bytes_are_rejected_after_completion() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        url = caller.service._authority.sign_url("PUT", f"/storage/{upload_id}/2")
        response = await caller.http.put(url, content=b"evil")
        await caller.service.worker.verify_next()
        assert response.status_code == 400
        assert response.json()["errors"] == [{"field": "completed_at", "message": "Cannot change completed_at."}]
        assert (await caller.status(upload_id))["verified_on"]


class _ChangingStorage(FolderStorage):
    """A storage in which a chunk is replaced as soon as it has been read."""

    def blocks(self, key: BlobKey) -> Iterator[bytes]:
        yield from super().blocks(key)
        if key[1] == 2:
            self._path(key).write_bytes(b"4568")


async def test_a_chunk_that_is_replaced_during_verification_is_found(tmp_path: Path) -> None:
    async def blocks(content: bytes) -> AsyncIterator[bytes]:
        yield content

    storage, upload_id = _ChangingStorage(tmp_path), "5d0b4f1e-6a3c-4b9e-8f3a-0d6f5a1c2b7e"
    for number, content in NUMBERED:
        await storage.put((upload_id, number), blocks(content))
    chunks = [ChunkRecord(number, len(content), "md5", md5(content)) for number, content in NUMBERED]
    assert verify(upload_id, 15, chunks, [("md5", DIGEST)], storage) == "chunk 2 was replaced during verification"


async def test_a_job_is_claimed_again_when_its_lease_expires() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        dropped = caller.service.database.queue.claim(caller.clock.now(), LEASE)
        assert dropped is not None
        assert await caller.service.worker.verify_next() is None
        caller.clock.advance(LEASE.total_seconds())
        assert await caller.service.worker.verify_next() == upload_id
        assert not caller.service.database.queue.finish(dropped, "too late", caller.clock.now())
        assert (await caller.status(upload_id))["verified_on"]


async def test_a_worker_whose_lease_has_expired_cannot_end_the_job_of_another() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        queue = caller.service.database.queue
        first = queue.claim(caller.clock.now(), LEASE)
        caller.clock.advance(LEASE.total_seconds())
        second = queue.claim(caller.clock.now(), LEASE)
        assert first is not None
        assert second is not None
        assert not queue.finish(first, "too late", caller.clock.now())
        queue.postpone(first, None, "too late")
        queue.release(first)
        assert queue.finish(second, None, caller.clock.now())
        assert (await caller.status(upload_id))["verified_on"]


async def test_an_incomplete_chunk_is_not_stored(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"45"
        raise ConnectionResetError

    storage, key = FolderStorage(tmp_path), ("5d0b4f1e-6a3c-4b9e-8f3a-0d6f5a1c2b7e", 2)
    with pytest.raises(StorageUnavailableError):
        await storage.put(key, broken())
    assert storage.stat(key) is None
    assert list(storage._incoming.iterdir()) == []
