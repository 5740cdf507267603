"""Text from a service cannot control the terminal, and does not change the width of a line."""

import re
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from upload_tui.monitor import Query
from upload_tui.testing import NOW, InMemorySession, an_upload, dashboard, settled
from upload_tui.tui import DisplayOptions
from upload_tui.tui.appearance.columns import fit_columns
from upload_tui.tui.widgets.change_text import change_pieces
from upload_tui.tui.widgets.table.cells import cell
from upload_tui.tui.widgets.table.row_painter import ColumnView, RowPainter
from upload_tui.tui.widgets.timeline_view import timeline_lines

pytestmark = pytest.mark.slow

TEXTS = st.text(max_size=200) | st.text(
    alphabet="\x00\x07\x1b\x9b\r\n\t\u202e\u2066\u200b\u200d\ufeff\ufe0f\u0301[]m31;e日👩🔬$", max_size=60
)


@settings(max_examples=200)
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


HANGUL, KANA, CYRILLIC = ("가나다라마바사" * 9, "ゲノムプロジェクト" * 5, "одна причина, для которой нет места " * 4)
LETTERS = re.compile("[\uac00-\ud7a3]+|[\u3040-\u30ff]+|[\u0400-\u04ff][\u0400-\u04ff, ]*")
"""Runs of letters, each of one text."""


def assert_cut_with_ellipsis(line: str, width: int) -> None:
    """Fail if the line is too wide, or a text in it is neither whole nor cut with an ellipsis at its start or end."""
    assert cell_len(line) <= width, line
    for run in LETTERS.finditer(line):
        is_whole = run[0].rstrip() in {HANGUL, KANA, CYRILLIC.rstrip()}
        end = run.start() + len(run[0].rstrip())
        assert is_whole or "…" in (line[run.start() - 1], line[end : end + 1]), line


def hostile_session() -> InMemorySession:
    """Uploads in each stage and trouble with texts that have no room anywhere."""
    project = ("p-1", KANA)
    uploads = [
        an_upload(HANGUL, initiated=70, completed=60, error=50, message=CYRILLIC, project=project),
        an_upload(HANGUL, initiated=70, completed=60, error=50, message=HANGUL, project=("p-2", "short")),
        an_upload(HANGUL, initiated=9000, completed=8000, project=project),
        an_upload(HANGUL, initiated=60, completed=30, verified=20, chunks=(1, 3, 4), project=project),
        an_upload(HANGUL, initiated=60, project=project),
    ]
    return InMemorySession(uploads, title=HANGUL, projects=[project, ("p-2", "short")])


def test_texts_without_room_end_with_an_ellipsis_at_each_width() -> None:
    session, options = hostile_session(), DisplayOptions(zone=UTC)
    session.publish(an_upload(HANGUL, initiated=9, completed=6, error=2, message=CYRILLIC, project=("p-1", KANA)))
    painter, rows = RowPainter(lambda *_: Style()), session.picture.window(Query(), 0, 10).rows
    view = ColumnView(several_projects=True, project_names=(KANA, "short"))
    for width in range(20, 221):
        painter.fit(width, options, view, rows)
        for row in rows:
            lines = [painter.row_line(row, line, NOW, "", is_marked=False) for line in (0, 1)]
            for strip in (*lines, painter.rule(CYRILLIC)):
                assert_cut_with_ellipsis(strip.text, width)
        for change in session.changes.history(10):
            pieces = change_pieces(change, NOW, options, width)  # type: ignore[arg-type]
            assert_cut_with_ellipsis("".join(text for text, _ in pieces), width)
    session.close()


async def test_panes_and_titles_cut_no_text_without_an_ellipsis() -> None:
    session = hostile_session()
    app = dashboard(session)
    async with app.run_test(size=(120, 40)) as pilot:
        for number in range(9):  # enough for a scroll bar
            session.publish(an_upload(f"{HANGUL}{number}", initiated=9, completed=6, error=2, message=CYRILLIC))
        for width in (20, 72, 100, 115):
            await pilot.resize_terminal(width, 40)
            await settled(pilot)
            for strip in app.screen._compositor.render_strips():
                assert_cut_with_ellipsis(strip.text, width)
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
