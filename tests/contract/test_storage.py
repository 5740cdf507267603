"""Stored bytes: unavailable is not missing, and what is served is what was verified."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.contract.calls import FILE, NUMBERED, Caller, md5, serving
from upload_tui.backend.endpoints.transfers import ByteRange, parse_range
from upload_tui.backend.storage import BlobKey, BlobStat, ChunkRejectedError, FolderStorage, MemoryStorage, Storage
from upload_tui.errors import UsageError
from upload_tui.wire import SIZE_DIFFERS

CONTENT = b"".join(FILE)
UPLOAD_ID = "5d0b4f1e-6a3c-4b9e-8f3a-0d6f5a1c2b7e"
BLOCK = 256 * 1024


def _serving(folder: Path, **options: Any) -> Any:
    return serving(storage=folder / "bytes", database=folder / "records.db", **options)


async def _blocks(*contents: bytes) -> AsyncIterator[bytes]:
    for content in contents:
        yield content


# Unavailable is not missing


def _move_away(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


def _put_an_empty_folder(folder: Path) -> None:
    """What an unmounted disk leaves."""
    _move_away(folder)
    folder.mkdir()


def _put_a_file(folder: Path) -> None:
    _move_away(folder)
    folder.touch()


def _bring_back(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.unlink(missing_ok=True)
    folder.with_name("away").rename(folder)


def _files(folder: Path) -> Sequence[Path]:
    return sorted(folder.rglob("*"))


ABSENCES = pytest.mark.parametrize("take_away", [_move_away, _put_an_empty_folder, _put_a_file])


@ABSENCES
@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "whole"])
async def test_an_absent_storage_is_no_integrity_error(
    tmp_path: Path, take_away: Callable[[Path], None], is_chunked: bool
) -> None:
    async with _serving(tmp_path) as caller:
        upload_id = await caller.upload(NUMBERED) if is_chunked else await _upload_whole(caller, CONTENT)
        take_away(tmp_path / "bytes")
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["error_on"] is None
        assert (await caller.call("GET", "/queue")).json()["troubles"][0]["reason"].startswith("storage unavailable")
        _bring_back(tmp_path / "bytes")
        caller.clock.advance(1)
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["verified_on"]


@ABSENCES
async def test_a_service_does_not_start_without_the_storage_of_its_uploads(
    tmp_path: Path, take_away: Callable[[Path], None]
) -> None:
    async with _serving(tmp_path) as caller:
        pending, begun = await caller.upload(NUMBERED), await caller.initiate()
        await caller.send_chunk(begun, 1, FILE[0])
    take_away(tmp_path / "bytes")
    left = _files(tmp_path)
    for storage in (tmp_path / "bytes", None):
        with pytest.raises(UsageError) as refused:
            Caller(storage=storage, database=tmp_path / "records.db")
        assert "--storage" in str(refused.value.hint)
    assert _files(tmp_path) == left  # nothing that makes the wrong folder look like the storage
    _bring_back(tmp_path / "bytes")
    async with _serving(tmp_path) as caller:
        await caller.service.worker.verify_next()
        assert (await caller.status(pending))["verified_on"]
        for number, content in NUMBERED[1:]:
            await caller.send_chunk(begun, number, content)
        await caller.complete(begun, md5(CONTENT))
        await caller.service.worker.verify_next()
        assert (await caller.status(begun))["verified_on"]


async def test_uploads_of_which_no_bytes_were_kept_need_no_storage(tmp_path: Path) -> None:
    """They end in error; a service that begins with a folder keeps the bytes of later ones."""
    async with serving(database=tmp_path / "records.db") as caller:
        lost = await caller.upload(NUMBERED)
    async with _serving(tmp_path) as caller:
        await caller.service.worker.verify_next()
        assert "never stored" in (await caller.status(lost))["error_message"]


@ABSENCES
@pytest.mark.parametrize("operation", ["send", "download", "late-hash"])
async def test_an_absent_storage_is_answered_500(
    tmp_path: Path, take_away: Callable[[Path], None], operation: str
) -> None:
    async with _serving(tmp_path) as caller:
        verified = await caller.upload(NUMBERED)
        await caller.service.worker.verify_next()
        chunk = {"number": 1, "size": 4, "hash": {"value": md5(FILE[0]), "algorithm": "md5"}}
        target = (await caller.call("PUT", f"/uploads/{await caller.initiate()}/chunks", json=chunk)).json()["url"]
        take_away(tmp_path / "bytes")
        for expected in (500, 200):
            if operation == "send":
                answer = await caller.http.put(target, content=FILE[0])
            elif operation == "download":
                answer = await caller.http.get(_download_url(caller, verified))
            else:
                report = {"value": md5(CONTENT), "algorithm": "md5"}
                answer = await caller.call("PUT", f"/uploads/{verified}/hashes", json=report)
            assert answer.status_code in {expected, expected + 1}
            if expected == 500:
                _bring_back(tmp_path / "bytes")


@pytest.mark.parametrize("look", range(1, 14))
async def test_a_storage_that_is_away_for_a_moment_is_no_integrity_error(tmp_path: Path, look: int) -> None:
    async with _serving(tmp_path) as caller:
        upload_id = await caller.upload(NUMBERED)
        folder, away = tmp_path / "bytes", tmp_path / "away"
        storage, looks_left = FolderStorage(folder), look

        def path_of(key: BlobKey) -> Path:
            """The path of a blob. The `look`-th call moves the folder away, the next call moves it back."""
            nonlocal looks_left
            looks_left -= 1
            if away.exists():
                away.rename(folder)
            if looks_left == 0:
                folder.rename(away)
            return folder / key[0] / str(key[1])

        storage._path = path_of  # type: ignore[method-assign]
        caller.service.storage.storage = storage
        await caller.service.worker.verify_next()
        if away.exists():
            away.rename(folder)
        assert (await caller.status(upload_id))["error_on"] is None
        caller.clock.advance(1)
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["verified_on"]


async def test_a_deleted_folder_of_incoming_chunks_is_created_again(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    shutil.rmtree(tmp_path / ".incoming")
    assert await storage.put((UPLOAD_ID, 1), _blocks(b"0123")) == 4
    assert storage.stat((UPLOAD_ID, 1)) is not None


async def test_a_chunk_that_is_known_to_be_missing_is_an_integrity_error(tmp_path: Path) -> None:
    async with _serving(tmp_path) as caller:
        upload_id = await caller.upload(NUMBERED)
        (tmp_path / "bytes" / upload_id / "2").unlink()
        await caller.service.worker.verify_next()
        assert "chunk 2 was never stored" in (await caller.status(upload_id))["error_message"]


@pytest.mark.parametrize("kind", ["memory", "folder"])
async def test_a_chunk_that_arrives_after_completion_is_not_stored(tmp_path: Path, kind: str) -> None:
    storage: Storage = MemoryStorage() if kind == "memory" else FolderStorage(tmp_path)
    await storage.put((UPLOAD_ID, 1), _blocks(b"0123"))
    before = storage.stat((UPLOAD_ID, 1))
    for number in (1, 2):
        with pytest.raises(ChunkRejectedError):
            await storage.put((UPLOAD_ID, number), _blocks(b"4567"), lambda: False)
    assert (storage.stat((UPLOAD_ID, 1)), storage.stat((UPLOAD_ID, 2))) == (before, None)
    assert b"".join(storage.blocks((UPLOAD_ID, 1))) == b"0123"


@pytest.mark.parametrize("is_folder", [False, True], ids=["memory", "folder"])
async def test_a_chunk_whose_last_bytes_arrive_after_completion_is_rejected(tmp_path: Path, is_folder: bool) -> None:
    async with serving(storage=tmp_path if is_folder else None) as caller:
        upload_id = await caller.initiate()
        for number, content in NUMBERED:
            await caller.send_chunk(upload_id, number, content)
        url = caller.service._authority.sign_url("PUT", f"/storage/{upload_id}/2")

        async def slow() -> AsyncIterator[bytes]:
            yield b"45"
            await caller.complete(upload_id, md5(CONTENT))
            yield b"68"

        assert (await caller.http.put(url, content=slow())).status_code == 400
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["verified_on"]


# Surplus and missing bytes at verification


@pytest.mark.parametrize(
    ("size", "stored"), [(14, FILE), (16, FILE), (15, (*FILE[:3], b"cdef")), (15, (*FILE[:3], b"cd"))]
)
async def test_bytes_beyond_the_reported_sizes_are_found(size: int, stored: tuple[bytes, ...]) -> None:
    """Every digest is that of the stored bytes, so that only the sizes differ."""
    async with serving() as caller:
        upload_id = await caller.initiate(size=size)
        for number, content in enumerate(stored, 1):
            await caller.send_chunk(upload_id, number, content)
            chunk = {
                "number": number,
                "size": len(FILE[number - 1]),
                "hash": {"value": md5(content), "algorithm": "md5"},
            }
            await caller.call("PUT", f"/uploads/{upload_id}/chunks", json=chunk)
        await caller.complete(upload_id, md5(b"".join(stored)))
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["error_message"].startswith(SIZE_DIFFERS)


@pytest.mark.parametrize("size", [14, 16])
async def test_bytes_beyond_the_size_of_a_whole_file_are_found(size: int) -> None:
    async with serving() as caller:
        upload_id = await _upload_whole(caller, CONTENT, size)
        await caller.service.worker.verify_next()
        assert (await caller.status(upload_id))["error_message"].startswith(SIZE_DIFFERS)


# What is served is what was verified


async def _upload_whole(caller: Caller, content: bytes, size: int | None = None) -> str:
    fields = {"name": "a", "content_type": "b", "size": len(content) if size is None else size, "chunked": False}
    created = (await caller.call("POST", f"/projects/{caller.project_id}/uploads", json=fields)).json()
    (await caller.http.put(created["signed_url"]["url"], content=content)).raise_for_status()
    await caller.complete(created["id"], md5(content))
    return str(created["id"])


def _download_url(caller: Caller, upload_id: str) -> str:
    return caller.service._authority.sign_url("GET", f"/storage/{upload_id}")


async def _download(caller: Caller, upload_id: str, headers: dict[str, str] | None = None) -> tuple[int, bytes, bool]:
    """Download. Returns the status, what arrived, and whether the response was complete."""
    path, _, query = _download_url(caller, upload_id).partition("?")
    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": raw, "http_version": "1.1", "scheme": "http", "root_path": "", "server": ("x", 80),
    }  # fmt: skip
    messages: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    await caller.service.app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in messages)
    return messages[0]["status"], body, not messages[-1].get("more_body", False)


LARGE = [bytes([65 + number]) * (2 * BLOCK + 5) for number in range(3)]


def _changes(content: bytes) -> Iterator[tuple[str, bytes]]:
    yield "grown", content + b"!"
    yield "shrunk", content[:-1]
    yield "emptied", b""
    yield "first byte", b"!" + content[1:]
    yield "last byte", content[:-1] + b"!"


@pytest.mark.parametrize("change", [name for name, _ in _changes(b"x")])
@pytest.mark.parametrize("number", [0, 1, 2, 3], ids=["whole", "first", "middle", "last"])
async def test_no_complete_response_has_other_bytes_than_were_verified(
    tmp_path: Path, change: str, number: int
) -> None:
    async with _serving(tmp_path) as caller:
        content = b"".join(LARGE)
        chunks = list(enumerate(LARGE, 1))
        upload_id = (
            await caller.upload(chunks, len(content), md5(content)) if number else await _upload_whole(caller, content)
        )
        await caller.service.worker.verify_next()
        file = tmp_path / "bytes" / upload_id / str(number)
        file.write_bytes(dict(_changes(file.read_bytes()))[change])
        for header in (None, "bytes=0-", "bytes=600000-1200000", "bytes=-3"):
            status, body, is_complete = await _download(caller, upload_id, {"Range": header} if header else None)
            wanted = parse_range(header, len(content)) or ByteRange(0, len(content))
            right = content[wanted.start : wanted.stop]
            if status in {200, 206} and is_complete:
                assert body == right  # a range that the change does not touch
            else:
                assert status == 500 or (not is_complete and len(body) < len(right))


async def test_a_chunk_that_grew_is_refused_before_the_first_byte(tmp_path: Path) -> None:
    async with _serving(tmp_path) as caller:
        upload_id = await caller.upload(NUMBERED)
        await caller.service.worker.verify_next()
        (tmp_path / "bytes" / upload_id / "2").write_bytes(b"4567!")
        answer = await caller.http.get(_download_url(caller, upload_id))
        assert answer.status_code == 500
        assert "have changed since verification" in answer.json()["reason"]


async def test_a_chunk_that_grows_after_its_size_was_checked_is_not_served_whole(tmp_path: Path) -> None:
    async with _serving(tmp_path) as caller:
        upload_id = await caller.upload(NUMBERED)
        await caller.service.worker.verify_next()
        (tmp_path / "bytes" / upload_id / "1").write_bytes(b"0123!")
        caller.service.storage.stat = lambda key: BlobStat(len(FILE[key[1] - 1]), 0)
        status, body, is_complete = await _download(caller, upload_id)
        assert (status, is_complete) == (500, True)
        assert b"0123" not in body


@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "whole"])
async def test_a_download_takes_ranges(is_chunked: bool) -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED) if is_chunked else await _upload_whole(caller, CONTENT)
        await caller.service.worker.verify_next()
        for start in range(15):
            for stop in range(start + 1, 16):
                for header in (
                    f"bytes={start}-{stop - 1}",
                    f"bytes=-{15 - start}" if stop == 15 else f"Bytes={start}-{stop - 1}",
                ):
                    answer = await caller.http.get(_download_url(caller, upload_id), headers={"Range": header})
                    assert (answer.status_code, answer.content) == (206, CONTENT[start:stop])
                    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/15"
                    assert answer.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("bytes=0-99", 206), ("bytes=14-", 206), ("bytes=15-", 416), ("bytes=99-100", 416), ("bytes=-0", 416),
        ("bytes=-99", 206), ("bytes=5-4", 200), ("bytes=-", 200), ("bytes=a-b", 200), ("lines=0-1", 200),
        ("bytes=0-1,3-4", 200), ("bytes=" + "9" * 5000 + "-", 200), ("bytes=١-٢", 200), ("", 200),
    ],
)  # fmt: skip
async def test_a_range_is_read_as_http_says(header: str, status: int) -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        await caller.service.worker.verify_next()
        answer = await caller.http.get(_download_url(caller, upload_id), headers={b"Range": header.encode()})
        assert answer.status_code == status
        assert answer.headers.get("content-range", "bytes */15").startswith("bytes ")
        if status == 200:
            assert (answer.content, answer.headers["accept-ranges"]) == (CONTENT, "bytes")


async def test_a_range_of_another_file_is_ignored() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        await caller.service.worker.verify_next()
        etag = (await caller.http.get(_download_url(caller, upload_id))).headers["etag"]
        for condition, status in ((etag, 206), ('"another"', 200)):
            headers = {"Range": "bytes=0-1", "If-Range": condition}
            assert (await caller.http.get(_download_url(caller, upload_id), headers=headers)).status_code == status


async def test_an_empty_file_is_downloaded() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(((1, b""),), 0, md5(b""))
        await caller.service.worker.verify_next()
        assert (await caller.http.get(_download_url(caller, upload_id))).content == b""


@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "whole"])
async def test_the_headers_of_a_download_can_be_requested_alone(is_chunked: bool) -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED) if is_chunked else await _upload_whole(caller, CONTENT)
        await caller.service.worker.verify_next()
        url = _download_url(caller, upload_id)
        whole, headers = await caller.http.get(url), await caller.http.head(url, headers={"Range": "bytes=0-1"})
        assert (headers.status_code, headers.content) == (200, b"")
        assert dict(headers.headers) == dict(whole.headers)
        assert (await caller.http.head(f"{url}x")).status_code == 403


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("If-None-Match", "{etag}", 304), ("If-None-Match", "W/{etag}", 304), ("If-None-Match", "*", 304),
        ("If-None-Match", '"a", {etag} ,"b"', 304), ("If-None-Match", '"a"', 200), ("If-None-Match", "", 200),
        ("If-Match", "{etag}", 200), ("If-Match", "*", 200), ("If-Match", '"a", {etag}', 200),
        ("If-Match", '"a"', 412), ("If-Match", "W/{etag}", 412),
    ],
)  # fmt: skip
async def test_the_conditions_of_a_download(method: str, name: str, value: str, status: int) -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        await caller.service.worker.verify_next()
        etag = f'"{md5(CONTENT)}"'
        headers = {name: value.replace("{etag}", etag)}
        response = await caller.http.request(method, _download_url(caller, upload_id), headers=headers)
        assert response.status_code == status
        assert response.headers.get("etag") == (None if status == 412 else etag)
        if method == "GET":
            assert (response.content == CONTENT) == (status == 200)
