"""When the deployed service's worker probably tries again. It never says so: only the intervals are known, from its public source.

Anything but a failed integrity check is retried after 1, 5, 25, 125, 625 and 3125 seconds, and then given up without a word.
"""

from datetime import datetime, timedelta
from itertools import accumulate

from msgspec import Struct

__all__ = ["MAX_RETRIES", "RetryEstimate", "estimate_retries"]

_INTERVALS_SECONDS = (1, 5, 25, 125, 625, 3125)
MAX_RETRIES = len(_INTERVALS_SECONDS)
"""How often verification is tried again after the first time."""


class RetryEstimate(Struct, frozen=True):
    """What the intervals let one expect of an upload that is completed and not more.

    Attributes:
        passed: how many retries must be over.
        next_on: when the next one is likely; None if there is none left: the worker has given up.
    """

    past_retries: int
    next_on: datetime | None


def estimate_retries(completed_on: datetime, now: datetime) -> RetryEstimate:
    """What to expect at `now`, if verification began when the upload was completed and each try failed at once."""
    times = [completed_on + timedelta(seconds=seconds) for seconds in accumulate(_INTERVALS_SECONDS)]
    passed = sum(time <= now for time in times)
    return RetryEstimate(passed, times[passed] if passed < MAX_RETRIES else None)
