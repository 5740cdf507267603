"""Rows of a service's list that are still to be read, counted from its end, so that new uploads at the top do not move them."""

from collections.abc import Sequence

from upload_tui.monitor.sync.state import SyncState

__all__ = ["UnreadableRows", "Rows", "UnreadRows"]

Rows = tuple[int, int]
"""The first row (from 0) and the number of rows."""


class UnreadRows:
    """Rows of a list that are not read yet.

    Args:
        spans: ranges `(low, high)` counted from the end of the list, `high` excluded.
    """

    def __init__(self, spans: Sequence[tuple[int, int]] = ()) -> None:
        self.spans = [(low, high) for low, high in spans]

    @property
    def count(self) -> int:
        """The number of rows."""
        return sum(high - low for low, high in self.spans)

    def mark_read(self, total: int, first: int, rows: int, unread: Sequence[Rows] = ()) -> None:
        """Remove rows that were read.

        Args:
            total: the length of the list now.
            first: the first row that was read (from 0).
            rows: how many rows were read.
            unread: ranges within these rows that failed.
        """
        low, high = total - first - rows, total - first
        remaining = [
            part for span in self.spans for part in ((span[0], min(span[1], low)), (max(span[0], high), span[1]))
        ]
        failed = [(total - start - count, total - start) for start, count in unread]
        self.spans = sorted({span for span in (*remaining, *failed) if span[0] < span[1]})


class UnreadableRows(UnreadRows):
    """The rows of one project that could not be read; shared through the store.

    Args:
        state: the project's stored facts.
    """

    def __init__(self, state: SyncState) -> None:
        super().__init__()
        self._state = state
        self._retry_count = 0
        self.reload()

    def reload(self) -> None:
        """Load the rows from the store, where other processes may have changed them."""
        self.spans = self._state.unreadable_spans

    def mark_read(self, total: int, first: int, rows: int, unread: Sequence[Rows] = ()) -> None:
        """Remove rows that were read, add rows that failed, and store the result."""
        before = self.spans
        super().mark_read(total, first, rows, unread)
        if self.spans != before:
            self._state.unreadable_spans = self.spans

    def next_to_retry(self, total: int) -> Rows | None:
        """The range to retry in a list of `total` uploads, a different one each time; None if no row is unreadable."""
        spans = [span for span in self.spans if 0 < span[1] <= total]
        if not spans:
            return None
        self._retry_count += 1
        low, high = spans[self._retry_count % len(spans)]
        return total - high, high - max(low, 0)
