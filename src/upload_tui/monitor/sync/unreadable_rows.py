"""Rows of a service's list that are still to be read, as they stand from its end: what comes, at the top, does not move them."""

from collections.abc import Sequence

from upload_tui.monitor.store.store import Store

__all__ = ["UnreadableRows", "Rows", "UnreadRows"]

Rows = tuple[int, int]
"""So many rows from a first one (from 0)."""


class UnreadRows:
    """Some rows of a list, until all of them have been read.

    Args:
        spans: from which to which, counted from the end; `high` is not among them.
    """

    def __init__(self, spans: Sequence[tuple[int, int]] = ()) -> None:
        self.spans = [(low, high) for low, high in spans]

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(high - low for low, high in self.spans)

    def mark_read(self, total: int, first: int, rows: int, unread: Sequence[Rows] = ()) -> None:
        """These rows of a list of `total` have been read, but for the unread ones among them."""
        low, high = total - first - rows, total - first
        outside = [
            part for span in self.spans for part in ((span[0], min(span[1], low)), (max(span[0], high), span[1]))
        ]
        still = [(total - start - count, total - start) for start, count in unread]
        self.spans = sorted({span for span in (*outside, *still) if span[0] < span[1]})


class UnreadableRows(UnreadRows):
    """The rows of one project that could not be read: a fact of the store, until they are. Used by `enquiries`.

    Args:
        store: where they are kept.
        project_id: the project.
    """

    def __init__(self, store: Store, project_id: str) -> None:
        super().__init__()
        self._store = store
        self._fact_name = f"owed {project_id}"
        self._turn = 0
        self.reload()

    def reload(self) -> None:
        """Take up what any dashboard over the store has left."""
        self.spans = [(low, high) for low, high in self._store.fact(self._fact_name) or ()]

    def mark_read(self, total: int, first: int, rows: int, unread: Sequence[Rows] = ()) -> None:
        """The same; what changes is kept."""
        before = self.spans
        super().mark_read(total, first, rows, unread)
        if self.spans != before:
            self._store.set_fact(self._fact_name, self.spans)

    def next_to_retry(self, total: int) -> Rows | None:
        """Some that are to be tried again, in a list of `total`: others each time. None if nothing is owed."""
        spans = [span for span in self.spans if 0 < span[1] <= total]
        if not spans:
            return None
        self._turn += 1
        low, high = spans[self._turn % len(spans)]
        return total - high, high - max(low, 0)
