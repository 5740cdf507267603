"""How long uploads have been in their stage: the one rule for all that shows, compares or exports such an age. Pure."""

from collections.abc import Callable, Iterable
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.monitor.model import Row, StageSummary

__all__ = ["PendingReadings", "StageAge", "age_of", "oldest_age", "oldest_of", "with_oldest"]


class StageAge(Struct, frozen=True):
    """How long an upload has been in its stage.

    Attributes:
        since: when the stage began.
        read_on: when the upload was last read, if it may have left the stage since; None if its stage is known to last.
        is_least_since: the stage may have begun long before `since`, see `Row.is_least_age`.
    """

    since: datetime
    read_on: datetime | None = None
    is_least_since: bool = False

    @property
    def is_least(self) -> bool:
        """Whether it may have been in the stage for longer."""
        return self.is_least_since or self.read_on is not None

    def seconds(self, now: datetime) -> float:
        """The age that is known: that of an upload that may have left the stage ends with its last reading."""
        return ((self.read_on or now) - self.since).total_seconds()


def age_of(row: Row) -> StageAge | None:
    """The age of an upload; None if it is not known. A final stage lasts."""
    if row.stage_since is None:
        return None
    is_over = not row.stage.is_final and (row.is_stale or row.is_gone)
    return StageAge(row.stage_since, row.read_on if is_over else None, row.is_least_age)


def oldest_age(summary: StageSummary) -> StageAge | None:
    """The greatest age in a stage; None if none is known."""
    if summary.oldest_since is None:
        return None
    return StageAge(summary.oldest_since, summary.oldest_read_on, summary.is_oldest_least)


def with_oldest(summary: StageSummary, age: StageAge | None) -> StageSummary:
    """The summary of a stage in which this is the greatest age."""
    if age is None:
        return summary
    since, read_on, is_least = age.since, age.read_on, age.is_least_since
    return replace(summary, oldest_since=since, oldest_read_on=read_on, is_oldest_least=is_least)


def oldest_of(ages: Iterable[StageAge | None], now: datetime) -> StageAge | None:
    """The greatest of these ages, of equal ones one that is not the least; None if none is known."""
    known = (age for age in ages if age is not None)
    return max(known, key=lambda age: (age.seconds(now), not age.is_least), default=None)


class PendingReadings(Struct, frozen=True):
    """How current the readings of pending uploads are.

    Attributes:
        now: the present.
        stale_before: until when the readings of a project, by its id, may be outdated.
        listed_on: when all uploads of a project were last read at once; long ago if they never are.
    """

    now: datetime
    stale_before: Callable[[str], datetime]
    listed_on: Callable[[str], datetime]
