"""The offset of the service's clock, from the dates of its responses."""

from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest

from upload_tui.client.service_clock import ClockOffset
from upload_tui.testing import NOW, FrozenClock
from upload_tui.wire import format_time

START = NOW + timedelta(milliseconds=730)


class AdjustableClock(FrozenClock):
    """A clock that can be set, as users and NTP do."""

    set_seconds = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.set_seconds)


class Clocks:
    """The local clock, the service's clock, and the offset as measured."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.local = AdjustableClock(START)
        self.remote = START + timedelta(seconds=ahead)
        self.lead = ClockOffset(self.local)
        self.clock = self.lead.shifted(self.local)

    def respond(self, seconds: float = 0.0, date: str | None = None) -> None:
        """Observe a response that has just arrived and took that long."""
        sent_on = self.remote + timedelta(seconds=self.local.monotonic() - seconds / 2)
        self.lead.observe(format_datetime(sent_on, usegmt=True) if date is None else date, seconds)

    @property
    def error_seconds(self) -> float:
        actual = self.remote + timedelta(seconds=self.local.monotonic())
        return abs((self.clock.now() - actual).total_seconds())


def test_the_offset_is_zero_until_a_response_has_a_date() -> None:
    clocks = Clocks()
    assert (clocks.clock.now(), clocks.lead.is_known) == (START, False)
    clocks.respond(date="yesterday")
    clocks.respond(date="")
    assert not clocks.lead.is_known


@pytest.mark.parametrize("ahead", [0.0, 0.9, -0.9])
def test_the_offset_stays_zero_while_the_dates_allow_it(ahead: float) -> None:
    clocks = Clocks(ahead / 10)
    for _ in range(10):
        clocks.local.advance(0.37)
        clocks.respond(0.2)
    assert clocks.lead.seconds == 0.0


@pytest.mark.parametrize("ahead", [300, -300, 7, -3600])
def test_one_response_gives_the_offset_to_a_second(ahead: float) -> None:
    clocks = Clocks(ahead)
    clocks.respond(0.1)
    assert clocks.error_seconds < 1
    first = clocks.lead.seconds
    for _ in range(20):
        clocks.local.advance(0.37)
        clocks.respond(3.0)
        assert clocks.error_seconds < 1
    assert clocks.lead.seconds == pytest.approx(first, abs=0.5)


def test_the_service_clock_is_right_after_the_local_clock_was_set() -> None:
    clocks = Clocks()
    clocks.respond()
    clocks.local.set_seconds = -3600
    clocks.respond()
    assert clocks.error_seconds < 1


def test_a_jump_of_the_date_is_accepted_only_if_it_lasts() -> None:
    clocks = Clocks()
    clocks.respond()
    clocks.remote += timedelta(seconds=300)
    for _ in range(60):
        clocks.respond()
        clocks.local.advance(1)
    assert clocks.lead.seconds == 0.0
    for _ in range(70):
        clocks.respond()
        clocks.local.advance(1)
    assert clocks.error_seconds < 1


def test_short_jumps_of_the_date_are_ignored() -> None:
    clocks = Clocks()
    clocks.respond()
    seconds = clocks.lead.seconds
    for minute in range(10):
        skew = timedelta(seconds=300 if minute % 2 else 0)
        clocks.remote += skew
        for _ in range(60):
            clocks.respond()
            assert clocks.lead.seconds == seconds
            clocks.local.advance(1)
        clocks.remote -= skew


def test_the_offset_is_known_after_the_first_response() -> None:
    clocks = Clocks(300)
    assert (clocks.lead.is_known, clocks.lead.seconds) == (False, 0)
    clocks.respond()
    assert clocks.lead.is_known
    assert clocks.error_seconds < 1


def answer(*ages: float) -> bytes:
    """An answer about uploads of these ages."""
    return b"[%s]" % b",".join(b'{"on": "%s"}' % format_time(START - timedelta(seconds=age)).encode() for age in ages)


@pytest.mark.parametrize("ahead", [60, 600, -600, 1200, 400 * 86400, -400 * 86400])
@pytest.mark.parametrize("newest_age", [0, 20, 5000])
def test_a_wrong_date_makes_no_upload_look_older_than_it_is(ahead: float, newest_age: float) -> None:
    clocks = Clocks(ahead)
    clocks.respond()
    clocks.lead.compare(answer(newest_age, newest_age + 10, newest_age + 300))
    assert (clocks.clock.now() - START).total_seconds() <= 1
    is_explained = ahead < 0 and newest_age > -ahead  # the date may be right, and the local clock wrong
    assert bool(clocks.lead.notice) != is_explained


@pytest.mark.parametrize("ahead", [60, 600, 400 * 86400])
def test_a_wrong_local_clock_is_corrected_as_soon_as_an_upload_shows_it(ahead: float) -> None:
    clocks = Clocks(ahead)
    clocks.respond()
    clocks.lead.compare(answer(-ahead + 1, -ahead + 1, 5000))
    assert clocks.error_seconds <= 1
    assert clocks.lead.notice == ""


def test_a_few_times_in_the_future_do_not_decide() -> None:
    clocks = Clocks(-600)
    clocks.respond()
    clocks.lead.compare(answer(-9000, *range(1000, 1010)))
    assert clocks.error_seconds <= 1


def test_clocks_that_agree_need_no_upload() -> None:
    clocks = Clocks()
    clocks.respond()
    clocks.lead.compare(answer(-9000, -9000, -9000, -9000))
    assert (clocks.lead.seconds, clocks.lead.notice) == (0, "")
