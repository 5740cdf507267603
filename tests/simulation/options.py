"""What the seed of a run draws for it, and the trace of what happens."""

from hashlib import sha256

from msgspec import Struct

from tests.unit.cli.virtual_program import VirtualClock
from upload_tui.monitor.store.store import Limits
from upload_tui.wire import StatusShape

__all__ = ["Options", "Trace"]

_CLOCK = VirtualClock()


class Options(Struct, frozen=True):
    """What a seed draws for a whole run.

    Attributes:
        shapes: the shape of the status of each service.
        has_source: whether there is a source too.
        has_embedded: whether the last service is the embedded one, with clients that upload to it.
        largest_page: the largest page of a service.
        uploads: how many uploads each has at the start.
        watchers: how many watch at the same time; all share their stores.
        minutes: how long events happen.
        broken: the service that never works again, by its number; None for none.
        weights: how often each kind of event happens in relation to others; 0 for never.
        event_count: how many happen.
        hides_total: whether services leave out the total of pages.
        has_bulk: whether the first scan loads in bulk.
    """

    shapes: tuple[StatusShape, ...]
    has_source: bool
    has_embedded: bool
    largest_page: int
    uploads: int
    watchers: int
    minutes: int
    broken: int | None
    hides_total: bool
    has_bulk: bool
    event_count: int
    weights: dict[str, int]

    def __str__(self) -> str:
        shapes = ",".join(self.shapes)
        off = ", ".join(name for name, weight in self.weights.items() if not weight) or "none"
        return (
            f"services {shapes}{' (embedded)' if self.has_embedded else ''}"
            f"{' and a source' if self.has_source else ''}; pages of {self.largest_page}"
            f"{' without totals' if self.hides_total else ''}; {self.uploads} uploads; {self.watchers} watchers; "
            f"{self.event_count} events in {self.minutes} minutes; broken for good: {self.broken}; off: {off}"
        )

    @property
    def limits(self) -> Limits:
        """The limits of the stores. A wait for a lock would last in real time, in which nothing releases it."""
        bulk_threshold = 10 if self.has_bulk else Limits().bulk_threshold
        return Limits(bulk_threshold=bulk_threshold, busy_seconds=0.0)


class Trace:
    """What happened, as a hash: equal for two runs of one seed."""

    def __init__(self) -> None:
        self._hash = sha256()
        self.lines: list[str] = []

    def add(self, text: str) -> None:
        line = f"{_CLOCK.monotonic():.6f} {text}"
        self._hash.update(line.encode())
        self.lines.append(line)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()[:16]
