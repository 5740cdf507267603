"""Compares the stored bytes of an upload with what its client reported, and lists everything that differs.

The worker calls it in a thread. Bytes are read once, block by block, so memory does not grow with the file. Messages that the
deployed service uses come first, followed by what is specific to this service.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from upload_tui.backend.storage import BlobKey, BlobStat, Storage
from upload_tui.backend.store.records import ChunkRecord
from upload_tui.wire import CHUNK_HASH_DIFFERS, FILE_HASH_DIFFERS, OBJECT_MISSING, SIZE_DIFFERS

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["ALGORITHMS", "WHOLE_FILE", "Hashes", "check_late_hash", "part_numbers", "verify"]

WHOLE_FILE = 0
"""The blob number of an upload that is not chunked; chunks start at 1."""

ALGORITHMS = ("md5", "sha1", "sha256")
_MAX_LISTED = 5

Hashes = Sequence[tuple[str, str]]
"""Algorithms and digests that were reported for a whole file."""


def verify(
    upload_id: str,
    size_bytes: int,
    chunks: Sequence[ChunkRecord],
    hashes: Hashes,
    storage: Storage,
    *,
    is_chunked: bool = True,
) -> str | None:
    """Check an upload against its stored bytes.

    Args:
        upload_id: the upload.
        size_bytes: the file's size as the client reported it.
        chunks: the chunks as the client reported them, by number.
        hashes: the whole file's digests as the client reported them.
        storage: where the bytes are.
        is_chunked: False if all bytes are in one blob.

    Returns:
        None if everything agrees, otherwise a message that names every difference.

    Raises:
        StorageUnavailableError: the bytes cannot be read just now.
    """
    numbers = part_numbers(chunks, is_chunked=is_chunked)
    stats = {number: storage.stat((upload_id, number)) for number in numbers}
    file_digests = {algorithm: _new_digest(algorithm) for algorithm, _ in hashes}
    if is_chunked:
        stored_bytes, problems = _read_chunks(upload_id, chunks, stats, file_digests, storage)
    elif stats[WHOLE_FILE] is None:
        return OBJECT_MISSING
    else:
        stored_bytes, problems = _update_digests(file_digests.values(), storage.blocks((upload_id, WHOLE_FILE))), []
    if stored_bytes != size_bytes:
        problems.append(f"{SIZE_DIFFERS}: reported {size_bytes} bytes, stored {stored_bytes}")
    are_bytes_right = not problems
    file_problems = list(_file_problems(hashes, file_digests))
    problems.extend(file_problems)
    if file_problems and are_bytes_right and is_chunked:
        problems.append(_order_problem(chunks))
    problems.extend(
        f"{_blob_name(number)} replaced during verification"
        for number, stat in stats.items()
        if storage.stat((upload_id, number)) != stat
    )
    # The deployed service's messages begin with "reported" and come first.
    return "; ".join(sorted(problems, key=lambda problem: not problem.startswith("reported"))) or None


def check_late_hash(
    upload_id: str, numbers: Sequence[int], algorithm: str, reported: str, storage: Storage
) -> str | None:
    """Compare a digest that is reported after verification with the stored bytes. Returns a message, or None if they agree.

    Raises:
        StorageUnavailableError: the bytes cannot be read just now.
    """
    if any(storage.stat((upload_id, number)) is None for number in numbers):
        return OBJECT_MISSING
    file_digests = {algorithm: _new_digest(algorithm)}
    for number in numbers:
        _update_digests(file_digests.values(), storage.blocks((upload_id, number)))
    return next(_file_problems([(algorithm, reported)], file_digests), None)


def part_numbers(chunks: Sequence[ChunkRecord], *, is_chunked: bool) -> Sequence[int]:
    """The numbers of an upload's blobs, in the order of the file."""
    return [chunk.number for chunk in chunks] if is_chunked else [WHOLE_FILE]


def _blob_name(number: int) -> str:
    return "the file was" if number == WHOLE_FILE else f"chunk {number} was"


def _read_chunks(
    upload_id: str,
    chunks: Sequence[ChunkRecord],
    stats: Mapping[int, BlobStat | None],
    file_digests: dict[str, "_Hash"],
    storage: Storage,
) -> tuple[int, list[str]]:
    """Read all chunks. Returns their total size in bytes and what is wrong with them; updates the digests of the whole file."""
    problems = list(_numbering_problems([chunk.number for chunk in chunks]))
    stored_bytes = 0
    for chunk in chunks:
        if stats[chunk.number] is None:
            problems.append(f"chunk {chunk.number} was never stored")
            continue
        key = (upload_id, chunk.number)
        chunk_bytes, digest = _read_chunk(storage, key, chunk.algorithm, file_digests, is_first=stored_bytes == 0)
        stored_bytes += chunk_bytes
        problems.extend(_chunk_problems(chunk, chunk_bytes, digest))
    return stored_bytes, problems


def _new_digest(algorithm: str) -> "_Hash":
    return hashlib.new(algorithm, usedforsecurity=False)


def _read_chunk(
    storage: Storage, key: BlobKey, algorithm: str, file_digests: dict[str, "_Hash"], *, is_first: bool
) -> tuple[int, str]:
    """Read a chunk. Returns its size in bytes and its digest; updates the digests of the whole file.

    For the first bytes of a file the chunk's digest is that of the file so far, so it is computed once.
    """
    own = None if is_first and algorithm in file_digests else _new_digest(algorithm)
    growing = [*file_digests.values()] if own is None else [own, *file_digests.values()]
    size = _update_digests(growing, storage.blocks(key))
    return size, (file_digests[algorithm] if own is None else own).hexdigest()


def _update_digests(digests: "Collection[_Hash]", blocks: Iterator[bytes]) -> int:
    """Update digests with blocks. Returns the number of bytes."""
    size = 0
    for block in blocks:
        size += len(block)
        for digest in digests:
            digest.update(block)
    return size


def _numbering_problems(numbers: Sequence[int]) -> Iterator[str]:
    if not numbers:
        yield "no chunks"
        return
    if numbers[0] != 1:
        yield f"chunks do not start at 1: the first is {numbers[0]}"
    gaps = [str(first + 1) for first, second in pairwise(numbers) if second != first + 1]
    if gaps:
        yield f"chunks missing from number {', '.join(gaps[:_MAX_LISTED])}{' and more' if len(gaps) > _MAX_LISTED else ''}"


def _chunk_problems(chunk: ChunkRecord, stored_bytes: int, digest: str) -> Iterator[str]:
    if stored_bytes != chunk.size_bytes:
        yield f"{SIZE_DIFFERS}: chunk {chunk.number}: reported {chunk.size_bytes} bytes, stored {stored_bytes}"
    elif digest != chunk.digest.lower():
        yield f"{CHUNK_HASH_DIFFERS}: chunk {chunk.number}: reported {_shorten(chunk.digest)}, stored {_shorten(digest)}"


def _file_problems(hashes: Hashes, file_digests: dict[str, "_Hash"]) -> Iterator[str]:
    for algorithm, reported in hashes:
        stored = file_digests[algorithm].hexdigest()
        if stored != reported.lower():
            yield f"{FILE_HASH_DIFFERS}: {algorithm} reported {_shorten(reported)}, stored {_shorten(stored)}"


def _order_problem(chunks: Sequence[ChunkRecord]) -> str:
    """Explain a wrong file hash though every chunk is correct. Identical chunks are named: one may be a repetition."""
    numbers_by_digest: defaultdict[str, list[str]] = defaultdict(list)
    for chunk in chunks:
        numbers_by_digest[chunk.digest.lower()].append(str(chunk.number))
    repeated = next((numbers for numbers in numbers_by_digest.values() if len(numbers) > 1), None)
    if repeated:
        return f"all chunks match, but chunks {' and '.join(repeated[:_MAX_LISTED])} are identical: one may be a repetition"
    if len(chunks) > 1:
        return "all chunks match: their order or the reported file hash is wrong"
    return "the chunk matches: the reported file hash is wrong"


def _shorten(digest: str) -> str:
    return digest if len(digest) <= 16 else f"{digest[:12]}…"
