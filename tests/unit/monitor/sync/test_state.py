"""The facts of a project under the names that earlier versions stored."""

from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.state import ReconcilerState, SyncState


def test_facts_of_an_earlier_version_are_read() -> None:
    store = Store()
    store.set_fact("whole p-1", True)
    store.set_fact("whole until p-1", 5)
    store.set_fact("news p-1", 7)
    store.set_fact("owed p-1", [[1, 3]])
    store.set_fact("check p-1", {"row": 20, "edge_ms": None, "began_ms": 9, "difference": -1})
    state = SyncState(store, "p-1")
    assert (state.is_scanned, state.scanned_until_ms, state.last_known_number) == (True, 5, 7)
    assert state.unreadable_spans == [(1, 3)]
    assert state.reconciler == ReconcilerState(row=20, edge_ms=None, began_ms=9, difference=-1)
    store.close()


def test_a_new_project_has_no_facts() -> None:
    store = Store()
    state = SyncState(store, "p-1")
    assert (state.is_scanned, state.scanned_until_ms, state.last_known_number) == (False, None, None)
    assert (state.unreadable_spans, state.reconciler) == ([], ReconcilerState())
    store.close()


def test_facts_are_stored_by_project() -> None:
    store = Store()
    state, other = SyncState(store, "p-1"), SyncState(store, "p-2")
    state.is_scanned = True
    state.scanned_until_ms = 5
    state.last_known_number = 7
    state.unreadable_spans = [(1, 3)]
    state.reconciler = ReconcilerState(row=20)
    assert (state.is_scanned, state.scanned_until_ms, state.last_known_number) == (True, 5, 7)
    assert (state.unreadable_spans, state.reconciler.row) == ([(1, 3)], 20)
    assert (other.is_scanned, other.reconciler.row) == (False, 0)
    store.close()
