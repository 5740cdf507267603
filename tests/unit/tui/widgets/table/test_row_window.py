"""Which rows a table holds, and when it fetches others."""

from upload_tui.monitor import Query, Row, Window
from upload_tui.testing import InMemorySession, an_upload
from upload_tui.tui.widgets.table.row_window import RowWindow

SHOWN = 10
COUNT = 200


class Source:
    """Any number of equal rows; records the offsets of the windows that were fetched."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.revision = 1
        self.offsets: list[int] = []

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        self.offsets.append(offset)
        return Window((self.row,) * max(0, min(limit, COUNT - offset)), offset, COUNT, self.revision)

    def position(self, query: Query, upload_id: str, service: str = "") -> int | None:
        return None


def open_window() -> tuple[Source, RowWindow]:
    (row,) = InMemorySession([an_upload("a")]).picture.window(Query(), 0, 1).rows
    source = Source(row)
    window = RowWindow(source)
    window.fetch(Query(), 0, SHOWN)
    source.offsets.clear()
    return source, window


def test_prefetched_rows_are_not_fetched_again() -> None:
    source, window = open_window()
    assert [len(window.prefetch(top)[1]) for top in (50, COUNT - SHOWN)] == [SHOWN, SHOWN]
    source.offsets.clear()
    window.ensure_loaded(50)
    window.ensure_loaded(COUNT - SHOWN)
    window.ensure_loaded(0)  # the window before
    assert source.offsets == []
    assert window.row(0) is not None


def test_rows_within_the_margin_are_not_prefetched() -> None:
    source, window = open_window()
    assert len(window.prefetch(5)[1]) == SHOWN
    assert source.offsets == []


def test_prefetched_rows_of_another_revision_are_fetched_again() -> None:
    source, window = open_window()
    source.revision = 2
    window.prefetch(50)
    source.offsets.clear()
    window.ensure_loaded(50)
    assert source.offsets == [50 - 8]


def test_fetching_the_rows_drops_the_prefetched_ones() -> None:
    source, window = open_window()
    window.prefetch(50)
    window.fetch(Query(), 0, SHOWN)
    source.offsets.clear()
    window.ensure_loaded(50)
    assert source.offsets == [50 - 8]
