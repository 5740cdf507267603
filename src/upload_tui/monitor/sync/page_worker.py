"""A process that reads pages at a glance: `python -m upload_tui.monitor.sync.page_worker`, begun and fed by `page_readers` alone.

It says hello, then answers each page with its image until its input ends, as it does when the parent is gone, however it went.
"""

import gc
import signal
import struct
import sys
from datetime import UTC, datetime

from upload_tui.monitor.store.page_snapshot import page_snapshot

__all__ = ["RESPONSE_HEADER", "REQUEST_HEADER", "READY"]

READY = b"\x06"
REQUEST_HEADER = struct.Struct("!Qd")
"""Comes before a page: how many bytes it has, and when it was read, in seconds since 1970."""
RESPONSE_HEADER = struct.Struct("!Q")
"""Comes before an image: how many bytes it has."""


def main() -> None:
    """Read pages from the standard input, write images to the standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the parent
    gc.disable()  # nothing that is read holds a cycle
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(READY)
    answers.flush()
    while len(head := asked.read(REQUEST_HEADER.size)) == REQUEST_HEADER.size:
        size_bytes, read_at = REQUEST_HEADER.unpack(head)
        image = page_snapshot(asked.read(size_bytes), datetime.fromtimestamp(read_at, UTC))
        answers.write(RESPONSE_HEADER.pack(len(image)))
        answers.write(image)
        answers.flush()


if __name__ == "__main__":
    main()
