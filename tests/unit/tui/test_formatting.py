"""Facts as short texts, and hostile text made harmless."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from upload_tui.status import Certainty, Event, Stage
from upload_tui.text import (
    age_text,
    clock_text,
    duration_text,
    event_text,
    sanitize,
    short_clock_text,
    size_text,
    sparkline_text,
)
from upload_tui.tui.appearance.glyphs import ASCII, UNICODE, glyphs_for
from upload_tui.tui.fitting import fit_to_width, truncate_at_word, truncate_middle

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)

HOSTILE = st.text(max_size=300) | st.text(
    alphabet="\x00\x07\x1b\x9b\r\n\t\u202e\u2066\u200b\u200d\ufeff\ufe0f\u0301[]m31;e日👩‍🔬", max_size=60
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("reads.fastq.gz", "reads.fastq.gz", id="plain"),
        pytest.param("\x1b[31mred", "␛[31mred", id="escape"),
        pytest.param("a\nb\tc", "a␊b␉c", id="newline-and-tab"),
        pytest.param("\x9b31m", "\ufffd31m", id="c1-control"),
        pytest.param("cod\u202etxt.exe", "cod\ufffdtxt.exe", id="bidirectional-override"),
        pytest.param("a\u200bb", "a\ufffdb", id="zero-width-space"),
        pytest.param("e\u0301", "é", id="combining-mark-composed"),
        pytest.param("z\u0301\u0302\u0303", "ź\u0302", id="marks-piled-up"),
        pytest.param("[bold]x[/bold]", "[bold]x[/bold]", id="markup-stays-text"),
        pytest.param("a\u00a0b", "a b", id="hard-blank"),
    ],
)
def test_text_is_harmless_when_it_came_from_outside(text: str, shown: str) -> None:
    assert sanitize(text) == shown


@given(HOSTILE)
def test_no_control_or_invisible_sign_is_left_when_any_text_is_drawn(text: str) -> None:
    shown = sanitize(text)
    assert all(character.isprintable() for character in shown)
    assert not any("\u2066" <= character <= "\u2069" or "\u202a" <= character <= "\u202e" for character in shown)


@given(HOSTILE, st.integers(0, 60))
def test_width_is_kept_when_any_text_is_abbreviated_and_fitted(text: str, width: int) -> None:
    short = truncate_middle(text, width)
    assert cell_len(short) <= width
    assert cell_len(fit_to_width(short, width)) == width


def test_extension_stays_when_a_name_is_too_long() -> None:
    assert truncate_middle("a" * 10_000 + ".fastq.gz", 24).endswith(".fastq.gz")
    assert "…" in truncate_middle("a" * 10_000 + ".fastq.gz", 24)


@pytest.mark.parametrize("shortened", [truncate_middle, truncate_at_word])
def test_one_ellipsis_is_enough_when_the_text_was_cut_before(shortened: Callable[[str, int], str]) -> None:
    text = "chunk 3: reported 900150983cd2…, stored 3f2543e42398…; chunk 4 was never stored"
    assert [width for width in range(1, len(text)) if "……" in shortened(text, width)] == []


def test_nothing_is_cut_in_a_word_when_a_sentence_is_shortened() -> None:
    assert truncate_at_word("reported chunk hash does not match", 20) == "reported chunk…"
    assert truncate_at_word("reported", 20) == "reported"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(-5, "0s", id="future"),
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
def test_age_is_short_when_written(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


@given(st.floats(0, 3e9))
def test_age_never_needs_more_than_its_column(seconds: float) -> None:
    assert len(age_text(seconds)) <= 8


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (12.4, "12 s"), (59.6, "1m 00s"), (1770, "29m 30s"), (-3, "-3.0 s")],
    ids=["fraction", "seconds", "nearly-a-minute", "minutes", "backwards"],
)
def test_duration_says_what_it_knows(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


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
def test_size_has_three_digits_when_written(size_bytes: int | None, text: str) -> None:
    assert size_text(size_bytes) == text


@given(st.integers(-(2**70), 2**70))
def test_size_fits_its_column_when_it_is_any_number(size_bytes: int) -> None:
    assert len(size_text(size_bytes)) <= 14


def test_time_is_as_precise_as_its_day_is_near() -> None:
    assert clock_text(NOW, NOW, UTC) == "09:26:53"
    assert clock_text(NOW - timedelta(days=2), NOW, UTC) == "12 Mar 09:26"
    assert clock_text(NOW - timedelta(days=900), NOW, UTC) == "2023-09-26"
    assert clock_text(None, NOW, UTC) == "?"


def test_a_short_time_takes_eight_cells_at_most_whatever_day_it_is_of() -> None:
    assert short_clock_text(NOW, NOW, UTC) == "09:26:53"
    assert short_clock_text(NOW - timedelta(days=2), NOW, UTC) == "12 Mar"
    assert short_clock_text(NOW - timedelta(days=900), NOW, UTC) == "Sep 2023"


def test_time_is_written_when_the_zone_has_no_such_day() -> None:
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
def test_event_shows_how_its_time_is_known(event: Event, text: str) -> None:
    assert event_text(event, NOW, UTC) == text


@given(st.lists(st.integers(0, 10**6), max_size=30).map(tuple), st.integers(0, 20))
def test_sparkline_fills_its_width_when_counts_are_any(counts: tuple[int, ...], width: int) -> None:
    spark = sparkline_text(counts, width, UNICODE.sparks)
    assert len(spark) == width
    if any(counts[-width:] if width else ()):
        assert UNICODE.sparks[-1] in spark


@pytest.mark.parametrize(
    ("encoding", "glyphs"),
    [("utf-8", UNICODE), ("ascii", ASCII), ("iso-8859-1", ASCII), (None, ASCII), ("no-such-encoding", ASCII)],
)
def test_signs_are_those_that_the_encoding_can_show(encoding: str | None, glyphs: object) -> None:
    assert glyphs_for(encoding) is glyphs


@pytest.mark.parametrize(
    ("locale", "glyphs"),
    [
        ("", UNICODE),
        ("C", ASCII),
        ("POSIX", ASCII),
        ("de_DE", ASCII),
        ("de_DE.ISO-8859-1", ASCII),
        ("de_DE.ISO-8859-15@euro", ASCII),
        ("C.UTF-8", UNICODE),
        ("C.utf8", UNICODE),
        ("sr_RS.UTF-8@latin", UNICODE),
        ("UTF-8", UNICODE),
    ],
)
def test_signs_are_those_of_the_locale_when_python_writes_more(locale: str, glyphs: object) -> None:
    assert glyphs_for("utf-8", locale) is glyphs
    assert glyphs_for("ascii", locale) is ASCII


def test_stages_differ_by_sign_when_there_is_no_colour() -> None:
    for glyphs in (UNICODE, ASCII):
        assert len(set(glyphs.stages.values())) == len(Stage)
