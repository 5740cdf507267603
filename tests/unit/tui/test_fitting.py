"""Texts fitted into terminal cells."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.content import Content
from textual.css.styles import RulesMap

from upload_tui.text import sanitize
from upload_tui.tui.fitting import (
    HangingLines,
    TitlePart,
    distinct_name,
    fit_to_width,
    join_parts,
    json_line,
    truncate_at_word,
    truncate_middle,
)

HOSTILE = st.text(max_size=300) | st.text(
    alphabet="\x00\x07\x1b\x9b\r\n\t\u202e\u2066\u200b\u200d\ufeff\ufe0f\u0301[]m31;e日👩‍🔬", max_size=60
)


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (40, "Uploads 9 · newest first · 1h ago"),
        (32, "Uploads 9 · newest · 1h ago"),
        (26, "Uploads 9 · 1h ago"),
        (9, "Uploads 9 · 1h ago"),
    ],
)
def test_a_title_loses_whole_parts(width: int, text: str) -> None:
    parts = [TitlePart(("Uploads 9",)), TitlePart(("newest first", "newest", ""), 1), TitlePart(("1h ago",))]
    assert join_parts(parts, " · ", width) == text


@given(HOSTILE, st.integers(0, 60))
def test_any_text_fits_into_any_width(text: str, width: int) -> None:
    whole = sanitize(text)
    for short in (truncate_middle(text, width), truncate_at_word(whole, width), fit_to_width(whole, width)):
        assert cell_len(short) <= width
        if cell_len(whole) > width:
            head, ellipsis, tail = short.rpartition("…")
            assert ellipsis or not width
            assert whole.startswith(head.rstrip("…"))
            assert whole.endswith(tail.rstrip())
            assert not tail or cell_len(tail[0])
    assert cell_len(fit_to_width(whole, width)) == width


def test_the_extension_of_a_long_name_stays() -> None:
    assert truncate_middle("a" * 10_000 + ".fastq.gz", 24).endswith(".fastq.gz")
    assert "…" in truncate_middle("a" * 10_000 + ".fastq.gz", 24)


@pytest.mark.parametrize("truncate", [truncate_middle, truncate_at_word])
def test_an_ellipsis_is_not_repeated(truncate: Callable[[str, int], str]) -> None:
    text = "chunk 3: reported 900150983cd2…, stored 3f2543e42398…; chunk 4 was never stored"
    assert [width for width in range(1, len(text)) if "……" in truncate(text, width)] == []


def test_a_sentence_is_truncated_at_a_word() -> None:
    assert truncate_at_word("reported chunk hash does not match", 20) == "reported chunk hash…"
    assert truncate_at_word("reported chunk hash does not match", 19) == "reported chunk…"
    assert truncate_at_word("reported", 20) == "reported"


NAMES = st.lists(st.text(max_size=30), min_size=1, unique=True)


@given(names=st.lists(st.from_regex("[a-z]{1,4}-(run|plate)-[0-9]{1,3}", fullmatch=True), min_size=1, unique=True))
def test_shortened_names_stay_different(names: list[str]) -> None:
    short = [distinct_name(name, tuple(names), 8, "…") for name in names]
    assert len(set(short)) == len(names)
    assert all(cell_len(text) <= 8 for text in short)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Genome", "Plates"), ["Genome", "Plates"]),
        (("Genome sequencing", "Plates and wells"), ["Genome…", "Plates…"]),
        (("Genome 2025", "Genome 2026"), ["Geno…025", "Geno…026"]),
        (("measurement-1-of-lab", "measurement-2-of-lab"), ["measur…1", "measur…2"]),
    ],
    ids=["fit", "end", "middle", "numbered"],
)
def test_names_are_shortened_where_they_differ(names: tuple[str, ...], expected: list[str]) -> None:
    assert [distinct_name(name, names, 8, "…") for name in names] == expected


@given(names=NAMES, cells=st.integers(0, 20))
def test_shortened_names_fit_whatever_they_are(names: list[str], cells: int) -> None:
    assert all(cell_len(distinct_name(name, tuple(names), cells, "…")) <= cells for name in names)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (40, ["name      one two three four"]),
        (22, ["name      one two", "          three four"]),
        (14, ["name      one", "two three four"]),
    ],
)
def test_wrapped_lines_keep_their_indent_where_there_is_room(width: int, expected: list[str]) -> None:
    head, text = Content(f"{'name':<10}"), Content("one two three four")
    lines = HangingLines((head, text), (Content(), Content("end")))
    assert [line.plain.rstrip() for line in lines.wrapped(width).split("\n")] == [*expected, "end"]
    assert lines.get_height(RulesMap(), width) == len(expected) + 1


def test_a_line_of_json_has_a_colour_for_names_texts_and_values() -> None:
    line = json_line('  "a\\"b": "text", "n": 12.5, "is": true,')
    assert line.plain == '  "a\\"b": "text", "n": 12.5, "is": true,'
    styles = {line.plain[span.start : span.end]: span.style for span in line.spans if span.style != "$quiet"}
    assert styles == {
        '"a\\"b"': "$primary",
        '"text"': "$foreground",
        '"n"': "$primary",
        "12.5": "$accent",
        '"is"': "$primary",
        "true": "$accent",
    }
