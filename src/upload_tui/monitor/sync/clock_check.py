"""Compare the service's clock, which the `Date` header shows, with the times of its uploads.

All ages are differences of the two. A stage that was not there in the last round and is there now was reached between them; if the
service reports another time, again and again, one of the two clocks is wrong.
"""

from collections import deque
from collections.abc import Iterable
from datetime import datetime

from upload_tui.monitor.changes import Change, StageReached
from upload_tui.status import Certainty
from upload_tui.text import age_text

__all__ = ["ClockCheck"]

_CHANGES = 3
"""So many changes in a row must agree: one alone may have been listed late."""
_TOLERANCE_SECONDS = 30.0


class ClockCheck:
    """The difference between the two clocks of one service."""

    def __init__(self) -> None:
        self._errors: deque[float] = deque(maxlen=_CHANGES)
        self._round_ended_on: datetime | None = None

    def observe(self, changes: Iterable[Change]) -> None:
        """Use the changes of a round that has just ended; those of the first round may be of any age."""
        if self._round_ended_on is None:
            return
        for change in changes:
            if isinstance(change, StageReached) and change.on is not None and change.certainty is Certainty.REPORTED:
                late = (change.on - change.at).total_seconds()
                early = (change.on - self._round_ended_on).total_seconds()
                self._errors.append(late if late > 0 else min(early, 0.0))

    def end_round(self, ended_on: datetime) -> None:
        """Note that a round ended without an error, by the service's clock."""
        self._round_ended_on = ended_on

    @property
    def seconds(self) -> float:
        """How far the times of uploads are ahead of the service's clock, or behind it if negative; 0 if they agree."""
        errors = [error for error in self._errors if abs(error) > _TOLERANCE_SECONDS]
        agree = len(errors) == _CHANGES and (min(errors) > 0 or max(errors) < 0)
        return min(errors, key=abs) if agree else 0.0

    @property
    def notice(self) -> str:
        """A note for the user; empty if the clocks agree."""
        seconds = self.seconds
        where = "ahead of" if seconds > 0 else "behind"
        minutes = max(1, round(abs(seconds) / 60))
        return f"times of uploads are about {age_text(60 * minutes)} {where} the service's clock" if seconds else ""
