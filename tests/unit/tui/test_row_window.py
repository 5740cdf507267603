"""Which rows a table holds, and when it asks for others."""

from upload_tui.monitor import Query, Row, Window
from upload_tui.testing import InMemorySession, an_upload
from upload_tui.tui.widgets.table.row_window import RowWindow

SHOWN = 10
COUNT = 200


class Source:
    """Rows that are told apart by their numbers; remembers what it was asked for."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.revision = 1
        self.asked: list[int] = []

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        self.asked.append(offset)
        return Window((self.row,) * max(0, min(limit, COUNT - offset)), offset, COUNT, self.revision)

    def position(self, query: Query, upload_id: str) -> int | None:
        return None


def opened() -> tuple[Source, RowWindow]:
    (row,) = InMemorySession([an_upload("a")]).window(Query(), 0, 1).rows
    source = Source(row)
    window = RowWindow(source)
    window.fetch(Query(), 0, SHOWN)
    source.asked.clear()
    return source, window


def test_nothing_is_asked_for_when_it_was_prepared() -> None:
    source, window = opened()
    assert len(window.prefetch(50)) == SHOWN
    assert len(window.prefetch(COUNT - SHOWN)) == SHOWN
    source.asked.clear()
    window.ensure_loaded(50)
    window.ensure_loaded(COUNT - SHOWN)
    window.ensure_loaded(0)  # where it came from
    assert source.asked == []
    assert window.row(0) is not None


def test_nothing_is_asked_for_when_the_edge_still_holds_what_is_prepared() -> None:
    source, window = opened()
    assert len(window.prefetch(5)) == SHOWN
    assert source.asked == []


def test_it_is_asked_for_anew_when_what_was_prepared_is_of_another_picture() -> None:
    source, window = opened()
    source.revision = 2
    window.prefetch(50)
    source.asked.clear()
    window.ensure_loaded(50)
    assert source.asked == [50 - 8]


def test_what_was_prepared_is_forgotten_when_the_rows_are_fetched_again() -> None:
    source, window = opened()
    window.prefetch(50)
    window.fetch(Query(), 0, SHOWN)
    source.asked.clear()
    window.ensure_loaded(50)
    assert source.asked == [50 - 8]
