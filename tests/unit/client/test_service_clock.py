"""The service's time as the dates of its answers tell it."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from upload_tui.client.service_clock import ClockOffset, ServiceClock
from upload_tui.testing import NOW, FrozenClock

BEGINNING = NOW + timedelta(milliseconds=730)


class Machine(FrozenClock):
    """A clock that may be set, as a person or NTP does."""

    set_seconds = 0.0

    def now(self):  # type: ignore[no-untyped-def]
        return super().now() + timedelta(seconds=self.set_seconds)


class Story:
    """Our clock, the service's, and what is known of it."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ours = Machine(BEGINNING)
        self.theirs = BEGINNING + timedelta(seconds=ahead)
        self.lead = ClockOffset(self.ours)
        self.clock = ServiceClock(self.ours, self.lead)

    def answer(self, seconds: float = 0.0, date: str | None = None) -> None:
        """An answer of now that was on its way for so long."""
        said = self.theirs + timedelta(seconds=self.ours.monotonic() - seconds / 2)
        self.lead.observe(format_datetime(said, usegmt=True) if date is None else date, seconds)

    @property
    def wrong_by(self) -> float:
        truly = self.theirs + timedelta(seconds=self.ours.monotonic())
        return abs((self.clock.now() - truly).total_seconds())


def test_our_own_time_is_good_until_an_answer_tells() -> None:
    story = Story()
    assert (story.clock.now(), story.lead.is_known) == (BEGINNING, False)
    story.answer(date="yesterday")
    story.answer(date="")
    assert not story.lead.is_known


@pytest.mark.parametrize("ahead", [0.0, 0.9, -0.9])
def test_clocks_that_may_be_the_same_are_taken_to_be(ahead: float) -> None:
    story = Story(ahead / 10)
    for _ in range(10):
        story.ours.advance(0.37)
        story.answer(0.2)
    assert story.lead.seconds == 0.0


@pytest.mark.parametrize("ahead", [300, -300, 7, -3600])
def test_the_services_time_is_known_to_a_second_when_one_answer_has_come(ahead: float) -> None:
    story = Story(ahead)
    story.answer(0.1)
    assert story.wrong_by < 1
    first = story.lead.seconds
    for _ in range(20):
        story.ours.advance(0.37)
        story.answer(3.0)
        assert story.wrong_by < 1
    assert story.lead.seconds == pytest.approx(first, abs=0.5)


def test_the_services_time_runs_on_when_our_clock_is_set() -> None:
    story = Story()
    story.answer()
    story.ours.set_seconds = -3600
    story.answer()
    assert story.wrong_by < 1


def test_a_date_that_jumps_is_believed_only_when_it_stays() -> None:
    story = Story()
    story.answer()
    story.theirs += timedelta(seconds=300)
    for _ in range(60):
        story.answer()
        story.ours.advance(1)
    assert story.lead.seconds == 0.0
    for _ in range(70):
        story.answer()
        story.ours.advance(1)
    assert story.wrong_by < 1


def test_a_date_that_was_wrong_for_a_while_is_forgotten() -> None:
    story, moves = Story(), list[float]()
    story.answer()
    story.lead.on_change = lambda: moves.append(story.lead.seconds)
    for minute in range(10):
        skew = timedelta(seconds=300 if minute % 2 else 0)
        story.theirs += skew
        for _ in range(60):
            story.answer()
            story.ours.advance(1)
        story.theirs -= skew
    assert moves == []


def test_whoever_wants_to_know_is_told_when_the_time_becomes_known() -> None:
    story, moves = Story(300), list[float]()
    story.lead.on_change = lambda: moves.append(story.lead.seconds)
    story.answer()
    story.answer()
    assert len(moves) == 1
