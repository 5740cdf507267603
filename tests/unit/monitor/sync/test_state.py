"""The facts of a project, and those that earlier versions stored under other names."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from upload_tui.monitor.store.schema import MIGRATIONS, migrate
from upload_tui.monitor.store.store import Store
from upload_tui.monitor.sync.state import ReconcilerState, SyncState

SOURCE = 'source ~/bin/list "My project"'
"""The scope of a source's state has blanks."""
RECONCILER = {"row": 20, "edge_ms": None, "began_ms": 9, "difference": -1}


@pytest.mark.parametrize("scope", ["p-1", SOURCE])
@pytest.mark.parametrize(
    ("version", "names"),
    [
        (7, ("whole", "whole until", "news", "owed", "check", "synced")),
        (8, ("is_scanned", "scanned_until_ms", "last_known_number", "unreadable_spans", "reconciler", "synced_ms")),
    ],
)
def test_facts_of_an_earlier_version_are_read(version: int, names: Sequence[str], scope: str, tmp_path: Path) -> None:
    values = (True, 5, 7, [[1, 3]], RECONCILER, None)
    facts = [(f"{name} {scope}", json.dumps(value)) for name, value in zip(names, values, strict=True)]
    others = [(f"{names[0]} p-2", "false"), (f"{names[1]} p-2", "damaged"), ("unknown p-3", "1")]
    file = tmp_path / "store.db"
    with closing(sqlite3.connect(file)) as old:
        migrate(old, MIGRATIONS[:version])
        old.executemany("INSERT INTO facts VALUES (?, ?)", [*facts, *others])
        old.commit()
    store = Store(file)
    state, other = SyncState(store, scope), SyncState(store, "p-2")
    assert (state.is_scanned, state.last_known_number) == (True, 7)
    assert (state.unreadable_spans, state.synced_ms) == ([(1, 3)], None)
    assert state.reconciler == ReconcilerState(row=20, edge_ms=None, began_ms=9, difference=-1)
    assert not other.is_scanned
    store.close()


def test_each_attribute_is_a_column() -> None:
    store = Store()
    columns = {name for _, name, *_ in store.db.execute("PRAGMA table_info(sync_state)")}
    attributes = {name for name in vars(SyncState) if not name.startswith("_")}
    assert columns == {"scope", *attributes}
    store.close()


def test_a_new_project_has_no_facts() -> None:
    store = Store()
    state = SyncState(store, "p-1")
    assert (state.is_scanned, state.last_known_number) == (False, None)
    assert (state.unreadable_spans, state.reconciler) == ([], ReconcilerState())
    store.close()


def test_facts_are_stored_by_project() -> None:
    store = Store()
    state, other = SyncState(store, "p-1"), SyncState(store, "p-2")
    state.is_scanned = True
    state.last_known_number = 7
    state.unreadable_spans = [(1, 3)]
    state.reconciler = ReconcilerState(row=20)
    assert (state.is_scanned, state.last_known_number) == (True, 7)
    assert (state.unreadable_spans, state.reconciler.row) == ([(1, 3)], 20)
    assert (other.is_scanned, other.reconciler.row) == (False, 0)
    store.close()
