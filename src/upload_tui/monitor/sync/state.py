"""What synchronising one project leaves in the store, for later sessions and for other processes over the same store."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, convert, to_builtins

from upload_tui.monitor.store.store import Store

__all__ = ["ReconcilerState", "SyncState"]


class ReconcilerState(Struct):
    """How far the rolling comparison has come.

    Attributes:
        row: the next row of the list to compare (from 0); 0 starts again.
        edge_ms: when the oldest upload compared so far was initiated; None if unknown.
        began_ms: when the comparison began, by the local clock.
        difference: the accepted difference of the service's total and ours: unreadable uploads; negative if some exist but are not
            listed.
    """

    row: int = 0
    edge_ms: int | None = None
    began_ms: int = 0
    difference: int = 0


class SyncState:
    """The stored facts of one project.

    Args:
        store: where they are stored.
        project_id: the project.
    """

    def __init__(self, store: Store, project_id: str) -> None:
        self._store = store
        self.project_id = project_id

    def _get(self, name: str) -> Any:
        return self._store.fact(f"{name} {self.project_id}")

    def _set(self, name: str, value: Any) -> None:
        self._store.set_fact(f"{name} {self.project_id}", value)

    @property
    def is_scanned(self) -> bool:
        """Whether a full scan has ended."""
        return self._get("whole") is True

    @property
    def scanned_until_ms(self) -> int | None:
        """When the newest upload was initiated that was known as the first full scan ended; None before that."""
        until_ms: int | None = self._get("whole until")
        return until_ms

    def end_scan(self, until_ms: int) -> None:
        """Note that a full scan has ended; the first one sets `scanned_until_ms`."""
        if not self.is_scanned:
            self._set("whole until", until_ms)
        self._set("whole", True)

    @property
    def last_known_number(self) -> int | None:
        """The number of the last upload known before an unfinished reading of new uploads; None if there is none."""
        number: int | None = self._get("news")
        return number

    @last_known_number.setter
    def last_known_number(self, number: int | None) -> None:
        self._set("news", number)

    @property
    def unreadable_spans(self) -> list[tuple[int, int]]:
        """Ranges of rows that could not be read, counted from the end of the list."""
        return [(low, high) for low, high in self._get("owed") or ()]

    @unreadable_spans.setter
    def unreadable_spans(self, spans: Sequence[tuple[int, int]]) -> None:
        self._set("owed", spans)

    @property
    def reconciler(self) -> ReconcilerState:
        """How far the rolling comparison has come."""
        return convert(self._get("check") or {}, ReconcilerState)

    @reconciler.setter
    def reconciler(self, state: ReconcilerState) -> None:
        self._set("check", to_builtins(state))
