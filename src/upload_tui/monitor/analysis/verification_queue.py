"""What a completed upload waits for, by the service's verification queue, which not every service tells of.

An answer is one instant of the queue: between two uploads every worker is idle. That none takes what lies there is said only when
for some time no answer showed one at work and no upload ended.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from upload_tui.monitor.analysis.lateness import Baseline
from upload_tui.wire import QueueStats

__all__ = ["VerificationQueue"]

_MAX_AGE = timedelta(seconds=60)
"""What the service said of its queue is believed for so long."""

_MIN_IDLE_SECONDS = 120.0
_BASELINE_FACTOR = 3.0
"""So many times as long as nearly every verification takes, and at least two minutes: work that lies longer lies still."""


class VerificationQueue:
    """What was said of the queue of late."""

    def __init__(self) -> None:
        self._stats: QueueStats | None = None
        self._last_active_on: datetime | None = None

    def update(self, stats: QueueStats | None) -> None:
        """The service's last word; None if it says nothing."""
        self._stats = stats
        if stats is not None and stats.running != 0:
            self._last_active_on = stats.read_on

    def waits_for(self, now: datetime, baseline: Baseline | None, last_ended_on: Callable[[], datetime | None]) -> str:
        """In a few words what a completed upload waits for.

        Args:
            now: the present.
            baseline: how long verification takes; None if too little was seen.
            last_ended_on: when an upload was last verified or failed, None if none ever was; asked only where it matters.
        """
        words, said = "waits for verification", self._stats
        if said is None or not said.depth or now - said.read_on > _MAX_AGE:
            return words
        patience = timedelta(
            seconds=max(_MIN_IDLE_SECONDS, _BASELINE_FACTOR * baseline.p95_seconds if baseline else 0.0)
        )
        if self._is_unattended(said, now - patience) and _is_before(last_ended_on(), now - patience):
            return f"{words}: no worker takes it"
        return f"{words}, {said.depth} queued"

    def _is_unattended(self, stats: QueueStats, since: datetime) -> bool:
        """As far as the queue tells. What was tried in vain waits for its next time, and is nobody's to take before that."""
        has_untried = stats.depth is not None and stats.depth > (stats.retried or 0)
        if stats.running != 0 or stats.oldest_on is None or not has_untried:
            return False
        return stats.oldest_on < since and _is_before(self._last_active_on, since)


def _is_before(on: datetime | None, limit: datetime) -> bool:
    return on is None or on < limit
