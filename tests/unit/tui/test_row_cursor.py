"""Where a table's cursor belongs when its rows are others than before."""

import pytest

from upload_tui.monitor import Query, Window
from upload_tui.tui.widgets.table.row_cursor import RowCursor
from upload_tui.tui.widgets.table.row_window import RowWindow


class Answer:
    """Some of the letters as uploads, in order; not all of them found yet if it is not settled."""

    def __init__(self, letters: str, *, is_settled: bool = True) -> None:
        self.letters = letters
        self.is_settled = is_settled

    def window(self, query: Query, offset: int, limit: int, patience_seconds: float | None = None) -> Window:
        return Window((), offset, len(self.letters), 1, is_settled=self.is_settled)

    def position(self, query: Query, upload_id: str) -> int | None:
        return self.letters.index(upload_id) if upload_id in self.letters else None


def look(cursor: RowCursor, answer: Answer, rows_from_top: int | None = 100) -> str:
    """The letter that the cursor is on, once it has gone where it belongs."""
    window = RowWindow(answer)
    window.fetch(Query(), 0, 10)
    cursor.row = max(0, min(cursor.target_row(window, rows_from_top), len(answer.letters) - 1))
    cursor.upload_id = answer.letters[cursor.row] if answer.letters else None
    return cursor.upload_id or ""


def cursor_on(row: int, letters: str = "abcdefgh") -> RowCursor:
    cursor = RowCursor()
    cursor.row, cursor.upload_id = row, letters[row]
    cursor.pin()
    return cursor


def ask(cursor: RowCursor, letters: str, *, is_settled: bool = True, is_reordered: bool = False) -> str:
    cursor.on_query_changed(is_reordered=is_reordered)
    return look(cursor, Answer(letters, is_settled=is_settled))


def test_it_stays_on_its_upload_when_an_answer_has_it() -> None:
    assert ask(cursor_on(5), "bdfh") == "f"


def test_it_is_on_the_first_row_when_an_answer_leaves_its_upload_out() -> None:
    assert ask(cursor_on(5), "aceg") == "a"


@pytest.mark.parametrize("between", ["aceg", "", "bdeh"], ids=["others", "nothing", "others again"])
def test_it_goes_back_when_its_upload_was_left_out_and_nobody_moved(between: str) -> None:
    cursor = cursor_on(5)
    ask(cursor, "aceg")
    ask(cursor, between)
    assert ask(cursor, "abcdefgh") == "f"


def test_it_does_not_go_back_when_a_person_moved() -> None:
    cursor = cursor_on(5)
    ask(cursor, "aceg")
    cursor.row, cursor.upload_id = 2, "e"
    cursor.pin()
    assert ask(cursor, "abcdefgh") == "e"


def test_it_does_not_go_back_by_itself_when_its_upload_comes_into_the_answer() -> None:
    cursor = cursor_on(5)
    ask(cursor, "aceg")
    assert look(cursor, Answer("acefg")) == "a"


def test_it_finds_its_upload_when_that_was_not_found_at_once() -> None:
    cursor = cursor_on(5)
    assert ask(cursor, "ab", is_settled=False) == "a"
    assert look(cursor, Answer("abef", is_settled=False)) == "f"
    assert look(cursor, Answer("0abefgh")) == "f"


def test_it_stays_on_its_row_when_its_upload_goes_away() -> None:
    assert look(cursor_on(5), Answer("abcdegh")) == "g"


def test_it_is_on_the_first_row_of_another_order_when_it_was_on_the_first() -> None:
    assert ask(cursor_on(0), "hgfedcba", is_reordered=True) == "h"
    assert ask(cursor_on(1), "hgfedcba", is_reordered=True) == "b"


def test_it_does_not_pull_the_view_along_when_nobody_chose_its_upload() -> None:
    cursor = RowCursor()
    cursor.upload_id = "a"
    assert look(cursor, Answer("0123a"), rows_from_top=4) == "0"
    assert look(cursor_on(0), Answer("0123a"), rows_from_top=4) == "a"
