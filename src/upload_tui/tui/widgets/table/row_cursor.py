"""The cursor of a table of uploads: it belongs to an upload, not to a line. It paints nothing and knows no screen."""

from upload_tui.tui.widgets.table.row_window import RowWindow

__all__ = ["RowCursor"]


class RowCursor:
    """Where the cursor stands, and where it belongs once the rows are others than before.

    Attributes:
        row: its row, from 0.
        upload_id: the upload on that row; None if there is none.
    """

    def __init__(self) -> None:
        self.row = 0
        self.upload_id: str | None = None
        self._is_pinned = False
        self._previous_upload_id: str | None = None
        """The upload it was on before a query left that out; it goes back as soon as another query has it."""
        self._is_query_new = False

    def pin(self) -> None:
        """A person puts it on a row: from here on it belongs there."""
        self._is_pinned = True
        self.forget_previous()

    def forget_previous(self) -> None:
        """It does not go back to an upload that was left out."""
        self._previous_upload_id = None
        self._is_query_new = False

    def on_query_changed(self, *, is_reordered: bool) -> None:
        """The next rows are those of another query."""
        if is_reordered and self.row == 0:
            self.upload_id = None  # who stands on the first row wants to see the first ones
        self._previous_upload_id = self._previous_upload_id or self.upload_id
        self._is_query_new = True

    def target_row(self, window: RowWindow, rows_from_top: int | None) -> int:
        """The row that it belongs on; it may be beyond the last.

        Args:
            window: the rows as they are now.
            rows_from_top: how many rows are seen if the table stands at its top; None if it does not.
        """
        if self._is_query_new:
            row = self._row_after_query_change(window)
        elif self.upload_id is None:
            row = self.row
        else:
            row = self._row_after_changes(window, self.upload_id)
        is_chosen = self._is_pinned and self._previous_upload_id is None
        if rows_from_top is not None and not is_chosen and row >= rows_from_top:
            return 0  # nobody chose that upload: it does not pull the view away from the newest
        return row

    def _row_after_query_change(self, window: RowWindow) -> int:
        row = None if self._previous_upload_id is None else window.position(self._previous_upload_id)
        if row is not None:
            self.forget_previous()
            return row
        self._is_query_new = not window.is_settled  # it may be found yet
        return 0

    def _row_after_changes(self, window: RowWindow, upload_id: str) -> int:
        row = window.position(upload_id)
        if row is None and not window.is_settled and self.row >= window.total:
            return 0  # the end of what is found so far is nobody's place
        return self.row if row is None else row
