"""Finished uploads of the past year, up to a million, generated one by one from a seed.

The scenario `history` imports them: they have records but no stored bytes.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from upload_tui.backend.store.records import FinishedUpload
from upload_tui.backend.store.statements import to_milliseconds
from upload_tui.wire import CHUNK_HASH_DIFFERS, FILE_HASH_DIFFERS, SIZE_DIFFERS

__all__ = ["finished_uploads"]

_KINDS = (
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
        stem, ending, content_type = _KINDS[bits % len(_KINDS)]
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
