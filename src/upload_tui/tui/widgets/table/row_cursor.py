"""The cursor of a table. It belongs to an upload, not to a row number."""

from upload_tui.tui.widgets.table.row_window import RowWindow

__all__ = ["RowCursor"]


class RowCursor:
    """The cursor's row, and the row that it moves to when the rows change.

    Attributes:
        row: its row, from 0.
        upload_id: the upload on that row; None if the table is empty.
    """

    def __init__(self) -> None:
        self.row = 0
        self.upload_id: str | None = None
        self._is_pinned = False
        """True once the user put the cursor on a row."""
        self._previous_upload_id: str | None = None
        """The upload that a query removed from under the cursor. The cursor returns to it when a later query includes it."""
        self._is_query_new = False

    def pin(self) -> None:
        """Record that the user put the cursor on this row; from now on it stays with the row's upload."""
        self._is_pinned = True
        self.forget_previous()

    def forget_previous(self) -> None:
        """Do not return to an upload that a query removed."""
        self._previous_upload_id = None
        self._is_query_new = False

    def on_query_changed(self, *, is_reordered: bool) -> None:
        """Prepare for the rows of another query; `is_reordered` is True if the sort order changed."""
        if is_reordered and self.row == 0:
            self.upload_id = None  # a cursor on the first row stays on the first row
        self._previous_upload_id = self._previous_upload_id or self.upload_id
        self._is_query_new = True

    def target_row(self, window: RowWindow, rows_from_top: int | None) -> int:
        """The row to move to; it may be beyond the last one.

        Args:
            window: the current rows.
            rows_from_top: number of visible rows if the table is scrolled to its top, else None.
        """
        if self._is_query_new:
            row = self._row_after_query_change(window)
        elif self.upload_id is None:
            row = self.row
        else:
            row = self._row_after_changes(window, self.upload_id)
        is_pinned = self._is_pinned and self._previous_upload_id is None
        if rows_from_top is not None and not is_pinned and row >= rows_from_top:
            return 0  # without a choice by the user, the view stays on the newest rows
        return row

    def _row_after_query_change(self, window: RowWindow) -> int:
        row = None if self._previous_upload_id is None else window.position(self._previous_upload_id)
        if row is not None:
            self.forget_previous()
            return row
        self._is_query_new = not window.is_settled  # the search may still find the upload
        return 0

    def _row_after_changes(self, window: RowWindow, upload_id: str) -> int:
        row = window.position(upload_id)
        if row is None and not window.is_settled and self.row >= window.total:
            return 0  # the last row so far is no meaningful position while the search continues
        return self.row if row is None else row
