"""Which uploads are in trouble: the one definition for filters, counts, alerts, reports and metrics. Pure.

In the order of weight: *contradictory* (the service says verified, and its chunks say otherwise: a file that is not safe looks safe),
*stuck*, *failed*, *overdue*. An upload has at most one trouble, the weightiest. A failure is news for a while, then history. An
acknowledged upload is not in trouble until it enters another stage. `store.query.trouble_condition` is the same rule in SQL.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from upload_tui.monitor.model import Lateness, Trouble
from upload_tui.status import Anomaly, AnomalyName, Stage

__all__ = [
    "DEFAULT_LIMITS",
    "TroubleLimits",
    "contradicts_itself",
    "is_contradictory",
    "trouble_of",
]

_UNSAFE = frozenset({AnomalyName.CHUNKS_MISSING, AnomalyName.CHUNKS_REPEATED, AnomalyName.CHUNK_SIZES_DIFFER})
_WRONG_TIMES = frozenset(
    {
        AnomalyName.COMPLETED_MISSING,
        AnomalyName.VERIFIED_AND_ERROR,
        AnomalyName.TIMES_OUT_OF_ORDER,
        AnomalyName.TIME_IN_FUTURE,
        AnomalyName.TIME_CHANGED,
        AnomalyName.STAGE_WENT_BACKWARDS,
    }
)


class TroubleLimits(Struct, frozen=True):
    """The settings of a user that decide on trouble.

    Attributes:
        stuck_after_seconds: the age from which a pending upload is stuck, while no baseline is known.
        failures_for_seconds: how long a failure is news.
    """

    stuck_after_seconds: float = 900.0
    failures_for_seconds: float = 24 * 3600.0

    def failed_since(self, now: datetime) -> datetime:
        """The time since which failures are news."""
        return now - timedelta(seconds=self.failures_for_seconds)


DEFAULT_LIMITS = TroubleLimits()


def is_contradictory(stage: Stage, anomalies: Iterable[Anomaly]) -> bool:
    """Whether an upload is verified though its chunks do not agree."""
    return stage is Stage.VERIFIED and any(anomaly.name in _UNSAFE for anomaly in anomalies)


def contradicts_itself(stage: Stage, anomalies: Iterable[Anomaly]) -> bool:
    """Whether an upload is contradictory or its times are: its latencies mean nothing."""
    anomalies = tuple(anomalies)
    return is_contradictory(stage, anomalies) or any(anomaly.name in _WRONG_TIMES for anomaly in anomalies)


def trouble_of(
    stage: Stage, since: datetime | None, lateness: Lateness, failed_since: datetime, *, has_contradiction: bool
) -> Trouble | None:
    """The trouble of an upload that is neither gone nor acknowledged; None if it has none.

    Args:
        stage: its stage.
        since: when the stage began; None if unknown: a failure is news then.
        lateness: its lateness.
        failed_since: the time since which failures are news.
        has_contradiction: whether it is contradictory.
    """
    if has_contradiction:
        return Trouble.CONTRADICTORY
    if lateness.is_stuck:
        return Trouble.STUCK
    if stage is Stage.ERROR and (since is None or since >= failed_since):
        return Trouble.FAILED
    return Trouble.OVERDUE if lateness.is_overdue else None
