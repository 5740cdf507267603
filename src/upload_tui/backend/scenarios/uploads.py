"""What the clients of a scenario upload, what they do wrong, and the finished uploads of the past year.

The scenario `history` imports them: they have records but no stored bytes.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from random import Random

from msgspec import Struct

from upload_tui.backend.store.records import FinishedUpload, to_milliseconds
from upload_tui.wire import CHUNK_HASH_DIFFERS, FILE_HASH_DIFFERS, SIZE_DIFFERS

__all__ = ["Flaw", "UploadPlan", "UploadPlanner", "finished_uploads", "md5"]

_KIB = 1024


class Flaw(StrEnum):
    """What a client does wrong. The first five are the cases of the deployed service's own integrity report."""

    NONE = "none"
    WRONG_FILE_HASH = "wrong file hash"
    FIRST_CHUNK_MISSING = "first chunk missing"
    FIRST_CHUNK_MISSING_SIZE_LOWERED = "first chunk missing, size lowered"
    CHUNKS_REORDERED = "chunks reordered"
    CHUNK_ALTERED = "chunk altered"
    CHUNK_TRUNCATED = "chunk truncated"
    CHUNK_LOST = "chunk never sent"
    NEVER_COMPLETED = "never completed"


class UploadPlan(Struct, frozen=True):
    """A planned upload.

    Attributes:
        name: the file's name.
        content_type: the file's type.
        chunks: the file's bytes.
        flaw: what the client does wrong.
        seconds_per_chunk: the client's pace.
        verification_seconds: how much longer than the work itself the verification takes.
        is_unreadable: the worker can never read the bytes.
    """

    name: str
    content_type: str
    chunks: Sequence[bytes]
    flaw: Flaw = Flaw.NONE
    seconds_per_chunk: float = 0.8
    verification_seconds: float = 2.0
    is_unreadable: bool = False

    @property
    def file_md5(self) -> str:
        """The digest of the whole file."""
        return md5(b"".join(self.chunks))


def md5(content: bytes) -> str:
    """The MD5 digest in hexadecimal digits."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


_KINDS = (
    ("reads_S{n}_R{k}.fastq.gz", "application/gzip", (96, 640)),
    ("aligned_S{n}.bam", "application/octet-stream", (128, 768)),
    ("variants_{n}.vcf.gz", "application/gzip", (24, 180)),
    ("scan-{n:04d}.tiff", "image/tiff", (64, 512)),
    ("brain_{n:03d}_T{k}.nii.gz", "application/gzip", (80, 420)),
    ("plate-{n}-well-{k}.czi", "application/octet-stream", (120, 600)),
    ("survey-wave-{k}-{n}.csv", "text/csv", (8, 96)),
    ("protocol-v{k}.{n}.pdf", "application/pdf", (16, 160)),
    ("simulation-{n:05d}.h5", "application/x-hdf5", (160, 900)),
    ("notes-{n}.md", "text/markdown", (2, 12)),
)


class UploadPlanner:
    """Generates plausible uploads. The same random source gives the same uploads."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def plan(
        self,
        flaw: Flaw = Flaw.NONE,
        *,
        chunk_count: int | None = None,
        seconds_per_chunk: float | None = None,
        verification_seconds: float | None = None,
        is_unreadable: bool = False,
        most_bytes: int | None = None,
    ) -> UploadPlan:
        """Generate an upload; what is None is random. `most_bytes` limits the file's size, None is as large as is usual."""
        pattern, content_type, (least, most) = self._rng.choice(_KINDS)
        name = pattern.format(n=self._rng.randint(1, 480), k=self._rng.randint(1, 4))
        size_bytes = self._rng.randint(least, most) * _KIB + self._rng.randint(0, _KIB - 1)
        size_bytes = size_bytes if most_bytes is None else 1 + size_bytes % most_bytes
        count = chunk_count or self._rng.randint(3, 9)
        count = max(count, 4) if flaw not in (Flaw.NONE, Flaw.NEVER_COMPLETED) else count
        return UploadPlan(
            name=name,
            content_type=content_type,
            chunks=_cut(self._bytes(size_bytes), count),
            flaw=flaw,
            seconds_per_chunk=seconds_per_chunk or self._rng.uniform(0.4, 1.4),
            verification_seconds=self._rng.uniform(1.0, 4.0) if verification_seconds is None else verification_seconds,
            is_unreadable=is_unreadable,
        )

    def _bytes(self, size_bytes: int) -> bytes:
        """Make a file's bytes: cheap, and different for each file and chunk."""
        start = self._rng.randrange(len(_noise()) // 2)
        piece = _noise()[start : start + len(_noise()) // 2]
        return (piece * (size_bytes // len(piece) + 1))[:size_bytes]


@cache
def _noise() -> bytes:
    """Random bytes to repeat. Their number is prime, so that no two chunks of the repeated bytes are equal."""
    return Random(902).randbytes(65_537)  # noqa: S311  # filler, not secret


def _cut(content: bytes, count: int) -> Sequence[bytes]:
    size = max(1, -(-len(content) // count))
    return tuple(content[start : start + size] for start in range(0, len(content), size))


_PAST_FILES = (
    ("reads_S", ".fastq.gz", "application/gzip"),
    ("aligned_S", ".bam", "application/octet-stream"),
    ("variants_", ".vcf.gz", "application/gzip"),
    ("scan-", ".tiff", "image/tiff"),
    ("survey-", ".csv", "text/csv"),
    ("simulation-", ".h5", "application/x-hdf5"),
)
_MAX_BYTES = 2**31
_YEAR_MS = 365 * 24 * 3600 * 1000
_ONE_FAILS_IN = 40


def finished_uploads(seed: int, count: int, project_id: str, now: datetime) -> Iterator[FinishedUpload]:
    """Generate finished uploads, oldest first, spread over the year that ended a minute before `now`; one in forty failed."""
    rng = Random(f"history {seed}")  # noqa: S311  # reproducible, not secret
    last_ms = to_milliseconds(now - timedelta(minutes=1))
    for index in range(count):
        bits = rng.getrandbits(256)
        text = f"{bits:064x}"
        stem, ending, content_type = _PAST_FILES[bits % len(_PAST_FILES)]
        completed_ms = last_ms - (count - 1 - index) * _YEAR_MS // count - 60_000
        ended_ms = completed_ms + 500 + (bits >> 8) % 59_000
        has_failed = (bits >> 24) % _ONE_FAILS_IN == 0
        moment = f"{completed_ms:012x}"
        yield FinishedUpload(
            # Version 7 ids are in order of time; a million random ones would take a minute to index.
            id=f"{moment[:8]}-{moment[8:]}-7{text[:3]}-a{text[3:6]}-{text[6:18]}",
            project_id=project_id,
            name=f"{stem}{index + 1:07d}{ending}",
            content_type=content_type,
            size_bytes=(bits >> 32) % _MAX_BYTES,
            initiated_ms=completed_ms - 1000 - (bits >> 64) % 600_000,
            completed_ms=completed_ms,
            verified_ms=None if has_failed else ended_ms,
            error_ms=ended_ms if has_failed else None,
            error_message=_ERROR_MESSAGES[(bits >> 40) % len(_ERROR_MESSAGES)] if has_failed else None,
            md5=text[32:],
        )


_ERROR_MESSAGES = (
    f"{CHUNK_HASH_DIFFERS}: chunk 1",
    f"{SIZE_DIFFERS}: chunk 1",
    FILE_HASH_DIFFERS,
)
