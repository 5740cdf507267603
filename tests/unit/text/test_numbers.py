"""Counts, sizes and sparklines as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.text import plural, size_text, sparkline_text

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


@given(st.lists(st.integers(0, 10**6), max_size=30).map(tuple), st.integers(0, 20))
def test_a_sparkline_fills_its_width_and_shows_the_highest(counts: tuple[int, ...], width: int) -> None:
    spark = sparkline_text(counts, width, SPARKS)
    assert len(spark) == width
    if any(counts[-width:] if width else ()):
        assert SPARKS[-1] in spark
