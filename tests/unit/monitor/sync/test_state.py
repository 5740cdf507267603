"""The facts of a project, and those that earlier versions stored under other names."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from upload_tui.monitor.store.schema import MIGRATIONS, migrate
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.state import ReconcilerState, SyncState


def test_facts_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    facts = {
        "whole p-1": True,
        "whole until p-1": 5,
        "news p-1": 7,
        "owed p-1": [[1, 3]],
        "check p-1": {"row": 20, "edge_ms": None, "began_ms": 9, "difference": -1},
    }
    file = tmp_path / "store.db"
    with closing(sqlite3.connect(file)) as old:
        migrate(old, MIGRATIONS[:7])
        old.executemany("INSERT INTO facts VALUES (?, ?)", [(name, json.dumps(value)) for name, value in facts.items()])
        old.commit()
    store = Store(file)
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
