"""Texts fitted into terminal cells."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from upload_tui.tui.fitting import fit_to_width, truncate_at_word, truncate_middle

HOSTILE = st.text(max_size=300) | st.text(
    alphabet="\x00\x07\x1b\x9b\r\n\t\u202e\u2066\u200b\u200d\ufeff\ufe0f\u0301[]m31;e日👩‍🔬", max_size=60
)


@given(HOSTILE, st.integers(0, 60))
def test_any_text_fits_into_any_width(text: str, width: int) -> None:
    short = truncate_middle(text, width)
    assert cell_len(short) <= width
    assert cell_len(fit_to_width(short, width)) == width


def test_the_extension_of_a_long_name_stays() -> None:
    assert truncate_middle("a" * 10_000 + ".fastq.gz", 24).endswith(".fastq.gz")
    assert "…" in truncate_middle("a" * 10_000 + ".fastq.gz", 24)


@pytest.mark.parametrize("truncate", [truncate_middle, truncate_at_word])
def test_an_ellipsis_is_not_repeated(truncate: Callable[[str, int], str]) -> None:
    text = "chunk 3: reported 900150983cd2…, stored 3f2543e42398…; chunk 4 was never stored"
    assert [width for width in range(1, len(text)) if "……" in truncate(text, width)] == []


def test_a_sentence_is_truncated_at_a_word() -> None:
    assert truncate_at_word("reported chunk hash does not match", 20) == "reported chunk…"
    assert truncate_at_word("reported", 20) == "reported"
