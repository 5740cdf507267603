"""What the tables share: transactions and lists of places for values."""

import sqlite3
from collections.abc import Collection

__all__ = ["placeholders", "transaction"]


def transaction(db: sqlite3.Connection) -> sqlite3.Connection:
    """A context of statements that hold together or not at all; write locks are taken at once."""
    db.execute("BEGIN IMMEDIATE")
    return db


def placeholders(values: Collection[object]) -> str:
    """A question mark for each of several values."""
    return ", ".join("?" * len(values))
