"""A process that reads pages at a glance: `python -m upload_tui.monitor.page_reader`, begun and fed by `page_readers` alone.

It says hello, then answers each page with its image until its input ends, as it does when the parent is gone, however it went.
"""

import gc
import signal
import struct
import sys
from datetime import UTC, datetime

from upload_tui.monitor.page_image import page_image

__all__ = ["ANSWER", "ASKED", "HELLO"]

HELLO = b"\x06"
ASKED = struct.Struct("!Qd")
"""Comes before a page: how many bytes it has, and when it was read, in seconds since 1970."""
ANSWER = struct.Struct("!Q")
"""Comes before an image: how many bytes it has."""


def main() -> None:
    """Read pages from the standard input, write images to the standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the parent
    gc.disable()  # nothing that is read holds a cycle
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(HELLO)
    answers.flush()
    while len(head := asked.read(ASKED.size)) == ASKED.size:
        size_bytes, read_at = ASKED.unpack(head)
        image = page_image(asked.read(size_bytes), datetime.fromtimestamp(read_at, UTC))
        answers.write(ANSWER.pack(len(image)))
        answers.write(image)
        answers.flush()


if __name__ == "__main__":
    main()
