"""Causes of groups of failures as words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.monitor.analysis.statistics import normalize_cause
from upload_tui.text import cause_with_short, cause_words
from upload_tui.tui.fitting import causes_text


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("chunk 3 missing", "chunk missing"),
        ("hash of chunk 12 does not match", "hash of chunk does not match"),
        ("3 of 4 chunks missing", "chunks missing"),
        ("exit code 7", "exit code"),
        ("upstream answered (502)", "upstream answered"),
        ("error #5 at 10.0.0.7", "error at"),
        ("bytes 3-9 lost", "bytes lost"),
        ("C# runtime failed", "C# runtime failed"),
        ("no room left", "no room left"),
        ("404", "#"),
    ],
)
def test_the_cause_of_a_group_is_words(message: str, words: str) -> None:
    assert cause_words(normalize_cause(message)) == words


@given(parts=st.lists(st.sampled_from(["chunk", "3", "0a1b2c3d", "#", "(7)", "4/5", "of", "missing", "é"]), max_size=9))
def test_no_text_for_people_has_a_placeholder(parts: list[str]) -> None:
    cause = normalize_cause(" ".join(["chunk", *parts]))
    assert "#" not in cause_words(cause)
    assert "#" not in causes_text({cause: 2, "no room left": 1}, 3, 200)
    assert "#" not in cause_with_short(cause)
