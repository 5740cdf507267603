"""Hostile text made safe for a terminal."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from upload_tui.redaction import forget_secrets, register_secrets
from upload_tui.text import csv_cell, escape_invisible, sanitize, sanitize_line, sanitize_text

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
        pytest.param("z\u0301\u0302\u0303\u0304", "ź\u0302\u0303", id="stacked-marks"),
        pytest.param("\u0e01\u0e35\u0e48", "\u0e01\u0e35\u0e48", id="Thai"),
        pytest.param("\u05d1\u05bc\u05b8", "\u05d1\u05b8\u05bc", id="Hebrew"),
        pytest.param("[bold]x[/bold]", "[bold]x[/bold]", id="markup-stays-text"),
        pytest.param("a\u00a0b", "a b", id="no-break-space"),
    ],
)
def test_unsafe_characters_are_replaced(text: str, shown: str) -> None:
    assert sanitize(text) == shown


@given(HOSTILE)
def test_no_control_or_invisible_character_is_left(text: str) -> None:
    shown = sanitize(text)
    assert all(character.isprintable() for character in shown)
    assert not any("\u2066" <= character <= "\u2069" or "\u202a" <= character <= "\u202e" for character in shown)


@given(HOSTILE | st.text(alphabet="e\u0301\u0302\u093e\u1160\u11a8\u3164\ud7b0\uffa0\U0001f3fb", max_size=20))
def test_no_three_zero_width_characters_follow_each_other(text: str) -> None:
    shown = sanitize(text)
    assert not any(sum(map(cell_len, three)) == 0 for three in zip(shown, shown[1:], shown[2:], strict=False))
    assert not shown or cell_len(shown[0]) > 0


@pytest.mark.parametrize(
    ("text", "line"),
    [("Not found. ", "Not found"), ("a\nb", "a␊b"), ("...", "."), ("", ""), ("\x1b", "␛")],
    ids=["period", "newline", "only-periods", "empty", "escape"],
)
def test_a_line_has_no_line_breaks_and_no_period(text: str, line: str) -> None:
    assert sanitize_line(text) == line


@given(st.text(alphabet="a. \n\x1b", max_size=600))
def test_a_line_is_never_long(text: str) -> None:
    assert len(sanitize_line(text)) <= 500


@given(HOSTILE)
def test_a_text_keeps_its_lines_and_nothing_else_that_controls_a_terminal(text: str) -> None:
    shown = sanitize_text(text)
    assert shown.count("\n") == text.count("\n")
    assert all(line.isprintable() for line in shown.split("\n"))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-reads.fastq", "'-reads.fastq"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\u200d=1", "'=1"),
        ("\uff1d1", "'\uff1d1"),
        ("\t=1", "␉=1"),
        ("\x1b[31m", "␛[31m"),
        ("a;=1", "a;'=1"),
        ("a; @x;b", "a;' @x;b"),
        (" =1", "' =1"),
        ("reads.fastq", "reads.fastq"),
        ("a" * 5000, "a" * 5000),
        (-5, -5),
        (None, None),
        (True, "true"),
    ],
    ids=repr,
)
def test_a_cell_of_a_csv_is_no_formula(value: object, cell: object) -> None:
    assert csv_cell(value) == cell


def test_what_is_whole_is_not_cut_when_a_hidden_secret_makes_it_longer() -> None:
    register_secrets(["abcdef"])
    shown = [sanitize("key abcdef wrong", None), csv_cell("key abcdef wrong")]
    forget_secrets()
    assert shown == ["key (hidden) wrong"] * 2


@given(HOSTILE | st.text(alphabet='\x7f\x9b\u202e\u2066\U000e0001"\\a\n', max_size=20))
def test_json_for_the_clipboard_has_no_control_character_and_the_same_value(text: str) -> None:
    shown = escape_invisible(json.dumps({"name": text}, ensure_ascii=False, indent=2))
    hostile = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert all(unicodedata.category(one) not in hostile or one in "\n\u200d" for one in shown)
    assert json.loads(shown) == {"name": text}
