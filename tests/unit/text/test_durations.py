"""Times and durations as people type them."""

from datetime import UTC, datetime, timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.cli.support.option_types import parse_duration, parse_since

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@given(st.integers(1, 10**6), st.sampled_from(sorted(UNITS)))
def test_a_number_and_a_unit_are_seconds(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == number * UNITS[unit]
    assert parse_duration(f" {number}{unit.upper()} ") == number * UNITS[unit]


def test_parts_are_allowed_when_they_are_decimal() -> None:
    assert parse_duration("1.5m") == 90


@given(st.text())
def test_a_sentence_is_all_that_comes_of_any_text(text: str) -> None:
    for read in (parse_duration, parse_since):
        try:
            read(text)
        except click.BadParameter as error:
            assert error.message  # noqa: PT017  # that nothing else is raised is the point


@pytest.mark.parametrize("text", ["", "0", "0s", "-1s", "1w", "1 h", "1h30m", "inf", "nan", "1e3", "٣m", "soon"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_duration(text)


def test_an_age_is_counted_from_now() -> None:
    before = datetime.now(UTC)
    found = parse_since("2h") + timedelta(hours=2)
    assert before <= found <= datetime.now(UTC)


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
    assert parse_since(text) == expected


@pytest.mark.parametrize("text", ["999999999d", "0001-01-01T00:00+14:00", "2026-13-01", "yesterday", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_since(text)
