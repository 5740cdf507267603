"""The table of `list` says of an upload what its row in the dashboard says."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.monitor.read_uploads import FRESHNESS, KNOWN, Known, ProjectFreshness, picture_of

from upload_tui.cli.support.tables import upload_columns
from upload_tui.monitor import Query, age_of, upload_record
from upload_tui.testing import NOW
from upload_tui.tui.widgets.pending_text import least_age_text


@given(st.lists(KNOWN, min_size=1, max_size=9), FRESHNESS)
def test_an_age_is_the_same_as_in_the_dashboard(known: list[Known], freshness: ProjectFreshness) -> None:
    columns = {column.title: column for column in upload_columns(None, lambda: NOW)}
    with picture_of(known, freshness) as picture:
        for detail in picture.details(Query()):
            record, age = upload_record(detail), age_of(detail.row)
            assert age
            text = least_age_text(age.since, NOW, age.read_on, is_least=age.is_least_since)
            assert columns["AGE"].text(record) == text
            assert columns["NOTE"].text(record).startswith("gone") is detail.row.is_gone
