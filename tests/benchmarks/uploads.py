"""Very many uploads for benchmarks: as pages of JSON, and as a store."""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from upload_tui.monitor import ProjectRef, Store
from upload_tui.monitor.analysis.statistics import bucket_of
from upload_tui.monitor.store.bulk import PartitionName, SnapshotInfo, build_snapshot
from upload_tui.status import Stage
from upload_tui.testing import an_upload

__all__ = ["NEWEST", "PROJECT", "fill", "page_body", "resource", "source_lines"]

PROJECT = ProjectRef("p-1", "Genome")
NEWEST = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
"""When the newest upload was initiated; each older one a second earlier."""


def resource(number: int, pending: int = 0, **fields: object) -> dict[str, object]:
    """The upload of a number; 0 is the newest, negative ones are newer. The first `pending` are completed, the others verified."""
    began = NEWEST - timedelta(seconds=number)
    verified = None if number < pending else 30
    upload = an_upload(
        f"sample_{number}.fastq.gz", initiated=90, completed=60, verified=verified, now=began + timedelta(seconds=90)
    )
    return {**upload, **fields}


def page_body(page: int, per_page: int, count: int, template: str) -> bytes:
    """The JSON of a page of `count` uploads, made from a template of one because that is fast."""
    numbers = range((page - 1) * per_page, min(page * per_page, count))
    entries = (
        template.replace("@id", str(uuid.UUID(int=number + (1 << 120)))).replace(
            "@on", (NEWEST - timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        )
        for number in numbers
    )
    return b'{"results":[' + ",".join(entries).encode() + b"]}"


def template() -> str:
    """The JSON of an upload; `@id` and `@on` are placeholders for its id and times."""
    fields = resource(0, id="@id", name="sample-@id.fastq.gz")
    text = json.dumps(fields, separators=(",", ":"))
    for seconds in (0, 30, 60, 90):
        on = NEWEST + timedelta(seconds=seconds)
        text = text.replace(on.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "@on")
    return text


def fill(file: Path, count: int) -> None:
    """Fill a store with `count` uploads: one in seventy failed, 60 pending, the others verified."""
    store, rng = Store(file), Random(1)
    store.bulk.begin()
    # The raw JSON of all of them.
    body = json.dumps({"results": [resource(0)]}).encode()
    for page in range(count // 1000):
        rows: dict[PartitionName, list[tuple[object, ...]]] = {}
        for number in range(page * 1000, page * 1000 + 1000):
            stage = _stage_of(number, rng)
            rows.setdefault((PROJECT.id, PROJECT.name, stage.rank), []).append(_row(number, stage.rank, rng))
        store.bulk.insert_page(build_snapshot(rows, SnapshotInfo(1000, None, ()), body))
    store.bulk.end()
    store.close()


def _stage_of(number: int, rng: Random) -> Stage:
    if number < 60:
        return Stage.INITIATED if number % 2 else Stage.COMPLETED
    return Stage.ERROR if rng.random() < 1 / 70 else Stage.VERIFIED


_UPLOADERS = ("Ada Lovelace", "Grace Hopper")
"""The second one is rare."""
_TYPES = ("application/gzip", "image/tiff", "text/csv")


def _row(number: int, stage: int, rng: Random) -> tuple[object, ...]:
    began = round(NEWEST.timestamp() * 1000) - number * 1000
    completed, waited = began + 60_000, round(rng.lognormvariate(9, 1))
    since = (began, completed, completed + waited, completed + waited)[stage]
    message = "reported size does not match size computed by StorageProvider" if stage == 3 else ""
    upload_id = str(uuid.UUID(int=rng.getrandbits(128)))
    return (
        upload_id, f"sample_{rng.randrange(10**6):06d}_R{number % 2}.fastq.gz", rng.randrange(10**9), stage,
        since, "reported", began, completed if stage else None, since if stage > 1 else None, since, 4, 100, message, message,
        "embedded", _UPLOADERS[number % 50_000 == 49_999], 0, since, bucket_of(60_000) if stage > 0 else None,
        bucket_of(waited) if stage > 1 else None, "", _TYPES[number % 3], 0,
    )  # fmt: skip


def source_lines(count: int) -> Sequence[bytes]:
    """Lines of a source: multipart uploads of three parts each."""
    return [
        json.dumps(
            {
                "id": f"2~{number:032x}",
                "name": f"run-{number:06}.h5",
                "project": "incoming",
                "initiated_on": "2026-03-14T08:00:00.000Z",
                "chunks": [{"number": part, "size": 5 << 20} for part in (1, 2, 3)],
            }
        ).encode()
        for number in range(count)
    ]
