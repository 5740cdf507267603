"""A process that parses pages of uploads: `python -m upload_tui.monitor.sync.page_worker`, started by `page_workers` alone.

It writes `READY`, then answers each page with its snapshot until its input is closed, which also happens when the parent is killed.
A page is preceded by `REQUEST_HEADER`, a snapshot by `RESPONSE_HEADER`; a page that needs a full parse has an empty snapshot.
"""

import gc
import signal
import struct
import sys
from datetime import UTC, datetime

from upload_tui.monitor.store.bulk import page_snapshot

__all__ = ["RESPONSE_HEADER", "REQUEST_HEADER", "READY"]

READY = b"\x06"
REQUEST_HEADER = struct.Struct("!QdI")
"""Precedes a project's id and a page: bytes of the page, when it was read (seconds since 1970), bytes of the id."""
RESPONSE_HEADER = struct.Struct("!Q")
"""Precedes a snapshot: its size in bytes."""


def main() -> None:
    """Read pages from standard input and write snapshots to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the parent
    gc.disable()  # parsed pages hold no reference cycles
    requests, responses = sys.stdin.buffer, sys.stdout.buffer
    responses.write(READY)
    responses.flush()
    while len(head := requests.read(REQUEST_HEADER.size)) == REQUEST_HEADER.size:
        size_bytes, read_at, id_bytes = REQUEST_HEADER.unpack(head)
        project_id = requests.read(id_bytes).decode()
        snapshot = page_snapshot(requests.read(size_bytes), datetime.fromtimestamp(read_at, UTC), project_id)
        responses.write(RESPONSE_HEADER.pack(len(snapshot)))
        responses.write(snapshot)
        responses.flush()


if __name__ == "__main__":
    main()
