"""Who pours very many uploads into a store just now, and whether they still live; a fact of the store, as all over it must know.

While it is there, triggers and indexes are away: whoever writes counts by hand, and searches walk. Whoever pours renews it; one
that is not renewed any more is of a process that died, and whoever finds it ends the load.
"""

import sqlite3
from typing import TYPE_CHECKING

from msgspec import DecodeError, Struct
from msgspec.json import decode, encode

if TYPE_CHECKING:
    from upload_tui.monitor.store.database import Database

__all__ = ["RENEW_SECONDS", "BulkLease", "write_lease", "read_lease"]

RENEW_SECONDS = 2.0
"""It is renewed so often."""
_EXPIRY_SECONDS = 30.0
"""A page may be waited for so long, or an index made."""


class BulkLease(Struct, frozen=True, array_like=True):
    """One store's.

    Attributes:
        owner: tells one open store from all others.
        renewed_at: seconds since 1970; 0 if it was given up.
    """

    owner: int = 0
    renewed_at: float = 0.0

    def is_held(self, now: float) -> bool:
        """Whether somebody still pours."""
        return abs(now - self.renewed_at) < _EXPIRY_SECONDS


def read_lease(db: "Database | sqlite3.Connection") -> BulkLease | None:
    """The lease in force; None if nothing is poured in, and triggers and indexes are there."""
    row = db.execute("SELECT value FROM facts WHERE name = 'bulk'").fetchone()
    if row is None:
        return None
    try:
        return decode(row[0], type=BulkLease)
    except DecodeError:  # an earlier version's
        return BulkLease()


def write_lease(db: "Database | sqlite3.Connection", lease: BulkLease) -> None:
    """Renew the one in force, or take it over; nothing happens if the load was ended meanwhile."""
    db.execute("UPDATE facts SET value = ? WHERE name = 'bulk'", (encode(lease).decode(),))
