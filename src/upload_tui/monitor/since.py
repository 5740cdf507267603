"""What the last look at some projects left for the next: when it was, and which uploads were overdue then."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from upload_tui.errors import StorageError
from upload_tui.monitor.model import Detail
from upload_tui.status import Stage
from upload_tui.wire import format_time, read_time

__all__ = ["LastVisit", "SinceSummary", "save_last_visit", "summarise_since", "read_last_visit"]


class LastVisit(Struct, frozen=True):
    """A look: the time, and the ids that were overdue."""

    on: datetime
    overdue_ids: frozenset[str] = frozenset()


class SinceSummary(Struct, frozen=True):
    """What is new since a time: ids of uploads."""

    since: datetime
    new: Sequence[str]
    verified: Sequence[str]
    failed: Sequence[str]
    newly_overdue: Sequence[str]


def read_last_visit(file: Path) -> LastVisit | None:
    """The last look; None if there was none, or if what it left cannot be read."""
    try:
        said: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        on = read_time(said["on"])
        return None if on is None else LastVisit(on, frozenset(map(str, said["overdue_ids"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_last_visit(file: Path, on: datetime, overdue_ids: Sequence[str]) -> None:
    """Keep a look for the next; the file is replaced as a whole.

    Raises:
        StorageError: it cannot be written.
    """
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_text(json.dumps({"on": format_time(on), "overdue_ids": list(overdue_ids)}), encoding="utf-8")
        part.replace(file)
    except OSError as error:
        raise StorageError(f"This look cannot be kept in {file}: {error.strerror}", "Check its permissions.") from error


def summarise_since(details: Sequence[Detail], last_visit: LastVisit) -> SinceSummary:
    """What happened after a look, by the times that the service gives."""

    def reached(stage: Stage) -> list[str]:
        return [
            detail.upload.id
            for detail in details
            if (event := detail.upload.timeline.event(stage)) and event.best_time and event.best_time > last_visit.on
        ]

    overdue = [detail.upload.id for detail in details if detail.row.lateness.is_overdue]
    return SinceSummary(
        since=last_visit.on.astimezone(UTC),
        new=reached(Stage.INITIATED),
        verified=reached(Stage.VERIFIED),
        failed=reached(Stage.ERROR),
        newly_overdue=[upload_id for upload_id in overdue if upload_id not in last_visit.overdue_ids],
    )
