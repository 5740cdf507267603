"""What the last look at some projects left for the next: when it was, and which uploads were overdue then."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from upload_tui.errors import StorageError
from upload_tui.monitor.picture import Detail
from upload_tui.status import Stage
from upload_tui.wire.times import format_time, read_time

__all__ = ["Look", "News", "keep_look", "news_since", "read_look"]


class Look(Struct, frozen=True):
    """A look: the time, and the ids that were overdue."""

    on: datetime
    overdue_ids: frozenset[str] = frozenset()


class News(Struct, frozen=True):
    """What is new since a time: ids of uploads."""

    since: datetime
    new: Sequence[str]
    verified: Sequence[str]
    failed: Sequence[str]
    newly_overdue: Sequence[str]


def read_look(file: Path) -> Look | None:
    """The last look; None if there was none, or if what it left cannot be read."""
    try:
        said: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        on = read_time(said["on"])
        return None if on is None else Look(on, frozenset(map(str, said["overdue_ids"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_look(file: Path, on: datetime, overdue_ids: Sequence[str]) -> None:
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


def news_since(details: Sequence[Detail], look: Look) -> News:
    """What happened after a look, by the times that the service gives."""

    def reached(stage: Stage) -> list[str]:
        return [
            detail.upload.id
            for detail in details
            if (event := detail.upload.timeline.event(stage)) and event.best and event.best > look.on
        ]

    overdue = [detail.upload.id for detail in details if detail.row.judgement.is_overdue]
    return News(
        since=look.on.astimezone(UTC),
        new=reached(Stage.INITIATED),
        verified=reached(Stage.VERIFIED),
        failed=reached(Stage.ERROR),
        newly_overdue=[upload_id for upload_id in overdue if upload_id not in look.overdue_ids],
    )
