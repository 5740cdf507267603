"""Parts of statements that all tables use: transactions, placeholders, times."""

import sqlite3
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

__all__ = ["from_milliseconds", "placeholders", "to_milliseconds", "transaction"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def transaction(db: sqlite3.Connection) -> sqlite3.Connection:
    """Begin a transaction; use the result as a context manager. It locks the database for writing at once."""
    db.execute("BEGIN IMMEDIATE")
    return db


def placeholders(values: Collection[object]) -> str:
    """A question mark for each value, separated by commas."""
    return ", ".join("?" * len(values))


def to_milliseconds(time: datetime) -> int:
    """Convert an aware time to what the tables store: milliseconds since 1970."""
    return (time - _EPOCH) // timedelta(milliseconds=1)


def from_milliseconds(milliseconds: int) -> datetime:
    """Convert a stored time to an aware one."""
    return _EPOCH + timedelta(milliseconds=milliseconds)
