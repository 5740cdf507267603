"""Where a table's cursor moves when the rows change."""

import pytest

from upload_tui.monitor import Query, UploadKey, Window
from upload_tui.tui.widgets.table.row_cursor import CursorPlace, RowCursor
from upload_tui.tui.widgets.table.row_window import RowWindow


class Rows:
    """Uploads named by letters, in order; `is_settled` is False if more may be found."""

    def __init__(self, letters: str, *, is_settled: bool = True) -> None:
        self.letters = letters
        self.is_settled = is_settled

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        return Window((), offset, len(self.letters), 1, is_settled=self.is_settled)

    def position(self, query: Query, upload_id: str, service: str = "") -> int | None:
        return self.letters.index(upload_id) if upload_id in self.letters else None


def update(cursor: RowCursor, rows: Rows, rows_from_top: int | None = 100, *, stays_on_top: bool = False) -> str:
    """Update the cursor to these rows; return the letter under it."""
    window = RowWindow(rows)
    window.fetch(Query(), 0, 10)
    cursor.row = max(
        0,
        min(cursor.target_row(window, CursorPlace(), rows_from_top, stays_on_top=stays_on_top), len(rows.letters) - 1),
    )
    cursor.key = UploadKey(rows.letters[cursor.row]) if rows.letters else None
    return cursor.key.id if cursor.key else ""


def cursor_on(row: int, letters: str = "abcdefgh") -> RowCursor:
    cursor = RowCursor()
    cursor.row, cursor.key = row, UploadKey(letters[row])
    cursor.pin()
    return cursor


def change_query(cursor: RowCursor, letters: str, *, is_settled: bool = True, is_reordered: bool = False) -> str:
    cursor.on_query_changed(is_reordered=is_reordered)
    return update(cursor, Rows(letters, is_settled=is_settled))


def test_a_cursor_that_was_never_moved_stays_on_the_worst_upload() -> None:
    cursor = RowCursor()
    assert update(cursor, Rows("cde"), stays_on_top=True) == "c"
    assert update(cursor, Rows("bcde"), stays_on_top=True) == "b"
    cursor.pin()
    assert update(cursor, Rows("abcde"), stays_on_top=True) == "b"


def test_the_cursor_stays_on_its_upload_if_the_query_matches_it() -> None:
    assert change_query(cursor_on(5), "bdfh") == "f"


def test_the_cursor_moves_to_the_first_row_if_the_query_excludes_its_upload() -> None:
    assert change_query(cursor_on(5), "aceg") == "a"


@pytest.mark.parametrize("between", ["aceg", "", "bdeh"], ids=["others", "nothing", "others again"])
def test_the_cursor_returns_to_its_upload_if_a_later_query_matches_it(between: str) -> None:
    cursor = cursor_on(5)
    change_query(cursor, "aceg")
    change_query(cursor, between)
    assert change_query(cursor, "abcdefgh") == "f"


def test_the_cursor_does_not_return_after_the_user_moved_it() -> None:
    cursor = cursor_on(5)
    change_query(cursor, "aceg")
    cursor.row, cursor.key = 2, UploadKey("e")
    cursor.pin()
    assert change_query(cursor, "abcdefgh") == "e"


def test_the_cursor_does_not_return_if_its_upload_matches_without_a_new_query() -> None:
    cursor = cursor_on(5)
    change_query(cursor, "aceg")
    assert update(cursor, Rows("acefg")) == "a"


def test_the_cursor_returns_when_a_continued_search_finds_its_upload() -> None:
    cursor = cursor_on(5)
    assert change_query(cursor, "ab", is_settled=False) == "a"
    assert update(cursor, Rows("abef", is_settled=False)) == "f"
    assert update(cursor, Rows("0abefgh")) == "f"


def test_the_cursor_stays_on_its_row_if_its_upload_disappears() -> None:
    assert update(cursor_on(5), Rows("abcdegh")) == "g"


def test_a_cursor_on_the_first_row_stays_there_in_another_order() -> None:
    assert change_query(cursor_on(0), "hgfedcba", is_reordered=True) == "h"
    assert change_query(cursor_on(1), "hgfedcba", is_reordered=True) == "b"


def test_a_cursor_that_the_user_did_not_move_does_not_scroll_the_view() -> None:
    cursor = RowCursor()
    cursor.key = UploadKey("a")
    assert update(cursor, Rows("0123a"), rows_from_top=4) == "0"
    assert update(cursor_on(0), Rows("0123a"), rows_from_top=4) == "a"
