"""Times as text, and as users type them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.status import Certainty, Event, Stage
from upload_tui.text import MOMENT_EXAMPLES, clock_text, event_text, parse_date, parse_moment, short_clock_text

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


def test_a_time_is_shorter_the_further_away_it_is() -> None:
    assert clock_text(NOW, NOW, UTC) == "09:26:53"
    assert clock_text(NOW - timedelta(days=2), NOW, UTC) == "12 Mar 09:26"
    assert clock_text(NOW - timedelta(days=900), NOW, UTC) == "2023-09-26"
    assert clock_text(None, NOW, UTC) == "?"


def test_a_short_time_has_at_most_eight_characters() -> None:
    assert short_clock_text(NOW, NOW, UTC) == "09:26:53"
    assert short_clock_text(NOW - timedelta(days=2), NOW, UTC) == "12 Mar"
    assert short_clock_text(NOW - timedelta(days=900), NOW, UTC) == "Sep 2023"


def test_the_last_day_of_the_calendar_is_shown_in_any_zone() -> None:
    far = timezone(timedelta(hours=14))
    assert clock_text(datetime.max.replace(tzinfo=UTC), NOW, far) == "9999-12-31"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        pytest.param(Event(Stage.VERIFIED, NOW), "09:26:53", id="reported"),
        pytest.param(Event(Stage.VERIFIED, NOW, Certainty.ESTIMATED), "~09:26:53", id="estimated"),
        pytest.param(
            Event(Stage.VERIFIED, None, Certainty.OBSERVED, NOW - timedelta(seconds=9), NOW),
            "09:26:44-09:26:53",
            id="observed",
        ),
        pytest.param(Event(Stage.VERIFIED, None, Certainty.OBSERVED, None, NOW), "before 09:26:53", id="only-latest"),
        pytest.param(Event(Stage.VERIFIED, None, Certainty.OBSERVED, NOW), "after 09:26:53", id="only-earliest"),
        pytest.param(Event(Stage.VERIFIED, None, Certainty.OBSERVED), "time unknown", id="nothing"),
    ],
)
def test_the_time_of_an_event_shows_its_certainty(event: Event, text: str) -> None:
    assert event_text(event, NOW, UTC) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-14", datetime(2026, 3, 14, tzinfo=UTC)),
        ("2026-03-14T09:26:53Z", datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)),
        ("2026-03-14 09:26", datetime(2026, 3, 14, 9, 26, tzinfo=UTC)),
        ("2026-03-14T09:26:53+02:00", datetime(2026, 3, 14, 7, 26, 53, tzinfo=UTC)),
    ],
)
def test_a_time_without_an_offset_is_utc(text: str, expected: datetime) -> None:
    assert parse_date(text) == expected


@given(st.text())
def test_any_text_is_a_time_or_none(text: str) -> None:
    since = parse_date(text)
    assert since is None or since.tzinfo is UTC


@pytest.mark.parametrize("text", ["999999999d", "0001-01-01T00:00+14:00", "2026-13-01", "yesterday", ""])
def test_other_texts_are_not_times(text: str) -> None:
    assert parse_date(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5m", "2026-03-14T00:05:00+00:00"),
        (" -5m ", "2026-03-14T00:05:00+00:00"),
        ("+1h30m", "2026-03-14T01:40:00+00:00"),
        ("1:15", "2026-03-14T00:15:00+00:00"),
        ("01:15:30", "2026-03-14T00:15:30+00:00"),
        ("23:50", "2026-03-13T22:50:00+00:00"),
        ("2026-03-01", "2026-02-28T23:00:00+00:00"),
        ("2026-03-01 13:05", "2026-03-01T12:05:00+00:00"),
        ("2026-03-01T13:05Z", "2026-03-01T13:05:00+00:00"),
        ("5m ago", "2026-03-14T00:05:00+00:00"),
        ("+5m ago", None),
        ("13:05 ago", None),
        ("25:00", None),
        ("", None),
        ("noon", None),
        ("99999999999d", None),
        ("0001-01-01", None),
    ],
)
def test_a_moment_is_relative_a_clock_time_or_complete(text: str, expected: str | None) -> None:
    now = datetime(2026, 3, 14, 0, 10, tzinfo=UTC)
    moment = parse_moment(text, now, timezone(timedelta(hours=1)))
    assert moment == (None if expected is None else datetime.fromisoformat(expected))


def test_the_examples_of_moments_are_moments() -> None:
    assert all(parse_moment(text, datetime(2026, 3, 14, tzinfo=UTC)) for text in MOMENT_EXAMPLES)


@pytest.mark.parametrize(
    ("text", "hours", "expected"),
    [("9:00", (None, 0), 9), ("11:00", (None, 0), 11 - 24), ("8:00", (-1, 23), 8 + 24), ("11:00", (-20, 3), 11)],
)
def test_a_clock_time_is_the_nearest_within_a_span(text: str, hours: tuple[int | None, int], expected: int) -> None:
    now = datetime(2026, 3, 14, 10, tzinfo=UTC)
    earliest, latest = (None if one is None else now + timedelta(hours=one) for one in hours)
    on = parse_moment(text, now, UTC, earliest=earliest, latest=latest)
    assert on == datetime(2026, 3, 14, tzinfo=UTC) + timedelta(hours=expected)
