"""A synchroniser over a service in a test's hands, and what its picture is to be."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tests.unit.monitor.shifting_service import ShiftingService

from upload_tui.errors import ServiceError
from upload_tui.monitor.changes import Change, StageReached
from upload_tui.monitor.model import ProjectRef
from upload_tui.monitor.store.rows import to_ms
from upload_tui.monitor.store.store import Store, StuckThresholds
from upload_tui.monitor.sync.synchroniser import Synchroniser
from upload_tui.status import Certainty, Stage
from upload_tui.testing import NOW
from upload_tui.wire import Upload, read_upload

__all__ = ["PROJECT", "STUCK", "Watch", "gaps"]

COMPARED = (
    "size_bytes", "stage", "certainty", "initiated_ms", "completed_ms", "ended_ms", "chunk_count", "chunk_bytes", "error_message",
    "is_purged", "is_stale",
)  # fmt: skip
STAGES = tuple(Stage)
PROJECT = ProjectRef("p-1", "Genome")
STUCK = StuckThresholds(NOW, NOW)


class Watch:
    """A synchroniser, its store, and what it told."""

    def __init__(self, service: ShiftingService, store: Store | None = None) -> None:
        self.service = service
        self.store = store or Store()
        self.told: list[Change] = []
        self.client = service.client()
        self.synchroniser = Synchroniser(self.client, self.store, PROJECT, self.told.append, lambda *_: None)

    async def round(self) -> bool:
        """A round that may fail; True if it did not."""
        with suppress(ServiceError):
            await self.synchroniser.sync()
            return True
        return False

    def names(self) -> set[str]:
        """Of all uploads that are known, and not gone."""
        return {name for (name,) in self.store.db.execute("SELECT name FROM uploads WHERE NOT is_gone")}

    def picture(self) -> Mapping[str, Any]:
        """All that is known of each upload that has not gone, and what is counted."""
        rows = self.store.db.execute(f"SELECT name, {', '.join(COMPARED)} FROM uploads WHERE NOT is_gone").fetchall()
        cells = self.store.partitions.select(with_gone=False)
        return {
            "uploads": {name: _without_guesses(dict(zip(COMPARED, facts, strict=True))) for name, *facts in rows},
            "stages": Counter({STAGES[cell.stage_rank]: cell.upload_count for cell in cells}),
            "pending": sorted(row.name for row in self.store.pending()),
        }

    def truth(self) -> Mapping[str, Any]:
        """The same as the service would have it."""
        uploads = [read_upload(self.service.resource(life), read_on=NOW) for life in self.service.lives]
        return {
            "uploads": {upload.name: _without_guesses(_facts(upload)) for upload in uploads},
            "stages": Counter(upload.stage for upload in uploads),
            "pending": sorted(upload.name for upload in uploads if not upload.stage.is_final),
        }

    async def settle(self, at_most: int = 200) -> int:
        """Rounds until the picture is the service's."""
        for number in range(at_most):
            if self.picture() == self.truth():
                return number
            await self.synchroniser.sync()
        assert self.picture() == self.truth()
        return at_most

    def stages_told(self) -> dict[str, list[Stage]]:
        told = defaultdict(list)
        for change in self.told:
            if isinstance(change, StageReached):
                told[change.upload.name].append(change.after)
        return told


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
    """A time of ending that is not reported depends on when one looked."""
    return facts if facts.pop("certainty") == Certainty.REPORTED else {**facts, "ended_ms": None}


def gaps(watch: Watch) -> list[str]:
    """Uploads that are not known, though a newer one is."""
    known = watch.names()
    names = [life.name for life in watch.service.lives]
    newest = next((place for place, name in enumerate(names) if name in known), len(names))
    return [name for name in names[newest:] if name not in known]
