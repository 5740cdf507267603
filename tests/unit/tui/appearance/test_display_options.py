"""The characters that the dashboard draws with."""

import pytest

from upload_tui.status import Stage
from upload_tui.tui.appearance.glyphs import ASCII, UNICODE, glyphs_for


@pytest.mark.parametrize(
    ("encoding", "glyphs"),
    [("utf-8", UNICODE), ("ascii", ASCII), ("iso-8859-1", ASCII), (None, ASCII), ("no-such-encoding", ASCII)],
)
def test_glyphs_are_those_that_the_encoding_supports(encoding: str | None, glyphs: object) -> None:
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
def test_glyphs_are_those_that_the_locale_supports(locale: str, glyphs: object) -> None:
    assert glyphs_for("utf-8", locale) is glyphs
    assert glyphs_for("ascii", locale) is ASCII


def test_stages_differ_by_glyph() -> None:
    for glyphs in (UNICODE, ASCII):
        assert len(set(glyphs.stages.values())) == len(Stage)
