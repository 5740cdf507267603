"""What is dropped during a bulk load and built at its end, and the lease that names the store which loads."""

import random
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from upload_tui.monitor.store.schema.indexes import INDEXES, TRIGGERS
from upload_tui.monitor.store.schema.migrations import transaction

if TYPE_CHECKING:
    from upload_tui.monitor.store.database import Database

__all__ = ["BulkLease", "begin_bulk", "end_bulk", "end_bulk_steps", "new_owner", "read_lease", "write_lease"]

_EXPIRY_SECONDS = 30.0
"""Long enough to wait for a page or to build an index."""


def begin_bulk(connection: sqlite3.Connection) -> None:
    """Drop triggers and indexes before a bulk load."""
    connection.execute("INSERT INTO bulk_lease VALUES (0, 0)")
    for name in TRIGGERS:
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
    for name in INDEXES:
        connection.execute(f"DROP INDEX IF EXISTS {name}")


def end_bulk(connection: sqlite3.Connection) -> None:
    """Build indexes, counts, trigrams and triggers after a bulk load, or after one that was interrupted."""
    for _ in end_bulk_steps(connection):
        pass


def end_bulk_steps(connection: sqlite3.Connection) -> Iterator[None]:
    """Do what `end_bulk` does in steps, so that callers can run in between: with a million rows each step takes seconds."""
    for name, place in INDEXES.items():
        connection.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {place}")
        yield
    with transaction(connection):
        connection.execute(
            "UPDATE partitions SET upload_count = ("
            "SELECT count(*) FROM uploads INDEXED BY by_partition_since WHERE uploads.partition = partitions.partition)"
        )
        connection.execute("INSERT INTO trigrams (trigrams) VALUES ('rebuild')")
        for name, what in TRIGGERS.items():
            connection.execute(f"CREATE TRIGGER IF NOT EXISTS {name} {what}")
        connection.execute("DELETE FROM bulk_lease")


def new_owner() -> int:
    """A random number that identifies one open store. The module `secrets` would import hmac at each start."""
    return random.SystemRandom().getrandbits(62)


class BulkLease(Struct, frozen=True):
    """The lease of a bulk load, the only row of the table `bulk_lease`.

    Attributes:
        owner: a random number that identifies one open store; 0 for none.
        renewed_at: seconds since 1970; 0 if it was released.
    """

    owner: int = 0
    renewed_at: float = 0.0

    def is_held(self, now: float) -> bool:
        """Whether the owner still renews it."""
        return abs(now - self.renewed_at) < _EXPIRY_SECONDS


def read_lease(db: "Database | sqlite3.Connection") -> BulkLease | None:
    """The lease in force; None if there is no bulk load: triggers and indexes exist."""
    row = db.execute("SELECT owner, renewed_at FROM bulk_lease").fetchone()
    return None if row is None else BulkLease(*row)


def write_lease(db: "Database | sqlite3.Connection", lease: BulkLease) -> None:
    """Renew the lease in force, or take it over; does nothing if the load has ended meanwhile."""
    db.execute("UPDATE bulk_lease SET owner = ?, renewed_at = ?", (lease.owner, lease.renewed_at))
