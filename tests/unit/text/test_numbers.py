"""Counts, sizes and sparklines as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.text import compared_size_text, plural, received_text, size_text, sparkline_text

SPARKS = " ▁▂▃▄▅▆▇█"


def test_a_noun_is_plural_except_for_one() -> None:
    assert [plural(count, "chunk") for count in (0, 1, 1000)] == ["0 chunks", "1 chunk", "1,000 chunks"]


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (None, "?"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (1024**2 - 1, "1.00 MiB"),
        (15 * 1024**2, "15.0 MiB"),
        (5368709120, "5.00 GiB"),
        (-1, "-1 B"),
    ],
    ids=["unknown", "none", "bytes", "kib", "just-under-a-mib", "mib", "gib", "negative"],
)
def test_a_size_has_three_digits(size_bytes: int | None, text: str) -> None:
    assert size_text(size_bytes) == text


@given(st.integers(-(2**70), 2**70))
def test_any_size_fits_into_its_column(size_bytes: int) -> None:
    assert len(size_text(size_bytes)) <= 14


@given(st.integers(0, 2**50), st.integers(-2000, 2000))
def test_different_sizes_side_by_side_read_differently(size_bytes: int, more: int) -> None:
    other_bytes = max(0, size_bytes + more)
    assert (compared_size_text(other_bytes, size_bytes) == size_text(size_bytes)) is (other_bytes == size_bytes)
    received, _, declared = received_text(other_bytes, size_bytes).removesuffix(" received").partition(" of ")
    assert (received == declared) is (other_bytes == size_bytes)


@pytest.mark.parametrize(
    ("size_bytes", "compared", "received"),
    [
        (84_378, "1 byte more", "1 byte more than declared"),
        (84_376, "1 byte less", "1 byte less than declared"),
        (84_370, "7 bytes less", "7 bytes less than declared"),
        (84_377, "82.4 KiB", "82.4 KiB of 82.4 KiB received"),
        (70_000, "68.4 KiB", "68.4 KiB of 82.4 KiB received"),
    ],
)
def test_a_difference_below_the_rounding_is_in_bytes(size_bytes: int, compared: str, received: str) -> None:
    assert compared_size_text(size_bytes, 84_377) == compared
    assert received_text(size_bytes, 84_377) == received


@given(st.lists(st.integers(0, 10**6), max_size=30).map(tuple), st.integers(0, 20))
def test_a_sparkline_fills_its_width_and_shows_the_highest(counts: tuple[int, ...], width: int) -> None:
    spark = sparkline_text(counts, width, SPARKS)
    assert len(spark) == width
    if any(counts[-width:] if width else ()):
        assert SPARKS[-1] in spark
