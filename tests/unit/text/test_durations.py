"""Durations as text, and as users type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.text import age_text, duration_text, parse_duration, span_text

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(-5, "0s", id="clocks that differ"),
        pytest.param(-5.1, "?", id="future"),
        pytest.param(-1e9, "?", id="far future"),
        pytest.param(8.9, "8s", id="seconds"),
        pytest.param(245, "4m 05s", id="minutes"),
        pytest.param(599.9, "9m 59s", id="just below ten minutes"),
        pytest.param(600, "10m", id="ten minutes"),
        pytest.param(3599.9, "59m", id="just below an hour"),
        pytest.param(3 * 3600 + 720, "3h 12m", id="hours"),
        pytest.param(12 * 86400 + 4 * 3600, "12d 4h", id="days"),
        pytest.param(412 * 86400, "412d", id="years"),
    ],
)
def test_an_age_is_short(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


@given(st.floats(0, 3e9))
def test_any_age_fits_into_its_column(seconds: float) -> None:
    assert len(age_text(seconds)) <= 8


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4s"), (12.4, "12s"), (59.6, "1m 00s"), (1770, "29m 30s"), (-3, "-3.0s")],
    ids=["fraction", "seconds", "nearly-a-minute", "minutes", "backwards"],
)
def test_a_duration_has_a_fraction_below_ten_seconds(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.integers(1, 10**6), st.sampled_from(sorted(UNITS)))
def test_a_number_with_a_unit_is_parsed(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == number * UNITS[unit]
    assert parse_duration(f" {number}{unit.upper()} ") == number * UNITS[unit]


def test_a_duration_may_have_decimals() -> None:
    assert parse_duration("1.5m") == 90


@given(st.dictionaries(st.sampled_from("dhms"), st.integers(0, 10**9 - 1), min_size=1))
def test_a_duration_may_have_several_parts(amounts: dict[str, int]) -> None:
    text = "".join(f"{amounts[unit]}{unit}" for unit in "dhms" if unit in amounts)
    assert parse_duration(text) == sum(amount * UNITS[unit] for unit, amount in amounts.items())


@given(st.integers(0, 3 * 10**9))
def test_a_duration_that_is_shown_is_parsed_as_what_it_shows(seconds: int) -> None:
    text = span_text(seconds)
    parsed = parse_duration(text.replace(" ", ""))
    assert parsed is not None
    assert parsed <= seconds
    assert span_text(parsed) == text


@pytest.mark.parametrize("text", ["", "-1s", "1w", "1 h", "1h30", "30m1h", "1h1h", "inf", "nan", "1e3", "٣m", "soon"])
def test_other_texts_are_not_durations(text: str) -> None:
    assert parse_duration(text) is None
