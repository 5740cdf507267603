"""The signs: what has a meaning of its own has a sign of its own."""

import pytest

from upload_tui.tui.appearance.glyphs import ASCII, UNICODE, Glyphs


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_the_sign_of_a_text_that_is_cut_is_no_other_sign(glyphs: Glyphs) -> None:
    """Beside a time, the sign of an estimate would read as a time that is cut."""
    signs = {name: getattr(glyphs, name) for name in glyphs.__struct_fields__ if name not in {"ellipsis", "stages"}}
    signs |= {str(stage): sign for stage, sign in glyphs.stages.items()}
    assert [name for name, sign in signs.items() if glyphs.ellipsis in sign] == []
