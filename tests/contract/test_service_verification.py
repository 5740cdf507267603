"""What the worker finds: the five uploads of the published integrity report, and other ways in which bytes go wrong."""

from pathlib import Path

import pytest

from tests.contract.calls import FILE, md5, serving
from upload_tui.backend.faults import FaultName
from upload_tui.backend.service import EmbeddedService
from upload_tui.backend.worker import RETRY_SECONDS
from upload_tui.testing import FrozenClock
from upload_tui.wire.messages import CHUNK_HASH_DIFFERS, FILE_HASH_DIFFERS, SIZE_DIFFERS

NUMBERED = tuple(enumerate(FILE, 1))
DIGEST = md5(b"".join(FILE))


@pytest.mark.parametrize(
    ("chunks", "size", "digest", "words"),
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
async def test_the_outcome_is_right_when_an_upload_is_verified(
    chunks: tuple[tuple[int, bytes], ...], size: int, digest: str, words: list[str]
) -> None:
    async with serving() as caller:
        upload_id = await caller.upload(chunks, size, digest)
        assert (await caller.status(upload_id))["verified_on"] is None
        caller.clock.advance(5)
        assert await caller.service.worker.verify_next() == upload_id
        status = await caller.status(upload_id)
    ended, other = ("error_on", "verified_on") if words else ("verified_on", "error_on")
    assert status[ended] == "2026-03-14T09:26:58.000Z"
    assert status[other] is None
    assert all(word in (status["error_message"] or "") for word in words)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"4568", f"{CHUNK_HASH_DIFFERS}: chunk 2"),
        (b"45", f"{SIZE_DIFFERS}: chunk 2"),
        (b"45678", f"{SIZE_DIFFERS}: chunk 2"),
    ],
    ids=["altered", "truncated", "oversized"],
)
async def test_the_chunk_is_named_when_its_bytes_are_not_those_reported(sent: bytes, words: str) -> None:
    async with serving() as caller:
        upload_id = await caller.initiate()
        for number, content in NUMBERED:
            await caller.send_chunk(upload_id, number, content, sent if number == 2 else None)
        await caller.complete(upload_id, DIGEST)
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["error_message"].startswith(words)


async def test_the_last_bytes_count_when_a_chunk_is_sent_again() -> None:
    async with serving() as caller:
        upload_id = await caller.initiate()
        await caller.send_chunk(upload_id, 1, b"wrong")
        for number, content in NUMBERED:
            await caller.send_chunk(upload_id, number, content)
        await caller.complete(upload_id, DIGEST)
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["verified_on"]


async def test_bytes_that_rot_on_the_disk_are_found(tmp_path: Path) -> None:
    async with serving(storage=tmp_path / "bytes", database=tmp_path / "records.db") as caller:
        upload_id = await caller.upload(NUMBERED)
        (tmp_path / "bytes" / upload_id / "3").write_bytes(b"89aB")
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["error_message"].startswith(f"{CHUNK_HASH_DIFFERS}: chunk 3")


async def test_a_verification_is_tried_again_when_the_storage_is_in_trouble() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        caller.service.faults.start(FaultName.BROKEN_STORAGE, 20)
        assert await caller.service.worker.verify_next() == upload_id
        assert (await caller.status(upload_id))["verified_on"] is None
        assert await caller.service.worker.verify_next() is None  # not due yet
        caller.clock.advance(30)
        assert await caller.service.worker.verify_next() == upload_id
        assert (await caller.status(upload_id))["verified_on"]


async def test_a_verification_is_given_up_when_trouble_never_ends() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        caller.service.storage.withheld.add(upload_id)
        for seconds in (0, *RETRY_SECONDS):
            caller.clock.advance(seconds)
            assert await caller.service.worker.verify_next() == upload_id
        queue = (await caller.call("GET", "/queue")).json()
        assert queue == {"depth": 0, "oldest": None, "running": 0, "retried": 0, "dead": 1}
        status = await caller.status(upload_id)
        assert (status["verified_on"], status["error_on"]) == (None, None)


async def test_what_was_acknowledged_is_true_when_the_service_starts_again(tmp_path: Path) -> None:
    files = {"storage": tmp_path / "bytes", "database": tmp_path / "records.db"}
    async with serving(**files) as caller:
        upload_id = await caller.upload(NUMBERED)
    async with serving(**files) as caller:
        assert (await caller.status(upload_id))["completed_on"] == "2026-03-14T09:26:53.000Z"
        assert await caller.service.worker.verify_next() == upload_id
        assert (await caller.status(upload_id))["verified_on"]


async def test_a_token_is_still_good_when_the_service_starts_again(tmp_path: Path) -> None:
    clock, file = FrozenClock(), tmp_path / "records.db"
    tokens = []
    for _ in range(2):
        async with EmbeddedService(clock=clock, database=file) as service:
            tokens.append(service.new_token())
    assert tokens[0] == tokens[1]
    async with EmbeddedService(clock=clock) as other:
        assert other.new_token() != tokens[0]
