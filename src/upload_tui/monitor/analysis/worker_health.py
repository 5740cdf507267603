"""Whether the verification worker of a service appears down. Pure.

A *silence* is a time in which uploads waited and none ended. The worker appears down if several uploads wait and the
present silence is longer than silences usually are. Excluded are: uploads that were overtaken (later ones have ended, so these wait
for a retry or are never verified); a batch that was completed at about the same time, which may be damaged as a whole; and a large
upload, which may be in verification for as long as its size needs. An upload counts as waiting only up to its last reading.

What is usual is learned from several *busy periods* (uploads that ended one after the other while the next ones waited), or from ends
over some time: a worker that runs every few minutes ends many uploads at once. Before, a worker may take `_UNSEEN_SECONDS`: one that
starts every quarter of an hour looks the same as one that is down.

If the service reports its queue, the queue decides: with no untried uploads queued the worker never appears down; with one queued for
longer than is usual while none was running it does. Otherwise a worker that verifies uploads of a project that is not watched looks
like one that is down: for `_UNSEEN_SECONDS` only the figures are given, after a silence that is not usual.

A queue that is empty while uploads wait contradicts them: it decides nothing, and the figures say so.

A source may have no worker: files that get a checksum only now and then look the same. So a source has no notice before verification
was regular there.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from msgspec import Struct

from upload_tui.monitor.analysis.statistics import quantile
from upload_tui.monitor.model import WaitsFor
from upload_tui.monitor.notices import Notice, NoticeKind
from upload_tui.status import Ability, Origin
from upload_tui.text import age_text
from upload_tui.wire import QueueStats

__all__ = [
    "MIN_WAITING",
    "RETRIES_END_SECONDS",
    "SPACING_SECONDS",
    "EndedUpload",
    "VerificationQueue",
    "WaitingUploads",
    "has_worker",
    "tolerated_silence_seconds",
    "worker_notice",
]

MIN_WAITING = 3
"""With fewer waiting uploads a silence has no meaning: each may wait for a retry."""
SPACING_SECONDS = 15.0
"""Uploads completed within this time count as one batch."""
_MIN_PERIODS = 3
"""Fewer busy periods do not show what is usual."""
_MIN_REGULAR_ENDS = 10
"""A source of which fewer uploads ended may have no worker."""
_MIN_KNOWN_SECONDS = 30.0
"""Ends over so long a time show it as well: they are no single run of a worker that is started every few minutes."""
_UNSEEN_SECONDS = 1000.0
"""How long a worker may be silent for reasons that cannot be seen: one that is started every quarter of an hour is not down, and
neither is one that verifies the uploads of a project that is not watched."""
_MANY_WAITING = 20
"""While nothing is known about a worker, a silence while this many uploads wait is worth a notice, without a verdict."""
_MIN_SILENCE_SECONDS = 100.0
_MIN_BATCH_SECONDS = 45.0
"""The last of the batches that count must have waited for so long."""
_SILENCE_FACTOR = 4.0
"""A silence is suspicious beyond this multiple of the 95th percentile of usual ones."""
_MAX_FACTOR = 2.5
"""And beyond this multiple of the longest one seen."""
_FEW_SAMPLES = 20
_MAX_FEW_FACTOR = 2.5
"""With so few silences seen, a silence twice as long is usual; with more, less; with fewer, more up to this factor."""
_MIN_BYTES_PER_SECOND, _MAX_BYTES_PER_SECOND = 4 << 20, 20 << 20
"""Bounds of the assumed rate of verification for uploads much larger than those that were seen."""
_TIMED_BYTES = 64 << 20
"""The verification of an upload of this size shows the rate; that of a smaller one takes its time for other reasons."""
RETRIES_END_SECONDS = 4000.0
"""The worker's retries end about 65 minutes after completion; later, an overtaken upload no longer occupies a worker."""
_SECONDS_PER_HOUR = 3600
_QUEUE_MAX_AGE = timedelta(seconds=60)
"""Older queue statistics are ignored."""


class EndedUpload(Struct, frozen=True, order=True):
    """An upload that was verified or failed; times in seconds since 1970."""

    ended_at: float
    completed_at: float
    size_bytes: int


class WaitingUploads(Struct, frozen=True, kw_only=True):
    """The completed uploads that wait for the worker.

    Attributes:
        count: the number of all of them that were not overtaken.
        oldest: completion and last reading (seconds since 1970) of the oldest of those, each completed at least
            `SPACING_SECONDS` after the one before; `MIN_WAITING` if there are as many.
        largest_bytes: the size of the largest that a worker may be verifying, overtaken or not; 0 if no size is known.
    """

    count: int
    oldest: Sequence[tuple[float, float]]
    largest_bytes: int = 0


def tolerated_silence_seconds(ended: Sequence[EndedUpload], largest_bytes: int) -> float:
    """How long a silence may last although the worker is running.

    Args:
        ended: the last uploads that ended, by time of their end; those of other projects of the service may be among them.
        largest_bytes: the size of the largest upload that may be in verification.
    """
    silences, largest_seen, is_known = _silences(ended)
    extra_seconds = max(0, largest_bytes - largest_seen) / _bytes_per_second(ended)
    unknown_seconds = 0.0 if is_known else _UNSEEN_SECONDS
    if not silences:
        return unknown_seconds + extra_seconds
    usual = max(_SILENCE_FACTOR * quantile(silences, 0.95), _MAX_FACTOR * silences[-1])
    factor = min(1 + _FEW_SAMPLES / len(silences), _MAX_FEW_FACTOR)
    return max(_MIN_SILENCE_SECONDS, unknown_seconds, usual * factor) + extra_seconds


def _bytes_per_second(ended: Sequence[EndedUpload]) -> float:
    """The assumed rate of verification: half of the highest one seen, which is too low by the time that the upload waited."""
    timed = [one for one in ended if one.size_bytes >= _TIMED_BYTES and one.ended_at > one.completed_at]
    rates = [one.size_bytes / (one.ended_at - one.completed_at) for one in timed]
    return min(max(max(rates, default=0.0) / 2, _MIN_BYTES_PER_SECOND), _MAX_BYTES_PER_SECOND)


def _silences(ended: Sequence[EndedUpload]) -> tuple[Sequence[float], int, bool]:
    """The silences seen, sorted; the size of the largest upload that ended one; and whether they show what is usual."""
    silences, largest_seen, periods = _busy_periods(ended)
    is_known = periods >= _MIN_PERIODS or (bool(ended) and ended[-1].ended_at - ended[0].ended_at >= _MIN_KNOWN_SECONDS)
    return sorted(silences), largest_seen, is_known


def _busy_periods(ended: Sequence[EndedUpload]) -> tuple[Sequence[float], int, int]:
    """The silences seen; the size of the largest upload that ended one; and the number of busy periods."""
    silences, largest_seen, overtaken_at, periods = list[float](), 0, 0.0, 0
    by_completion, first = sorted(range(len(ended)), key=lambda index: ended[index].completed_at), 0
    for index, upload in enumerate(ended):
        if upload.completed_at >= overtaken_at:  # otherwise it was retried, or verified beside others
            # The first that was completed of those that end now or later and were not overtaken.
            while by_completion[first] < index or ended[by_completion[first]].completed_at < overtaken_at:
                first += 1
            before_at, first_at = ended[index - 1].ended_at if index else 0.0, ended[by_completion[first]].completed_at
            silences.append(max(0.0, upload.ended_at - max(before_at, first_at)))
            periods += first_at > before_at
            largest_seen = max(largest_seen, upload.size_bytes)
            overtaken_at = upload.completed_at
    return silences, largest_seen, periods


# The queue


class VerificationQueue:
    """What the statistics of a service's verification queue have shown, if the service reports any.

    Statistics show one moment only, and between two uploads every worker is idle. So uploads count as unattended only
    if, for some time, no statistics showed a running worker and all showed uploads that were never tried.
    """

    def __init__(self) -> None:
        self._stats: QueueStats | None = None
        self._unattended_since: datetime | None = None
        self._idle_on: datetime | None = None
        self._was_active = False

    def update(self, stats: QueueStats | None) -> None:
        """Set the latest statistics; None if the service gives none."""
        self._stats = stats
        if stats is None or stats.running != 0 or not _untried_count(stats):
            self._unattended_since = self._idle_on = None
            self._was_active |= stats is not None
        elif self._unattended_since is None:
            # The first statistics of a session may show an upload that has waited for long already.
            self._idle_on = stats.read_on
            is_oldest_untried = not self._was_active and not stats.retried
            self._unattended_since = stats.oldest_on if is_oldest_untried else stats.read_on

    def stats(self, now: datetime) -> QueueStats | None:
        """The latest statistics; None if there are none that are recent."""
        is_recent = self._stats is not None and now - self._stats.read_on <= _QUEUE_MAX_AGE
        return self._stats if is_recent else None

    def unattended_since(
        self, now: datetime, last_ended_on: Callable[[], datetime | None], tolerated_seconds: Callable[[], float]
    ) -> datetime | None:
        """Since when uploads have waited and no worker has claimed one; None if a worker is running, or if unknown.

        Args:
            now: the present.
            last_ended_on: when an upload was last verified or failed (None: never); called only if it matters.
            tolerated_seconds: how long a silence may last although the worker is running; called only if it matters.
        """
        stats, since = self.stats(now), self._unattended_since
        if stats is None or since is None or stats.oldest_on is None or stats.read_on == self._idle_on:
            return None  # the first statistics may be of the moment between two uploads
        first = max(since, stats.oldest_on)
        if (now - first).total_seconds() < _MIN_SILENCE_SECONDS:
            return None
        since = max(first, last_ended_on() or first)
        return since if (now - since).total_seconds() >= tolerated_seconds() else None

    def waits_for(
        self, now: datetime, last_ended_on: Callable[[], datetime | None], tolerated_seconds: Callable[[], float]
    ) -> tuple[WaitsFor, int | None]:
        """What a completed upload waits for, and the depth of the queue if it waits there (None: unknown).

        The arguments are those of `unattended_since`.
        """
        stats = self.stats(now)
        if stats is None or not stats.depth:
            return WaitsFor.VERIFICATION, None
        if self.unattended_since(now, last_ended_on, tolerated_seconds) is not None:
            return WaitsFor.WORKER, None
        return WaitsFor.VERIFICATION, stats.depth


def _untried_count(stats: QueueStats) -> int:
    """How many uploads wait for their first verification, not for a retry."""
    return max(0, (stats.depth or 0) - (stats.retried or 0))


# The notice


def has_worker(service: str, ended: Callable[[], Sequence[EndedUpload]]) -> bool:
    """Whether a worker verifies the uploads there: always at a service, at a source after at least 10 in three busy periods.

    Args:
        service: the URL of the service, or the identity of the source.
        ended: returns the last uploads that ended, by time of their end; called only for a source.
    """
    if Origin.of(service).has(Ability.VERIFICATION):
        return True
    last = ended()
    return len(last) >= _MIN_REGULAR_ENDS and _busy_periods(last)[2] >= _MIN_PERIODS


def worker_notice(
    waiting: WaitingUploads,
    ended: Callable[[], Sequence[EndedUpload]],
    queue: VerificationQueue,
    now: datetime,
    last_ended_on: datetime | None,
    completed_count: int,
) -> Notice | None:
    """A notice that the verification worker appears down, or that it is silent while it may be busy unseen; None otherwise.

    The figures are those of the funnel: how long ago the last upload ended, and how many are completed.

    Args:
        waiting: the uploads that wait.
        ended: returns the last uploads that ended, by time of their end; called only if it matters.
        queue: the service's queue.
        now: the time as of which the picture is current.
        last_ended_on: when an upload was last verified or failed; None if none ever was.
        completed_count: the number of completed uploads, overtaken or not.
    """
    since_end_seconds = (now - last_ended_on).total_seconds() if last_ended_on else 0.0
    figures = partial(_figures, completed_count, since_end_seconds)

    def tolerated_seconds() -> float:
        return tolerated_silence_seconds(ended(), waiting.largest_bytes)

    unattended_since = queue.unattended_since(now, lambda: last_ended_on, tolerated_seconds)
    if unattended_since is not None:
        return figures(NoticeKind.WORKER_DOWN, (now - unattended_since).total_seconds())
    if len(waiting.oldest) < MIN_WAITING:
        return None
    counted = waiting.oldest[:MIN_WAITING]
    last_ended_at, read_at = last_ended_on.timestamp() if last_ended_on else 0.0, min(read for _, read in counted)
    seconds = read_at - max(last_ended_at, counted[0][0])
    if seconds < _MIN_SILENCE_SECONDS or read_at - counted[-1][0] < _MIN_BATCH_SECONDS:
        return None
    stats = queue.stats(now)
    # `running` proves nothing: a killed worker's verification is reported as running until another worker claims it.
    is_contradicted = stats is not None and _is_contradicted(stats, waiting.count)
    if stats is not None and not stats.running and _untried_count(stats) < MIN_WAITING and not is_contradicted:
        return None
    if seconds >= max(_UNSEEN_SECONDS, tolerated_seconds()):
        return figures(NoticeKind.WORKER_DOWN, seconds, is_contradicted=is_contradicted)
    is_many_for_unknown = waiting.count >= _MANY_WAITING and not _silences(ended())[2]
    is_unusual = is_many_for_unknown or seconds >= tolerated_silence_seconds(ended(), 0)
    return figures(NoticeKind.SILENCE, seconds, is_contradicted=is_contradicted) if is_unusual else None


def _is_contradicted(stats: QueueStats, waiting_count: int) -> bool:
    """Whether the queue is empty although uploads wait that were not given up."""
    return stats.depth == 0 and waiting_count - (stats.dead or 0) >= MIN_WAITING


def _figures(
    count: int, since_end_seconds: float, kind: NoticeKind, silent_seconds: float, *, is_contradicted: bool = False
) -> Notice:
    """`none verified for 4m, 32 completed waiting`; as long as uploads have waited if none ever ended."""
    seconds = max(since_end_seconds, silent_seconds)
    age = age_text(seconds) if seconds >= _SECONDS_PER_HOUR else age_text(seconds).partition(" ")[0]
    contradiction = " though the queue is empty" if is_contradicted else ""
    waiting = f"{max(count, 1):,} completed waiting"
    return Notice(kind, f"none verified for {age}, {waiting}{contradiction}", waiting)
