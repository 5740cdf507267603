"""A synchroniser over a `ShiftingService`, and what its picture must be."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tests.unit.monitor.shifting_service import ShiftingService

from upload_tui.errors import ServiceError
from upload_tui.monitor.changes import Change, StageReached
from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.store.store import Store, TroubleThresholds, WaitThresholds
from upload_tui.monitor.sync.state import SyncState
from upload_tui.monitor.sync.synchroniser import Synchroniser
from upload_tui.status import Certainty, Stage
from upload_tui.testing import NOW
from upload_tui.wire import Upload, parse_upload

__all__ = ["PROJECT", "STUCK", "SyncHarness", "gaps"]

COMPARED = (
    "size_bytes", "stage", "certainty", "initiated_ms", "completed_ms", "ended_ms", "chunk_count", "chunk_bytes", "error_message",
    "is_purged", "is_stale",
)  # fmt: skip
STAGES = tuple(Stage)
PROJECT = ProjectRef("p-1", "Genome")
STUCK = TroubleThresholds(WaitThresholds(NOW, NOW), NOW, WaitThresholds(NOW, NOW), NOW)


class SyncHarness:
    """A synchroniser, its store, and the changes that it published."""

    def __init__(self, service: ShiftingService, store: Store | None = None) -> None:
        self.service = service
        self.store = store or Store()
        self.published: list[Change] = []
        self.client = service.client()
        self.synchroniser = Synchroniser(self.client, self.store, PROJECT, self.published.append, lambda *_: None)

    @property
    def is_fully_scanned(self) -> bool:
        return SyncState(self.store, PROJECT.id).is_scanned

    async def try_sync(self) -> bool:
        """Run a round; False if the service failed."""
        with suppress(ServiceError):
            await self.synchroniser.sync()
            return True
        return False

    def names(self) -> set[str]:
        """The names of all known uploads that are not gone."""
        return {name for (name,) in self.store.db.execute("SELECT name FROM uploads WHERE NOT is_gone")}

    def picture(self) -> Mapping[str, Any]:
        """What is known of each upload that is not gone, and the counts."""
        rows = self.store.db.execute(f"SELECT name, {', '.join(COMPARED)} FROM uploads WHERE NOT is_gone").fetchall()
        cells = self.store.partitions.select(with_gone=False)
        return {
            "uploads": {name: _without_guesses(dict(zip(COMPARED, facts, strict=True))) for name, *facts in rows},
            "stages": Counter({STAGES[cell.stage_rank]: cell.upload_count for cell in cells}),
            "pending": sorted(row.name for row in self.store.pending()),
        }

    def expected(self) -> Mapping[str, Any]:
        """The same, according to the service."""
        uploads = [parse_upload(self.service.resource(upload), read_on=NOW) for upload in self.service.uploads]
        return {
            "uploads": {upload.name: _without_guesses(_facts(upload)) for upload in uploads},
            "stages": Counter(upload.stage for upload in uploads),
            "pending": sorted(upload.name for upload in uploads if not upload.stage.is_final),
        }

    async def settle(self, at_most: int = 200) -> int:
        """Run rounds until the picture equals the service's; return how many were needed."""
        for number in range(at_most):
            if self.picture() == self.expected():
                return number
            await self.synchroniser.sync()
        assert self.picture() == self.expected()
        return at_most

    def published_stages(self) -> dict[str, list[Stage]]:
        stages = defaultdict(list)
        for change in self.published:
            if isinstance(change, StageReached):
                stages[change.upload.name].append(change.after)
        return stages


def _facts(upload: Upload) -> dict[str, Any]:
    timeline = upload.timeline
    on_ms = {stage: to_ms(event.best_time) if (event := timeline.event(stage)) else None for stage in Stage}
    return {
        "size_bytes": upload.size_bytes,
        "stage": upload.stage.rank,
        "certainty": str(timeline.current.certainty if timeline.current else ""),
        "initiated_ms": on_ms[Stage.INITIATED],
        "completed_ms": on_ms[Stage.COMPLETED],
        "ended_ms": on_ms[upload.stage] if upload.stage.is_final else None,
        "chunk_count": len(upload.chunks or ()),
        "chunk_bytes": upload.chunk_bytes,
        "error_message": timeline.error_message or "",
        "is_purged": timeline.purged_on is not None,
        "is_stale": False,
    }


def _without_guesses(facts: dict[str, Any]) -> dict[str, Any]:
    """Without the end time if it is not reported, as it then depends on when the upload was read."""
    return facts if facts.pop("certainty") == Certainty.REPORTED else {**facts, "ended_ms": None}


def gaps(harness: SyncHarness) -> list[str]:
    """Uploads that are not known although a newer one is."""
    known = harness.names()
    names = [upload.name for upload in harness.service.uploads]
    newest = next((index for index, name in enumerate(names) if name in known), len(names))
    return [name for name in names[newest:] if name not in known]
