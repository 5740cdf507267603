"""What a completed upload waits for, by the service's verification queue, which not every service tells of.

An answer is one instant of the queue: between two uploads every worker is idle. That none takes what lies there is said only when
for some time no answer showed one at work and no upload ended.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from upload_tui.monitor.judge import Usual
from upload_tui.wire.queue import QueueFacts

__all__ = ["VerificationQueue"]

_FRESH = timedelta(seconds=60)
"""What the service said of its queue is believed for so long."""

_PATIENCE_SECONDS = 120.0
_USUAL_TIMES = 3.0
"""So many times as long as nearly every verification takes, and at least two minutes: work that lies longer lies still."""


class VerificationQueue:
    """What was said of the queue of late."""

    def __init__(self) -> None:
        self._said: QueueFacts | None = None
        self._worked_on: datetime | None = None

    def take(self, said: QueueFacts | None) -> None:
        """The service's last word; None if it says nothing."""
        self._said = said
        if said is not None and said.running != 0:
            self._worked_on = said.read_on

    def words(self, now: datetime, usual: Usual | None, last_end: Callable[[], datetime | None]) -> str:
        """In a few words what a completed upload waits for.

        Args:
            now: the present.
            usual: how long verification takes; None if too little was seen.
            last_end: when an upload was last verified or failed, None if none ever was; asked only where it matters.
        """
        words, said = "waits for verification", self._said
        if said is None or not said.depth or now - said.read_on > _FRESH:
            return words
        patience = timedelta(seconds=max(_PATIENCE_SECONDS, _USUAL_TIMES * usual.p95_seconds if usual else 0.0))
        if self._lies_still(said, now - patience) and _is_before(last_end(), now - patience):
            return f"{words}: no worker takes it"
        return f"{words}, {said.depth} queued"

    def _lies_still(self, said: QueueFacts, since: datetime) -> bool:
        """As far as the queue tells. What was tried in vain waits for its next time, and is nobody's to take before that."""
        has_untried = said.depth is not None and said.depth > (said.retried or 0)
        if said.running != 0 or said.oldest_on is None or not has_untried:
            return False
        return said.oldest_on < since and _is_before(self._worked_on, since)


def _is_before(on: datetime | None, limit: datetime) -> bool:
    return on is None or on < limit
