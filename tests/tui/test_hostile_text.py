"""Text from a service cannot control the terminal, and does not change the width of a line."""

from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from upload_tui.monitor import Query
from upload_tui.testing import NOW, InMemorySession, an_upload, dashboard, settled
from upload_tui.tui import DisplayOptions
from upload_tui.tui.appearance.columns import fit_columns
from upload_tui.tui.widgets.change_text import change_pieces
from upload_tui.tui.widgets.table.cells import cell
from upload_tui.tui.widgets.timeline_view import timeline_lines

pytestmark = pytest.mark.slow

TEXTS = st.text(max_size=200) | st.text(
    alphabet="\x00\x07\x1b\x9b\r\n\t\u202e\u2066\u200b\u200d\ufeff\ufe0f\u0301[]m31;e日👩🔬$", max_size=60
)


@settings(max_examples=500)
@given(name=TEXTS, message=TEXTS, project=TEXTS, width=st.integers(10, 200))
def test_rows_changes_and_timelines_are_printable_for_any_text(
    name: str, message: str, project: str, width: int
) -> None:
    display_options = DisplayOptions(zone=UTC)
    session = InMemorySession()
    session.publish(an_upload(name, completed=60, error=20, message=message, project=("p-1", project)))
    row = session.picture.pending(1) or session.picture.window(Query(), 0, 1).rows
    for column in fit_columns(width, several_projects=True):
        text = "".join(piece for piece, _ in cell(column, row[0], NOW, display_options))
        assert cell_len(text) == column.width
        assert text.isprintable()
    for change in session.changes.history(10):
        assert all(piece.isprintable() for piece, _ in change_pieces(change, NOW, display_options, width))  # type: ignore[arg-type]
    detail = session.picture.detail(row[0].id)
    assert detail is not None
    assert all(line.plain.isprintable() for line in timeline_lines(detail, NOW, display_options, width))
    session.close()


async def test_no_control_character_reaches_the_terminal() -> None:
    hostile = "\x1b]0;owned\x07\x1b[31m\x9b2J\x1bP1$r\x1b\\\u202e\u2066\x00\r\n\t"
    uploads = [
        an_upload(
            f"{hostile}{number}", initiated=90, completed=60, error=20 + number, message=f"{hostile} and {hostile}"
        )
        for number in range(30)
    ]
    session = InMemorySession(uploads, title=hostile, projects=[("p-1", hostile)])
    app = dashboard(session)
    async with app.run_test(size=(120, 40)) as pilot:
        for keys in (
            (),
            ("enter",),
            ("q", "w"),
            ("escape", "F"),
            ("escape", "d"),
            ("J",),
            ("q", "p"),
            ("escape", "slash", "o"),
        ):
            await pilot.press(*keys)
            session.publish(an_upload(f"{hostile}new", initiated=9, completed=6, error=2, message=hostile))
            await settled(pilot)
            for strip in app.screen._compositor.render_strips():
                text = "".join(segment.text for segment in strip if segment.control is None)
                assert not any(ord(sign) < 0x20 or 0x7F <= ord(sign) < 0xA0 for sign in text), ascii(text)
                assert not {"\u202e", "\u2066"} & set(text)
                assert cell_len(text) == 120
    session.close()
