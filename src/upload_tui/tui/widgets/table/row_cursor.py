"""The cursor of a list of uploads: it belongs to an upload and, in the order `trouble`, to a part of the list."""

from collections.abc import Sequence

from msgspec import Struct

from upload_tui.monitor import UploadKey
from upload_tui.tui.widgets.table.row_window import RowWindow

__all__ = ["CursorPlace", "RowCursor"]


class CursorPlace(Struct, frozen=True):
    """Where the cursor is before the rows change.

    Attributes:
        above: the uploads above it that are known, the nearest first.
        in_trouble: number of rows in trouble that come first.
        stays_in_view: True if the rows in view must stay there: rows in trouble, or those that the user just acknowledged.
    """

    above: Sequence[UploadKey] = ()
    in_trouble: int = 0
    stays_in_view: bool = False


class RowCursor:
    """The cursor's row, and the row that it moves to when the rows change.

    Attributes:
        row: its row, from 0.
        key: the upload on that row; None if the table is empty.
        keeps_place: True until the rows change if its upload then gets into trouble or out of it because the user did that.
    """

    def __init__(self) -> None:
        self.row = 0
        self.key: UploadKey | None = None
        self.keeps_place = False
        self._is_pinned = False
        """True once the user put the cursor on a row."""
        self._previous_key: UploadKey | None = None
        """The upload that a query removed from under the cursor. The cursor returns to it when a later query includes it."""
        self._is_query_new = False

    def pin(self) -> None:
        """Record that the user put the cursor on this row; from now on it stays with the row's upload."""
        self._is_pinned = True
        self.forget_previous()

    def forget_previous(self) -> None:
        """Do not return to an upload that a query removed."""
        self._previous_key = None
        self._is_query_new = False

    def on_query_changed(self, *, is_reordered: bool) -> None:
        """Prepare for the rows of another query; `is_reordered` is True if the sort order changed."""
        if is_reordered and self.row == 0:
            self.key = None  # a cursor on the first row stays on the first row
        self._previous_key = self._previous_key or self.key
        self._is_query_new = True

    def place(self, window: RowWindow, top: int) -> CursorPlace:
        """Where it is in these rows, of which `top` is the first one in view."""
        is_fixed = self.keeps_place or top < window.in_trouble
        return CursorPlace(window.keys_above(self.row), window.in_trouble, is_fixed and not self._is_query_new)

    def target_row(
        self, window: RowWindow, before: CursorPlace, rows_from_top: int | None, *, stays_on_top: bool = False
    ) -> int:
        """The row to move to; it may be beyond the last one.

        Args:
            window: the current rows.
            before: where it was.
            rows_from_top: number of visible rows if the table is scrolled to its top, else None.
            stays_on_top: a cursor that the user never moved stays on the first row, whatever upload that is.
        """
        if self._is_query_new:
            row = self._row_after_query_change(window)
        elif self.key is None:
            row = self.row
        else:
            row = self._row_after_changes(window, self.key, before)
        self.keeps_place = False
        is_pinned = self._is_pinned and self._previous_key is None
        if rows_from_top is not None and not is_pinned and (stays_on_top or row >= rows_from_top):
            return 0  # without a choice by the user, the view stays on the worst or the newest rows
        return row

    def _row_after_query_change(self, window: RowWindow) -> int:
        row = None if self._previous_key is None else window.position(self._previous_key)
        if row is not None:
            self.forget_previous()
            return row
        self._is_query_new = not window.is_settled  # the search may still find the upload
        return 0

    def _row_after_changes(self, window: RowWindow, key: UploadKey, before: CursorPlace) -> int:
        row = window.position(key)
        if row is None and not window.is_settled and self.row >= window.total:
            return 0  # the last row so far is no meaningful position while the search continues
        was_in_trouble = self.row < before.in_trouble
        if row is not None and (row < window.in_trouble) is not was_in_trouble and (was_in_trouble or self.keeps_place):
            row = None  # an upload that is no longer in trouble is somewhere among all others
        return self._row_at_place(window, before.above, was_in_trouble) if row is None else row

    def _row_at_place(self, window: RowWindow, above: Sequence[UploadKey], was_in_trouble: bool) -> int:
        """The row below the nearest one above that is still in the same part of the list."""
        positions = (window.position(key) for key in above)
        same_part = (each for each in positions if each is not None and (each < window.in_trouble) is was_in_trouble)
        row = next((each + 1 for each in same_part), self.row if len(above) < self.row else 0)
        return max(0, min(row, window.in_trouble - 1)) if was_in_trouble else max(row, window.in_trouble)
