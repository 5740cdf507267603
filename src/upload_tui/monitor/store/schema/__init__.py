"""The tables of the store: their migrations, how pages are stored, and what a bulk load does without.

- `uploads` has a row for each upload. Times (`_ms`) are milliseconds since 1970; `stage` is the rank of the stage.
- `projects`; `partitions`, each the uploads of one project in one stage, with their count. Those that are gone have their own.
- `raw_json` of single uploads, and `pages` that were read in bulk: an upload is entry number `place` of its `page`.
- `trigrams`, the index of the view `searched`.
- `change_log`, for other processes; `sync_state`, what synchronisation knows of each project; `bulk_lease`, empty unless one loads.
"""

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
