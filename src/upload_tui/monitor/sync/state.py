"""What synchronising one project leaves in the store, for later sessions and for other processes over the same store."""

from typing import Any, Generic, TypeVar

from msgspec import Struct, convert, to_builtins

from upload_tui.monitor.store.store import Store

__all__ = ["ReconcilerState", "SyncState"]

Value = TypeVar("Value")


class ReconcilerState(Struct):
    """How far the rolling comparison has come.

    Attributes:
        row: the next row of the list to compare (from 0); 0 starts again.
        edge_ms: when the oldest upload compared so far was initiated; None if unknown.
        began_ms: when the comparison began, by the local clock.
        difference: the accepted difference of the service's total and ours: unreadable uploads; negative if some exist but are not
            listed.
        unreadable: unreadable uploads on the pages compared so far.
    """

    row: int = 0
    edge_ms: int | None = None
    began_ms: int = 0
    difference: int = 0
    unreadable: int = 0


class _Fact(Generic[Value]):
    """An attribute of `SyncState` that is a fact in the store.

    Args:
        name: the fact's name without the project's id.
        value_type: what the JSON value is converted to.
        default: the JSON value if there is none.
    """

    def __init__(self, name: str, value_type: Any, default: Any = None) -> None:
        self._name = name
        self._type = value_type
        self._default = default

    def __get__(self, state: "SyncState", _: type) -> Value:
        value = state.store.fact(f"{self._name} {state.project_id}")
        converted: Value = convert(self._default if value is None else value, self._type)
        return converted

    def __set__(self, state: "SyncState", value: Value) -> None:
        state.store.set_fact(f"{self._name} {state.project_id}", to_builtins(value))


class SyncState:
    """The stored facts of one project. Reading an attribute reads the store, setting it writes to the store.

    Args:
        store: where the facts are stored.
        project_id: the project.
    """

    is_scanned = _Fact[bool]("whole", bool, default=False)
    """Whether a full scan has ended."""
    scanned_until_ms = _Fact[int | None]("whole until", int | None)
    """When the newest upload was initiated that was known as the first full scan ended; None before that."""
    synced_ms = _Fact[int | None]("synced", int | None)
    """When the last round ended, by the service's clock; None if none ever did."""
    last_known_number = _Fact[int | None]("news", int | None)
    """The number of the last upload known before an unfinished reading of new uploads; None if there is none."""
    unreadable_spans = _Fact[list[tuple[int, int]]]("owed", list[tuple[int, int]], default=())
    """Ranges of rows that could not be read, counted from the end of the list."""
    unreadable_count = _Fact[int]("unreadable", int, default=0)
    """Unreadable uploads of a service that reports no total, as counted when all pages were read or compared last."""
    missing_count = _Fact[int]("missing", int, default=0)
    """Uploads that the service listed in the last round, but that could not be read."""
    repeats_pages = _Fact[bool]("repeats pages", bool, default=False)
    """Whether the service returned the same uploads for two pages, so that others are hidden."""
    reconciler = _Fact[ReconcilerState]("check", ReconcilerState, default={})
    """How far the rolling comparison has come."""

    def __init__(self, store: Store, project_id: str) -> None:
        self.store = store
        self.project_id = project_id
