"""The clock of the service. All times in its responses come from it, so ages and bounds must be calculated with it.

The `Date` header of a response shows how far the service's clock is ahead, to within a second plus the duration of the request;
many responses narrow it down. While they allow an offset of zero, it is taken to be zero.

A `Date` may be wrong, and so may the local clock. Where they disagree, the times of the uploads decide: none of them can be in the
future. As long as both clocks are later than all uploads, the earlier one counts: no upload then looks older than it is.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import inf

from msgspec import Struct

from upload_tui.clock import Clock, ShiftedClock
from upload_tui.text import age_text
from upload_tui.wire import parse_time

__all__ = ["ClockOffset"]

_JUMP_CONFIRMED_AFTER_SECONDS = 120.0
"""A jump of the service's date is accepted once it has lasted this long, since a proxy may send any date."""
_JUMP_SECONDS = 1.0
_TOLERANCE_SECONDS = 30.0
"""Clocks that differ by less agree."""
_TIME = re.compile(rb'"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d[^"]{0,16})"')
_MAX_IGNORED_TIMES = 9
"""At most this many times of an answer, and at most a third of them, may be ignored for being later than the rest."""


class _Bounds(Struct, frozen=True):
    """The possible range of the offset, in seconds."""

    low: float = -inf
    high: float = inf

    def intersection(self, other: "_Bounds") -> "_Bounds | None":
        """The range that both allow; None if there is none."""
        both = _Bounds(max(self.low, other.low), min(self.high, other.high))
        return both if both.low <= both.high else None

    def nearest(self, seconds: float) -> float:
        """The given offset if it is in the range, else the middle of the range."""
        return seconds if self.low <= seconds <= self.high else (self.low + self.high) / 2


class ClockOffset:
    """How far the service's clock is ahead of the local clock.

    Args:
        clock: the local clock.

    Attributes:
        seconds: the offset according to the dates; 0 until it is known.
        is_trusted: whether the dates, and not the local clock, count.
        notice: a note for the user if they do not, so that one clock is wrong; empty otherwise.
        is_known: True after the first response with a date.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.seconds = 0.0
        self.is_known = False
        self.is_trusted = True
        self.notice = ""
        self._bounds = _Bounds()
        self._has_decided = False
        self._candidate: tuple[float, _Bounds] | None = None
        self._accepted_local_offset = self._local_offset()

    @property
    def used_seconds(self) -> float:
        """The offset that counts; 0 until it is known."""
        return self.seconds if self.is_trusted else 0.0

    def shifted(self, base: Clock) -> Clock:
        """A local clock shifted to the service's time."""
        return ShiftedClock(base, lambda: base.now() + timedelta(seconds=self.used_seconds))

    def compare(self, body: bytes) -> None:
        """Decide between the two clocks by the times in an answer about uploads."""
        if not self.is_known or abs(self.seconds) <= _TOLERANCE_SECONDS:
            self._set_trusted(is_trusted=True)
            return
        newest = _newest_time(body)
        local = self._clock.now() + timedelta(seconds=_TOLERANCE_SECONDS)
        is_local_refuted = newest is not None and newest > local
        is_date_refuted = newest is not None and newest > local + timedelta(seconds=self.seconds)
        if is_local_refuted != is_date_refuted:
            self._set_trusted(is_trusted=is_local_refuted)
        elif self.is_trusted and not is_local_refuted and not self._has_decided:
            self._set_trusted(is_trusted=self.seconds < 0)

    def _set_trusted(self, *, is_trusted: bool) -> None:
        has_changed = is_trusted != self.is_trusted
        self.is_trusted, self._has_decided = is_trusted, True
        if has_changed:
            where, minutes = "ahead of" if self.seconds > 0 else "behind", max(1, round(abs(self.seconds) / 60))
            local = f"{where} ours, by which times are judged"
            self.notice = "" if is_trusted else f"the service's clock is {age_text(60 * minutes)} {local}"

    def observe(self, date: str, round_trip_seconds: float) -> None:
        """Use the `Date` header of a response that has just arrived; an invalid one is ignored."""
        try:
            sent_on = parsedate_to_datetime(date)
            ahead = (sent_on.replace(tzinfo=sent_on.tzinfo or UTC) - self._clock.now()).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return
        observed = _Bounds(ahead, ahead + 1 + round_trip_seconds)
        # The local clock was set, or the machine was asleep.
        if abs(self._local_offset() - self._accepted_local_offset) > _JUMP_SECONDS:
            self._accept(observed)
        elif (both := self._bounds.intersection(observed)) is not None:
            self._accept(both)
        else:
            self._consider_jump(observed)

    def _consider_jump(self, observed: _Bounds) -> None:
        now = self._clock.monotonic()
        since, candidate = self._candidate or (now, observed)
        both = candidate.intersection(observed)
        if both is None:
            since, both = now, observed
        self._candidate = since, both
        if now - since >= _JUMP_CONFIRMED_AFTER_SECONDS:
            self._accept(both)

    def _accept(self, bounds: _Bounds) -> None:
        before = self.seconds
        self._bounds, self._candidate = bounds, None
        self._accepted_local_offset = self._local_offset()
        self.seconds = bounds.nearest(self.seconds)
        self.is_known = True
        if abs(self.seconds - before) > _TOLERANCE_SECONDS:
            self._has_decided, self.is_trusted, self.notice = False, True, ""

    def _local_offset(self) -> float:
        """The wall clock minus the monotonic clock: constant unless the wall clock is set or the machine sleeps."""
        return self._clock.now().timestamp() - self._clock.monotonic()


def _newest_time(body: bytes) -> datetime | None:
    """The newest time in an answer, apart from a few that are later than all others; None if there is none."""
    texts = sorted(_TIME.findall(body), reverse=True)
    ignored = min(_MAX_IGNORED_TIMES, len(texts) // 3)
    return parse_time(texts[ignored].decode("ascii", "replace")) if texts else None
