"""Text from a service is drawn and never obeyed: no order in it reaches the terminal, and all rows are equally wide."""

from datetime import UTC

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from upload_tui.monitor.picture import Query
from upload_tui.testing import NOW, SceneSession, an_upload
from upload_tui.tui.columns import fit_columns
from upload_tui.tui.look import Look
from upload_tui.tui.widgets.cells import cell
from upload_tui.tui.widgets.change_text import change_pieces
from upload_tui.tui.widgets.timeline import timeline_lines

TEXTS = st.text(max_size=200) | st.text(
    alphabet="\x00\x07\x1b\x9b\r\n\t\u202e\u2066\u200b\u200d\ufeff\ufe0f\u0301[]m31;e日👩🔬$", max_size=60
)


@settings(max_examples=250)
@given(name=TEXTS, message=TEXTS, project=TEXTS, width=st.integers(10, 200))
def test_rows_lines_and_timelines_are_inert_whatever_a_service_says(
    name: str, message: str, project: str, width: int
) -> None:
    look = Look(zone=UTC)
    session = SceneSession()
    session.say(an_upload(name, completed=60, error=20, message=message, project=("p-1", project)))
    row = session.pending(1) or session.window(Query(), 0, 1).rows
    for column in fit_columns(width, several_projects=True):
        text = "".join(piece for piece, _ in cell(column, row[0], NOW, look))
        assert cell_len(text) == column.width
        assert text.isprintable()
    for change in session.history(10):
        assert all(piece.isprintable() for piece, _ in change_pieces(change, NOW, look, width))  # type: ignore[arg-type]
    detail = session.detail(row[0].id)
    assert detail is not None
    assert all(line.plain.isprintable() for line in timeline_lines(detail, NOW, look, width))
    session.close()
