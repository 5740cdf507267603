"""Whether the stored bytes of an upload are the file that its client meant: everything that can be wrong, in one pass.

Pure but for reading the storage, block by block, so that memory does not grow with the file. Where the deployed service has
words for a failure, these come first; then which chunk, and what differed.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from upload_tui.backend.database import ChunkRecord
from upload_tui.backend.storage import Storage
from upload_tui.wire.messages import CHUNK_HASH_DIFFERS, FILE_HASH_DIFFERS, SIZE_DIFFERS

__all__ = ["ALGORITHMS", "verify"]

ALGORITHMS = ("md5", "sha1", "sha256")
_LISTED = 5

Blocks = Callable[[tuple[str, int]], Iterator[bytes]]


def verify(
    upload_id: str, size_bytes: int, chunks: Sequence[ChunkRecord], hashes: Sequence[tuple[str, str]], storage: Storage
) -> str | None:
    """Check an upload against its stored bytes.

    Args:
        upload_id: which upload.
        size_bytes: the size the client promised.
        chunks: what the client reported of its chunks, by number.
        hashes: algorithms and digests that the client reported for the whole file.
        storage: where the bytes are.

    Returns:
        None if everything agrees, or else a message that names all that does not.

    Raises:
        StorageTroubleError: the bytes cannot be read just now.
    """
    whole = [(hashlib.new(algorithm, usedforsecurity=False), algorithm, digest) for algorithm, digest in hashes]
    problems = list(_numbering_problems(chunks))
    stored_bytes = 0
    for chunk in chunks:
        own = hashlib.new(chunk.algorithm, usedforsecurity=False)
        chunk_bytes = 0
        for block in storage.blocks((upload_id, chunk.number)):
            chunk_bytes += len(block)
            own.update(block)
            for digest, _, _ in whole:
                digest.update(block)
        stored_bytes += chunk_bytes
        is_stored = chunk_bytes > 0 or storage.has((upload_id, chunk.number))
        problems.extend(_chunk_problems(chunk, is_stored, chunk_bytes, own.hexdigest()))
    if stored_bytes != size_bytes:
        problems.append(f"{SIZE_DIFFERS}: reported {size_bytes} bytes, stored {stored_bytes}")
    for digest, algorithm, reported in whole:
        if digest.hexdigest() != reported.lower():
            problems.append(
                f"{FILE_HASH_DIFFERS}: {algorithm} reported {_short(reported)}, stored {_short(digest.hexdigest())}"
            )
    # Problems that the deployed service has words for begin with the word "reported".
    return "; ".join(sorted(problems, key=lambda problem: not problem.startswith("reported"))) or None


def _numbering_problems(chunks: Sequence[ChunkRecord]) -> Iterator[str]:
    numbers = [chunk.number for chunk in chunks]
    if not numbers:
        yield "no chunks"
        return
    if numbers[0] != 1:
        yield f"chunks do not start at 1: the first is {numbers[0]}"
    gaps = [str(first + 1) for first, second in pairwise(numbers) if second != first + 1]
    if gaps:
        yield f"chunks missing from number {', '.join(gaps[:_LISTED])}{' and more' if len(gaps) > _LISTED else ''}"


def _chunk_problems(chunk: ChunkRecord, is_stored: bool, stored_bytes: int, digest: str) -> Iterator[str]:
    if not is_stored:
        yield f"chunk {chunk.number} was never stored"
    elif stored_bytes != chunk.size_bytes:
        yield f"{SIZE_DIFFERS}: chunk {chunk.number}: reported {chunk.size_bytes} bytes, stored {stored_bytes}"
    elif digest != chunk.digest.lower():
        yield f"{CHUNK_HASH_DIFFERS}: chunk {chunk.number}: reported {_short(chunk.digest)}, stored {_short(digest)}"


def _short(digest: str) -> str:
    return digest if len(digest) <= 16 else f"{digest[:12]}…"
