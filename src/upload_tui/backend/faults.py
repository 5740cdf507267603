"""Things that go wrong on demand: for stories, for tests, and for the demo's menu."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from upload_tui.clock import Clock

__all__ = ["DESCRIPTIONS", "FaultName", "Faults"]


class FaultName(StrEnum):
    """The faults there are."""

    OUTAGE = "outage"
    TOO_MANY_REQUESTS = "too-many-requests"
    SERVER_ERROR = "server-error"
    SLOW_ANSWERS = "slow-answers"
    GARBAGE = "garbage"
    CUT_ANSWERS = "cut-answers"
    EXPIRED_TOKENS = "expired-tokens"
    EXPIRED_URLS = "expired-urls"
    DEAD_WORKER = "dead-worker"
    ALTERED_CHUNK = "altered-chunk"
    LOST_CHUNK = "lost-chunk"
    BROKEN_STORAGE = "broken-storage"


DESCRIPTIONS: Mapping[FaultName, str] = MappingProxyType(
    {
        FaultName.OUTAGE: "the service answers 503 for 15 s",
        FaultName.TOO_MANY_REQUESTS: "it answers 429 with Retry-After for 10 s",
        FaultName.SERVER_ERROR: "it answers 500 for 10 s",
        FaultName.SLOW_ANSWERS: "each answer takes 3 s, for 20 s",
        FaultName.GARBAGE: "it answers HTML instead of JSON for 10 s",
        FaultName.CUT_ANSWERS: "its JSON breaks off half way, for 10 s",
        FaultName.EXPIRED_TOKENS: "it takes no token for 10 s",
        FaultName.EXPIRED_URLS: "it takes no signed URL for 10 s",
        FaultName.DEAD_WORKER: "no upload is verified for 60 s",
        FaultName.ALTERED_CHUNK: "a byte of the next chunk flips on its way to the disk",
        FaultName.LOST_CHUNK: "the next chunk is acknowledged and lost",
        FaultName.BROKEN_STORAGE: "stored bytes cannot be read for 30 s",
    }
)

_LASTS_SECONDS: Mapping[FaultName, float] = MappingProxyType(
    {
        FaultName.OUTAGE: 15,
        FaultName.SLOW_ANSWERS: 20,
        FaultName.DEAD_WORKER: 60,
        FaultName.ALTERED_CHUNK: 600,
        FaultName.LOST_CHUNK: 600,
        FaultName.BROKEN_STORAGE: 30,
    }
)
_ONCE = frozenset({FaultName.ALTERED_CHUNK, FaultName.LOST_CHUNK})


class Faults:
    """Which faults are in force, by the service's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[FaultName, datetime] = {}

    def start(self, name: FaultName, seconds: float | None = None) -> None:
        """Let a fault happen for so long; None takes its usual time. Those that hit one thing end when they have hit it."""
        lasts = _LASTS_SECONDS.get(name, 10.0) if seconds is None else seconds
        self._until[name] = self._clock.now() + timedelta(seconds=lasts)

    def stop(self, name: FaultName) -> None:
        """End a fault now."""
        self._until.pop(name, None)

    def is_on(self, name: FaultName) -> bool:
        """True if the fault is in force."""
        until = self._until.get(name)
        return until is not None and self._clock.now() < until

    def hits(self, name: FaultName) -> bool:
        """True if the fault hits this time; those that hit one thing end with it."""
        is_on = self.is_on(name)
        if is_on and name in _ONCE:
            self.stop(name)
        return is_on

    def seconds_left(self, name: FaultName) -> float:
        """How long the fault lasts still; 0 if it is not in force."""
        until = self._until.get(name)
        return 0.0 if until is None else max(0.0, (until - self._clock.now()).total_seconds())
