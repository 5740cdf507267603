"""The tables of the store: their migrations, how pages are stored, and what a bulk load does without."""

from upload_tui.monitor.store.schema.bulk_lease import (
    BulkLease,
    begin_bulk,
    end_bulk,
    end_bulk_steps,
    new_owner,
    read_lease,
    write_lease,
)
from upload_tui.monitor.store.schema.migrations import APPLICATION_ID, MIGRATIONS, UNKNOWN, folded_text, migrate
from upload_tui.monitor.store.schema.pages import compress_page, decompress_page

__all__ = [
    "APPLICATION_ID",
    "MIGRATIONS",
    "UNKNOWN",
    "BulkLease",
    "begin_bulk",
    "compress_page",
    "decompress_page",
    "end_bulk",
    "end_bulk_steps",
    "folded_text",
    "migrate",
    "new_owner",
    "read_lease",
    "write_lease",
]
