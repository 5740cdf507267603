"""Things that go wrong on demand: for stories, for tests, for the demo's menu, for `--fault` and for the control endpoint."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf, isfinite
from types import MappingProxyType

from msgspec import Struct

from upload_tui.clock import Clock

__all__ = ["FAULT_DESCRIPTIONS", "LARGEST_VALUE", "FAULT_VALUES", "ActiveFault", "FaultName", "Faults"]


class FaultName(StrEnum):
    """The faults there are."""

    OUTAGE = "outage"
    TOO_MANY_REQUESTS = "too-many-requests"
    SERVER_ERROR = "server-error"
    SLOW_ANSWERS = "slow-answers"
    DROPPED_ANSWERS = "dropped-answers"
    DOUBLED_REQUESTS = "doubled-requests"
    GARBAGE = "garbage"
    CUT_ANSWERS = "cut-answers"
    MALFORMED_JSON = "malformed-json"
    SKEWED_CLOCK = "skewed-clock"
    EXPIRED_TOKENS = "expired-tokens"
    EXPIRED_URLS = "expired-urls"
    DEAD_WORKER = "dead-worker"
    ALTERED_CHUNK = "altered-chunk"
    LOST_CHUNK = "lost-chunk"
    BROKEN_STORAGE = "broken-storage"
    YOUNG_PROJECTS = "young-projects"


FAULT_DESCRIPTIONS: Mapping[FaultName, str] = MappingProxyType(
    {
        FaultName.OUTAGE: "the service answers 503 for 15 s",
        FaultName.TOO_MANY_REQUESTS: "it answers 429 with Retry-After for 10 s",
        FaultName.SERVER_ERROR: "it answers 500 for 10 s",
        FaultName.SLOW_ANSWERS: "each answer takes 3 s, for 20 s",
        FaultName.DROPPED_ANSWERS: "it does what it is asked, but the answer is lost, for 10 s",
        FaultName.DOUBLED_REQUESTS: "each request arrives twice, for 20 s",
        FaultName.GARBAGE: "it answers HTML instead of JSON for 10 s",
        FaultName.CUT_ANSWERS: "its JSON breaks off half way, for 10 s",
        FaultName.MALFORMED_JSON: "it answers something like JSON for 10 s",
        FaultName.SKEWED_CLOCK: "its Date header is 300 s ahead, for 60 s",
        FaultName.EXPIRED_TOKENS: "it takes no token for 10 s",
        FaultName.EXPIRED_URLS: "it takes no signed URL for 10 s",
        FaultName.DEAD_WORKER: "no upload is verified for 60 s",
        FaultName.ALTERED_CHUNK: "a byte of the next chunk flips on its way to the disk",
        FaultName.LOST_CHUNK: "the next chunk is acknowledged and lost",
        FaultName.BROKEN_STORAGE: "stored bytes cannot be read for 30 s",
        FaultName.YOUNG_PROJECTS: "a project takes no uploads in its first 4 s, for 60 s",
    }
)

FAULT_VALUES: Mapping[FaultName, tuple[float, str]] = MappingProxyType(
    {
        FaultName.SLOW_ANSWERS: (3, "seconds that each answer takes"),
        FaultName.DROPPED_ANSWERS: (30, "seconds until the proxy in front gives up and answers 504"),
        FaultName.SKEWED_CLOCK: (300, "seconds that the Date header is ahead; less than 0 for behind"),
        FaultName.ALTERED_CHUNK: (1, "how many chunks"),
        FaultName.LOST_CHUNK: (1, "how many chunks"),
        FaultName.YOUNG_PROJECTS: (4, "seconds that a project is young"),
    }
)
"""What the value of a fault means, and what it is if nobody says; for all others it is for how many seconds they last."""

LARGEST_VALUE = 10**8
"""Some three years."""

_DEFAULT_SECONDS: Mapping[FaultName, float] = MappingProxyType(
    {
        FaultName.OUTAGE: 15,
        FaultName.SLOW_ANSWERS: 20,
        FaultName.DOUBLED_REQUESTS: 20,
        FaultName.SKEWED_CLOCK: 60,
        FaultName.DEAD_WORKER: 60,
        FaultName.ALTERED_CHUNK: 600,
        FaultName.LOST_CHUNK: 600,
        FaultName.BROKEN_STORAGE: 30,
        FaultName.YOUNG_PROJECTS: 60,
    }
)
_COUNTED_FAULTS = frozenset({FaultName.ALTERED_CHUNK, FaultName.LOST_CHUNK})


class ActiveFault(Struct, frozen=True):
    """A fault that was started: its value, and until when it lasts; None for until it is ended."""

    value: float
    until: datetime | None


class Faults:
    """Which faults are in force, by the service's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._active: dict[FaultName, ActiveFault] = {}

    def start(self, name: FaultName, seconds: float | None = None, value: float | None = None) -> None:
        """Let a fault happen.

        Args:
            name: which.
            seconds: for how long; None takes its usual time, infinity lasts until it is ended.
            value: what `VALUES` says; those that hit so many things end when they have hit them.
        """
        lasts = _DEFAULT_SECONDS.get(name, 10.0) if seconds is None else seconds
        until = self._clock.now() + timedelta(seconds=lasts) if isfinite(lasts) else None
        self._active[name] = ActiveFault(FAULT_VALUES.get(name, (0, ""))[0] if value is None else value, until)

    def start_until_stopped(self, name: FaultName, value: float | None = None) -> None:
        """Let a fault happen until it is ended, or for `value` seconds if it has no other use for a value."""
        seconds = inf if value is None or name in FAULT_VALUES else value
        self.start(name, seconds, value if name in FAULT_VALUES else None)

    def stop(self, name: FaultName) -> None:
        """End a fault now."""
        self._active.pop(name, None)

    @property
    def active(self) -> Mapping[FaultName, ActiveFault]:
        """The faults that are in force."""
        return {name: fault for name, fault in self._active.items() if self.is_active(name)}

    def is_active(self, name: FaultName) -> bool:
        """True if the fault is in force."""
        fault = self._active.get(name)
        return fault is not None and (fault.until is None or self._clock.now() < fault.until)

    def value(self, name: FaultName) -> float:
        """The value of a fault; 0 if it is not in force."""
        return self._active[name].value if self.is_active(name) else 0.0

    def consume(self, name: FaultName) -> bool:
        """True if the fault hits this time; those that hit so many things end with the last."""
        if not self.is_active(name):
            return False
        fault = self._active[name]
        if name in _COUNTED_FAULTS:
            self._active[name] = ActiveFault(fault.value - 1, fault.until)
            if fault.value <= 1:
                self.stop(name)
        return True

    def seconds_left(self, name: FaultName) -> float:
        """How long the fault lasts still; 0 if it is not in force, infinity if it lasts until it is ended."""
        if not self.is_active(name):
            return 0.0
        until = self._active[name].until
        return inf if until is None else (until - self._clock.now()).total_seconds()
